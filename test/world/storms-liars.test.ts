import { expect, test } from "vitest";
import type { RouteTable } from "../../core/routing/route-table.js";
import type { Routing } from "../../core/routing/routing.js";
import { SECOND_US } from "../../core/time/instant.js";
import { StackWorld } from "../support/stack-world.js";

function routingOf(world: StackWorld, name: string): Routing {
  return world.node(name).inside.plane.routing as unknown as Routing;
}

function storms(world: StackWorld, name: string): Readonly<Record<string, number>> {
  return world.node(name).stack.status().storms;
}

/** mallory tells a thousand messages a second, eight times what a neighbour may, and keeps to no budget. */
function flood(world: StackWorld, seconds: number): void {
  const mallory = world.node("mallory");
  const { dictionary } = mallory.inside.ports;
  const routing = routingOf(world, "mallory");
  const destinations = Array.from({ length: 1_100 }, () => dictionary.intern(world.random.bytes(16)));
  for (const { budget, prompt } of (routing as unknown as { table: RouteTable }).table.neighbours) {
    budget.opensUs = () => 0;
    prompt.take = () => true;
  }
  for (let step = 0; step < seconds; step += 1) {
    for (const destination of destinations) routing.originate(world.nowUs, destination, 1_000 + step);
    mallory.stack.handleTimer(world.nowUs);
    world.run(SECOND_US);
  }
}

test("who floods a neighbour becomes a stub and is sent away for a minute; honest nodes behind that neighbour see nothing to blame", () => {
  const world = new StackWorld({ seed: "flood" }).wire("mallory", "bob").wire("ada", "bob").wire("eve", "ada");
  world.run(5 * SECOND_US);
  flood(world, 24);
  const bob = world.node("bob");
  const bannedUs = world.nowUs;

  expect(storms(world, "bob")).toMatchObject({ bans: 1 });
  expect(storms(world, "bob").rateBreaches).toBeGreaterThanOrEqual(6);
  expect(bob.events.filter((event) => event.kind === "linkDown")).toMatchObject([{ reason: "banned" }]);
  world.run(40 * SECOND_US);
  expect(bob.stack.status().neighbours).toBe(1); // mallory dials, and is not heard
  for (const name of ["ada", "eve"]) {
    expect(storms(world, name)).toMatchObject({ rateBreaches: 0, windowBreaches: 0, malformedBreaches: 0, bans: 0 });
    expect(world.node(name).events.filter((event) => event.kind === "linkDown")).toEqual([]);
  }
  expect(world.run(100 * SECOND_US, () => bob.stack.status().neighbours === 2)).toBe(true);
  expect(world.nowUs - bannedUs).toBeGreaterThan(50 * SECOND_US);
});

test("who is not believed any more is heard about itself, and what it said of others is forgotten", () => {
  const world = new StackWorld({ seed: "stub" }).line("ada", "bob", "cyd");
  world.run(5 * SECOND_US);
  const routing = routingOf(world, "ada");
  const nextTo = (name: string) =>
    routing.nextHop(world.node("ada").inside.ports.dictionary.find(world.node(name).nac));
  expect([nextTo("bob"), nextTo("cyd")]).toEqual([0, 0]);
  const bob = (routing as unknown as { table: RouteTable }).table.byLink[0]!;
  for (let i = 0; i < 3; i += 1) bob.blame(world.nowUs + i * SECOND_US, "element");
  routing.setRoles(world.nowUs, 0, false, false); // as with the next frame
  expect([nextTo("bob"), nextTo("cyd")]).toEqual([0, -1]);

  world.run(20 * SECOND_US);
  expect([nextTo("bob"), nextTo("cyd")]).toEqual([0, -1]);
  expect(storms(world, "ada")).toMatchObject({ elementBreaches: 3, stubs: 1, bans: 0 });
  expect(storms(world, "bob")).toMatchObject({ hosts: 1 });
});
