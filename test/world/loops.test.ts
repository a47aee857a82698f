import { describe, expect, test } from "vitest";
import { RoutingWorld, randomGraph, ring, shake } from "../support/routing-world.js";

/** Runs a shaken random graph to its end and returns it. Throws, with the seed, when it does not settle. */
function shaken(seed: string, size: number, changes: number, loss: number): RoutingWorld {
  const world = randomGraph(seed, size, size, { link: { loss, reorder: loss, duplicate: loss / 2 } });
  world.run({ within: "3s" });
  shake(world, changes);
  // What changed too often is held for half a minute at most.
  return world.run({ within: "45s" }).run({ untilSettled: true, within: "300s" });
}

describe("no packet ever goes round", () => {
  test.for([
    { loss: 0, seeds: 12 },
    { loss: 0.05, seeds: 12 },
    { loss: 0.2, seeds: 12 },
  ])("in random graphs shaken at random, with $loss of all records lost and as many reordered", ({ loss, seeds }) => {
    let events = 0;
    for (let i = 0; i < seeds; i += 1) {
      const world = shaken(`loops/${loss}/${i}`, 14, 80, loss);
      events += world.events;
      expect(world.firstLoop()).toBeUndefined();
      expect(world.wrongRoutes(), world.repeat()).toEqual([]);
    }
    expect(events).toBeGreaterThan(60_000); // a shaking that shakes nothing proves nothing
  });

  test("in a larger graph that is shaken hard", () => {
    const world = shaken("loops/large", 40, 250, 0.1);
    expect(world.firstLoop()).toBeUndefined();
    expect(world.wrongRoutes(), world.repeat()).toEqual([]);
    expect(world.events).toBeGreaterThan(60_000);
  });

  test("in a ring whose cables fail one after the other faster than anybody notices", () => {
    const world = ring("a", "b", "c", "d", "e", "f").run({ untilSettled: true, within: "30s" });
    world.cut("a", "b").cut("c", "d").wire("a", "b").cut("e", "f").wire("c", "d");
    world.run({ untilSettled: true, within: "60s" });
    expect(world.firstLoop()).toBeUndefined();
    expect(world.wrongRoutes()).toEqual([]);
  });
});

describe("the oracle", () => {
  test("finds loops when every offer is taken for feasible", () => {
    const credulous = new RoutingWorld("credulous", { isFeasible: () => true }).add("ada", "bob", "cyd", "dan");
    credulous.wire("ada", "bob").wire("bob", "cyd").wire("cyd", "ada").wire("cyd", "dan");
    credulous.run({ untilSettled: true, within: "30s" });
    credulous.crash("dan").run({ within: "30s" });
    expect(credulous.loopsSeen()).toBeGreaterThan(0);
  });

  test("finds none in the same world under the true rule", () => {
    const careful = new RoutingWorld("credulous").add("ada", "bob", "cyd", "dan");
    careful.wire("ada", "bob").wire("bob", "cyd").wire("cyd", "ada").wire("cyd", "dan");
    careful.run({ untilSettled: true, within: "30s" });
    careful.crash("dan").run({ within: "30s" });
    expect(careful.loopsSeen()).toBe(0);
  });

  test("finds a rule that forgets only the index", () => {
    const isForgetful = (_age: number, metric: number, _isLower: boolean, _distanceAge: number, distance: number) =>
      metric <= distance;
    const found = ["one", "two", "three", "four"].some((seed) => {
      const world = randomGraph(`forgetful/${seed}`, 14, 14, { isFeasible: isForgetful });
      world.run({ within: "3s" });
      shake(world, 120);
      return world.loopsSeen() > 0;
    });
    expect(found).toBe(true);
  });
});
