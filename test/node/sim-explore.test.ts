/** `mariana sim explore` as a stranger uses it: exit codes, what it writes, and that it happens again. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeCounterexample, encodeCounterexample } from "../../node/sim/counterexample-file.js";
import { mariana } from "../support/command.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-explore-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A walk that is over in a moment. */
const SHORT = ["--losses", "0", "--late", "0", "--flaps", "1"];

describe("a core that keeps its promises", () => {
  test("ends with 0, says how far the walk went, and writes nothing", async () => {
    const out = join(folder, "none.yaml");
    const { code, out: said, err } = await mariana("sim", "explore", "explore-triangle", ...SHORT, "--out", out);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(said).toMatch(/^holds {2}explore-triangle: every order within the allowances was walked\n/);
    expect(said).toMatch(/states visited +\d+\n +different +\d+, .*\n +longest path +\d+ choices\n +time /);
    expect(existsSync(out)).toBe(false);
  });

  test("says the same to scripts, and what cut it short", async () => {
    const { code, out } = await mariana("sim", "explore", "explore-triangle", "--depth", "4", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ name: "explore-triangle", end: "depth", depth: 4 });
  });
});

describe("a broken core", () => {
  test("ends with 9 and a file, whose replay tells each step in words and ends with 9 too", async () => {
    const file = join(folder, "loop.yaml");
    const found = await mariana("sim", "explore", "explore-crash", "--mutate", "feasibility", "--out", file);
    expect(found.code).toBe(9);
    expect(found.out).toContain("broken  explore-crash: ended by a counterexample");
    expect(found.err).toMatch(/loop: a packet to dan goes round: /);
    expect(readFileSync(file, "utf8")).toContain("sim explore explore-crash --mutate feasibility");

    const replayed = await mariana("sim", "explore", "--replay", file);
    expect(replayed.code).toBe(9);
    expect(replayed.out).toMatch(/ 1 .* dan dies\n/);
    expect(replayed.out).toMatch(/cyd finds its link to dan dead\n.*cyd to dan: no route \(before: over dan/);
    expect(replayed.out).toMatch(/\nloop {2}a packet to dan goes round: /);
    expect(replayed.err).toMatch(/loop: a packet to dan goes round: /);

    // The same choices do no harm to a core that is whole.
    const healed = readFileSync(file, "utf8").replace(/\n {2}mutate: .*/, "");
    writeFileSync(file, healed);
    const { code, out } = await mariana("sim", "explore", "--replay", file);
    expect({ code, end: out.trimEnd().split("\n").at(-1) }).toEqual({
      code: 0,
      end: "holds  nothing is broken by these choices any more",
    });
  });

  test("and choices that cannot be taken any more end with 11", async () => {
    const file = join(folder, "loop.yaml");
    await mariana("sim", "explore", "explore-crash", "--mutate", "feasibility", "--out", file);
    writeFileSync(file, readFileSync(file, "utf8").replace("- crash dan\n  thenRest", "- timer dan\n  thenRest"));
    const { code, err } = await mariana("sim", "explore", "--replay", file);
    expect({ code, err }).toMatchObject({ code: 11, err: expect.stringContaining("choice 1 cannot be taken") });
  });
});

describe.concurrent("what cannot be", () => {
  test.each<[string, string[], number, RegExp]>([
    ["neither a scenario nor a counterexample", ["explore"], 2, /name a scenario, or a counterexample/],
    ["both", ["explore", "explore-crash", "--replay", "x.yaml"], 2, /--replay stands alone/],
    ["half a loss", ["explore", "explore-crash", "--losses", "0.5"], 2, /--losses 0.5: expected a whole number/],
    ["too many nodes", ["explore", "twenty-nodes"], 3, /20 nodes: exploring takes 3 to 5/],
    ["a scenario that is none", ["explore", "no-such-thing"], 3, /there is no scenario/],
    ["a counterexample that is none", ["explore", "--replay", "package.json"], 3, /package.json: counterexample: /],
    ["a file that is not there", ["explore", "--replay", "/none.yaml"], 3, /there is no such file/],
  ])("%s is refused", async (_, args, exit, message) => {
    const { code, err } = await mariana("sim", ...args);
    expect({ code, err }).toEqual({ code: exit, err: expect.stringMatching(message) });
  });
});

describe("a counterexample as a file", () => {
  const TEXT = encodeCounterexample(
    {
      setting: {
        names: ["a", "b-1", "c"],
        isLastResort: [false, true, false],
        edges: [
          { a: 0, b: 1, cost: 1 },
          { a: 1, b: 2, cost: 4 },
        ],
        faults: [
          { do: "cut", edge: 0 },
          { do: "mend", edge: 0 },
          { do: "cut", edge: 0 },
          { do: "crash", node: 2 },
        ],
        warmupUs: 0,
        mutation: "delta",
      },
      counterexample: {
        choices: [
          { do: "up", end: 1 },
          { do: "deliver", end: 1, place: 2 },
          { do: "fault", fault: 0 },
          { do: "fault", fault: 1 },
          { do: "fault", fault: 2 },
          { do: "lose", end: 2, place: 0 },
          { do: "notice", end: 0 },
          { do: "timer", node: 1 },
          { do: "time" },
        ],
        thenRest: true,
        violation: { invariant: "ghost", what: "a: b" },
      },
    },
    ["one line", "another"],
  );

  test("is read as what was written", () => {
    const decoded = decodeCounterexample(TEXT);
    if (typeof decoded === "string") throw new Error(decoded);
    expect(encodeCounterexample(decoded, ["one line", "another"])).toBe(TEXT);
  });

  test("is refused with a sentence, whatever is wrong with it", () => {
    const damage = fc.record({ at: fc.nat(TEXT.length), length: fc.nat(40), by: fc.string({ maxLength: 10 }) });
    fc.assert(
      fc.property(damage, ({ at, length, by }) => {
        const decoded = decodeCounterexample(TEXT.slice(0, at) + by + TEXT.slice(at + length));
        if (typeof decoded === "string") expect(decoded.length).toBeGreaterThan(0);
        else expect(decoded.setting.names.length).toBeGreaterThan(2);
      }),
    );
    expect(decodeCounterexample(TEXT.replace("b: b-1", "b: a"))).toMatch(/links: each joins two/);
    expect(decodeCounterexample(TEXT.replace("- time\n", "- tome\n"))).toMatch(
      /choices: tome: nothing that can happen/,
    );
    expect(decodeCounterexample(TEXT.replace("name: c", "name: a"))).toMatch(/two have the same name/);
    expect(decodeCounterexample("[".repeat(1000))).toMatch(/./);
  });
});
