/** The scenarios that take minutes, on all processors: each keeps what it promises, and costs what it cost. */
import { expect, test } from "vitest";
import { runInPool } from "../../node/sim/pool.js";
import { loadPlan } from "../../node/sim/scenario-file.js";
import { runTrial } from "../../node/sim/trial.js";
import { lengthOf } from "../support/length.js";
import { expectKept, LONG } from "../support/library.js";

const NAMES = lengthOf({ short: ["restart-300"], full: LONG });

test.each(NAMES)("%s ends with every expectation met, no oracle offended, and no cost risen", async (name) => {
  const plan = loadPlan(name, { set: [] });
  const { report } = await runTrial(runInPool, plan, { repeat: `mariana sim run ${name}` });
  expect(report.simSeconds).toBe(plan.durationUs / 1e6);
  expectKept(report);
});
