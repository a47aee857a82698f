/** What is made of finished runs: text, JUnit, summaries, comparisons, files; and which seeds a sweep covers. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { simTable } from "../../node/bench/sim.js";
import { decodeChain, encodeChain, partingOf } from "../../node/sim/chain.js";
import { compareMetrics, shareIn } from "../../node/sim/comparison.js";
import { junitOf } from "../../node/sim/junit.js";
import { assertWritable, prepareFolder, writeOutput } from "../../node/sim/output-file.js";
import { formatSpan, ProgressMeter, progressBar, progressLine } from "../../node/sim/progress.js";
import { repeatLine } from "../../node/sim/repeat.js";
import { directionOf, flatten } from "../../node/sim/report-metrics.js";
import { formatReport, formatSummary } from "../../node/sim/report-text.js";
import { meansOf, reportsIn } from "../../node/sim/results.js";
import { seedsIn, shardOf } from "../../node/sim/seeds.js";
import { summarize } from "../../node/sim/summary.js";
import { parseReport, type TrialReport } from "../../node/sim/trial-report.js";
import { run } from "../support/command.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-results-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function report(seed: string, changes: Partial<TrialReport> = {}): TrialReport {
  return {
    scenario: "small",
    seed,
    hash: "ab".repeat(32),
    crypto: "modelled",
    fingerprint: { wire: "1".repeat(32), state: "2".repeat(32) },
    nodes: 1234,
    simSeconds: 600,
    wallSeconds: 12.5,
    events: 5_000_000,
    peakRssMiB: 321,
    workers: 2,
    ok: true,
    metrics: {
      crashes: 3,
      removal: { count: 3, censored: 1, p50: 1.5, p99: 2.25, max: 2.5 },
      delivery: { share: null },
    },
    expect: [{ text: "removal.p99 < 10s", value: 2.25, ok: true }],
    repeat: `mariana sim run small --seed ${seed}`,
    ...changes,
  };
}

const GHOST: Partial<TrialReport> = {
  ok: false,
  violation: {
    oracle: "ghosts",
    atSeconds: 71,
    nodes: ["n3", "n7"],
    text: 'n3 has a route to n7, dead & gone for "60 s"',
  },
};

describe("progress", () => {
  const AT = { name: "small", nowUs: 186_400_000, untilUs: 600_000_000, liveNodes: 4998, wallSeconds: 15 };

  test("on a terminal is a bar with time, speed, live nodes and what is left", () => {
    expect(progressBar(AT, 100)).toBe(
      "small  ███████▍░░░░░░░░░░░░░░░░   31 %  186 of 600 s  12.4x  4,998 nodes  33 s left",
    );
  });

  test("says nothing of speed before it can know, and is full at the end", () => {
    expect(progressBar({ ...AT, nowUs: 0, wallSeconds: 0.1 }, 100)).toBe(
      `small  ${"░".repeat(24)}    0 %  0 of 600 s  4,998 nodes`,
    );
    expect(progressBar({ ...AT, nowUs: AT.untilUs }, 100)).toContain(`${"█".repeat(24)}  100 %`);
  });

  test("never is wider than the terminal, at any time of any run", () => {
    fc.assert(
      fc.property(
        fc.nat(2e9),
        fc.nat(2e9),
        fc.nat(20_000),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.nat(160),
        (nowUs, untilUs, liveNodes, wallSeconds, columns) => {
          const bar = progressBar({ name: "x", nowUs, untilUs, liveNodes, wallSeconds }, columns);
          expect(bar.length).toBeLessThanOrEqual(Math.max(0, columns - 1));
          expect(bar).not.toMatch(/NaN|Infinity|undefined/);
        },
      ),
    );
  });

  test("in a log is a line every five seconds, without control characters", () => {
    let nowMs = 0;
    const said: string[] = [];
    const meter = new ProgressMeter({ write: (text: string) => said.push(text) }, () => nowMs);
    for (; nowMs <= 12_000; nowMs += 100) meter.update(AT);
    meter.clear();
    expect(said).toEqual(Array.from({ length: 2 }, () => `${progressLine(AT)}\n`));
    expect(progressLine(AT)).toBe("small: 186 of 600 s, 12.4x, 4,998 nodes, 33 s left");
  });

  test("on a terminal is wiped before other lines are written", () => {
    let nowMs = 0;
    const said: string[] = [];
    const meter = new ProgressMeter(
      { isTTY: true, columns: 100, write: (text: string) => said.push(text) },
      () => nowMs,
    );
    nowMs = 1000;
    meter.update(AT);
    meter.clear();
    meter.clear();
    expect(said).toEqual([`\r\x1b[2K${progressBar(AT, 100)}`, "\r\x1b[2K"]);
  });

  test("shows spans in the two largest units", () => {
    expect([0.4, 59.4, 61, 3599.6, 7500].map(formatSpan)).toEqual([
      "0 s",
      "59 s",
      "1 min 1 s",
      "1 h 0 min",
      "2 h 5 min",
    ]);
  });
});

describe("a report", () => {
  test("of a run that passed says so first, then every expectation with its value, the fingerprint and the speed", () => {
    const text = formatReport(report("7"));
    expect(text).toMatch(/^passed {2}small, seed 7\n/);
    expect(text).toContain("ok    removal.p99 < 10s  2.25\n");
    expect(text).toContain(`wire ${"1".repeat(32)}`);
    expect(text).toContain("600 s in 13 s: 48.0x real time");
    expect(text).toContain("p50 1.5 s, p99 2.25 s, max 2.5 s; 3 counted, 1 cut off");
    expect(text).not.toContain("repeat it");
  });

  test("of a run that failed names the oracle, the time, the nodes, and ends with the line that repeats it", () => {
    const text = formatReport(report("7", { ...GHOST, mutate: "death" }));
    expect(text).toMatch(/^failed {2}small, seed 7, its core broken on purpose: death\n/);
    expect(text).toContain('ghosts at 71 s: n3 has a route to n7, dead & gone for "60 s"\n  nodes: n3 n7\n');
    expect(text.split("\n").at(-1)).toBe("  repeat it:  mariana sim run small --seed 7");
  });

  test("survives its own JSON, and what is no report is none", () => {
    const some = report("7", GHOST);
    expect(parseReport(JSON.stringify(some))).toEqual(some);
    for (const text of ["", "{", "[]", "null", '{"scenario":"x"}', '{"seed":1}'])
      expect(parseReport(text)).toBeUndefined();
  });

  test("is repeated by a line that a shell reads as it was meant", async () => {
    const changes = {
      seed: "it's 7",
      set: ["links.default.loss=5%", "name=a b"],
      crypto: "real",
      mutate: "death",
      until: "60s",
    } as const;
    const { out } = await run("sh", [
      "-c",
      `mariana() { printf '%s\\n' "$@"; }; ${repeatLine("my file.yaml", changes)}`,
    ]);
    expect(out.trimEnd().split("\n")).toEqual([
      "sim",
      "run",
      "my file.yaml",
      "--seed",
      "it's 7",
      "--set",
      "links.default.loss=5%",
      "--set",
      "name=a b",
      "--crypto",
      "real",
      "--mutate",
      "death",
      "--until",
      "60s",
    ]);
  });
});

describe("JUnit", () => {
  const outcomes = [
    report("1"),
    report("2", GHOST),
    report("3", { ok: false, scenario: 'a<b>&"c"\u0000\ud800', expect: [{ text: "loops == 0", value: 4, ok: false }] }),
    { scenario: "slow", seed: "4", unfinished: "after 3 s of --budget 10 of 600 s were simulated" },
  ];

  test("counts what it holds, and escapes whatever names hold", () => {
    const xml = junitOf(outcomes);
    expect(xml).toContain('<testsuites name="mariana sim" tests="7" failures="3">');
    expect(xml.match(/<testcase /g)).toHaveLength(7);
    expect(xml.match(/<failure /g)).toHaveLength(3);
    expect(xml).toContain("a&lt;b&gt;&amp;&quot;c&quot;\ufffd\ufffd seed 3");
    expect(xml).toContain("dead &amp; gone for &quot;60 s&quot;");
  });

  test("is well-formed: every tag closes, every attribute is quoted, every ampersand begins an entity", () => {
    const xml = junitOf(outcomes);
    expect(faultOf(xml)).toBeUndefined();
    expect(faultOf(xml.replace("</testsuites>", ""))).toBe("testsuites stays open");
    expect(faultOf(xml.replace("&lt;b", "<b"))).toBeDefined();
    expect(faultOf(xml.replace("&amp;", "&"))).toBeDefined();
  });

  /** What an XML parser would refuse of the part of XML that is used here. */
  function faultOf(xml: string): string | undefined {
    const rest = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, "");
    const open: string[] = [];
    for (const [token] of rest.matchAll(/<[^>]*>|[^<]+/g)) {
      if (/&(?!(?:amp|lt|gt|quot|#10|#9);)/.test(token)) return `a bare ampersand: ${token}`;
      if (!token.startsWith("<")) continue;
      const [, slash, name, , empty] = /^<(\/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(\/?)>$/.exec(token) ?? [];
      if (name === undefined) return `no tag: ${token}`;
      if (slash === "/") {
        if (open.pop() !== name) return `${name} closes what is not open`;
      } else if (empty === "") open.push(name);
    }
    return open.length === 0 ? undefined : `${open.at(-1)} stays open`;
  }
});

describe("seeds", () => {
  test("A..B holds both ends, and shards part them without loss", () => {
    expect(seedsIn("3..6")).toEqual(["3", "4", "5", "6"]);
    expect(seedsIn("5")).toEqual(["5"]);
    fc.assert(
      fc.property(fc.nat(500), fc.nat(100), fc.integer({ min: 1, max: 12 }), (from, more, parts) => {
        const all = seedsIn(`${from}..${from + more}`);
        const shards = Array.from({ length: parts }, (_, i) => shardOf(all, `${i + 1}/${parts}`));
        expect(shards.flat().sort((a, b) => Number(a) - Number(b))).toEqual(all);
        const sizes = shards.map(({ length }) => length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test.each(["", "a..b", "1..", "..3", "1...3", "-1..3", "1.5..3", "0..1000000000", "6..3"])(
    "%j is refused",
    (text) => {
      expect(() => seedsIn(text)).toThrow(/--seeds/);
    },
  );

  test.each(["", "0/4", "5/4", "1", "a/b", "1/0", "1/2/3"])("the shard %j is refused", (text) => {
    expect(() => shardOf(["1", "2"], text)).toThrow(/--shard/);
  });
});

describe("summaries and comparisons", () => {
  test("a summary counts, spreads each metric over the seeds, and names failures in the order of seeds", () => {
    const reports = ["10", "9", "2"].map((seed, i) =>
      report(seed, { metrics: { crashes: i, removal: { p99: 10 * i } } }),
    );
    const [summary, ...others] = summarize([...reports, report("11", GHOST), report("1", { ...GHOST })]);
    expect(others).toEqual([]);
    expect(summary).toMatchObject({ scenario: "small", seeds: 5, passed: 3 });
    expect(summary!.failed.map(({ seed }) => seed)).toEqual(["1", "11"]);
    expect(summary!.metrics["removal.p99"]).toMatchObject({ count: 5, min: 0, max: 20, p50: 2.25 });
    expect(formatSummary(summary!)).toContain("failed  small, 3 of 5 seeds");
    expect(formatSummary(summary!)).toContain("repeat it:  mariana sim run small --seed 11");
  });

  test("runs of other scenarios, other crypto, or a broken core are not mixed", () => {
    const reports = [
      report("1"),
      report("2", { hash: "cd".repeat(32) }),
      report("3", { crypto: "real" }),
      report("4", { mutate: "delta" }),
    ];
    expect(summarize(reports).map(({ seeds }) => seeds)).toEqual([1, 1, 1, 1]);
  });

  test("costs are better when lower, what arrives when higher, and counts of what happened are neither", () => {
    expect(
      ["removal.p99", "loops", "control.ordinary.mean", "stretch.p95", "caps.routes.peak"].map(directionOf),
    ).toEqual(Array(5).fill("lower"));
    expect(directionOf("delivery.share")).toBe("higher");
    expect(["crashes", "joins", "removal.count", "join.censored", "caps.routes.limit"].map(directionOf)).toEqual(
      Array(5).fill("none"),
    );
  });

  test.each([
    ["removal.p99", 10, 10.4, "worse"],
    ["removal.p99", 10, 10.6, "regression"],
    ["removal.p99", 10, 9, "better"],
    ["delivery.share", 1, 0.9, "regression"],
    ["delivery.share", 0.9, 1, "better"],
    ["loops", 0, 1, "regression"],
    ["loops", 0, 0, "same"],
    ["crashes", 1, 100, "same"],
  ])("%s from %d to %d is %s at 5%%", (metric, base, now, verdict) => {
    const [row] = compareMetrics(new Map([[metric, base]]), new Map([[metric, now]]), 0.05);
    expect(row!.verdict).toBe(verdict);
  });

  test("a metric that only one side has is named and no regression", () => {
    expect(compareMetrics(new Map([["join.p99", 1]]), new Map(), 0.05)).toMatchObject([
      { verdict: "unknown", now: null },
    ]);
  });

  test("shares have a percent sign", () => {
    expect(["5%", "0%", "2.5%"].map(shareIn)).toEqual([0.05, 0, 0.025]);
    expect(["5", "-1%", "%", "five%", ""].map(shareIn)).toEqual(Array(5).fill(undefined));
  });

  test("sweeps are compared over the seeds that both have", () => {
    const of = (seed: string, value: number) => report(seed, { metrics: { x: value } });
    const means = meansOf([of("1", 1), of("2", 3), of("9", 100)], [of("1", 2), of("2", 4), of("8", 0)]);
    expect({ seeds: means.seeds, base: means.base.get("x"), now: means.now.get("x") }).toEqual({
      seeds: 2,
      base: 2,
      now: 3,
    });
    expect(meansOf([of("1", 1)], [of("2", 4)]).now.get("x")).toBe(4);
  });

  test("metrics are found by their dotted names, and those without a sample are left out", () => {
    expect([...flatten(report("1").metrics).keys()]).toEqual([
      "crashes",
      "removal.count",
      "removal.censored",
      "removal.p50",
      "removal.p99",
      "removal.max",
    ]);
  });
});

describe("fingerprint chains", () => {
  const chain = (wire: string[], state: string[]) => ({ wire, state });

  test("part at the first second that differs, in wire, state or both", () => {
    const one = chain(["a", "b", "c"], ["x", "y", "z"]);
    expect(partingOf(one, decodeChain(encodeChain(one)))).toBeUndefined();
    expect(partingOf(one, chain(["a", "q", "r"], ["x", "y", "z"]))).toEqual({ second: 2, what: "wire" });
    expect(partingOf(one, chain(["a", "b", "c"], ["x", "y", "q"]))).toEqual({ second: 3, what: "state" });
    expect(partingOf(one, chain(["q", "b", "c"], ["q", "y", "z"]))).toEqual({ second: 1, what: "both" });
    expect(partingOf(one, chain(["a", "b"], ["x", "y"]))).toEqual({ second: 3, what: "length" });
  });
});

describe("files of results", () => {
  test("are replaced as a whole, through links, and leave nothing beside them", () => {
    const path = join(folder, "a.json");
    writeFileSync(path, "old");
    symlinkSync(path, join(folder, "link"));
    writeOutput(join(folder, "link"), "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(folder).sort()).toEqual(["a.json", "link"]);
  });

  test("a device stays a device", () => {
    writeOutput("/dev/null", "text");
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  test("a folder in their place, a missing folder, and a file in a path are refused before and after the run", () => {
    mkdirSync(join(folder, "d"));
    writeFileSync(join(folder, "f"), "");
    for (const path of [join(folder, "d"), join(folder, "no", "a.json"), join(folder, "f", "a.json")]) {
      for (const attempt of [() => assertWritable(path), () => writeOutput(path, "x")]) {
        expect(attempt).toThrow(expect.objectContaining({ code: "file.unusable", exit: 3 }));
      }
    }
    expect(() => prepareFolder(join(folder, "f", "x"))).toThrow(expect.objectContaining({ code: "file.unusable" }));
    prepareFolder(join(folder, "x", "y"));
    expect(existsSync(join(folder, "x", "y"))).toBe(true);
  });

  test("a folder of a sweep is read, other files in it passed over; without any report it is refused", () => {
    writeFileSync(join(folder, "seed-1.json"), JSON.stringify(report("1")));
    writeFileSync(join(folder, "other.json"), "{}");
    expect(reportsIn(folder).map(({ seed }) => seed)).toEqual(["1"]);
    expect(() => reportsIn(join(folder, "other.json"))).toThrow(/is no report/);
    expect(() => reportsIn(join(folder, "none"))).toThrow(/there is no such file/);
    rmSync(join(folder, "seed-1.json"));
    expect(() => reportsIn(folder)).toThrow(/no file in it is a report/);
  });
});

test("the table of the bench names what was reached, what was missed, and what was not done in time", () => {
  const figure = { unit: "s", reach: 120, goal: 60, better: "lower" } as const;
  const table = simTable([
    { ...figure, name: "quick", value: 59 },
    { ...figure, name: "fair", value: 119.5 },
    { ...figure, name: "slow", value: 121 },
    { ...figure, name: "endless", value: null },
    { ...figure, name: "known", value: 7, reach: null, goal: null },
  ]);

  expect(table).toMatch(/quick +59 .*goal +s\n/);
  expect(table).toMatch(/fair +119\.5 .*reached +s\n/);
  expect(table).toMatch(/slow +121 .*MISSED +s\n/);
  expect(table).toMatch(/endless +over budget .*MISSED +s\n/);
  expect(table).toMatch(/known +7 +s\n/);
});
