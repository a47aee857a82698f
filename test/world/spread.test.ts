import { describe, expect, test } from "vitest";
import { METRIC_NONE } from "../../core/routing/feasible.js";
import { LAST_RESORT_COST } from "../../core/routing/transit.js";
import { insideOf, RoutingWorld } from "../support/routing-world.js";

/** What `name` told `peer` of the way to `target`. */
function told(world: RoutingWorld, name: string, peer: string, target: string): number {
  const { neighbours } = insideOf(world.routing(name)).table;
  const neighbour = neighbours.find(({ link }) => world.peer(name, link) === peer)!;
  return neighbour.toldMetric(world.destination(target));
}

describe("a node of last resort", () => {
  /** From ada to dan: two links through hut, or two dearer ones through bob. */
  const twoWays = (lastResort: readonly string[]) => {
    const world = new RoutingWorld("hut", { lastResort }).add("ada", "hut", "bob", "dan");
    world.wire("ada", "hut").wire("hut", "dan").wire("ada", "bob", { cost: 2 }).wire("bob", "dan", { cost: 2 });
    return world.run({ untilSettled: true, within: "60s" });
  };

  test("carries for others when there is no other way, at a metric that says so", () => {
    expect(twoWays([]).path("ada", "dan")).toEqual(["ada", "hut", "dan"]);
    const world = twoWays(["hut"]);
    expect(world.path("ada", "dan")).toEqual(["ada", "bob", "dan"]);
    world.cut("bob", "dan").run({ untilSettled: true, within: "60s" });
    expect(world.path("ada", "dan")).toEqual(["ada", "hut", "dan"]);
    expect(world.metric("ada", "dan")).toBe(2 + LAST_RESORT_COST);
  });

  test("announces itself as everybody does, and tells nothing to those who have another way", () => {
    const world = twoWays(["hut"]);
    expect(told(world, "hut", "ada", "hut")).toBe(0);
    expect(told(world, "hut", "ada", "dan")).toBe(METRIC_NONE);
  });

  test("that is new tells a neighbour nothing that this is about to tell it", () => {
    const names = Array.from({ length: 30 }, (_, i) => `d${i}`);
    const world = new RoutingWorld("newcomer", { lastResort: ["hut"] }).add("ada", "bob", "hut", ...names);
    world.wire("ada", "bob");
    for (const name of names) world.wire("ada", name);
    world.run({ untilSettled: true, within: "60s" });
    world.wire("hut", "bob", { latencyMs: 240 }).run({ within: "730ms" }); // the link is up, and bob's table on its way
    world.wire("hut", "ada", { latencyMs: 5 }); // ada's is there before, and has settled
    const { announcements } = insideOf(world.routing("hut")).decision as unknown as {
      announcements: { entries: number };
    };
    world.run({ untilSettled: true, within: "60s" });
    expect(told(world, "hut", "bob", "hut")).toBe(0);
    expect(announcements.entries).toBeLessThan(10); // itself, and hardly any of the 31 others
  });

  test("that is new tells a neighbour what it hears of meanwhile, if that has no way there", () => {
    const world = new RoutingWorld("bridge", { lastResort: ["hut"] }).add("ada", "bob", "hut", "dan");
    world.wire("ada", "dan").run({ untilSettled: true, within: "60s" });
    world.wire("hut", "bob", { latencyMs: 20 }).run({ within: "80ms" });
    world.wire("hut", "ada", { latencyMs: 5 });
    world.run({ within: "450ms" });
    expect(world.metric("bob", "dan")).toBeUndefined();
    world.run({ within: "350ms" });
    expect(world.path("bob", "dan")).toEqual(["bob", "hut", "ada", "dan"]);
  });
});

describe("a node that told nobody", () => {
  test("goes to its other neighbours' routes at once, however much longer, and asks nobody", () => {
    const names = Array.from({ length: 300 }, (_, i) => `d${i}`);
    const world = new RoutingWorld("leaf", { lastResort: ["hut"], detectMs: [1_000, 1_000] });
    world
      .add("hut", "ada", "bob", ...names)
      .wire("hut", "ada")
      .wire("hut", "bob");
    for (const name of names) world.wire("ada", name).wire("bob", name, { cost: 3 });
    world.run({ untilSettled: true, within: "60s" });
    expect(world.path("hut", "d7")).toEqual(["hut", "ada", "d7"]);
    const asked = world.requests().length;
    world.cut("hut", "ada").run({ within: "1010ms" });
    for (const name of names) expect(world.path("hut", name)).toEqual(["hut", "bob", name]);
    expect(world.requests()).toHaveLength(asked);
  });
});

describe("what a neighbour lost", () => {
  /** ada reaches dan over rik; bob has a way of his own, which she was not told of since it is longer. */
  const square = () => {
    const world = new RoutingWorld("square", { detectMs: [1_000, 1_000] }).add("ada", "rik", "bob", "dan");
    world.wire("ada", "rik").wire("rik", "dan").wire("ada", "bob", { cost: 4 }).wire("bob", "dan", { cost: 2 });
    world.run({ untilSettled: true, within: "60s" });
    world.setCost("bob", "dan", 3).run({ untilSettled: true, within: "60s" });
    expect(told(world, "bob", "ada", "dan")).toBe(METRIC_NONE);
    return world;
  };

  test("with the way there is offered to it at once", () => {
    const world = square().cut("ada", "rik").run({ within: "1200ms" });
    expect(told(world, "bob", "ada", "dan")).toBe(3);
  });

  test("as the origin's neighbour lost it may be dead, and is offered two seconds later", () => {
    const world = square().cut("rik", "dan").run({ within: "2900ms" });
    expect(world.metric("ada", "dan")).toBeUndefined();
    expect(told(world, "bob", "ada", "dan")).toBe(METRIC_NONE);
    world.run({ within: "500ms" });
    expect(told(world, "bob", "ada", "dan")).toBe(3);
    expect(world.path("ada", "dan")).toEqual(["ada", "bob", "dan"]); // asked for at once, so late
    world.run({ untilSettled: true, within: "60s" });
    expect(world.wrongRoutes()).toEqual([]);
  });

  test("in great number is asked for as fast as neighbours take requests, with the proof of life that it needs", () => {
    const names = Array.from({ length: 200 }, (_, i) => `d${i}`);
    const world = new RoutingWorld("many", { detectMs: [1_000, 1_000] }).add("ada", "rik", "bob", ...names);
    world.wire("ada", "rik").wire("ada", "bob", { cost: 4 });
    for (const name of names) world.wire("rik", name).wire("bob", name, { cost: 2 });
    world.run({ untilSettled: true, within: "60s" });
    for (const name of names) world.setCost("bob", name, 3);
    world.run({ untilSettled: true, within: "60s" });
    for (const name of names) world.cut("rik", name); // each asks for all others then, and bob passes it on
    world.run({ within: "4800ms" });
    expect(names.filter((name) => world.metric("ada", name) === undefined)).toEqual([]); // asked for an index alone, 60 would still be barred
  });

  test("and wants for traffic is asked for at once, whoever is dead", () => {
    const world = square().want("ada", "dan").cut("rik", "dan").run({ within: "1500ms" });
    expect(world.path("ada", "dan")).toEqual(["ada", "bob", "dan"]);
  });
});

describe("a route that gets worse", () => {
  test("is gone by at once, and told two seconds later", () => {
    const world = new RoutingWorld("worse", { detectMs: [1_000, 1_000] }).add("ada", "bob", "dan", "eve");
    world.wire("ada", "bob").wire("bob", "dan", { cost: 2 }).wire("bob", "eve", { cost: 4 }).wire("eve", "dan");
    world.run({ untilSettled: true, within: "60s" });
    expect([world.metric("bob", "dan"), world.metric("ada", "dan")]).toEqual([2, 3]);
    world.cut("bob", "dan").run({ within: "1100ms" });
    expect(world.path("ada", "dan")).toEqual(["ada", "bob", "eve", "dan"]);
    expect([world.metric("bob", "dan"), told(world, "bob", "ada", "dan")]).toEqual([5, 2]);
    world.run({ within: "1700ms" });
    expect(told(world, "bob", "ada", "dan")).toBe(2);
    world.run({ within: "500ms" });
    expect(told(world, "bob", "ada", "dan")).toBe(5);
  });

  test("is taken back at once when there is none behind it", () => {
    const world = new RoutingWorld("lost", { detectMs: [1_000, 1_000] }).add("ada", "bob", "dan");
    world.wire("ada", "bob").wire("bob", "dan").run({ untilSettled: true, within: "60s" });
    world.cut("bob", "dan").run({ within: "1200ms" });
    expect(world.metric("ada", "dan")).toBeUndefined();
  });

  test("and wants is asked for as long as traffic waits, and then forgotten, though all ask each other", () => {
    for (const size of [3, 4, 6]) {
      const names = Array.from({ length: size }, (_, i) => `n${i}`);
      const world = new RoutingWorld(`aloud/${size}`, { detectMs: [1_000, 3_000] }).add(...names, "dan");
      for (const [i, name] of names.entries()) {
        for (const [j, other] of names.entries()) {
          if (i < j) world.wire(name, other, { latencyMs: 10 + ((i * 7 + j * 13) % 60) });
        }
        world.wire(name, "dan");
      }
      world.run({ untilSettled: true, within: "60s" });
      for (const name of names) world.want(name, "dan");
      world.crash("dan");
      for (let i = 0; i < 50; i += 1) world.run({ within: "200ms" }).want(names[(i * 7 + (i >> 2)) % size]!, "dan");
      world.run({ within: "300s" });
      const id = world.destination("dan");
      for (const name of names) expect(insideOf(world.routing(name)).table.knows(id), `${size} ${name}`).toBe(false);
    }
  });
});
