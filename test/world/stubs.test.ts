import { expect, test } from "vitest";
import { nextFull } from "../../core/link/degree.js";
import { SECOND_US } from "../../core/time/instant.js";
import { StackWorld } from "../support/stack-world.js";

const LEAVES = 18;
const leaf = (number: number) => `leaf${number}`;

/** An ordinary node with room for sixteen neighbours, whom eighteen dial, the last two last. */
function crowd(): StackWorld {
  const world = new StackWorld({
    seed: "hub",
    makeStack: (make, name, nowUs, config, ports) =>
      make(nowUs, name === "hub" ? { ...config, transit: "lastResort" } : config, ports),
  });
  for (let i = 0; i < LEAVES; i += 1) {
    world.wire(leaf(i), "hub");
    if (i === LEAVES - 3) world.run(4 * SECOND_US);
  }
  world.run(6 * SECOND_US);
  return world;
}

function pings(world: StackWorld, from: string, to: string, id: number): boolean {
  const { stack, events } = world.node(from);
  stack.ping(world.nowUs, world.node(to).nac, id);
  return world.run(5 * SECOND_US, () => events.some((event) => event.kind === "pong" && event.id === id));
}

test("neighbours beyond the sixteenth are stubs: they hear of their host alone, and yet reach everybody and are reached", () => {
  const world = crowd();
  expect(world.node("hub").stack.status()).toMatchObject({ neighbours: LEAVES, storms: { stubs: 2 } });
  expect(world.node(leaf(3)).stack.status().routes).toBe(LEAVES);
  for (const stub of [leaf(16), leaf(17)]) {
    expect(world.node(stub).stack.status()).toMatchObject({ routes: 1, storms: { hosts: 1 } });
  }
  expect(pings(world, leaf(17), leaf(3), 1)).toBe(true);
  expect(pings(world, leaf(3), leaf(17), 2)).toBe(true);
  expect(pings(world, leaf(17), leaf(16), 3)).toBe(true);
});

test("when a full neighbour goes a stub takes its place, and hears of all", () => {
  const world = crowd();
  world.kill(leaf(5));

  expect(world.run(8 * SECOND_US, () => world.node("hub").stack.status().storms.stubs === 1)).toBe(true);
  world.run(5 * SECOND_US);
  const routes = [leaf(16), leaf(17)].map((name) => world.node(name).stack.status().routes);
  expect(routes.sort((a, b) => a - b)).toEqual([1, LEAVES - 1]);
});

test("of eight places two go to the nearest, three to anybody, and three to whom is unlike the others", () => {
  const stubs = [
    { name: "near", rttUs: 10, crowd: 1 },
    { name: "any", rttUs: 50, crowd: 1 },
    { name: "far", rttUs: 90, crowd: 2 },
  ];
  const full = [{ rttUs: 5, crowd: 1 }];
  const chosen = Array.from({ length: 8 }, (_, turn) => nextFull(stubs, full, turn, 7)?.name);
  expect(chosen).toEqual(["near", "near", "any", "any", "any", "far", "far", "far"]);
  expect(nextFull([], full, 3, 7)).toBe(undefined);
});
