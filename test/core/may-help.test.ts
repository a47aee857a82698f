import fc from "fast-check";
import { expect, test } from "vitest";
import { AGE_OLD, isFeasible, METRIC_INFINITY, METRIC_NONE } from "../../core/routing/feasible.js";
import { mayHelp } from "../../core/routing/may-help.js";

const age = fc.integer({ min: 0, max: 5 });
const metric = fc.integer({ min: 0, max: METRIC_INFINITY - 1 });

test("whom a route cannot help finds it neither feasible nor better, whatever it chose since it announced", () => {
  fc.assert(
    fc.property(
      age,
      metric,
      age,
      metric,
      fc.array(fc.tuple(age, metric)),
      fc.boolean(),
      (ours, our, theirs, their, chosen, isLower) => {
        if (mayHelp(theirs, their, ours, our)) return;
        let distance: readonly [number, number] = [theirs, their];
        for (const [nextAge, nextMetric] of chosen) {
          if (nextAge < distance[0] || (nextAge === distance[0] && nextMetric < distance[1]))
            distance = [nextAge, nextMetric];
        }
        expect(isFeasible(ours, our, isLower, ...distance)).toBe(false);
        expect(our + 1).toBeGreaterThan(their);
      },
    ),
  );
});

test("who announced nothing, something older, or nothing better may be helped", () => {
  expect(mayHelp(AGE_OLD, METRIC_NONE, 0, 63)).toBe(true);
  expect(mayHelp(AGE_OLD, 1, 0, 63)).toBe(true);
  expect(mayHelp(1, 1, 0, 63)).toBe(true);
  expect(mayHelp(0, 5, 0, 5)).toBe(true);
  expect(mayHelp(0, 4, 0, 5)).toBe(false);
  expect(mayHelp(0, 4, 1, 5)).toBe(false);
  expect(mayHelp(0, 6, 1, 5)).toBe(true);
});

test("the origin is never kept from telling of itself", () => {
  fc.assert(fc.property(age, metric, (theirs, their) => mayHelp(theirs, their, 0, 0)));
});
