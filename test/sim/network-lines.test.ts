import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LinkModel } from "../../sim/plan/plan.js";
import { isHit, scaled, weather } from "../../sim/random/weather.js";
import { type Arrival, NetworkWorld, WorldPlan } from "../support/network-world.js";

/** `count` datagrams from one node to another over a line, one every `gapUs`; what arrived, by the number of the datagram. */
function stream(model: Partial<LinkModel>, { count = 20_000, gapUs = 1_000, length = 100, seed = "s1" } = {}) {
  const plan = new WorldPlan();
  const [ada, bob] = [plan.node(), plan.node()];
  plan.pair(ada, bob, { delayUs: 10_000, ...model });
  const world = new NetworkWorld(plan, seed);
  const sentUs: number[] = [];
  for (let n = 0; n < count; n += 1) {
    sentUs.push(world.nowUs);
    world.send(ada, world.endpoint(bob), { tag: n, length });
    world.run(gapUs);
  }
  world.run(60_000_000);
  const delays = world.arrivals.map(({ atUs, tag }) => atUs - sentUs[tag]!);
  return { arrivals: world.arrivals, delays, counts: world.network.counts, count };
}

const SEEDS = ["s1", "s2", "s3"];

describe.each(SEEDS)("with the seed %s", (seed) => {
  test("uniform loss takes its share, and does not come in bursts", () => {
    const { arrivals, counts, count } = stream({ lossPpm: 50_000 }, { seed });
    expect(arrivals.length + counts.loss!).toBe(count);
    expect(counts.loss! / count).toBeGreaterThan(0.044);
    expect(counts.loss! / count).toBeLessThan(0.056); // four standard deviations
    expect(meanRun(lossRuns(arrivals, count))).toBeLessThan(1.15);
  });

  test("Gilbert-Elliott loss takes the same share in bursts of the length that the chances say", () => {
    // A fifth of the time is bad (0.01 / (0.01 + 0.04)), for 25 packets on the average, all of them lost.
    const burst = { toBadPpm: 10_000, toGoodPpm: 40_000, goodLossPpm: 0, badLossPpm: 1_000_000 };
    const { arrivals, count } = stream({ burst }, { seed, count: 40_000 });
    const runs = lossRuns(arrivals, count);
    expect(runs.reduce((sum, run) => sum + run, 0) / count).toBeGreaterThan(0.15);
    expect(runs.reduce((sum, run) => sum + run, 0) / count).toBeLessThan(0.25);
    expect(meanRun(runs)).toBeGreaterThan(20);
    expect(meanRun(runs)).toBeLessThan(31);
  });

  test("jitter is uniform, and correlated as the model says while it stays uniform", () => {
    for (const correlationPpm of [0, 500_000]) {
      const { delays } = stream({ jitterUs: 8_000, jitterCorrelationPpm: correlationPpm }, { seed, gapUs: 10_000 });
      const jitter = delays.map((delay) => delay - 10_000);
      expect(Math.min(...jitter)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...jitter)).toBeLessThanOrEqual(8_000);
      expect(meanOf(jitter)).toBeGreaterThan(3_850);
      expect(meanOf(jitter)).toBeLessThan(4_150);
      // Of a uniform spread: width squared / 12.
      expect(meanOf(jitter.map((j) => (j - 4_000) ** 2)) / (8_000 ** 2 / 12)).toBeGreaterThan(0.94);
      expect(meanOf(jitter.map((j) => (j - 4_000) ** 2)) / (8_000 ** 2 / 12)).toBeLessThan(1.06);
      expect(autocorrelation(jitter)).toBeGreaterThan(correlationPpm / 1e6 - 0.04);
      expect(autocorrelation(jitter)).toBeLessThan(correlationPpm / 1e6 + 0.04);
    }
  });

  test("copies, held back and damaged datagrams come in their shares", () => {
    const model = { duplicatePpm: 20_000, reorderPpm: 30_000, reorderUs: 5_500, corruptPpm: 10_000 };
    const { arrivals, delays, count } = stream(model, { seed });
    expect(arrivals.length - count).toBeGreaterThan(count * 0.016);
    expect(arrivals.length - count).toBeLessThan(count * 0.024);
    const held = delays.filter((delay) => delay === 15_500).length;
    expect(held).toBeGreaterThan(count * 0.025);
    expect(held).toBeLessThan(count * 0.035);
    const overtaken = arrivals.filter(({ tag }, i) => i > 0 && arrivals[i - 1]!.tag > tag).length;
    expect(overtaken).toBeGreaterThan(held * 0.9);
    const bits = arrivals.filter(({ corruptBit }) => corruptBit >= 0).map(({ corruptBit }) => corruptBit);
    expect(bits.length).toBeGreaterThan(count * 0.007);
    expect(bits.length).toBeLessThan(count * 0.013);
    expect(Math.max(...bits)).toBeLessThan(800);
    expect(new Set(bits).size).toBeGreaterThan(100); // all over the datagram, not one place
  });
});

test("a rate spaces datagrams out, its queue holds so many bytes, and what comes then is dropped", () => {
  const plan = new WorldPlan();
  const [ada, bob] = [plan.node(), plan.node()];
  plan.pair(ada, bob, { delayUs: 10_000, rate: 8_000_000, queueBytes: 3_000 }); // a byte each microsecond
  const world = new NetworkWorld(plan);
  for (let tag = 0; tag < 6; tag += 1) world.send(ada, world.endpoint(bob), { tag, length: 1_000 });
  expect(world.run().map(({ atUs, tag }) => ({ atUs, tag }))).toEqual([
    { atUs: 11_000, tag: 0 },
    { atUs: 12_000, tag: 1 },
    { atUs: 13_000, tag: 2 },
  ]);
  expect(world.network.counts.queue).toBe(3);
});

test("over a long time a line carries its rate, exactly, though a packet takes no whole microseconds", () => {
  // 1,250 bytes at 3 Gbit/s: 3,333.3 ns each; one is offered each microsecond.
  const { delays, arrivals } = stream(
    { delayUs: 0, rate: 3_000_000_000, queueBytes: 10_000 },
    { count: 30_000, gapUs: 1, length: 1_250 },
  );
  expect(arrivals.length).toBeGreaterThan(30_000 * 0.299);
  expect(arrivals.length).toBeLessThan(30_000 * 0.301);
  expect(Math.max(...delays)).toBeLessThanOrEqual(31); // 10,000 bytes of queue and the packet itself
});

test("a datagram larger than the line carries is dropped, in the direction of that line only", () => {
  const plan = new WorldPlan();
  const [ada, bob] = [plan.node(), plan.node()];
  plan.pair(ada, bob, { mtuBytes: 1_200 }, true);
  const world = new NetworkWorld(plan);
  expect(world.ask(ada, world.endpoint(bob), { length: 1_200 })).toHaveLength(1);
  expect(world.ask(ada, world.endpoint(bob), { length: 1_201 })).toHaveLength(0);
  expect(world.ask(bob, world.endpoint(ada), { length: 1_201 })).toHaveLength(1);
  expect(world.network.counts.mtu).toBe(1);
});

test("each direction has a queue of its own", () => {
  const plan = new WorldPlan();
  const [ada, bob] = [plan.node(), plan.node()];
  plan.pair(ada, bob, { delayUs: 0, rate: 8_000_000, queueBytes: 1e6 });
  const world = new NetworkWorld(plan);
  world.send(ada, world.endpoint(bob), { length: 50_000 });
  world.send(bob, world.endpoint(ada), { length: 10 });
  expect(world.run().map(({ atUs, node }) => ({ atUs, node }))).toEqual([
    { atUs: 10, node: ada },
    { atUs: 50_000, node: bob },
  ]);
});

test("an access line is shared by all that the node sends, and another one by all that it hears", () => {
  const plan = new WorldPlan();
  const access = plan.model({ delayUs: 1_000, rate: 8_000_000, queueBytes: 2_000 });
  const ada = plan.node([0], { access });
  const [bob, cyd] = [plan.node(), plan.node()];
  const world = new NetworkWorld(plan);
  world.send(ada, world.endpoint(bob), { length: 1_000 });
  world.send(ada, world.endpoint(cyd), { length: 1_000 });
  world.send(bob, world.endpoint(ada), { length: 1_000 });
  world.send(cyd, world.endpoint(ada), { length: 1_000 });
  world.send(bob, world.endpoint(ada), { length: 1_000 });
  const arrivals = world.run();
  expect(arrivals.filter(({ node }) => node !== ada).map(({ atUs }) => atUs)).toEqual([12_000, 13_000]);
  expect(arrivals.filter(({ node }) => node === ada).map(({ atUs }) => atUs)).toEqual([12_000, 13_000]);
  expect(world.network.counts.queue).toBe(1); // the third that ada was to hear at once
});

describe("the weather", () => {
  const model = { lossPpm: 200_000, jitterUs: 9_000, duplicatePpm: 100_000, corruptPpm: 100_000 };

  test("the weather of a pair is the same whatever others send in between", () => {
    const fates = (isBusy: boolean) => {
      const plan = new WorldPlan();
      const access = plan.model({ lossPpm: 100_000, jitterUs: 500 });
      const [ada, bob, cyd] = [plan.node([0], { access }), plan.node([0], { access }), plan.node()];
      plan.models[0] = { ...plan.models[0]!, ...model };
      const world = new NetworkWorld(plan);
      for (let tag = 0; tag < 300; tag += 1) {
        if (isBusy) {
          world.send(cyd, world.endpoint(bob), { tag: -1 });
          world.send(ada, world.endpoint(cyd), { tag: -1 });
        }
        world.send(ada, world.endpoint(bob), { tag });
        world.run(20_000);
      }
      return world.arrivals.filter(({ tag }) => tag >= 0);
    };
    const quiet = fates(false);
    expect(quiet.length).toBeGreaterThan(100);
    expect(quiet.length).toBeLessThan(300);
    expect(fates(true)).toEqual(quiet);
  });

  test("another seed is another weather, the same seed the same", () => {
    const fate = (seed: string): Arrival[] => stream(model, { seed, count: 200, gapUs: 20_000 }).arrivals;
    expect(fate("a")).toEqual(fate("a"));
    expect(fate("a")).not.toEqual(fate("b"));
  });

  test("a draw hits as often as its share says, whatever the key and the purpose", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        (key, purpose, twentieths) => {
          let hits = 0;
          for (let n = 0; n < 4_000; n += 1) if (isHit(weather(key, n, purpose), twentieths * 50_000)) hits += 1;
          // Six standard deviations.
          const share = twentieths / 20;
          return Math.abs(hits / 4_000 - share) <= 6 * Math.sqrt((share * (1 - share)) / 4_000);
        },
      ),
      { numRuns: 200, seed: 4 },
    );
  });

  test("draws for two purposes or of two keys have nothing to do with each other", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.integer({ min: 0, max: 20 }), (key, other, purpose) => {
        const [a, b, c]: number[][] = [[], [], []];
        for (let n = 0; n < 2_000; n += 1) {
          a!.push(scaled(weather(key, n, purpose), 1000));
          b!.push(scaled(weather(key, n, purpose + 1), 1000));
          c!.push(scaled(weather(other, n, purpose), 1000));
        }
        return Math.abs(correlation(a!, b!)) < 0.15 && (key === other || Math.abs(correlation(a!, c!)) < 0.15);
      }),
      { numRuns: 200, seed: 4 },
    );
  });
});

/** Lengths of the gaps between what arrived. */
function lossRuns(arrivals: readonly Arrival[], count: number): number[] {
  const isThere = new Set(arrivals.map(({ tag }) => tag));
  const runs: number[] = [];
  let run = 0;
  for (let n = 0; n <= count; n += 1) {
    if (n < count && !isThere.has(n)) run += 1;
    else {
      if (run > 0) runs.push(run);
      run = 0;
    }
  }
  return runs;
}

function meanRun(runs: readonly number[]): number {
  return meanOf(runs);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function autocorrelation(values: readonly number[]): number {
  return correlation(values.slice(1), values.slice(0, -1));
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  const covariance = meanOf(a.map((value, i) => (value - meanA) * (b[i]! - meanB)));
  const spread = Math.sqrt(meanOf(a.map((v) => (v - meanA) ** 2)) * meanOf(b.map((v) => (v - meanB) ** 2)));
  return covariance / spread;
}
