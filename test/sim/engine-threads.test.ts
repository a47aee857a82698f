import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { expect, test } from "vitest";
import { runInPool } from "../../node/sim/pool.js";
import type { Task } from "../../node/sim/worker.js";
import { Mailbox, mailBytes } from "../../sim/engine/mailbox.js";
import { Packets } from "../../sim/engine/packets.js";
import type { RunResult } from "../../sim/engine/run.js";
import { sharesOf } from "../../sim/engine/shares.js";
import { commonOf, simulate } from "../../sim/engine/simulation.js";
import { Network } from "../../sim/network/network.js";
import type { Plan } from "../../sim/plan/plan.js";
import { mergeTallies, type Observations } from "../../sim/report/tally.js";
import { CALM, oneByOne, PARTS, planWith } from "../support/plans.js";

const CABLE = { ...CALM, delayUs: 15_000, jitterUs: 4_000, lossPpm: 20_000 };

/** A ring with chords; the first node is everybody's neighbour as well when it is a `hub`. */
function circle(count: number, seconds: number, more: Partial<Plan> = {}, hub = false): Plan {
  const { actions = [], ...rest } = more;
  const dials = (node: number) => [(node + 1) % count, (node + 7) % count, ...(hub && node > 0 ? [0] : [])];
  const setting = { seed: "5", durationUs: seconds * 1e6, models: [CABLE], defaultModel: 0, ...rest };
  return oneByOne(planWith(count, dials, actions, setting));
}

/** Who is dialled by `node`: two ladders of seven nodes, whose last rungs hang on both rails; without feasibility, news of their end goes round. */
function twoLadders(node: number): number[] {
  const first = node < 7 ? 0 : 7;
  const rungs = [[1, 4], [2, 5], [3, 6], [], [5], [6], [3]];
  return rungs[node - first]!.map((to) => to + first);
}

const seen = (result: RunResult) => mergeTallies(result.tallies as unknown as Observations[]);

test("fifty nodes with real and with modelled crypto send the same at the same times, and count the same control traffic", () => {
  const flow = { from: 3, to: 20, kind: "datagrams", bytes: 700, count: 40, gapUs: 20_000 } as const;
  const plan = circle(50, 5, { actions: [{ atUs: 3_500_000, do: "traffic", flow }] });
  const modelled = simulate(plan, { workers: 1 }, PARTS);
  const real = simulate({ ...plan, crypto: "real" }, { workers: 1 }, PARTS);
  expect(real.chain).toEqual(modelled.chain);
  const [counted, expected] = [seen(real), seen(modelled)];
  expect(expected.traffic.delivered, "user data was among it").toBeGreaterThan(30);
  expect(counted).toEqual(expected);
});

test("threads whose mailboxes hold three datagrams at a time hand over all the same", async () => {
  const plan = circle(24, 4);
  const here = simulate(plan, { workers: 1 }, PARTS);
  const shards = 2;
  const common = commonOf(plan.nodes.length, shards, (bytes) => new SharedArrayBuffer(bytes), 3 * mailBytes(1_280));
  const threads = [0, 1].map((shard) => {
    const workerData: Task = { plan, shard, shards, common, untilUs: undefined, shuffle: undefined };
    return new Worker(new URL("../../dist/node/sim/worker.js", import.meta.url), { workerData });
  });
  const results = await Promise.all(
    threads.map(
      (thread) =>
        new Promise<RunResult>((resolve, reject) => {
          thread.on("message", (said: { result?: RunResult }) => said.result !== undefined && resolve(said.result));
          thread.once("error", reject);
        }),
    ),
  );
  await Promise.all(threads.map((thread) => thread.terminate()));
  for (const { chain } of results) expect(chain).toEqual(here.chain);
  expect(results.reduce((sum, { events }) => sum + events, 0)).toBe(here.events);
});

test("one and two threads count the same, and report the same broken promise", async () => {
  const plan = planWith(
    14,
    twoLadders,
    [
      { atUs: 20e6, do: "crash", node: 3 },
      { atUs: 20e6, do: "crash", node: 10 },
    ],
    { seed: "5", durationUs: 40e6, mutate: "feasibility", models: [{ ...CALM, delayUs: 15_000 }], defaultModel: 0 },
  );
  const one = await runInPool(plan, { workers: 1 });
  const two = await runInPool(plan, { workers: 2 });
  expect(two.chain).toEqual(one.chain);
  expect(one.violation?.oracle).toBe("loop");
  expect(two.violation).toEqual(one.violation);
  expect(seen(two)).toEqual(seen(one));
  expect(two.waitShare).toBeGreaterThan(0);
  expect(two.waitShare).toBeLessThan(1);
  expect(one.waitShare).toBe(0);
});

test("datagrams that come at the same microsecond from several threads are taken in one order", async () => {
  const base = circle(20, 4, { models: [{ ...CABLE, jitterUs: 0, lossPpm: 0 }] }, true);
  const plan = { ...base, actions: base.actions.map((action) => ({ ...action, atUs: 0 })) };
  const one = simulate(plan, { workers: 1 }, PARTS);
  const two = await runInPool(plan, { workers: 2 });
  expect(two.chain).toEqual(one.chain);
});

test("windows shorter than they need be change nothing", () => {
  class Narrow extends Network {
    override readonly lookaheadUs = 2_100;
  }
  const plan = circle(20, 5);
  const wide = simulate(plan, { workers: 1 }, PARTS);
  const narrow = simulate(plan, { workers: 1 }, { ...PARTS, network: () => new Narrow(plan, plan.seed) });
  expect(narrow.chain).toEqual(wide.chain);
  expect(narrow.windows).toBeGreaterThan(wide.windows * 2);
});

test("a run that ends within a window ends, whatever is due in the rest of that window", async () => {
  const plan = circle(20, 5);
  let windows = 0;
  const onProgress = () => {
    windows += 64;
    if (windows > 100_000) throw new Error("it never ends");
  };
  const run = (untilUs: number) => simulate(plan, { workers: 1, untilUs, onProgress }, PARTS);
  let before = 0;
  for (let untilUs = 23_456; untilUs < 300_000; untilUs += 23_456) {
    const { simSeconds, events } = run(untilUs);
    expect(simSeconds).toBe(untilUs / 1e6);
    expect(events).toBeGreaterThan(before);
    before = events;
  }
  const two = await runInPool(plan, { workers: 2, untilUs: 123_456 });
  expect(two.events).toBe(run(123_456).events);
});

test("a hub is weighed by its links: its shard gets fewer islands", () => {
  const plan = circle(30, 1, {}, true);
  const shardOf = sharesOf(plan, Int32Array.from(plan.nodes.keys()), 30, 2);
  const withHub = shardOf.filter((shard) => shard === shardOf[0]).length;
  expect(withHub).toBe(13);
});

test("what does not fit into a mailbox comes through it in order, in rounds", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 1_280 }), { maxLength: 40 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: mailBytes(1_280), max: 6_000 }), (sizes, room) => {
      const [from, to] = [new Packets(), new Packets()];
      const spill = new Mailbox(new ArrayBuffer(8));
      for (const [i, length] of sizes.entries()) {
        const slot = from.make(new Uint8Array(length).fill(i), 0, length);
        from.key[slot] = i;
        spill.grow(length);
        spill.write(slot, from, 3);
      }
      const box = new Mailbox(new ArrayBuffer(8 + ((room + 7) & ~7)));
      const got: number[][] = [];
      let poured = 0;
      for (let round = 0; round <= sizes.length && !spill.isEmpty; round += 1) {
        box.clear();
        poured = spill.pour(poured, box);
        box.publish();
        box.read(to, (slot) => {
          const bytes = to.chunk[slot]!.subarray(to.at[slot]!, to.at[slot]! + to.length[slot]!);
          expect(bytes.every((byte) => byte === to.key[slot])).toBe(true);
          got.push([to.key[slot]!, to.length[slot]!]);
        });
      }
      expect(got).toEqual(sizes.map((length, i) => [i, length]));
    }),
  );
});
