/** Scenario files as a whole: their hash, their schema, the manual, and the pieces that have a law of their own. */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { exp, exponential, gamma, ln, power, weibull, weibullResidual } from "../../sim/random/samplers.js";
import { Stream } from "../../sim/random/stream.js";
import { parseExpectation } from "../../sim/scenario/expect.js";
import { parseScenario, printComplaint, type Scenario, schema } from "../../sim/scenario/scenario.js";

const ROOT = new URL("../../", import.meta.url);
const FILES = readdirSync(new URL("scenarios/", ROOT), { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".yaml"),
);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");

function scenario(text: string): Scenario {
  const parsed = parseScenario(text, "x.yaml");
  if (!parsed.ok) throw new Error(parsed.errors.map(printComplaint).join("\n"));
  return parsed.scenario;
}

describe("shipped files", () => {
  test("their names mean one each, and none is a folder's", () => {
    expect(new Set(FILES.map((path) => basename(path))).size).toBe(FILES.length);
    expect(FILES.length).toBeGreaterThan(40);
  });

  test.each(FILES)(
    "%s says in a sentence what it shows, has a seed and expectations, names the schema, and is named as its file",
    (file) => {
      const text = read(`scenarios/${file}`);
      const given = scenario(text);
      expect(`${given.name}.yaml`).toBe(basename(file));
      expect(given.description).toMatch(/\.$/);
      expect(parse(text)).toHaveProperty("seed");
      // Those for  mariana sim explore  are judged in every state that it finds.
      expect(given.expect.length).toBeGreaterThan(file.startsWith("explore-") ? 1 : 2);
      expect(given.expect).toEqual(expect.arrayContaining(["loops == 0", "ghosts == 0"]));
      const up = file.includes("/") ? "../../" : "../";
      expect(text.split("\n")[0]).toBe(`# yaml-language-server: $schema=${up}sim/scenario/scenario-schema.json`);
    },
  );

  test("the table of the library has each of them, and nothing else", () => {
    const named = [...read("scenarios/README.md").matchAll(/\]\(([\w/-]+\.yaml)\)/g)].map((match) => match[1]!);
    expect([...new Set(named)].toSorted()).toEqual(FILES.toSorted());
  });
});

describe("the JSON Schema", () => {
  test("the file that scenarios name is the one that the code prints", () => {
    expect(JSON.parse(read("sim/scenario/scenario-schema.json"))).toEqual(JSON.parse(JSON.stringify(schema())));
  });

  const checked = z.fromJSONSchema(schema() as Parameters<typeof z.fromJSONSchema>[0]);

  test.each(FILES)("accepts the shipped file %s", (file) => {
    expect(checked.safeParse(parse(read(`scenarios/${file}`))).error).toBeUndefined();
  });

  test.each([
    { warmup: 60 },
    { warmup: "60" },
    { latancy: 1 },
    { topology: { kind: "rnig" } },
    { timeline: [{ at: "1s", do: "crahs", select: "n0" }] },
    { timeline: [{ at: "1s", do: "crash", select: { rolle: "public" } }] },
    { links: { default: { loss: 0.05 } } },
    { duration: undefined },
  ])("refuses what the reader refuses: %j", (change) => {
    const value = { ...(parse(read("scenarios/line.yaml")) as object), ...change };
    const plain: unknown = JSON.parse(JSON.stringify(value));
    expect(parseScenario(JSON.stringify(plain), "x.json").ok).toBe(false);
    expect(checked.safeParse(plain).success).toBe(false);
  });
});

describe("the hash", () => {
  const BASE =
    "name: x\nseed: 1\nduration: 60s\nnodes: { count: 3, over: 2s }\ntopology: { kind: line }\nlinks: { default: { loss: 2%, rate: 1Mbit } }\n";

  test.each([
    [
      "order of keys",
      "topology: { kind: line }\nlinks: { default: { rate: 1Mbit, loss: 2% } }\nnodes: { over: 2s, count: 3 }\nduration: 60s\nname: x\n",
    ],
    [
      "comments and block style",
      `# hello\n${BASE.replace("nodes: { count: 3, over: 2s }", "nodes:\n  over: 2s # spread\n  count: 3")}`,
    ],
    [
      "units spelled otherwise",
      BASE.replace("60s", "1min")
        .replace("2%", "2.0%")
        .replace("1Mbit", "1000kbit")
        .replace("over: 2s", "over: 2000ms"),
    ],
    ["defaults written out", `${BASE}crypto: modelled\nchurn: []\nwarmup: 0s\n`],
    ["seed and description", `${BASE.replace("seed: 1", "seed: abc")}description: Another one.\n`],
    ["JSON instead of YAML", JSON.stringify(parse(BASE))],
    ["aliases", BASE.replace("duration: 60s", "duration: &t 60s")],
  ])("is not changed by %s", (_what, text) => {
    expect(scenario(text).hash).toBe(scenario(BASE).hash);
  });

  test("is not changed by the order of names that the file itself gives", () => {
    const classes = (text: string) =>
      scenario(BASE.replace("rate: 1Mbit }", `rate: 1Mbit }, classes: { ${text} }`)).hash;
    expect(classes("a: { loss: 1% }, b: { mtu: 1kB }")).toBe(classes("b: { mtu: 1kB }, a: { loss: 1% }"));
    expect(classes("a: { loss: 1% }, b: { mtu: 1kB }")).not.toBe(classes("b: { loss: 1% }, a: { mtu: 1kB }"));
  });

  test.each([
    ["60s", "61s"],
    ["2%", "3%"],
    ["kind: line", "kind: ring"],
    ["name: x", "name: y"],
    ["count: 3", "count: 4"],
  ])("is changed by %s to %s", (from, to) => {
    expect(scenario(BASE.replace(from, to)).hash).not.toBe(scenario(BASE).hash);
  });

  test("is the same on any machine", () => {
    expect(scenario(BASE).hash).toBe(PINNED);
  });
});

describe("the manual", () => {
  const examples = [...read("sim/SCENARIOS.md").matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);

  test("has examples from the smallest to the largest", () => {
    expect(examples.length).toBeGreaterThanOrEqual(8);
    expect(examples[0]!.split("\n").length).toBeLessThan(6);
  });

  test.each(examples.map((text) => [scenarioName(text), text]))(
    "its example %s is read without complaint",
    (_name, text) => {
      const parsed = parseScenario(text, "SCENARIOS.md");
      expect(parsed.ok ? [] : parsed.errors.map(printComplaint)).toEqual([]);
    },
  );

  test("its tables name every topology and every action that there is", () => {
    const { properties } = schema() as { properties: Record<string, { oneOf?: Form[]; items?: { oneOf: Form[] } }> };
    const kinds = properties.topology!.oneOf!.map((form) => form.properties.kind!.const);
    const deeds = properties.timeline!.items!.oneOf.map((form) => form.properties.do!.const);
    expect(kinds.length + deeds.length).toBeGreaterThan(25);
    const rows = read("sim/SCENARIOS.md")
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => line.split("|")[1]);
    for (const word of [...kinds, ...deeds]) expect(rows.some((row) => row?.includes(`\`${word}\``))).toBe(true);
  });

  interface Form {
    readonly properties: Record<string, { readonly const?: string }>;
  }

  function scenarioName(text: string): string {
    return /name: (.*)/.exec(text)![1]!;
  }
});

describe("expectations", () => {
  test("values come in the unit of the report, with the span they are asked of", () => {
    expect(parseExpectation("removal.p99 < 10s")).toMatchObject({
      ok: true,
      expectation: { metric: "removal.p99", comparison: "<", value: 10 },
    });
    expect(parseExpectation("unreachablePairShare.max <= 5% from 60s to 5min")).toMatchObject({
      ok: true,
      expectation: { value: 0.05, fromUs: 60_000_000, toUs: 300_000_000 },
    });
    expect(parseExpectation("control.ordinary.p99<=4kB")).toMatchObject({ ok: true, expectation: { value: 4000 } });
  });
});

describe("samplers without the machine's own logarithm", () => {
  test("ln, exp, powers and gamma agree with the machine's to twelve digits", () => {
    for (const x of [1e-300, 1e-9, 0.1, 0.5, 0.7, 1, 1.5, 2, 10, 12_345.678, 1e300]) {
      expect(ln(x) === 0 ? 1 : ln(x) / Math.log(x)).toBeCloseTo(1, 12);
    }
    for (const x of [-300, -10, -1, -1e-9, 0, 0.5, 1, 10, 300]) expect(exp(x) / Math.exp(x)).toBeCloseTo(1, 11);
    expect(power(3, 0.5) / Math.sqrt(3)).toBeCloseTo(1, 12);
    for (const [x, value] of [
      [1, 1],
      [3, 2],
      [6, 120],
      [0.5, Math.sqrt(Math.PI)],
      [1.5, Math.sqrt(Math.PI) / 2],
    ] as const) {
      expect(gamma(x) / value).toBeCloseTo(1, 11);
    }
  });

  test("sessions have the mean and the median of their law; what is left of running ones is longer", () => {
    const stream = new Stream("test", "samplers");
    const N = 40_000;
    const draw = (sample: () => number) => Array.from({ length: N }, sample).sort((a, b) => a - b);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / N;
    expect(mean(draw(() => exponential(stream)))).toBeCloseTo(1, 1);
    const law = { mean: 3600, shape: 0.5 };
    const sessions = draw(() => weibull(stream, law));
    expect(mean(sessions) / 3600).toBeGreaterThan(0.94);
    expect(mean(sessions) / 3600).toBeLessThan(1.06);
    expect(sessions[N / 2]! / (1800 * Math.LN2 ** 2)).toBeCloseTo(1, 1);
    // E[X^2] / (2 E[X]) = scale * Gamma(5) / (2 Gamma(3)) = 1,800 * 6
    const residuals = draw(() => weibullResidual(stream, law));
    expect(mean(residuals) / 10_800).toBeGreaterThan(0.93);
    expect(mean(residuals) / 10_800).toBeLessThan(1.07);
    // Fractional shapes go through a rejection: of an exponential one whatever is left has the same law.
    const memoryless = draw(() => weibullResidual(stream, { mean: 1, shape: 1 }));
    expect(mean(memoryless)).toBeCloseTo(1, 1);
    const third = draw(() => weibullResidual(stream, { mean: 1, shape: 0.8 }));
    const expected = gamma(1 + 2 / 0.8) / (2 * gamma(1 + 1 / 0.8) * gamma(1 + 1 / 0.8));
    expect(mean(third) / expected).toBeGreaterThan(0.96);
    expect(mean(third) / expected).toBeLessThan(1.04);
  });
});

/** SHA3-256 over the canonical form of BASE. Changes when the schema gains a key with a default. */
const PINNED = "7b8044beb250b04592eba1b5e2b7a277cd83985ae746395610a049e0d3585295";
