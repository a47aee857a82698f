import { describe, expect, test } from "vitest";
import { grid, line, RoutingWorld, randomGraph, ring } from "../support/routing-world.js";

describe("tables become the shortest paths", () => {
  test("in a line, a ring and a grid", () => {
    for (const world of [line("ada", "bob", "cyd", "dan"), ring("a", "b", "c", "d", "e", "f", "g"), grid(7, 7)]) {
      world.run({ untilSettled: true, within: "60s" });
      expect(world.wrongRoutes()).toEqual([]);
      expect(world.loopsSeen()).toBe(0);
    }
  });

  test("in a diamond, both ways round are known and the second is the backup", () => {
    const world = new RoutingWorld("diamond").add("ada", "left", "right", "dan");
    world.wire("ada", "left").wire("left", "dan").wire("ada", "right", { cost: 2 }).wire("right", "dan");
    world.run({ untilSettled: true, within: "30s" });

    expect(world.path("ada", "dan")).toEqual(["ada", "left", "dan"]);
    expect(world.metric("ada", "dan")).toBe(2);
    expect(world.backups("ada", "dan")).toEqual(["right"]);
    expect(world.wrongRoutes()).toEqual([]);
  });

  test("over links that lose, reorder and repeat", () => {
    for (const seed of ["wet", "windy", "foggy"]) {
      const world = randomGraph(seed, 16, 14, { link: { loss: 0.2, reorder: 0.2, duplicate: 0.1 } });
      world.run({ untilSettled: true, within: "120s" });
      expect(world.wrongRoutes(), world.repeat()).toEqual([]);
      expect(world.firstLoop()).toBeUndefined();
    }
  });

  test("a destination 64 or more away is unreachable", () => {
    const names = Array.from({ length: 18 }, (_, i) => `n${i}`);
    const world = new RoutingWorld("far").add(...names);
    for (let i = 1; i < names.length; i += 1) world.wire(names[i - 1]!, names[i]!, { cost: 4 });
    world.run({ untilSettled: true, within: "60s" });

    expect(world.metric("n0", "n15")).toBe(60);
    expect(world.metric("n0", "n16")).toBeUndefined();
    expect(world.wrongRoutes()).toEqual([]);
  });

  test("each NAC crosses a link in full once, and in two bytes from then on", () => {
    const world = randomGraph("short", 40, 60).run({ untilSettled: true, within: "120s" });
    const calm = world.entries();
    const links = 2 * world.cables().length;
    expect(calm.all - calm.short).toBeLessThanOrEqual(links * world.names().length);
    for (const [i, { a, b }] of world.cables().entries()) world.setCost(a, b, 1 + (i % 4));
    world.run({ untilSettled: true, within: "120s" });
    const moved = world.entries();
    expect(moved.short - calm.short).toBeGreaterThan(0.7 * (moved.all - calm.all));
    expect(world.wrongRoutes()).toEqual([]);
  });

  test("the same seed gives the same run", () => {
    const run = () => {
      const world = randomGraph("again", 12, 10, { link: { loss: 0.1, reorder: 0.1 } });
      world.run({ within: "5s" }).cut("n0", "n1").run({ within: "20s" });
      return `${world.digest()} ${world.events}`;
    };
    expect(run()).toBe(run());
  });
});
