import { expect, test } from "vitest";
import { grid, line, RoutingWorld } from "../support/routing-world.js";

test("a cost that flaps a thousand times a second costs a neighbour eight batches, and then five a second", () => {
  const world = line("ada", "bob", "cyd").run({ untilSettled: true, within: "30s" });
  const before = world.entriesTold;
  for (let i = 0; i < 5_000; i += 1) {
    world.setCost("bob", "cyd", 1 + (i % 3));
    world.run({ within: "1ms" });
  }
  // Only bob's end of the cable changes what he tells ada: eight batches at once, and five in each of five seconds.
  expect(world.entriesTold - before).toBeLessThanOrEqual(8 + 25 + 3);
  world.run({ untilSettled: true, within: "60s" });
  expect(world.wrongRoutes()).toEqual([]);
  expect(world.loopsSeen()).toBe(0);
});

test("a link that goes up and down leaves the far side of the network its routes", () => {
  const world = grid(4, 4, { detectMs: [300, 600] }).run({ untilSettled: true, within: "60s" });
  for (let i = 0; i < 40; i += 1) {
    world.cut("0,0", "1,0").run({ within: "700ms" });
    world.wire("0,0", "1,0").run({ within: "300ms" });
    expect(world.path("3,3", "0,0").at(-1)).toBe("0,0");
  }
  world.run({ within: "40s" }).run({ untilSettled: true, within: "60s" }); // until nothing is held any more
  expect(world.wrongRoutes()).toEqual([]);
  expect(world.loopsSeen()).toBe(0);
});

test("costs that change all over the network end in the shortest paths", () => {
  const world = grid(5, 5).run({ untilSettled: true, within: "60s" });
  for (let round = 0; round < 6; round += 1) {
    for (const [i, { a, b }] of world.cables().entries()) world.setCost(a, b, 1 + ((i * 7 + round * 3) % 4));
    world.run({ untilSettled: true, within: "120s" });
    expect(world.wrongRoutes()).toEqual([]);
  }
  expect(world.loopsSeen()).toBe(0);
});

test("everybody restarts at once and finds everybody within three seconds", () => {
  const world = grid(6, 6).run({ untilSettled: true, within: "60s" });
  for (const name of world.names()) world.restart(name);
  world.run({ within: "3s" });
  for (const name of world.names()) expect(world.knowing(name)).toHaveLength(35);
  world.run({ untilSettled: true, within: "60s" });
  expect(world.wrongRoutes()).toEqual([]);
  expect(world.loopsSeen()).toBe(0);
});

test("a node that restarts again and again stays routable in between", () => {
  const world = new RoutingWorld("phoenix").add("ada", "bob", "cyd");
  world.wire("ada", "bob").wire("bob", "cyd").run({ untilSettled: true, within: "30s" });
  for (let i = 0; i < 20; i += 1) {
    world.run({ within: "4s" }); // lost and back in 5 s: as often as a destination may change
    world.restart("cyd").run({ within: "1s" });
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
  }
  expect(world.loopsSeen()).toBe(0);
});
