/** Storm regression: what a scenario costs is held against what it cost, and only a renewal on purpose changes that. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Baselines,
  baselineOf,
  decodeBaselines,
  describeRegressions,
  differencesOf,
  encodeBaselines,
} from "../../node/sim/baseline.js";
import { baselinesAt, shippedBaselines } from "../../node/sim/baseline-run.js";
import { shippedScenarios } from "../../node/sim/shipped.js";
import { mariana } from "../support/command.js";

const METRICS = {
  crashes: 3,
  control: { ordinary: { mean: 1000, p99: 1500 }, public: { mean: null }, entriesPerDeath: 2, bytesPerDeath: 50 },
  routeChangesPerRoute: 0.5,
};
const REPORT = { scenario: "small", seed: "1", metrics: METRICS };
const BASELINE = baselineOf(REPORT);
const withOrdinary = (mean: number | null) => ({
  ...REPORT,
  metrics: { ...METRICS, control: { ...METRICS.control, ordinary: { mean, p99: 9_999 } } },
});

describe("a baseline", () => {
  test("holds what storms make grow, and leaves out what was not measured", () => {
    expect(BASELINE).toEqual({
      seed: "1",
      metrics: { "control.ordinary.mean": 1000, "control.entriesPerDeath": 2, routeChangesPerRoute: 0.5 },
    });
  });

  test("is kept by a run that costs the same, less, or five percent more", () => {
    for (const mean of [1000, 10, 1050]) {
      const differences = differencesOf(withOrdinary(mean), BASELINE);
      expect(differences).toHaveLength(3);
      expect(describeRegressions(differences)).toEqual([]);
    }
  });

  test("is broken by more than that, and the scenario, the metric, both numbers and the command are named", () => {
    expect(describeRegressions(differencesOf(withOrdinary(1051), BASELINE))).toEqual([
      "small: control.ordinary.mean was 1000 and rose to 1051, by 5.1 %; repeat it:  mariana sim baseline --check small",
    ]);
  });

  test("is broken by something where nothing was, and by a number that is gone", () => {
    const free = { seed: "1", metrics: { "control.ordinary.mean": 0 } };
    expect(describeRegressions(differencesOf(withOrdinary(1), free))).toHaveLength(1);
    expect(describeRegressions(differencesOf(withOrdinary(0), free))).toEqual([]);
    const [line] = describeRegressions(differencesOf(withOrdinary(null), BASELINE));
    expect(line).toContain("control.ordinary.mean was 1000 and is no longer measured;");
  });

  test("is written in the order of names and read again; anything else is no baseline", () => {
    const both: Baselines = { b: BASELINE, a: BASELINE };
    expect(decodeBaselines(encodeBaselines(both))).toEqual(both);
    expect(encodeBaselines(both)).toBe(encodeBaselines({ a: BASELINE, b: BASELINE }));
    for (const text of [
      "",
      "[]",
      "{",
      '{"a":1}',
      '{"a":{"seed":"1","metrics":{"x":"1"}}}',
      '{"a":{"seed":1,"metrics":{}}}',
    ]) {
      expect(decodeBaselines(text)).toBeUndefined();
    }
  });

  test("those that ship are of scenarios that ship, with the seed that stands there, a dozen or more", () => {
    const baselines = baselinesAt(shippedBaselines());
    const shipped = shippedScenarios();
    expect(Object.keys(baselines).length).toBeGreaterThanOrEqual(12);
    for (const [name, { seed, metrics }] of Object.entries(baselines)) {
      expect(readFileSync(shipped.get(name)!, "utf8")).toMatch(new RegExp(`^seed: ${seed}$`, "m"));
      expect(Object.keys(metrics).length).toBeGreaterThan(1);
    }
  });
});

describe("mariana sim baseline", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mariana-baselines-"));
    path = join(folder, "baselines.json");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("takes what a scenario costs, and its check agrees with it to the last digit", async () => {
    expect(await mariana("sim", "baseline", "line", "--baselines", path)).toMatchObject({ code: 0 });
    const taken = baselinesAt(path);
    expect(Object.keys(taken)).toEqual(["line"]);
    expect(taken.line!.metrics["control.entriesPerDeath"]).toBeGreaterThan(0);

    const { code, out } = await mariana("sim", "baseline", "--check", "--baselines", path, "--json");
    expect(code).toBe(0);
    const { differences } = JSON.parse(out) as { differences: { base: number; now: number }[] };
    expect(differences.length).toBeGreaterThan(1);
    for (const { base, now } of differences) expect(now).toBe(base);
  });

  test("ends with 10 when something costs more, writes nothing then, and a renewal agrees to it and keeps the others", async () => {
    await mariana("sim", "baseline", "line", "--baselines", path);
    const { line } = baselinesAt(path);
    const cheaper = { seed: "1", metrics: { ...line!.metrics, "control.entriesPerDeath": 0.1 } };
    writeFileSync(path, encodeBaselines({ line: cheaper, other: cheaper }));

    const { code, err } = await mariana("sim", "baseline", "--check", "line", "--baselines", path);
    expect(code).toBe(10);
    expect(err).toContain("line: control.entriesPerDeath was 0.1 and rose to ");
    expect(err).toContain("repeat it:  mariana sim baseline --check line");
    expect(baselinesAt(path)).toEqual({ line: cheaper, other: cheaper });

    expect((await mariana("sim", "baseline", "line", "--baselines", path)).code).toBe(0);
    expect(baselinesAt(path)).toEqual({ line, other: cheaper });
    expect(readdirSync(folder)).toEqual(["baselines.json"]);
  });

  test("takes nothing from a run that breaks a promise, and says which", async () => {
    const file = join(folder, "broken.yaml");
    const text = readFileSync(shippedScenarios().get("line")!, "utf8");
    writeFileSync(file, text.replace("name: line", "name: broken").replace("removal.max < 10s", "removal.max < 10ms"));
    const { code, err } = await mariana("sim", "baseline", file, "--baselines", path);
    expect({ code, isNamed: err.includes("broken broke a promise; repeat it:") }).toEqual({ code: 9, isNamed: true });
    expect(baselinesAt(path)).toEqual({});
  });

  test("refuses a scenario without a baseline, a file that holds none, and to check nothing at all", async () => {
    const ask = (...args: string[]) => mariana("sim", "baseline", "--baselines", path, ...args);
    expect(await ask("--check", "line")).toMatchObject({ code: 3, err: expect.stringContaining("take one:") });
    expect(await ask("--check")).toMatchObject({ code: 3 });
    writeFileSync(path, "[]");
    expect(await ask("line")).toMatchObject({ code: 3, err: expect.stringContaining("these are no baselines") });
    expect(readFileSync(path, "utf8")).toBe("[]");
  });
});
