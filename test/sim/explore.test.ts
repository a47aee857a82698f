/** Walks of small networks: what they find, and that they leave nothing out. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Requests } from "../../core/routing/requests.js";
import { type Choice, parseChoice, printChoice } from "../../sim/explore/choice.js";
import { type Bounds, type Explored, explore } from "../../sim/explore/explore.js";
import { restViolationsOf, violationOf } from "../../sim/explore/invariants.js";
import { narrate } from "../../sim/explore/narration.js";
import { type Setting, settingOf } from "../../sim/explore/setting.js";
import { World } from "../../sim/explore/world.js";
import type { Mutation, Plan } from "../../sim/plan/plan.js";
import { expand, parseScenario } from "../../sim/scenario/scenario.js";

const BOUNDS: Bounds = { depth: 100, losses: 0, faults: 1, late: 0, states: 5_000, isOver: () => false };

function planOf(name: string, ...set: string[]): Plan {
  const file = fileURLToPath(new URL(`../../scenarios/${name}.yaml`, import.meta.url));
  const parsed = parseScenario(readFileSync(file, "utf8"), file, { set });
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("\n"));
  return expand(parsed.scenario);
}

function settingIn(name: string, mutate?: Mutation): Setting {
  const setting = settingOf({ ...planOf(name), mutate });
  if (typeof setting === "string") throw new Error(setting);
  return setting;
}

/** In short lines, so that a failure can be read. */
function found({ counterexample }: Explored, setting: Setting) {
  if (counterexample === undefined) return undefined;
  const { violation, choices, thenRest } = counterexample;
  const lines = choices.map((choice) => printChoice(choice, setting));
  return { invariant: violation.invariant, choices: lines, thenRest };
}

afterEach(() => vi.restoreAllMocks());

describe("a broken core is found out", () => {
  test("when every offer is feasible, by two nodes that send packets in a circle after one death", () => {
    const setting = settingIn("explore-crash", "feasibility");
    const result = explore(setting, BOUNDS);
    expect(found(result, setting)).toEqual({ invariant: "loop", choices: ["crash dan"], thenRest: true });
  });

  test("when no route is ever taken back, by the dead that stay", () => {
    const setting = settingIn("explore-crash", "retraction");
    const result = explore(setting, BOUNDS);
    expect(found(result, setting)).toEqual({ invariant: "ghost", choices: ["crash dan"], thenRest: true });
  });

  test("when a change is skipped now and then, by tables that differ", () => {
    const setting = settingIn("explore-triangle", "delta");
    const result = explore(setting, { ...BOUNDS, faults: 2 });
    expect(found(result, setting)).toMatchObject({ invariant: "lost-delta" });
  });

  test("when nobody ever asks for a newer index, by whoever starves beside a path", () => {
    vi.spyOn(Requests.prototype, "want").mockReturnValue(false);
    const setting = settingIn("explore-diamond");
    const result = explore(setting, { ...BOUNDS, faults: 2 });
    expect(found(result, setting)).toMatchObject({ invariant: "deadlock" });
  });
});

describe("the core as it is", () => {
  test.each([
    ["explore-triangle", { losses: 0, faults: 1, late: 0 }],
    ["explore-crash", { losses: 0, faults: 1, late: 0 }],
    ["explore-line-4", { losses: 0, faults: 1, late: 0 }],
  ])("keeps its promises in every state of %s that %o allow", (name, allowances) => {
    const setting = settingIn(name);
    const result = explore(setting, { ...BOUNDS, ...allowances });
    expect(found(result, setting)).toBeUndefined();
    expect(result.end).toBe("whole");
    expect(result.distinct).toBeGreaterThan(100); // a walk that goes nowhere proves nothing
  });

  test("learns of everybody from the first session on, in every order", () => {
    const setting = { ...settingIn("explore-triangle"), warmupUs: 0 };
    const result = explore(setting, { ...BOUNDS, faults: 0, depth: 7 });
    expect(found(result, setting)).toBeUndefined();
    expect(result.distinct).toBeGreaterThan(100);
  });
});

/** The plain walk: every choice of every state that is not too far. Paths by key; others to the same where there are some. */
function plainWalk(setting: Setting, allowances: Bounds): Map<string, Choice[][]> {
  const paths = new Map<string, Choice[][]>();
  const queue: Choice[][] = [[]];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const world = worldAt(setting, allowances, path);
    const key = world.keys().whole;
    const known = paths.get(key);
    if (known !== undefined) {
      if (known.length < 3) known.push(path);
      continue;
    }
    paths.set(key, [path]);
    if (path.length < allowances.depth) for (const choice of world.choices()) queue.push([...path, choice]);
  }
  return paths;
}

function worldAt(setting: Setting, allowances: Bounds, path: readonly Choice[]): World {
  const world = new World(setting, allowances);
  for (const choice of path)
    if (!world.take(choice)) throw new Error(`${printChoice(choice, setting)} cannot be taken`);
  return world;
}

describe("a walk", () => {
  const setting = settingIn("explore-triangle");
  const lossy = { ...BOUNDS, losses: 1, late: 1, depth: 7 };
  const long = { ...BOUNDS, depth: 60 };
  const walks: readonly (readonly [string, Bounds])[] = [
    ["with a loss", lossy],
    ["to the end", long],
  ];

  test.each(walks)(
    "meets every state that there is, though it walks one of the orders that can be swapped: %s",
    (_, allowances) => {
      const plain = plainWalk(setting, allowances);
      const result = explore(setting, allowances);
      expect(result.distinct).toBe(plain.size);
      const arrivals = [...plain.values()].flat().length;
      expect(arrivals).toBeGreaterThan(plain.size);
    },
  );

  test.each(walks)(
    "takes two states for one only when the same may happen in both, and leads to the same: %s",
    (_, allowances) => {
      const plain = plainWalk(setting, allowances);
      let compared = 0;
      for (const [first, ...others] of plain.values()) {
        for (const other of others) {
          const choices = worldAt(setting, allowances, first!).choices();
          expect(worldAt(setting, allowances, other).choices()).toEqual(choices);
          for (const choice of choices) {
            const keys = [first!, other].map((path) => worldAt(setting, allowances, [...path, choice]).keys().whole);
            expect(keys[1], [...other, choice].map((one) => printChoice(one, setting)).join("\n")).toBe(keys[0]);
            compared += 1;
          }
        }
      }
      expect(compared).toBeGreaterThan(20);
    },
  );

  test("ends at each of its bounds, and says at which", () => {
    const { isOver: _, ...bounds } = { ...BOUNDS, faults: 2 };
    expect(explore(setting, { ...bounds, isOver: () => false, depth: 3 })).toMatchObject({ end: "depth", depth: 3 });
    const { end, distinct } = explore(setting, { ...bounds, isOver: () => false, states: 20 });
    expect({ end, distinct }).toEqual({ end: "states", distinct: 20 });
    let asked = 0;
    const isOver = () => {
      asked += 1;
      return asked > 5;
    };
    const cut = explore(setting, { ...bounds, isOver });
    expect(cut.end).toBe("time");
    expect(cut.waiting).toBeGreaterThan(0);
  });

  test("any choice that is offered can be taken and written as a line that is read as the same", () => {
    const sample = fc.tuple(
      fc.constantFrom("explore-triangle", "explore-crash", "explore-diamond"),
      fc.array(fc.nat(999), { maxLength: 60 }),
    );
    fc.assert(
      fc.property(sample, ([name, picks]) => {
        const setting = settingIn(name);
        const world = new World(setting, { losses: 3, faults: 3, late: 3 });
        const taken: Choice[] = [];
        for (const pick of picks) {
          const choices = world.choices();
          if (choices.length === 0) break;
          const choice = choices[pick % choices.length]!;
          const line = printChoice(choice, setting);
          expect(parseChoice(line, setting, (fault) => world.hasSpent(fault))).toEqual(choice);
          expect(world.take(choice)).toBe(true);
          expect(violationOf(world, setting)).toBeUndefined();
          taken.push(choice);
        }
        const { stoppedAt, violations } = narrate(setting, { choices: taken, thenRest: true });
        expect({ stoppedAt, violations }).toEqual({ stoppedAt: undefined, violations: [] });
      }),
      { numRuns: 15 },
    );
  });

  test("begins in a network in which everything is in order", () => {
    for (const name of ["explore-triangle", "explore-crash", "explore-diamond", "explore-line-4"]) {
      const setting = settingIn(name);
      expect(restViolationsOf(new World(setting, BOUNDS), setting)).toEqual([]);
    }
  });
});

describe("what cannot be explored is refused", () => {
  test.each([
    ["more than five nodes", () => planOf("grid-49"), /49 nodes: exploring takes 3 to 5/],
    ["what finds links dead", () => ({ ...planOf("explore-crash"), mutate: "death" as const }), /no part of what/],
    ["other faults", () => planOf("explore-crash", "timeline.0={ at: 20s, do: pause, select: dan }"), /pause is not/],
  ])("such as %s", (_, plan, message) => {
    expect(settingOf(plan())).toMatch(message);
  });
});
