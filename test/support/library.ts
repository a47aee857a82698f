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
  "liars-1000",
  "mass-death-5000",
  "mass-join-5000",
  "quiet-5000",
  "restart-5000",
];

/** They promise what the protocol does not keep yet; with what is missing. To be emptied, not to be added to. */
export const NOT_YET_KEPT: Readonly<Record<string, string>> = {
  "best-node": "destinations renew their routes by themselves: 20 s later somebody still waits for one",
  "flapping-every-second": "what a flapping origin changes is damped: 51 changes for each route instead of 20",
  "black-hole": "who gets no answer over a relay leaves it: five requests of eight arrive",
  crowd: "liveness, and metrics and indexes that are proven",
  eclipse: "liveness: the dead are routed to after a minute",
  flapper: "what a neighbour takes back and tells again a thousand times a second is damped",
  "ghost-keeper": "liveness",
  "ghosts-and-swallowers": "liveness",
  "index-forger": "indexes that are proven: nine thousand forged ones are believed",
  "metric-liar": "metrics that are proven: six hundred forged ones are believed",
  staller: "a living node is forgotten for more than 5 s while a staller is not found out",
  swallowers: "liveness",
  "table-overflow": "a neighbour that invents destinations is capped: the others pay 32 kB/s for it",
  "yesterdays-news": "liveness: adverts of the dead are believed again after a minute",
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
