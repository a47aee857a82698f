import { expect, test } from "vitest";
import { runInPool } from "../../node/sim/pool.js";
import { simulate } from "../../sim/engine/simulation.js";
import type { Plan } from "../../sim/plan/plan.js";
import { CALM, oneByOne, PARTS, planWith } from "../support/plans.js";

const CABLE = { ...CALM, jitterUs: 3_000, lossPpm: 10_000, duplicatePpm: 1_000, corruptPpm: 1_000 };

function ring(count: number, seconds: number, actions: Plan["actions"] = []): Plan {
  const more = { durationUs: seconds * 1e6, models: [CABLE], defaultModel: 0 };
  const plan = oneByOne(planWith(count, (node) => [(node + 1) % count], actions, more));
  return { ...plan, nodes: plan.nodes.map((node, driftPpm) => ({ ...node, driftPpm })) };
}

test("the same plan runs the same way twice, in whatever order NACs are interned", () => {
  const actions: Plan["actions"] = [
    { atUs: 4_000_000, do: "crash", node: 3 },
    { atUs: 5_000_000, do: "pause", node: 5 },
    { atUs: 7_000_000, do: "resume", node: 5 },
    { atUs: 8_000_123, do: "restart", node: 3, keepsState: true },
    { atUs: 9_000_000, do: "clock", node: 6, leapUs: 20_000_000, driftPpm: 50 },
  ];
  const plan = ring(8, 14, actions);
  const first = simulate(plan, { workers: 1 }, PARTS);
  const second = simulate(plan, { workers: 1 }, PARTS);
  const shuffled = simulate(plan, { workers: 1, shuffle: "another order" }, PARTS);
  expect(first.violation).toBeUndefined();
  expect(second.chain).toEqual(first.chain);
  expect(shuffled.chain).toEqual(first.chain);
  expect(first.chain.wire).toHaveLength(14);
  expect(simulate({ ...plan, seed: "2" }, { workers: 1 }, PARTS).fingerprint.wire).not.toBe(first.fingerprint.wire);
});

test("real and modelled crypto give the same fingerprints", () => {
  const plan = ring(4, 6);
  const modelled = simulate(plan, { workers: 1 }, PARTS);
  const real = simulate({ ...plan, crypto: "real" }, { workers: 1 }, PARTS);
  expect(real.chain).toEqual(modelled.chain);
});

test("one, two and three threads give the same fingerprints, second by second", async () => {
  const plan = ring(9, 10, [
    { atUs: 4_000_000, do: "crash", node: 3 },
    { atUs: 5_000_500, do: "cut", a: 6, b: 7, oneWay: false },
  ]);
  const here = simulate(plan, { workers: 1 }, PARTS);
  for (const workers of [1, 2, 3]) {
    const there = await runInPool(plan, { workers });
    expect(there.chain, `${workers} threads`).toEqual(here.chain);
    expect([there.events, there.windows], `${workers} threads`).toEqual([here.events, here.windows]);
  }
});
