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
});
