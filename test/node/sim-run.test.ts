/** Runs of real scenarios by the real command: reports, exit codes, files, sweeps, verification, interruption, shrinking. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { loadPlan } from "../../node/sim/scenario-file.js";
import type { TrialReport } from "../../node/sim/trial-report.js";
import { verify } from "../../node/sim/verification.js";
import { COMMAND, end, endAll, mariana, run, start } from "../support/command.js";

const SMALL = `name: small
seed: 7
duration: 40s
nodes: { count: 4 }
topology: { kind: ring }
timeline:
  - { at: 10s, do: crash, select: n3 }
expect:
  - crashes == 1
  - join.max < 5s
  - loops == 0
`;
const UNKEPT = SMALL.replace("loops == 0", "joins == 99");

let folder: string;

/** The run of SMALL, made very long, has said how far it is. */
async function untilSimulating(text: { readonly err: string }): Promise<void> {
  while (!/small: \d+ of 360000 s/.test(text.err)) await new Promise((resolve) => setTimeout(resolve, 50));
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-run-"));
});
afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function read(name: string): TrialReport {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as TrialReport;
}

const sample = z.number().nullable();
const spread = z.object({ count: z.int(), censored: z.int(), p50: sample, p99: sample, max: sample });
const rates = z.object({ mean: sample, p99: sample, max: sample });
/** As it is promised to scripts. */
const REPORT = z.object({
  scenario: z.string(),
  seed: z.string(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  fingerprint: z.object({ wire: z.string().regex(/^[0-9a-f]{32}$/), state: z.string().regex(/^[0-9a-f]{32}$/) }),
  nodes: z.int(),
  simSeconds: z.number(),
  wallSeconds: z.number(),
  events: z.int().positive(),
  peakRssMiB: z.int().positive(),
  workers: z.int(),
  waitShare: z.number().min(0).max(1),
  ok: z.boolean(),
  metrics: z.object({
    joins: z.int(),
    crashes: z.int(),
    announcedNacs: z.int(),
    removal: spread,
    removalEclipsed: spread,
    join: spread,
    loops: z.int(),
    routeChanges: z.int(),
    ghosts: z.int(),
    eclipsed: z.int(),
    falseRemovals: z.int(),
    falseRemovalRate: sample,
    forgedAccepted: z.int(),
    replayGains: z.int(),
    forgedRequests: z.int(),
    suspicions: z.int(),
    falseSuspicions: z.int(),
    snapshotBytes: z.number(),
    control: z.object({
      ordinary: rates,
      public: rates,
      bytesPerDeath: sample,
      bytesPerJoin: sample,
      wireBytesPerDeath: sample,
      wireBytesPerJoin: sample,
      entriesPerDeath: sample,
    }),
    routeChangesPerRoute: sample,
    unreachablePairShare: z.object({ mean: sample, max: sample }),
    stretch: z.object({ p50: sample, p95: sample }),
    delivery: z.object({ share: sample }),
    caps: z.record(z.string(), z.unknown()),
  }),
  expect: z.array(z.object({ text: z.string(), value: sample, ok: z.boolean() })),
});

describe("run", () => {
  test("a run that keeps its promises ends with 0; its report has the promised shape, alone on stdout", async () => {
    const { code, out, err } = await mariana("sim", "run", write("small.yaml", SMALL), "--json", "-");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const report = REPORT.parse(JSON.parse(out));
    expect(report).toMatchObject({ scenario: "small", seed: "7", nodes: 4, simSeconds: 40, ok: true });
    expect(report.expect.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(report.metrics.crashes).toBe(1);
  });

  test("a promise that is broken is exit 9, and the report for people names it and repeats itself", async () => {
    const file = write("unkept.yaml", UNKEPT);
    const { code, out } = await mariana("sim", "run", file, "--junit", join(folder, "j.xml"), "--seed", "3");
    expect(code).toBe(9);
    expect(out).toMatch(/^failed {2}small, seed 3\n/);
    expect(out).toMatch(/FAIL {2}joins == 99 +4\n/);
    expect(out).toContain(`repeat it:  mariana sim run ${file} --seed 3`);
    expect(readFileSync(join(folder, "j.xml"), "utf8")).toContain('failures="1"');
    expect(readdirSync(folder).sort()).toEqual(["j.xml", "unkept.yaml"]);
  });

  test("several scenarios are run in turn; one that fails makes it 9, and the file holds all reports", async () => {
    const files = [write("a.yaml", SMALL), write("b.yaml", UNKEPT)];
    const { code, out } = await mariana("sim", "run", ...files, "--until", "20s", "--json", join(folder, "all.json"));
    expect(code).toBe(9);
    expect(out).toContain("1 of 2 passed");
    const reports = JSON.parse(readFileSync(join(folder, "all.json"), "utf8")) as TrialReport[];
    expect(reports.map(({ ok, simSeconds }) => ({ ok, simSeconds }))).toEqual([
      { ok: true, simSeconds: 20 },
      { ok: false, simSeconds: 20 },
    ]);
  });

  test("the same seed gives the same fingerprint, another seed another one", async () => {
    const file = write("small.yaml", SMALL);
    const fingerprint = async (...args: string[]) => {
      const { out } = await mariana("sim", "run", file, "--json", "-", ...args);
      return (JSON.parse(out) as TrialReport).fingerprint.wire;
    };
    const [one, same, other] = await Promise.all([
      fingerprint(),
      fingerprint("--workers", "2"),
      fingerprint("--seed", "8"),
    ]);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
  });

  test("what is over budget is exit 12, and leaves no report", async () => {
    const file = write("long.yaml", SMALL.replace("40s", "100h"));
    const { code, err } = await mariana("sim", "run", file, "--budget", "1", "--json", join(folder, "r.json"));
    expect(code).toBe(12);
    expect(err).toMatch(/over budget {2}small, seed 7: after 1 s of --budget \d+ of 360000 s were simulated/);
  });

  test("Ctrl-C ends it with 130 and the report of what was simulated until then", async () => {
    const [long, never] = [write("long.yaml", SMALL.replace("40s", "100h")), write("never.yaml", SMALL)];
    const report = join(folder, "r.json");
    const { child, text } = start(process.execPath, [COMMAND, "sim", "run", long, never, "--json", report]);
    await untilSimulating(text);
    expect(await end(child, "SIGINT")).toBe(130);
    expect(text.err).toMatch(/small, seed 7: ends with the second that it simulates now/);
    expect(text.out).toMatch(/^ended after [\d,]+ s {2}small, seed 7\n/);
    const [one, ...others] = JSON.parse(readFileSync(report, "utf8"));
    expect(others).toEqual([]);
    expect(one).toMatchObject({ ok: false, isCutShort: true });
    expect(one.simSeconds).toBeGreaterThan(0);
    expect(one.simSeconds).toBeLessThan(360_000);
  });

  test("SIGTERM ends it with 130 at once, says how far it came, and leaves no half file", async () => {
    const file = write("long.yaml", SMALL.replace("40s", "100h"));
    const { child, text } = start(process.execPath, [
      COMMAND,
      "sim",
      "run",
      file,
      "--json",
      join(folder, "r.json"),
      "--workers",
      "2",
    ]);
    await untilSimulating(text);
    expect(await end(child, "SIGTERM")).toBe(130);
    expect(text.err).toMatch(/small, seed 7: interrupted; \d+ of 360000 s were simulated, nothing was written/);
    expect(readdirSync(folder)).toEqual(["long.yaml"]);
  });

  test("a disk that is full keeps the old report, and is named", async () => {
    const mounted = join(folder, "tiny");
    const file = write("small.yaml", SMALL);
    const script = `mkdir ${mounted} && mount -t tmpfs -o size=8k none ${mounted} && echo old > ${mounted}/r.json &&
      dd if=/dev/zero of=${mounted}/fill bs=1k 2>/dev/null; "$0" "$@" --json ${mounted}/r.json; echo "exit $?"; cat ${mounted}/r.json; ls -A ${mounted}`;
    const { out, err } = await run("unshare", [
      "-rm",
      "bash",
      "-c",
      script,
      process.execPath,
      COMMAND,
      "sim",
      "run",
      file,
    ]);
    if (/unshare: |mount: /.test(err)) return void expect(err).toMatch(/unshare|mount/); // a machine that lets nobody mount
    expect(err).toContain("the disk is full");
    expect(out.split("\n").slice(-5)).toEqual(["exit 1", "old", "fill", "r.json", ""]);
  });
});

describe("verify", () => {
  test("a small scenario is the same with two workers, another language and time zone, and another order", async () => {
    const { code, out, err } = await mariana("sim", "verify", write("small.yaml", SMALL), "--json");
    expect({ code, err: err.split("\n").length }).toEqual({ code: 0, err: 5 });
    const found = JSON.parse(out) as { ok: boolean; seconds: number; variants: { parting: unknown }[] };
    expect(found).toMatchObject({ ok: true, seconds: 40 });
    expect(found.variants.map(({ parting }) => parting)).toEqual([null, null, null, null]);
  });

  test("what differs is found, at its first second", async () => {
    const file = write("small.yaml", SMALL);
    const environment = {};
    const later = write("later.yaml", SMALL.replace("at: 10s", "at: 20s"));
    const result = await verify(file, { set: [] }, [
      { name: "one", flags: [], environment },
      { name: "another seed", flags: ["--seed", "8"], environment },
      { name: "shorter", flags: ["--until", "30s"], environment },
      { name: "another time of the crash", flags: ["--set", "timeline.0.at=20s"], environment },
    ]);
    expect(existsSync(later)).toBe(true);
    expect(result.ok).toBe(false);
    const partings = result.variants.map(({ parting }) => parting);
    expect(partings[0]).toBeNull();
    expect(partings[1]).toMatchObject({ second: 1 });
    expect(partings[2]).toEqual({ second: 31, what: "length" });
    expect(partings[3]!.second).toBeGreaterThan(10);
    expect(partings[3]!.second).toBeLessThan(20);
  });
});

describe("sweep", () => {
  test("leaves a report per seed, keeps those that are there, and names seeds that fail", async () => {
    const file = write("small.yaml", SMALL);
    const out = join(folder, "out");
    const first = await mariana("sim", "sweep", file, "--seeds", "1..4", "--shard", "1/2", "--out", out);
    expect(first).toMatchObject({ code: 0, out: expect.stringContaining("passed  small, 2 of 2 seeds") });
    expect(readdirSync(out).sort()).toEqual(["seed-1.json", "seed-3.json"]);
    const before = readFileSync(join(out, "seed-1.json"), "utf8");
    writeFileSync(join(out, "seed-3.json"), "{");

    const second = await mariana("sim", "sweep", file, "--seeds", "1..3", "--out", out, "--jobs", "2", "--json");
    expect(second.err).toContain("1 of 3 seeds have a report");
    expect(JSON.parse(second.out)).toMatchObject({ kept: 1, broken: [], summaries: [{ seeds: 3, passed: 3 }] });
    expect(readFileSync(join(out, "seed-1.json"), "utf8")).toBe(before);
    expect(read("out/seed-3.json").seed).toBe("3");

    const broken = await mariana(
      "sim",
      "sweep",
      write("unkept.yaml", UNKEPT),
      "--seeds",
      "5",
      "--out",
      join(folder, "b"),
    );
    expect(broken.code).toBe(9);
    expect(broken.out).toMatch(
      /seed 5: joins == 99 \(it is 4\)\n +repeat it: {2}mariana sim run .*unkept\.yaml --seed 5/,
    );
  });
});

describe("shrink", () => {
  const BROKEN = SMALL.replace("{ count: 4 }", "{ count: 16 }").replace("loops == 0", "crashes == 0");

  test("a failing scenario becomes a smaller file that fails for the same reason by itself", async () => {
    const file = write("grid.yaml", BROKEN);
    const small = join(folder, "out.yaml");
    const { code, out } = await mariana("sim", "shrink", file, "--out", small, "--budget", "20", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ reason: "crashes == 0", nodes: 1 });
    const again = await mariana("sim", "run", small, "--json", "-");
    expect(again.code).toBe(9);
    expect((JSON.parse(again.out) as TrialReport).expect).toEqual([{ text: "crashes == 0", value: 1, ok: false }]);
    expect(readFileSync(small, "utf8")).toContain("# It fails: crashes == 0 (it is 1)");
    expect(loadPlan(small, { set: [] }).actions.map((action) => action.do)).toContain("crash");
  });

  test("that is interrupted writes the smallest so far, and says so", async () => {
    const file = write("broken.yaml", BROKEN);
    const small = join(folder, "small-so-far.yaml");
    const { child, text } = start(process.execPath, [COMMAND, "sim", "shrink", file, "--out", small, "--budget", "60"]);
    while (!/it fails: [\s\S]*\d event/.test(text.err)) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await end(child, "SIGINT")).toBe(130);
    expect(text.err).toMatch(/interrupted; the smallest so far, .*, is in .*small-so-far\.yaml/);
    expect(readFileSync(small, "utf8")).toContain("what was found until it was interrupted");
  });

  test("a scenario that passes is nothing to shrink", async () => {
    const { code, err } = await mariana("sim", "shrink", write("small.yaml", SMALL), "--out", join(folder, "x.yaml"));
    expect(code).toBe(2);
    expect(err).toContain("small, seed 7 passes: there is nothing to shrink");
    expect(existsSync(join(folder, "x.yaml"))).toBe(false);
  });
});

describe.concurrent("a command line that cannot be right", () => {
  test.each<[string, string[], number, RegExp]>([
    ["a time without its unit", ["run", "line", "--until", "60"], 2, /--until 60: expected a time with its unit/],
    ["no workers", ["run", "line", "--workers", "0"], 2, /--workers 0: expected a number from 1 to 64/],
    ["half a worker", ["run", "line", "--workers", "1.5"], 2, /--workers 1.5: expected a whole number/],
    ["seeds the wrong way round", ["sweep", "line", "--seeds", "3..1", "--out", "x"], 2, /say {2}--seeds 1..3/],
    ["a sweep without seeds", ["sweep", "line", "--out", "x"], 2, /seeds/],
    ["a seed and seeds", ["sweep", "line", "--seeds", "1..2", "--seed", "1", "--out", "x"], 2, /exclude each other/],
    [
      "an empty shard",
      ["sweep", "line", "--seeds", "1..2", "--shard", "3/3", "--out", "x"],
      2,
      /no seed of --seeds 1..2 falls into it/,
    ],
  ])("%s is told: mariana sim %j exits with %d", async (_what, args, expected, message) => {
    const { code, out, err } = await mariana("sim", ...args);
    expect({ code, out }).toEqual({ code: expected, out: "" });
    expect(err).toMatch(message);
  });
});

describe("files that cannot be written", () => {
  test("a report that could not be written is refused before the run", async () => {
    for (const flag of ["--json", "--junit", "--chain"]) {
      const { code, err } = await mariana("sim", "run", "line", flag, join(folder, "none", "x"));
      expect(code).toBe(3);
      expect(err).toContain("cannot be written: a part of that path does not exist");
      expect(err).not.toContain("real time");
    }
    const sweep = await mariana("sim", "sweep", "line", "--seeds", "1..2", "--out", write("file", ""));
    expect(sweep.code).toBe(3);
  });
});
