/**
 * One scenario twice: in virtual time, and by twenty daemons on 127.0.0.1 that are killed, started again, stopped and continued. Both
 * take the same time over it, or the simulator is not to be believed.
 *
 * A relay holds each packet back for as long as the scenario says: without it a join would be nothing but processor time (half a
 * millisecond in the simulator, which knows none).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Plan } from "../../sim/plan/plan.js";
import { expand, parseScenario, printComplaint } from "../../sim/scenario/scenario.js";
import { type Measures, measure, SPANS, type SpanName } from "../support/chronicle.js";
import { removeFolder, temporaryFolder } from "../support/daemons.js";
import { type RealRun, realRun } from "../support/real-run.js";
import { simulatedRun } from "../support/simulated-run.js";

const FILE = fileURLToPath(new URL("../../scenarios/twenty-nodes.yaml", import.meta.url));
/** Which hello came last before a death is chance: the simulator's mean is of so many runs, and the seed of the first is the real one's. */
const SEEDS = 8;
const DIFFERENCE_MAX = 0.2;
/** Longer than the daemons need on a machine with other things to do: they take 140 s, most of it the scenario's own. */
const PATIENCE_MS = 280_000;

describe("twenty nodes, in virtual time and as daemons", () => {
  let base: string;
  let run: RealRun;
  let real: Measures;
  let simulated: Measures;

  beforeAll(async () => {
    base = temporaryFolder();
    run = await realRun(planOf(1), base);
    real = measure(run.happenings, run.fromUs);
    simulated = simulatedMeasures();
    console.log(`${table(simulated, real)}\nrelays were late by ${run.relayLateMs.toFixed(2)} ms on average`);
  }, PATIENCE_MS);

  afterAll(() => removeFolder(base));

  test("whatever begins comes to its end, on both sides", () => {
    expect(simulated.unfinished).toEqual([]);
    expect(real.unfinished).toEqual([]);
    for (const name of SPANS) {
      expect(real[name], name).toHaveLength(12);
      expect(simulated[name], name).toHaveLength(12 * SEEDS);
    }
  });

  test("daemons that are killed are forgotten after the same time", () => expectAgreement("removal"));

  test("daemons that are started again are known after the same time", () => expectAgreement("join"));

  test("daemons that stand still are forgotten, and known again, after the same time", () => {
    expectAgreement("forgetting");
    expectAgreement("recovery", median); // who fell several times is held back for seconds, and one of those moves a mean of twelve
  });

  test("the simulator's report says what its chronicle says", () => {
    const plan = planOf(1);
    const { happenings, report } = simulatedRun(plan);
    const { removal, join } = measure(happenings, plan.warmupUs);
    expect(report.ok).toBe(true);
    expect(report.metrics.removal).toMatchObject({ count: removal.length });
    // The chronicle ends a removal when nobody has a route for the first time; the report when nobody takes it back any more.
    const again = Number((report.metrics.removal as { max: number }).max) - Math.max(...removal);
    expect(again).toBeGreaterThanOrEqual(0);
    expect(again).toBeLessThan(0.5);
    // The report sees joins at the ends of windows, and windows are as long as the shortest way between two nodes.
    const windowSeconds = plan.models[plan.defaultModel]!.delayUs / 1e6;
    const late = Number((report.metrics.join as { max: number }).max) - Math.max(...join);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThanOrEqual(windowSeconds);
  });

  function expectAgreement(name: SpanName, middle = mean): void {
    const expected = middle(simulated[name]);
    expect(Math.abs(middle(real[name]) - expected) / expected, table(simulated, real)).toBeLessThan(DIFFERENCE_MAX);
  }
});

function planOf(seed: number): Plan {
  const parsed = parseScenario(readFileSync(FILE, "utf8"), FILE);
  if (!parsed.ok) throw new Error(parsed.errors.map(printComplaint).join("\n"));
  return expand(parsed.scenario, String(seed));
}

function simulatedMeasures(): Measures {
  const all: Measures = { removal: [], join: [], forgetting: [], recovery: [], unfinished: [] };
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const plan = planOf(seed);
    const measures = measure(simulatedRun(plan).happenings, plan.warmupUs);
    for (const name of SPANS) all[name].push(...measures[name]);
    all.unfinished.push(...measures.unfinished.map((text) => `seed ${seed}: ${text}`));
  }
  return all;
}

/** Seconds of both sides. */
function table(simulated: Measures, real: Measures): string {
  const rows = SPANS.map((name) => {
    const share = mean(real[name]) / mean(simulated[name]) - 1;
    const difference = `${share < 0 ? "" : "+"}${(share * 100).toFixed(1)} %`;
    return `${name.padEnd(12)}${figures(simulated[name])}${figures(real[name])}${difference.padStart(9)}`;
  });
  const heads = "n    mean     p50     max".padStart(28);
  return [
    `seconds     ${"simulated".padStart(28)}${"real".padStart(28)}`,
    `            ${heads}${heads}`,
    ...rows,
  ].join("\n");
}

function figures(values: readonly number[]): string {
  const cells = [mean(values), median(values), Math.max(...values)];
  return `${values.length}`.padStart(4) + cells.map((value) => value.toFixed(3).padStart(8)).join("");
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
