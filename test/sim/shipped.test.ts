/** The scenarios of scenarios/ that take a few seconds, run whole: each keeps what it promises, and costs what it cost. */
import { describe, expect, test } from "vitest";
import { loadPlan } from "../../node/sim/scenario-file.js";
import { shippedScenarios } from "../../node/sim/shipped.js";
import { simulate } from "../../sim/engine/simulation.js";
import { reportOf } from "../../sim/report/report.js";
import { BY_HAND, expectKept, LONG, NOT_YET_KEPT, QUICK } from "../support/library.js";
import { PARTS } from "../support/plans.js";

/** Seconds on a quiet machine; a busy one may take its time. */
const TIMEOUT_MS = 300_000;

describe("a shipped scenario keeps what it promises", () => {
  test("those that are not run here are scenarios that ship", () => {
    const elsewhere = [...LONG, ...BY_HAND, ...Object.keys(NOT_YET_KEPT)];
    expect(elsewhere.filter((name) => !shippedScenarios().has(name))).toEqual([]);
    expect(QUICK.length).toBeGreaterThan(elsewhere.length);
  });

  test.each(QUICK)(
    "%s ends with every expectation met, no oracle offended, and no cost risen",
    (name) => {
      const plan = loadPlan(name, { set: [] });
      expectKept(reportOf(plan, simulate(plan, { workers: 1 }, PARTS)));
    },
    TIMEOUT_MS,
  );
});
