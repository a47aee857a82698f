import fc from "fast-check";
import { expect, test } from "vitest";
import { ChangeBudget } from "../../core/routing/change-budget.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";

const D = 7;

test("four changes in a row pass, then one in two and a half seconds", () => {
  const budget = new ChangeBudget();
  let told = 0;
  for (let ms = 0; ms < 60_000; ms += 100) if (budget.take(ms * MILLISECOND_US, D, false)) told += 1;
  expect(told).toBe(4 + 60 / 2.5 - 1);
});

test("what comes back too often is held for a second, then twice as long each time, and half a minute at most", () => {
  const budget = new ChangeBudget();
  const told: number[] = [];
  for (let second = 0; second < 200; second += 1) {
    if (!budget.take(second * SECOND_US, D, true)) continue;
    told.push(second);
    for (let i = 0; i < 4; i += 1) budget.count(second * SECOND_US, D); // and it is lost, and comes and goes meanwhile
  }
  const gaps = told.slice(1).map((second, i) => second - told[i]!);
  expect(gaps.slice(-2)).toEqual([31, 31]); // asked once a second, and held from the first refusal on
  expect(gaps).toEqual([...gaps].sort((a, b) => a - b));
});

test("a minute and a half of rest makes it a calm destination again, whatever it did", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ gapMs: fc.nat(5_000), isBack: fc.boolean() }), { maxLength: 60 }), (steps) => {
      const budget = new ChangeBudget();
      let nowUs = 0;
      for (const { gapMs, isBack } of steps) {
        nowUs += gapMs * MILLISECOND_US;
        if (!budget.take(nowUs, D, isBack)) budget.count(nowUs, D + 1);
      }
      nowUs += 90 * SECOND_US;
      for (let i = 0; i < 4; i += 1) expect(budget.take(nowUs, D, true)).toBe(true);
      expect(budget.take(nowUs, D, true)).toBe(false);
    }),
  );
});

test("in any ten seconds no destination that is counted has more than its four and what grew back, whatever order things happen in", () => {
  const step = fc.record({ gapMs: fc.nat(900), destination: fc.nat(3), isBack: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = new ChangeBudget();
      const told: { atUs: number; destination: number }[] = [];
      let nowUs = 0;
      for (const { gapMs, destination, isBack } of steps) {
        nowUs += gapMs * MILLISECOND_US;
        if (budget.take(nowUs, destination, isBack)) told.push({ atUs: nowUs, destination });
      }
      for (const { atUs, destination } of told) {
        const within = told.filter((one) => one.destination === destination && one.atUs >= atUs);
        expect(within.filter((one) => one.atUs < atUs + 10 * SECOND_US).length).toBeLessThanOrEqual(8);
      }
    }),
  );
});

test("a crowd of changes fills the memory to its bound, passes, and makes room once it is over", () => {
  const budget = new ChangeBudget();
  for (let destination = 0; destination < 5_000; destination += 1) {
    expect(budget.take(0, destination, true)).toBe(true);
  }
  expect(budget.cap).toMatchObject({ limit: 64, peak: 64 });
  const laterUs = 10 * SECOND_US;
  for (let i = 0; i < 4; i += 1) expect(budget.take(laterUs, 9_999, true)).toBe(true);
  expect(budget.take(laterUs, 9_999, true)).toBe(false);
});
