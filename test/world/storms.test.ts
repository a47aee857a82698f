import { expect, test } from "vitest";
import { SECOND_US } from "../../core/time/instant.js";
import { randomFrom } from "../support/random.js";
import { line, type RoutingWorld } from "../support/routing-world.js";

const SECONDS = 20;

/** cyd announces a NAC and takes it back, so often a second and now and then twice in a row; it is there at the end. */
function flap(world: RoutingWorld, destination: number, hertz: number): void {
  const random = randomFrom(`flap/${hertz}`);
  const stepMs = Math.max(1, 1000 / hertz);
  const flaps = Math.max(1, hertz / 1000);
  const say = (isThere: boolean) =>
    world.command("cyd", (routing) => {
      if (isThere) routing.originate(world.nowUs, destination, 1_000);
      else routing.withdraw(world.nowUs, destination);
    });
  for (let ms = 0; ms < SECONDS * 1000; ms += stepMs) {
    for (let i = 0; i < flaps; i += 1) {
      say(false);
      if (flaps === 1) world.run({ within: `${random.below(stepMs)}ms` });
      if (random.chance(0.7)) say(true);
    }
    world.run({ within: `${stepMs}ms` });
  }
  say(true);
}

test.each([1, 10, 10_000])(
  "a NAC that comes and goes at %i Hz costs its neighbour's neighbour hardly an entry, and is there when it rests",
  (hertz) => {
    const world = line("ada", "bob", "cyd");
    const [destination] = world.originate("cyd", 1);
    world.run({ untilSettled: true, within: "30s" });
    flap(world, destination!, hertz);
    const before = world.routing("bob").entries.all;
    const sinceUs = world.nowUs;
    flap(world, destination!, hertz);

    expect(world.routing("bob").entries.all - before).toBeLessThanOrEqual(
      (6 * (world.nowUs - sinceUs)) / (10 * SECOND_US),
    );
    world.run({ within: "40s" });
    expect(world.routing("ada").nextHop(destination!)).toBeGreaterThanOrEqual(0);
    expect(world.wrongRoutes()).toEqual([]);
  },
);
