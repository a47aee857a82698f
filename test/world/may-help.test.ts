import { describe, expect, test } from "vitest";
import { METRIC_NONE } from "../../core/routing/feasible.js";
import { grid, insideOf, RoutingWorld, randomGraph, shake } from "../support/routing-world.js";

/** Of every node, neighbour and destination: what is told, what would be, and what the neighbour has itself, in words where these do not fit. */
function misfits(world: RoutingWorld): { wrong: string[]; told: number; omitted: number } {
  const wrong: string[] = [];
  let told = 0;
  let omitted = 0;
  for (const name of world.names()) {
    const { table } = insideOf(world.routing(name));
    for (const neighbour of table.neighbours) {
      const peer = world.peer(name, neighbour.link);
      for (const target of world.names()) {
        const destination = world.destination(target);
        if (!table.knows(destination)) continue;
        const says = neighbour.toldMetric(destination);
        const own = table.isLocal(destination);
        const has = own || (table.records.next(destination) >= 0 && table.records.next(destination) !== neighbour.link);
        const metric = has ? table.records.metric(destination) : METRIC_NONE;
        const theirs = world.metric(peer, target) ?? METRIC_NONE;
        if (says !== METRIC_NONE) told += 1;
        else if (has) omitted += 1;
        const isRight = says === metric || (says === METRIC_NONE && theirs < metric);
        if (!isRight) wrong.push(`${name} tells ${peer} ${says} of ${target}, has ${metric}; ${peer} has ${theirs}`);
      }
    }
  }
  return { wrong, told, omitted };
}

describe("once all is quiet, each neighbour was told what is so, or has something better itself", () => {
  test("in a grid, where a good part need not be told", () => {
    const world = grid(6, 6).run({ untilSettled: true, within: "60s" });
    const { wrong, told, omitted } = misfits(world);
    expect(wrong).toEqual([]);
    expect(told + omitted).toBeGreaterThan(0);
    world.cut("2,2", "2,3").cut("3,2", "3,3").run({ untilSettled: true, within: "60s" });
    world.wire("2,2", "2,3").wire("3,2", "3,3").run({ untilSettled: true, within: "60s" });
    const later = misfits(world);
    expect(later.wrong).toEqual([]);
    expect(later.omitted).toBeGreaterThan(0);
  });

  test.each([0, 0.1])("in random graphs shaken at random, with %d of all records lost", (loss) => {
    for (const seed of ["ant", "bee", "cat", "dog", "eel", "fox"]) {
      const world = randomGraph(`help/${seed}/${loss}`, 14, 14, { link: { loss, reorder: loss } });
      world.run({ within: "10s" });
      shake(world, 60);
      world.run({ untilSettled: true, within: "300s" });
      expect(world.wrongRoutes(), world.repeat()).toEqual([]);
      expect(world.firstLoop()).toBeUndefined();
      expect(misfits(world).wrong, world.repeat()).toEqual([]);
    }
  });
});

/** "ada" and "bob" each know their own way to "dan"; ada's is the better one, so bob has nothing to tell her. */
function twoWays(): RoutingWorld {
  const world = new RoutingWorld("two ways", { detectMs: [1_000, 1_000] }).add("ada", "bob", "dan");
  world.wire("ada", "dan").wire("bob", "dan", { cost: 2 }).wire("ada", "bob", { cost: 4 });
  world.run({ untilSettled: true, within: "60s" });
  return world;
}

const saidByBob = (world: RoutingWorld) => {
  const { neighbours } = insideOf(world.routing("bob")).table;
  const { link } = neighbours.find((each) => world.peer("bob", each.link) === "ada")!;
  return neighbours.find((each) => each.link === link)!.toldMetric(world.destination("dan"));
};

test("who is told something worse than it has takes that back when it changes, and is told anew when it helps", () => {
  const world = twoWays();
  world.setCost("bob", "dan", 3).run({ untilSettled: true, within: "60s" });
  expect(saidByBob(world)).toBe(METRIC_NONE);
  world.setCost("ada", "dan", 4).run({ untilSettled: true, within: "60s" });
  expect(saidByBob(world)).toBe(3);
  expect(world.wrongRoutes()).toEqual([]);
});

test("who loses its route hears of a neighbour's within a round trip, and goes that way after another", () => {
  const world = twoWays();
  world.setCost("bob", "dan", 3).run({ untilSettled: true, within: "60s" });
  expect(saidByBob(world)).toBe(METRIC_NONE);
  world.want("ada", "dan").cut("ada", "dan").run({ within: "1010ms" });
  expect(world.metric("ada", "dan")).toBeUndefined(); // noticed at 1,000 ms; the news is on its way
  world.run({ within: "100ms" });
  expect(saidByBob(world)).toBe(3);
  world.run({ within: "200ms" });
  expect(world.path("ada", "dan")).toEqual(["ada", "bob", "dan"]);
  expect(world.metric("ada", "dan")).toBe(7);
});
