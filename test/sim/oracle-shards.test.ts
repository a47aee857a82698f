import { expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { Observer, ShardView } from "../../sim/engine/observer.js";
import type { Parts } from "../../sim/engine/run.js";
import { simulate } from "../../sim/engine/simulation.js";
import { Network } from "../../sim/network/network.js";
import { firstViolation } from "../../sim/oracle/first-violation.js";
import { instruments } from "../../sim/oracle/instruments.js";
import { Observatory } from "../../sim/oracle/observatory.js";
import type { Action, LinkModel, Plan } from "../../sim/plan/plan.js";
import { mergeTallies } from "../../sim/report/tally.js";
import { planOf } from "../support/census-world.js";

const CABLE: LinkModel = {
  delayUs: 8_000,
  jitterUs: 2_000,
  jitterCorrelationPpm: 0,
  lossPpm: 20_000,
  burst: undefined,
  duplicatePpm: 0,
  reorderPpm: 0,
  reorderUs: 0,
  corruptPpm: 0,
  rate: 0,
  queueBytes: 0,
  mtuBytes: 1_500,
};
const COUNT = 66; // more than are sampled each second

function ringWithChords(): Plan {
  const actions: Action[] = [
    ...Array.from({ length: COUNT }, (_, node): Action => ({ do: "start", node, atUs: node * 10_000 })),
    { do: "crash", node: 5, atUs: 20e6 },
    { do: "restart", node: 5, atUs: 30e6, keepsState: true },
    { do: "crash", node: 30, atUs: 22e6 },
  ];
  const dial = (to: number) => ({ node: to % COUNT, from: 0, address: (to % COUNT) + 1 });
  const base = planOf(COUNT);
  return {
    ...base,
    durationUs: 36e6,
    warmupUs: 15e6,
    realms: [{ name: "internet", parent: -1, region: 0, nat: undefined, lan: -1 }],
    models: [CABLE],
    nodes: base.nodes.map((node, i) => ({
      ...node,
      interfaces: [{ realm: 0, address: i + 1, access: -1 }],
      dials: [dial(i + 1), dial(i + 8)],
    })),
    actions,
  };
}

/** The oracles of two shards, each told of its own nodes only. */
function twoShards(view: ShardView): Observer {
  const halves = [0, 1].map((shard) => {
    const half: ShardView = {
      ...view,
      shard,
      shards: 2,
      owns: (node) => node % 2 === shard,
      host: (node) => view.host(node),
    };
    return new Observatory(half, () => ({ clients: 0, traffic: { offered: 0, delivered: 0, damaged: 0 } }));
  });
  const of = (node: number) => halves[node % 2]!;
  return {
    handleStart: (nowUs, node) => of(node).handleStart(nowUs, node),
    handleEnd: (nowUs, node, how) => of(node).handleEnd(nowUs, node, how),
    handleRoute: (nowUs, node, ...rest) => of(node).handleRoute(nowUs, node, ...rest),
    handleEntry: (nowUs, node, ...rest) => of(node).handleEntry(nowUs, node, ...rest),
    handleLink: () => undefined,
    handleTransmit: (nowUs, node, ...rest) => of(node).handleTransmit(nowUs, node, ...rest),
    handleWindow: (nowUs) => {
      for (const half of halves) half.handleWindow(nowUs);
    },
    handleSecond: (nowUs) => firstViolation(halves.map((half) => half.handleSecond(nowUs))),
    finish: (nowUs) => mergeTallies(halves.map((half) => half.finish(nowUs))),
  };
}

test("two shards see together what one sees alone", () => {
  const plan = ringWithChords();
  const parts: Parts = { network: (of) => new Network(of, of.seed), instruments, realSuite: nobleSuite };
  const alone = simulate(plan, { workers: 1 }, parts);
  const together = simulate(
    plan,
    { workers: 1 },
    { ...parts, instruments: (view) => ({ ...instruments(view), observer: twoShards(view) }) },
  );
  expect(alone.violation).toBeUndefined();
  const one = mergeTallies(alone.tallies as never);
  expect(one.removals.length).toBe(2);
  expect(one.seconds.pairs.some((pairs) => pairs > 0)).toBe(true);
  expect(together.tallies[0]).toEqual(one);
});
