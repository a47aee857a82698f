import { describe, expect, test } from "vitest";
import { simulate } from "../../sim/engine/simulation.js";
import type { Action, Mutation, Plan } from "../../sim/plan/plan.js";
import { reportOf } from "../../sim/report/report.js";
import { CALM, PARTS, planWith } from "../support/plans.js";

const CABLE = { ...CALM, jitterUs: 2_000 };

/** Nodes 0 .. count - 1; each pair of `links` is dialled by its first. */
function world(count: number, links: readonly (readonly [number, number])[], more: Partial<Plan> = {}): Plan {
  const { actions = [], ...rest } = more;
  const dials = (node: number) => links.filter(([from]) => from === node).map(([, to]) => to);
  const setting = { seed: "11", durationUs: 90e6, warmupUs: 10e6, models: [CABLE], defaultModel: 0 };
  return planWith(count, dials, actions, { ...setting, ...rest });
}

function run(plan: Plan) {
  const result = simulate(plan, { workers: 1 }, PARTS);
  return { ...result, report: reportOf(plan, result) };
}

const at = (second: number, node: number, act: "crash"): Action => ({ atUs: second * 1e6, do: act, node });

/** A ladder of two rails, whose last rung hangs on both: many ways round for news of its end. */
const LADDER = [
  [0, 1],
  [1, 2],
  [2, 3],
  [0, 4],
  [1, 5],
  [2, 6],
  [4, 5],
  [5, 6],
  [6, 3],
] as const;

describe("a core broken on purpose", () => {
  // What is not taken back is found out by the want of proofs of life, within the minute but not as soon as it should be.
  const SOON = "removal.max < 10s";
  const death = world(7, LADDER, { actions: [at(20, 3, "crash")], durationUs: 100e6, expect: [SOON] });
  const worlds: Record<Mutation, { readonly plan: Plan; readonly reasons: readonly string[] }> = {
    feasibility: { plan: world(7, LADDER, { actions: [at(20, 3, "crash")] }), reasons: ["loop"] },
    retraction: { plan: death, reasons: [SOON] },
    death: { plan: death, reasons: [SOON] },
    delta: { plan: world(7, LADDER, { durationUs: 60e6 }), reasons: ["starvation", "truth"] },
  };

  test.each(Object.keys(worlds) as Mutation[])("without %s fails for the right reason", (mutate) => {
    const { plan, reasons } = worlds[mutate];
    const { report } = run({ ...plan, mutate });
    expect(reasons).toContain(report.violation?.oracle ?? report.expect.find(({ ok }) => !ok)?.text);
    expect(report).toMatchObject({ ok: false, mutate });
  });

  test.each(Object.keys(worlds) as Mutation[])("passes unbroken in the world that shows the want of %s", (mutate) => {
    const { report } = run(worlds[mutate].plan);
    expect(report.violation).toBeUndefined();
    expect(report.ok).toBe(true);
  });
});

describe("liars", () => {
  const LINE = [
    [0, 1],
    [1, 2],
    [2, 3],
  ] as const;

  // 0 - 1 - 2 - 3: all that 0 hears of the end of 3 would come through the liar.
  test("that keep the dead alive for whoever hears of them only through the liar: eclipsed, and counted", () => {
    const actions: Action[] = [{ atUs: 15e6, do: "byzantine", node: 1, as: "swallow" }, at(20, 3, "crash")];
    const { metrics, violation } = run(world(4, LINE, { actions, durationUs: 120e6 })).report;
    expect(violation).toBeUndefined();
    expect(metrics).toMatchObject({ eclipsed: 1, ghosts: 0, removal: { count: 1, censored: 0 } });
  });
});

describe("traffic", () => {
  const flow = (kind: "stream" | "datagrams" | "request", from: number, to: number, bytes: number): Action => ({
    atUs: 15e6,
    do: "traffic",
    flow: { from, to, kind, bytes, count: 20, gapUs: 50_000 },
  });

  test("arrives whole, and nothing but what is offered to the living counts", () => {
    const actions = [flow("stream", 0, 3, 50_000), flow("request", 4, 2, 30_000), flow("datagrams", 1, 6, 300)];
    const { tallies, report } = run(world(7, LADDER, { actions, durationUs: 40e6 }));
    expect(tallies[0]).toMatchObject({ clients: 3, traffic: { offered: 86_000, delivered: 86_000, damaged: 0 } });
    expect(report.metrics.delivery).toEqual({ share: 1 });
    expect(report.metrics.announcedNacs).toBe(10);
  });

  test("to the dead is not offered", () => {
    const actions = [at(12, 3, "crash"), flow("stream", 0, 3, 5_000)];
    const { report } = run(world(7, LADDER, { actions, durationUs: 20e6 }));
    expect(report.metrics.delivery).toEqual({ share: null });
  });
});
