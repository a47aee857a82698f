import { expect, test } from "vitest";
import type { Observer, ShardView } from "../../sim/engine/observer.js";
import { simulate } from "../../sim/engine/simulation.js";
import { firstViolation } from "../../sim/oracle/first-violation.js";
import { instruments } from "../../sim/oracle/instruments.js";
import { Observatory } from "../../sim/oracle/observatory.js";
import type { Action, Plan } from "../../sim/plan/plan.js";
import { mergeTallies } from "../../sim/report/tally.js";
import { CALM, oneByOne, PARTS, planWith } from "../support/plans.js";

const CABLE = { ...CALM, delayUs: 8_000, jitterUs: 2_000, lossPpm: 20_000 };
const COUNT = 66; // more than are sampled each second

function ringWithChords(): Plan {
  const actions: Action[] = [
    { do: "crash", node: 5, atUs: 20e6 },
    { do: "crash", node: 30, atUs: 22e6 },
    { do: "restart", node: 5, atUs: 30e6, keepsState: true },
  ];
  const more = { durationUs: 36e6, warmupUs: 15e6, models: [CABLE], defaultModel: 0 };
  return oneByOne(planWith(COUNT, (node) => [(node + 1) % COUNT, (node + 8) % COUNT], actions, more));
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
    handleRequest: (nowUs, node, ...rest) => of(node).handleRequest(nowUs, node, ...rest),
    handleSuspicion: (nowUs, node, ...rest) => of(node).handleSuspicion(nowUs, node, ...rest),
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
  const alone = simulate(plan, { workers: 1 }, PARTS);
  const together = simulate(
    plan,
    { workers: 1 },
    { ...PARTS, instruments: (view) => ({ ...instruments(view), observer: twoShards(view) }) },
  );
  expect(alone.violation).toBeUndefined();
  const one = mergeTallies(alone.tallies as never);
  expect(one.removals.length).toBe(2);
  expect(one.seconds.pairs.some((pairs) => pairs > 0)).toBe(true);
  expect(together.tallies[0]).toEqual(one);
});
