import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../sim/report/canonical-json.js";
import { judge } from "../../sim/report/expectations.js";
import { metricOf, metricsOf } from "../../sim/report/metrics.js";
import { percentile, percentileOfCounts } from "../../sim/report/percentile.js";
import { mergeTallies, type Observations } from "../../sim/report/tally.js";
import { parseExpectation } from "../../sim/scenario/expect.js";
import { METRICS } from "../../sim/scenario/metrics.js";

const NOTHING: Observations = {
  endUs: 100_000_000,
  warmupUs: 0,
  started: [],
  clients: 0,
  removals: [],
  joins: [],
  seconds: {
    pairs: [],
    unreachable: [],
    ordinaryBytes: [],
    publicBytes: [],
    ordinaryUs: [],
    publicUs: [],
    changes: [],
    routes: [],
  },
  control: [],
  stretch: [],
  witnesses: { deaths: 0, joins: 0 },
  entries: { death: none(), join: none(), snapshot: none(), other: none() },
  loops: 0,
  ghosts: 0,
  eclipses: [],
  falseRemovals: 0,
  routeChanges: 0,
  forgedAccepted: 0,
  replayGains: 0,
  forgedRequests: 0,
  suspicions: { all: 0, false: 0 },
  starvation: { pairs: 0, longestUs: 0 },
  caps: {},
  traffic: { offered: 0, delivered: 0, damaged: 0 },
};

function none() {
  return { entries: 0, bytes: 0, wireBytes: 0 };
}

function span(atS: number, tookS: number, isCensored = false, node = 1) {
  return { node, atUs: atS * 1e6, tookUs: tookS * 1e6, isCensored };
}

function judged(tally: Observations, text: string) {
  const parsed = parseExpectation(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return judge(tally, parsed.expectation);
}

describe("a percentile", () => {
  test("is the nearest rank, and always a value that was measured", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([50, 99, 100].map((percent) => percentile(hundred, percent))).toEqual([50, 99, 100]);
    expect(percentile([3], 1)).toBe(3);
    expect(percentile([1, 2, 3], 50)).toBe(2);
    expect(percentile([], 50)).toBeUndefined();
  });

  test("of counts is that of the values one by one", () => {
    const counts = fc.array(fc.nat(4), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 100 }), (given, percent) => {
        const values = given.flatMap((count, value) => Array.from({ length: count }, () => value));
        expect(percentileOfCounts(given, percent)).toBe(percentile(values, percent));
      }),
    );
  });
});

test("canonical JSON has the same bytes whatever the order of keys, and no room for what JSON cannot say", () => {
  expect(canonicalJson({ b: 1, a: { d: [0.1, null], c: undefined } })).toBe(
    canonicalJson({ a: { d: [0.1, null] }, b: 1 }),
  );
  expect(() => canonicalJson({ a: Number.NaN })).toThrow(RangeError);
});

describe("the numbers of a report", () => {
  test("have all the names that expectations may use", () => {
    const names = Object.keys(METRICS);
    expect(names.length).toBeGreaterThan(25);
    for (const name of names) expect([name, metricOf(NOTHING, name)]).not.toEqual([name, undefined]);
  });

  test("leave censored removals out of the distribution and count them", () => {
    const removals = [span(1, 2), span(2, 8), span(3, 70, true)];
    const { removal, crashes } = metricsOf({ ...NOTHING, removals });
    expect(removal).toEqual({ count: 2, censored: 1, p50: 2, p99: 8, max: 8 });
    expect(crashes).toBe(3);
  });

  test("count control traffic only of nodes that lived for a minute", () => {
    const control = [
      { node: 0, isPublic: false, bytes: 60_000, aliveUs: 60e6 },
      { node: 1, isPublic: false, bytes: 180_000, aliveUs: 60e6 },
      { node: 2, isPublic: false, bytes: 9_000_000, aliveUs: 59e6 },
      { node: 3, isPublic: true, bytes: 600_000, aliveUs: 100e6 },
    ];
    const metrics = metricsOf({ ...NOTHING, control });
    expect(metrics.control).toMatchObject({
      ordinary: { mean: 2_000, p99: 3_000, max: 3_000 },
      public: { mean: 6_000, p99: 6_000, max: 6_000 },
    });
  });

  test("give bytes of deaths and joins per event and node that witnessed it", () => {
    const entries = { ...NOTHING.entries, death: { entries: 80, bytes: 960, wireBytes: 1_500 } };
    const { control } = metricsOf({ ...NOTHING, entries, witnesses: { deaths: 10, joins: 0 } });
    expect(control).toMatchObject({
      bytesPerDeath: 96,
      wireBytesPerDeath: 150,
      entriesPerDeath: 8,
      bytesPerJoin: null,
    });
  });

  test("of a part of the run are those of its seconds", () => {
    const seconds = { ...NOTHING.seconds, pairs: [10, 10, 10, 0], unreachable: [10, 5, 1, 0] };
    const tally = { ...NOTHING, warmupUs: 1e6, endUs: 4e6, seconds };
    expect(metricOf(tally, "unreachablePairShare.max")).toBe(0.5);
    expect(metricOf(tally, "unreachablePairShare.max", 2e6, 4e6)).toBe(0.1);
    expect(metricOf(tally, "unreachablePairShare.mean", 0, 2e6)).toBe(0.75);
    expect(metricOf(tally, "unreachablePairShare.max", 3e6, 4e6)).toBeNull();
  });
});

describe("an expectation", () => {
  const tally = { ...NOTHING, removals: [span(5, 2), span(50, 9)] };

  test("compares the number that it names", () => {
    expect(judged(tally, "removal.max < 9s")).toEqual({ text: "removal.max < 9s", value: 9, ok: false });
    expect(judged(tally, "removal.max <= 9s").ok).toBe(true);
    expect(judged(tally, "loops == 0").ok).toBe(true);
    expect(judged(tally, "crashes != 2").ok).toBe(false);
  });

  test("of a part of the run sees only what began there", () => {
    expect(judged(tally, "removal.max < 9s from 0s to 10s")).toMatchObject({ value: 2, ok: true });
  });

  test("fails when nothing was measured", () => {
    expect(judged(NOTHING, "removal.p99 < 10s")).toMatchObject({ value: null, ok: false });
    expect(judged(tally, "removal.p99 < 10s from 20s to 30s")).toMatchObject({ value: null, ok: false });
  });

  test("fails for a metric that there is not, and for a part of one that is of the whole run", () => {
    const asked = {
      text: "x",
      metric: "speed",
      comparison: "<",
      value: 1,
      fromUs: undefined,
      toUs: undefined,
    } as const;
    expect(judge(tally, asked)).toMatchObject({ value: null, ok: false, reason: "there is no metric speed" });
    expect(judge(tally, { ...asked, metric: "removal" })).toMatchObject({ value: null, ok: false });
    expect(judge(tally, { ...asked, metric: "loops", fromUs: 1e6, toUs: 2e6 }).reason).toBe(
      "loops is of the whole run, not of a part of it",
    );
  });
});

describe("tallies of shards", () => {
  const count = fc.nat(1_000);
  const counted = fc.record({ entries: count, bytes: count, wireBytes: count });
  const some = fc.record({
    removals: fc.array(fc.record({ node: count, atUs: count, tookUs: count, isCensored: fc.boolean() }), {
      maxLength: 4,
    }),
    pairs: fc.array(count, { maxLength: 5 }),
    stretch: fc.array(count, { maxLength: 5 }),
    death: counted,
    longestUs: count,
    peak: count,
  });

  test("come to the same however the nodes were shared out", () => {
    fc.assert(
      fc.property(fc.array(some, { minLength: 2, maxLength: 5 }), (given) => {
        const parts = given.map(
          ({ removals, pairs, stretch, death, longestUs, peak }, shard): Observations => ({
            ...NOTHING,
            removals: removals.map((one) => ({ ...one, node: one.node * 8 + shard })),
            seconds: { ...NOTHING.seconds, pairs },
            stretch,
            entries: { ...NOTHING.entries, death },
            starvation: { pairs: 1, longestUs },
            caps: { routes: { limit: 1_000, peak } },
          }),
        );
        const all = mergeTallies(parts);
        expect(canonicalJson(all as never)).toBe(canonicalJson(mergeTallies([...parts].reverse()) as never));
        const halves = [mergeTallies(parts.slice(0, 1)), mergeTallies(parts.slice(1))];
        expect(mergeTallies(halves)).toEqual(all);
        expect(all.removals.length).toBe(given.reduce((sum, { removals }) => sum + removals.length, 0));
      }),
    );
  });

  test("of which there are none come to nothing that could be reported", () => {
    expect(() => mergeTallies([])).toThrow(RangeError);
  });
});
