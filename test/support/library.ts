/** The scenario library: which of its files are run where, and what is asked of their reports. */
import { expect } from "vitest";
import { describeRegressions, differencesOf } from "../../node/sim/baseline.js";
import { baselinesAt, shippedBaselines } from "../../node/sim/baseline-run.js";
import { shippedScenarios } from "../../node/sim/shipped.js";
import type { Report } from "../../sim/report/report.js";

/** Minutes each: test/long/library.test.ts. */
export const LONG: readonly string[] = ["mass-join-1000"];

/** Thousands of nodes, or what a smaller one shows as well: run by hand, `mariana sim run NAME`. */
export const BY_HAND: readonly string[] = [
  "churn-1000",
  "churn-5000",
  "liars-1000",
  "soak-500",
  "storm-1000",
  "mass-death-5000",
  "mass-join-5000",
  "quiet-5000",
  "restart-5000",
];

/** They promise what the protocol does not keep yet; with what is seen instead. To be emptied, not to be added to. */
export const NOT_YET_KEPT: Readonly<Record<string, string>> = {
  "bad-air-20": "seven times a living node is forgotten for more than 5 s at 20 % loss and half a second of jitter",
  "black-hole": "who gets no answer over a relay stays with it: 81 % of the requests arrive",
  crowd: "among liars of every kind a few pairs of living nodes lose each other for more than 5 s, in most builds",
  eclipse: "one of the living is without one other for 10 s, whom it asked for over liars; six seeds of eight keep all",
  flapper: "what is taken back and told again a thousand times a second costs the others 5 % of their pairs",
  "flapping-every-second": "a node that flaps changes each route 45 times instead of 20, and its relays send 17.7 kB/s",
  "table-overflow": "a neighbour that invents destinations costs others 38 kB/s",
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
