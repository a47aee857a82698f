import { expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { runInPool } from "../../node/sim/pool.js";
import type { Parts } from "../../sim/engine/run.js";
import { simulate } from "../../sim/engine/simulation.js";
import { Network } from "../../sim/network/network.js";
import { instruments } from "../../sim/oracle/instruments.js";
import type { LinkModel, Plan } from "../../sim/plan/plan.js";

const parts: Parts = {
  network: (plan) => new Network(plan, plan.seed),
  instruments,
  realSuite: nobleSuite,
};

const MODEL: LinkModel = {
  delayUs: 10_000,
  jitterUs: 3_000,
  jitterCorrelationPpm: 0,
  lossPpm: 10_000,
  burst: undefined,
  duplicatePpm: 1_000,
  reorderPpm: 0,
  reorderUs: 0,
  corruptPpm: 1_000,
  rate: 0,
  queueBytes: 0,
  mtuBytes: 1_500,
};

function ring(count: number, seconds: number, actions: Plan["actions"] = []): Plan {
  return {
    name: "ring",
    seed: "7",
    hash: "",
    durationUs: seconds * 1e6,
    warmupUs: 0,
    crypto: "modelled",
    nodes: Array.from({ length: count }, (_, node) => ({
      name: `n${node}`,
      role: "public" as const,
      region: 0,
      interfaces: [{ realm: 0, address: node + 1, access: -1 }],
      dials: [{ node: (node + 1) % count, from: 0, address: ((node + 1) % count) + 1 }],
      driftPpm: node,
      cpu: undefined,
    })),
    realms: [{ name: "internet", parent: -1, region: 0, nat: undefined, lan: -1 }],
    models: [MODEL],
    regions: { names: ["here"], rttUs: [0] },
    pairs: [],
    defaultModel: 0,
    actions: [
      ...Array.from({ length: count }, (_, node) => ({ atUs: node * 1_000, do: "start" as const, node })),
      ...actions,
    ],
    expect: [],
    mutate: undefined,
  };
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
  const first = simulate(plan, { workers: 1 }, parts);
  const second = simulate(plan, { workers: 1 }, parts);
  const shuffled = simulate(plan, { workers: 1, shuffle: "another order" }, parts);
  expect(first.violation).toBeUndefined();
  expect(second.chain).toEqual(first.chain);
  expect(shuffled.chain).toEqual(first.chain);
  expect(first.chain.wire).toHaveLength(14);
  expect(simulate({ ...plan, seed: "8" }, { workers: 1 }, parts).fingerprint.wire).not.toBe(first.fingerprint.wire);
});

test("real and modelled crypto give the same fingerprints", () => {
  const plan = ring(4, 6);
  const modelled = simulate(plan, { workers: 1 }, parts);
  const real = simulate({ ...plan, crypto: "real" }, { workers: 1 }, parts);
  expect(real.chain).toEqual(modelled.chain);
});

test("one, two and three threads give the same fingerprints, second by second", async () => {
  const plan = ring(9, 10, [
    { atUs: 4_000_000, do: "crash", node: 3 },
    { atUs: 5_000_500, do: "cut", a: 6, b: 7, oneWay: false },
  ]);
  const here = simulate(plan, { workers: 1 }, parts);
  for (const workers of [1, 2, 3]) {
    const there = await runInPool(plan, { workers });
    expect(there.chain, `${workers} threads`).toEqual(here.chain);
    expect([there.events, there.windows], `${workers} threads`).toEqual([here.events, here.windows]);
  }
});
