/** `mariana sim` as a stranger uses it: everything around the run. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { COMMANDS } from "../../node/cli/completion.js";
import { decodePlan, encodePlan } from "../../node/sim/plan-file.js";
import { loadPlan } from "../../node/sim/scenario-file.js";
import { shippedScenarios } from "../../node/sim/shipped.js";
import { COMMAND, mariana, run } from "../support/command.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-sim-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("help", () => {
  test("lists the commands that are completed, each with its flags and an example", async () => {
    const { out } = await mariana("sim", "--help");
    const shown = [...out.matchAll(/^ {2}mariana sim (\w+) /gm)].map(([, name]) => name!);
    expect([...new Set(shown)].sort()).toEqual([...COMMANDS.sim!.words!].sort());
    const helps = await Promise.all(
      shown.slice(0, COMMANDS.sim!.words!.length).map((name) => mariana("sim", name, "--help")),
    );
    for (const [index, { out: help }] of helps.entries()) {
      const name = shown[index]!;
      const flags = [...help.matchAll(/^ +(?:-\w, )?(--[\w-]+) /gm)].map(([, flag]) => flag!);
      expect([...COMMANDS.sim!.inner![name]!, "--help", "--version"].sort(), name).toEqual([...new Set(flags)].sort());
      expect(help, name).toContain(`mariana sim ${name}`);
      expect(help, name).toContain("Examples:");
    }
  });
});

describe("validate", () => {
  test("says of every file that ships what it holds", async () => {
    const { code, out, err } = await mariana("sim", "validate", "line", "grid-49", "nat-mix");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.split("\n")[0]).toBe("valid  line: line, 5 nodes, 6 events, 130 s, 6 expectations");
    expect(out.trimEnd().split("\n")).toHaveLength(3);
  });

  test("names each fault of each wrong file by line and column, looks at all files, and ends with 3", async () => {
    const wrong = write("wrong.yaml", "name: a\nduration: 10\ntopology: { kind: line }\nnodez: { count: 2 }\n");
    const { code, out, err } = await mariana("sim", "validate", wrong, "line", join(folder, "none.yaml"));
    expect(code).toBe(3);
    expect(err).toContain(`${wrong}:2:11: duration: expected a time such as "250ms": the number 10 has no unit`);
    expect(err).toContain(`${wrong}:4:1: unknown key "nodez"; nearest: "nodes"`);
    expect(err).toContain("there is no scenario");
    expect(out).toContain("valid  line");
  });
});

describe.concurrent("a word that is no scenario", () => {
  test.each<[string, string[], number, RegExp]>([
    [
      "the nearest name that ships",
      ["expand", "churn-500"],
      3,
      /no scenario churn-500\n {2}fix: did you mean .*mariana sim run churn-5000/,
    ],
    [
      "the nearest name, also for a path",
      ["validate", "scenarios/gird-49.yaml"],
      3,
      /did you mean .*mariana sim run grid-49/,
    ],
    [
      "all that ships, when nothing is near",
      ["expand", "zzzzzzzzzzzz"],
      3,
      /name a file, or a scenario that ships: [\w-]+, [\w-]+, /,
    ],
    ["a directory", ["expand", tmpdir()], 3, /is a directory, not a file/],
    [
      "the nearest command",
      ["validat", "line"],
      2,
      /no command "validat" \(did you mean validate\?\)\n {2}fix: see {2}mariana sim --help/,
    ],
    [
      "the nearest flag",
      ["expand", "line", "--sede", "1"],
      2,
      /"mariana sim expand" takes no --sede \(did you mean --seed\?\)/,
    ],
    ["a file is missing", ["expand"], 2, /mariana sim expand --help/],
    ["an empty seed", ["expand", "line", "--seed", ""], 2, /--seed "": expected 1 to 200 characters/],
    ["a flag twice", ["expand", "line", "--seed", "1", "--seed", "2"], 2, /--seed stands more than once/],
    ["another crypto", ["expand", "line", "--crypto", "none"], 2, /modelled/],
    ["a pair without a value", ["expand", "line", "--set", "nodes.count"], 2, /--set nodes.count: expected KEY=VALUE/],
    [
      "an unknown key to set",
      ["expand", "line", "--set", "nodes.cuont=3"],
      3,
      /--set nodes.cuont=3: .*nearest: "count"/,
    ],
    [
      "a wrong value to set",
      ["expand", "line", "--set", "duration=ten"],
      3,
      /--set duration=ten: duration: expected a time/,
    ],
    ["nothing to compare", ["compare", "none.json", "none.json"], 3, /none.json: there is no such file or folder/],
    ["a share without its sign", ["compare", "a", "b", "--max-regress", "5"], 2, /--max-regress 5: expected a share/],
  ])("%s is told: mariana sim %j exits with %d", async (_what, args, expected, message) => {
    const { code, out, err } = await run(process.execPath, [COMMAND, "sim", ...args]);
    expect({ code, out }).toEqual({ code: expected, out: "" });
    expect(err).toMatch(message);
    expect(err).not.toContain("fault of ours");
  });
});

describe("files that cannot be used", () => {
  test("a file that may not be read is refused with 7", async () => {
    if (process.getuid?.() !== 0) return void expect(process.getuid?.()).not.toBe(0);
    const path = write("secret.yaml", "name: a\n");
    await run("chmod", ["600", path]);
    await run("chmod", ["755", folder]);
    const { code, err } = await run(process.execPath, [COMMAND, "sim", "expand", path], {}, { uid: 65534, gid: 65534 });
    expect({ code, said: err.includes("permission denied") }).toEqual({ code: 7, said: true });
  });
});

describe("expand", () => {
  test("every scenario that ships is the same after it was written out as a plan and read again", () => {
    const names = [...shippedScenarios().keys()];
    expect(names.length).toBeGreaterThan(10);
    for (const name of names.filter((one) => !one.includes("000"))) {
      const plan = loadPlan(name, { set: [] });
      expect(decodePlan(encodePlan(plan, []), name)).toEqual({ plan });
    }
  });

  test("writes a plan that is valid, with another seed too", async () => {
    const { code, out } = await mariana("sim", "expand", "nat-mix", "--seed", "9", "--mutate", "delta");
    expect(code).toBe(0);
    const path = write("nat-mix.plan.yaml", out);
    expect((await mariana("sim", "validate", path)).out).toMatch(/^valid {2}.*: nat-mix, \d+ nodes/);
    expect(loadPlan(path, { set: [] })).toMatchObject({ seed: "9", mutate: "delta" });
    const json = await mariana("sim", "expand", "line", "--json");
    expect(loadPlan(write("line.json", json.out), { set: [] }).nodes).toEqual(loadPlan("line", { set: [] }).nodes);
    const set = await mariana("sim", "expand", path, "--set", "seed=1");
    expect(set).toMatchObject({ code: 3, err: expect.stringContaining("this file is a plan") });
  });
});

test("schema prints a JSON Schema", async () => {
  const { code, out } = await mariana("sim", "schema");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ $schema: "https://json-schema.org/draft/2020-12/schema", type: "object" });
});

describe("compare and merge", () => {
  function sweep(name: string, p99: number, delivery: number, failed = false): string {
    const path = join(folder, name);
    mkdirSync(path);
    for (const seed of ["1", "2"]) {
      const report = {
        scenario: "small",
        seed,
        hash: "ab".repeat(32),
        crypto: "modelled",
        fingerprint: { wire: "1".repeat(32), state: "2".repeat(32) },
        nodes: 3,
        simSeconds: 1,
        wallSeconds: 1,
        events: 1,
        peakRssMiB: 1,
        workers: 1,
        ok: !failed,
        metrics: { crashes: 5, removal: { p99 }, delivery: { share: delivery } },
        expect: [{ text: "loops == 0", value: failed ? 1 : 0, ok: !failed }],
        repeat: `mariana sim run small --seed ${seed}`,
      };
      writeFileSync(join(path, `seed-${seed}.json`), JSON.stringify(report));
    }
    return path;
  }

  test("a worse metric is exit 10, in the direction in which it is worse, and the limit is one's own", async () => {
    const base = sweep("base", 2, 1);
    const slow = sweep("slow", 2.2, 1);
    const quick = sweep("quick", 1, 1);
    const lossy = sweep("lossy", 2, 0.9);
    expect(await mariana("sim", "compare", base, base)).toMatchObject({ code: 0, out: "no metric differs\n" });
    expect(await mariana("sim", "compare", base, quick)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/removal\.p99 +2 +1 +-50\.0 % +better/),
    });
    const worse = await mariana("sim", "compare", base, slow);
    expect(worse).toMatchObject({
      code: 10,
      out: expect.stringMatching(/removal\.p99 +2 +2\.2 +\+10\.0 % +regression/),
    });
    expect(worse.err).toContain("worse by more than 5%: removal.p99");
    expect((await mariana("sim", "compare", base, slow, "--max-regress", "11%")).code).toBe(0);
    const { code, out } = await mariana("sim", "compare", base, lossy, "--json");
    expect(code).toBe(10);
    expect(JSON.parse(out)).toMatchObject({ seeds: 2, maxRegress: 0.05 });
    expect((await mariana("sim", "compare", join(base, "seed-1.json"), join(slow, "seed-1.json"))).code).toBe(10);
  });

  test("merge counts what passed, and is exit 9 when a seed failed", async () => {
    const good = sweep("good", 2, 1);
    expect(await mariana("sim", "merge", good)).toMatchObject({
      code: 0,
      out: expect.stringContaining("passed  small, 2 of 2 seeds"),
    });
    const { code, out, err } = await mariana("sim", "merge", good, sweep("bad", 3, 1, true), "--json");
    expect(code).toBe(9);
    expect(err).toContain("2 of 4 seeds failed");
    expect(JSON.parse(out)).toMatchObject([
      { seeds: 4, passed: 2, metrics: { "removal.p99": { min: 2, max: 3, mean: 2.5 } } },
    ]);
  });

  test("a reader that goes away is no fault", async () => {
    const { code, err } = await run("bash", [
      "-c",
      `"${process.execPath}" "${COMMAND}" sim schema | head -c 10; exit \${PIPESTATUS[0]}`,
    ]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(existsSync(folder) && readdirSync(folder)).toEqual([]);
    expect(readFileSync("package.json", "utf8")).toContain('"scenarios"');
  });
});
