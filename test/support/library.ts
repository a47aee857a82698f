/** The scenario library: which of its files are run where, and what is asked of their reports. */
import { expect } from "vitest";
import { describeRegressions, differencesOf } from "../../node/sim/baseline.js";
import { baselinesAt, shippedBaselines } from "../../node/sim/baseline-run.js";
import { shippedScenarios } from "../../node/sim/shipped.js";
import type { Report } from "../../sim/report/report.js";

/** Minutes each: test/long/library.test.ts. */
export const LONG: readonly string[] = ["storm-1000", "soak-500", "mass-join-1000"];

/** Thousands of nodes, or what a smaller one shows as well: run by hand, `mariana sim run NAME`. */
export const BY_HAND: readonly string[] = [
  "churn-1000",
  "churn-5000",
  "mass-death-5000",
  "mass-join-5000",
  "quiet-5000",
  "restart-5000",
];

/** They promise what the protocol does not keep yet; each with the expectation that fails. To be emptied, not to be added to. */
export const NOT_YET_KEPT: Readonly<Record<string, string>> = {
  "best-node": "after 20 s nobody waits for a route any more: destinations do not renew their routes by themselves",
  "flapping-every-second": "a node that flaps costs its neighbours little: what it changes is not damped",
};

/** Those that take seconds. */
export const QUICK: readonly string[] = [...shippedScenarios().keys()].filter(
  (name) => !LONG.includes(name) && !BY_HAND.includes(name) && !Object.hasOwn(NOT_YET_KEPT, name),
);

/** Every expectation holds, no oracle spoke, and nothing costs more than five percent over its baseline. */
export function expectKept(report: Report): void {
  expect(report.violation).toBeUndefined();
  expect(report.expect.length).toBeGreaterThan(0);
  expect(report.expect.filter(({ ok }) => !ok)).toEqual([]);
  const baseline = baselinesAt(shippedBaselines())[report.scenario];
  if (baseline !== undefined) expect(describeRegressions(differencesOf(report, baseline))).toEqual([]);
}
