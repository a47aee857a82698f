import { expect, test } from "vitest";
import type { Routing } from "../../core/routing/routing.js";
import { SECOND_US } from "../../core/time/instant.js";
import { StackWorld } from "../support/stack-world.js";

function routingOf(world: StackWorld, name: string): Routing {
  return world.node(name).inside.plane.routing as unknown as Routing;
}

/** When routing was told of a link that came up, seconds. */
function admissions(world: StackWorld, name: string): number[] {
  const routing = routingOf(world, name);
  const linkUp = routing.linkUp.bind(routing);
  const seconds: number[] = [];
  routing.linkUp = (nowUs, ...rest) => {
    seconds.push(Math.floor(nowUs / SECOND_US));
    linkUp(nowUs, ...rest);
  };
  return seconds;
}

function reaches(world: StackWorld, from: string, to: string): boolean {
  const { dictionary } = world.node(from).inside.ports;
  return routingOf(world, from).nextHop(dictionary.find(world.node(to).nac)) >= 0;
}

/** The cable between bob and cyd is gone for six seconds and there for six, again and again. */
function flapping(rounds: number) {
  const world = new StackWorld({ seed: "flapping" }).line("ada", "bob", "cyd", "dan");
  world.run(5 * SECOND_US);
  const seen = { bob: admissions(world, "bob"), cyd: admissions(world, "cyd"), entries: 0 };
  for (let round = 0; round < rounds; round += 1) {
    world.cut("bob", "cyd");
    world.run(6 * SECOND_US);
    world.mend("bob", "cyd");
    if (round === rounds >> 1) seen.entries = routingOf(world, "ada").entries.all;
    world.run(6 * SECOND_US);
  }
  return { world, ...seen };
}

test("a link that flaps for four minutes is routed over a few times only, and again within a minute of rest", () => {
  const { world, bob, cyd } = flapping(20);

  expect(bob.length).toBeLessThanOrEqual(7);
  expect(bob.length).toBeGreaterThanOrEqual(2); // the first drops cost little
  expect(Math.abs(cyd.length - bob.length)).toBeLessThanOrEqual(1); // the cable may go just when one end has let the link in
  expect(world.run(70 * SECOND_US, () => reaches(world, "ada", "dan") && reaches(world, "dan", "ada"))).toBe(true);
  for (const name of ["bob", "cyd"]) {
    const reasons = world.node(name).events.flatMap((event) => (event.kind === "linkDown" ? [event.reason] : []));
    expect(new Set(reasons)).toEqual(new Set(["dead", "bye"].filter((reason) => reasons.includes(reason as "dead"))));
  }
});

test("a link that was lost once is used at once when it is back", () => {
  const { world, bob } = flapping(1);
  expect(world.run(4 * SECOND_US, () => reaches(world, "ada", "dan"))).toBe(true);
  expect(bob).toHaveLength(1);
});

test("who was restarted is another neighbour, and is let in at once, however its link flapped before", () => {
  const { world } = flapping(8);
  world.restart("cyd", ["dan"]);

  expect(world.run(40 * SECOND_US, () => reaches(world, "ada", "dan"))).toBe(true);
  for (const name of ["bob", "cyd"]) {
    expect(world.node(name).events.filter((event) => event.kind === "linkDown" && event.reason === "stalled")).toEqual(
      [],
    );
  }
});
