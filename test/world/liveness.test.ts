import { describe, expect, test } from "vitest";
import type { Announcements } from "../../core/routing/announcements.js";
import { METRIC_INFINITY } from "../../core/routing/feasible.js";
import { gearOf } from "../../core/routing/gears.js";
import type { Liveness } from "../../core/routing/liveness.js";
import { NOTED } from "../../core/routing/lives.js";
import { Phantoms } from "../../sim/fault/byzantine/phantoms.js";
import type { StackInside } from "../../sim/fault/stack-inside.js";
import { insideOf, RoutingWorld, type WorldOptions } from "../support/routing-world.js";

/** Routes from which on origins prove themselves every 90 s, and every 450 s. */
const MIDDLE = 230;
const SLOW = 1_320;
/** Until all origins know how large the network is, and have proven themselves in the gear that suits it. */
const WARM_UP = "40s";

function newWorld(seed: string, options: WorldOptions = {}): RoutingWorld {
  return new RoutingWorld(seed, { ...options, joinsHellos: true });
}

function livenessOf(world: RoutingWorld, name: string): Liveness {
  return insideOf(world.routing(name)).decision.liveness;
}

/** Whom `name` loses it goes on telling of, as if a neighbour that nobody knows offered them. */
function keepsGhosts(world: RoutingWorld, ...names: string[]): void {
  for (const name of names) {
    const { table, decision } = insideOf(world.routing(name));
    const { selection, announcements } = decision;
    new Phantoms({ table, decision, selection, announcements } as unknown as StackInside).keepLost();
  }
}

/** What these nodes' liveness counted. */
function sum(world: RoutingWorld, names: readonly string[], what: string): number {
  return names.reduce((total, name) => total + world.routing(name).liveness[what]!, 0);
}

/** The seconds until none of these has a route to `name`; throws after `limit`. */
function secondsUntilForgotten(world: RoutingWorld, name: string, by: readonly string[], limit: number): number {
  const startUs = world.nowUs;
  while (world.knowing(name).some((holder) => by.includes(holder))) {
    world.run({ within: "250ms" });
    if (world.nowUs - startUs > limit * 1e6) {
      throw new Error(`${world.repeat()}: ${world.knowing(name).join(", ")} still have ${name} after ${limit} s`);
    }
  }
  return (world.nowUs - startUs) / 1e6;
}

const HONEST = ["ada", "bob", "cyd", "fay"];

/** dan beside bob and eve, they beside cyd, and behind cyd come fay and ada, who is the origin of `many` more. */
function village(seed: string, many: number, options: WorldOptions = {}): RoutingWorld {
  const world = newWorld(seed, options).add(...HONEST, "dan", "eve");
  world.wire("dan", "bob").wire("dan", "eve").wire("bob", "cyd").wire("eve", "cyd");
  world.wire("cyd", "fay").wire("fay", "ada").run({ untilSettled: true, within: "60s" });
  if (many > 0) world.originate("ada", many);
  return world.run({ within: many > MIDDLE ? "130s" : WARM_UP });
}

describe("who dies beside a liar that goes on telling of it", () => {
  test.each([
    [1, MIDDLE, "0s"],
    [1, MIDDLE, "2s"],
    [1, MIDDLE, "4s"],
    [2, SLOW, "1s"],
  ])("in gear %i is gone from honest tables within a minute, by suspicions and not by expiry", (gear, many, pause) => {
    const world = village(`ghost/${gear}`, many).run({ within: pause }); // wherever in a slot it dies
    expect(livenessOf(world, "ada").lives.gear(world.destination("dan"))).toBe(gear);
    keepsGhosts(world, "eve");
    world.crash("dan").run({ within: "15s" });
    expect(world.knowing("dan")).toEqual(expect.arrayContaining(["cyd", "fay", "ada"])); // the liar is believed at first

    expect(15 + secondsUntilForgotten(world, "dan", HONEST, 45), world.repeat()).toBeLessThan(45);

    expect(sum(world, HONEST, "suspected")).toBeGreaterThan(0);
    expect(sum(world, ["cyd"], "dropped")).toBe(1);
    expect(sum(world, HONEST, "expired")).toBe(0);
    world.run({ within: "60s" });
    expect(world.knowing("dan").filter((name) => HONEST.includes(name))).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });

  test.each([10, 12, 14, 16])("is gone all the same when the sixteen bits of slots end after %i of them", (left) => {
    const world = village(`wrap/${left}`, MIDDLE, { firstSlot: 3 * 65_536 - left });
    expect(livenessOf(world, "ada").lives.gear(world.destination("dan"))).toBe(1);
    keepsGhosts(world, "eve");
    world.crash("dan").run({ within: "15s" });
    expect(world.knowing("dan")).toEqual(expect.arrayContaining(["cyd", "fay", "ada"]));
    expect(15 + secondsUntilForgotten(world, "dan", HONEST, 45), world.repeat()).toBeLessThan(45);
    expect(livenessOf(world, "ada").lives.slot).toBeGreaterThan(3 * 65_536);
    expect(sum(world, HONEST, "expired")).toBe(0);
  });

  test("in the periodic gear is gone within a minute, by expiry and without any suspicion", () => {
    const world = village("ghost/0", 0);
    expect(livenessOf(world, "ada").lives.gear(world.destination("dan"))).toBe(0);
    keepsGhosts(world, "eve");
    world.crash("dan").run({ within: "15s" });
    expect(world.knowing("dan")).toEqual(expect.arrayContaining(["cyd", "fay", "ada"]));

    expect(15 + secondsUntilForgotten(world, "dan", HONEST, 45), world.repeat()).toBeLessThan(52);

    expect(sum(world, HONEST, "expired")).toBeGreaterThan(0);
    expect(sum(world, HONEST, "suspected") + sum(world, HONEST, "dropped")).toBe(0);
    world.run({ within: "60s" });
    expect(world.knowing("dan").filter((name) => HONEST.includes(name))).toEqual([]);
  });
});

test("who loses a ghost as its proof expires, and is offered it again a moment later, does not take it back", () => {
  const world = newWorld("ghost at the last moment", { detectMs: [50, 50] }).add("dan", "eve", "vic");
  world.wire("dan", "eve").wire("eve", "vic").run({ within: WARM_UP });
  keepsGhosts(world, "eve");
  world.crash("dan");
  const { lives } = livenessOf(world, "vic");
  const dan = world.destination("dan");
  while (lives.slot <= lives.proven(dan) + lives.lifetime(dan)) world.run({ within: "50ms" });
  expect(world.knowing("dan")).toEqual(["eve", "vic"]); // its slot has begun, and the work of it is a second away
  world.cut("eve", "vic").run({ within: "200ms" });
  expect(world.knowing("dan")).toEqual(["eve"]);
  world.run({ within: "1500ms" }).wire("eve", "vic");
  for (let seconds = 0; seconds < 60; seconds += 1) {
    expect(world.run({ within: "1s" }).knowing("dan"), world.repeat()).toEqual(["eve"]);
  }
});

test("what the dead have to prove is not forgotten over a stale offer, however long the liar keeps it", () => {
  const world = village("stale ghost", MIDDLE);
  const dan = world.destination("dan");
  keepsGhosts(world, "eve");
  world.crash("dan").run({ within: "15s" });
  expect(15 + secondsUntilForgotten(world, "dan", HONEST, 45), world.repeat()).toBeLessThan(45);

  // eve praises dan at a better metric than before, in a generation that is over, and no neighbour tells of anything newer.
  const { table } = insideOf(world.routing("cyd"));
  const liar = table.neighbours.find((neighbour) => neighbour.learnedMetric(dan) < METRIC_INFINITY)!;
  table.cells.makeStale(table.cells.at(dan, liar.slot));
  for (let i = 0; i < 90; i += 1) {
    world.run({ within: "1s" }); // a lost destination is remembered for 60 s, and looked at again then
    const holders = world.knowing("dan").filter((name) => HONEST.includes(name));
    expect(holders, world.repeat()).toEqual([]);
  }
});

describe("who lives and is suspected by a liar", () => {
  /** eve tells all neighbours that dan must prove the next slot. */
  const suspect = (world: RoutingWorld) =>
    world.command("eve", (eve) => {
      const { table, decision } = insideOf(eve);
      const { announcements, liveness } = decision as { announcements: Announcements; liveness: Liveness };
      for (const neighbour of table.neighbours) {
        announcements.tellSuspicion(world.nowUs, neighbour, world.destination("dan"), liveness.lives.slot + 1);
      }
    });

  test("answers, is never removed, and proves itself periodically from the second time on", () => {
    const world = village("suspected", MIDDLE);
    const dan = world.destination("dan");
    const everybody = [...HONEST, "eve"].sort();
    const seen = () => [world.knowing("dan").sort(), livenessOf(world, "ada").lives.gear(dan)];
    for (let time = 1; time <= 4; time += 1) {
      suspect(world);
      const suspected = livenessOf(world, "eve").lives.slot + 1;
      for (let second = 0; second < 30; second += 1) {
        world.run({ within: "1s" });
        if (time < 2) expect(seen(), world.repeat()).toEqual([everybody, 1]);
        else if (second > 10) expect(seen(), world.repeat()).toEqual([everybody, 0]);
        else expect(world.knowing("dan").sort(), world.repeat()).toEqual(everybody);
        if (time < 2 && second === 11) {
          for (const name of ["ada", "bob", "cyd"]) expect(livenessOf(world, name).marks.has(dan)).toBe(false);
          expect(livenessOf(world, "bob").lives.proven(dan)).toBeGreaterThanOrEqual(suspected);
        }
      }
    }
    expect(sum(world, HONEST, "suspicionsHeard")).toBeGreaterThan(0);
    expect(sum(world, HONEST, "suspicionsRefused")).toBeGreaterThan(0); // who proves itself periodically is above suspicion
    expect(sum(world, everybody, "dropped") + sum(world, everybody, "expired")).toBe(0);
  });
});

test("who asks for a proof of life makes nobody doubt what is known at first hand", () => {
  const world = village("asked", MIDDLE);
  const destination = world.destination("dan");
  const life = livenessOf(world, "eve").lives.slot + 1;
  world.corrupt("eve", "cyd", (_, cyd) => cyd.addRequest({ hops: 1, destination, epoch: 1_000, index: 0, life }));
  world.run({ within: "500ms" });
  expect(livenessOf(world, "cyd").lives.proven(destination)).toBeLessThan(life);
  expect(livenessOf(world, "cyd").isNoted(destination)).toBe(false);
});

describe("who was cut off and comes back after half a minute", () => {
  test.each([
    [0, 0],
    [1, MIDDLE],
  ])("in gear %i is used by everybody within two seconds, and so is everybody by it", (gear, many) => {
    const world = newWorld(`back/${gear}`).add("ada", "bob", "cyd", "dan").wire("ada", "bob").wire("bob", "cyd");
    world.wire("cyd", "dan").run({ untilSettled: true, within: "60s" });
    if (many > 0) world.originate("ada", many);
    world.run({ within: WARM_UP });
    expect(livenessOf(world, "ada").lives.gear(world.destination("dan"))).toBe(gear);
    world.cut("cyd", "dan").run({ within: "30s" });
    expect(world.knowing("dan")).toEqual([]);

    world.wire("cyd", "dan").run({ within: "2s" });

    expect(world.knowing("dan"), world.repeat()).toEqual(["ada", "bob", "cyd"]);
    for (const name of ["ada", "bob", "cyd"]) expect(world.path("dan", name).at(-1), world.repeat()).toBe(name);
    world.run({ within: "30s" });
    expect(world.wrongRoutes()).toEqual([]);
  });
});

test("who was cut off proves with its first word that it lives: nobody has to ask", () => {
  const link = { latencyMs: 100 };
  const world = newWorld("first word", { link }).add("ada", "bob", "cyd").wire("ada", "bob").wire("bob", "cyd");
  world.run({ untilSettled: true, within: "60s" }).originate("ada", MIDDLE);
  world.run({ within: WARM_UP });
  const cut = livenessOf(world, "bob").lives.slot;
  world.cut("bob", "cyd").run({ within: "30s" });
  expect(livenessOf(world, "cyd").lives.generation(world.destination("cyd"))).toBeLessThan(cut); // which would prove it as well
  expect(world.knowing("cyd")).toEqual([]);
  world.wire("bob", "cyd").run({ within: "570ms" }); // three latencies to the session, one each until both have it and for the word
  expect(world.knowing("cyd"), world.repeat()).toEqual(["bob"]);
});

describe("who has been dead for long and is told of by a liar alone", () => {
  /** joe comes up beside eve, and beside fay where `hasHonest`, `seconds` after dan died. */
  const joined = (seed: string, seconds: number, hasHonest: boolean) => {
    const world = village(seed, MIDDLE);
    keepsGhosts(world, "eve");
    world.crash("dan").run({ within: `${seconds}s` });
    expect(world.knowing("dan")).toEqual(["eve"]);
    world.run({ within: `${5_000 - (Math.floor(world.nowUs / 1_000) % 5_000)}ms` }); // a slot's work is a second away
    world.add("joe").wire("joe", "eve");
    if (hasHonest) world.wire("joe", "fay");
    return world;
  };

  test("is believed by a newcomer for two slots where a neighbour remembers, and by nobody who noted the dead", () => {
    const world = joined("joiner", 80, true).run({ within: "1s" });
    expect(world.knowing("dan").sort()).toEqual(["eve", "joe"]);
    let seconds = 1;
    for (; world.knowing("dan").includes("joe"); seconds += 0.25) {
      expect(seconds, world.repeat()).toBeLessThan(2 * 5 + 1.5);
      expect(
        world.knowing("dan").filter((name) => HONEST.includes(name)),
        world.repeat(),
      ).toEqual([]);
      world.run({ within: "250ms" });
    }
    world.run({ within: "60s" });
    expect(world.knowing("dan")).toEqual(["eve"]);
    expect(sum(world, ["joe"], "expired")).toBe(0);
  });

  test("is believed for no moment once its last proof has expired", () => {
    const world = joined("expired", 240, false);
    for (let i = 0; i < 40; i += 1) {
      expect(world.run({ within: "25ms" }).knowing("dan"), world.repeat()).toEqual(["eve"]);
    }
    expect(world.routing("joe").knows(world.destination("dan"))).toBe(true);
    expect(sum(world, ["joe"], "expired")).toBe(1);
    world.run({ within: "30s" });
    expect(world.knowing("dan")).toEqual(["eve"]);
  });
});

describe("with the strict profile", () => {
  test("who sees nobody but liars forgets the dead within 55 seconds, however large the network is", () => {
    const world = newWorld("eclipse", { isStrict: true }).add("ada", "dan", "eve", "eva", "vic");
    world.wire("ada", "eve").wire("ada", "eva").wire("ada", "dan").wire("vic", "eve").wire("vic", "eva");
    world.run({ untilSettled: true, within: "60s" }).originate("ada", MIDDLE);
    world.run({ within: WARM_UP });
    expect(world.routing("vic").count).toBeGreaterThan(MIDDLE);
    keepsGhosts(world, "eve", "eva");
    world.crash("dan").run({ within: "20s" });
    expect(world.knowing("dan")).toContain("vic");
    expect(20 + secondsUntilForgotten(world, "dan", ["vic"], 35), world.repeat()).toBeLessThan(55);
    expect(world.knowing("dan")).toEqual(["eve", "eva"]);
  });
});

test("with the strict profile a newcomer believes no proof for longer that tells of a slower gear", () => {
  const world = newWorld("back one slot", { isStrict: true }).add("ada", "dan", "eve");
  world.wire("ada", "dan").wire("dan", "eve").run({ within: "40s" });
  keepsGhosts(world, "eve");
  world.crash("dan").run({ within: "20s" });
  const { liveness } = insideOf(world.routing("eve")).decision;
  const { lives } = liveness;
  const { generationTold } = lives;
  lives.generationTold = (destination) => generationTold.call(lives, destination) - 1; // made from the newest element
  world.add("joe").wire("joe", "eve").run({ within: "2s" });
  expect(world.knowing("dan").sort()).toEqual(["eve", "joe"]);
  expect(livenessOf(world, "joe").lives.gear(world.destination("dan"))).toBe(2);
  expect(22 + secondsUntilForgotten(world, "dan", ["joe"], 35), world.repeat()).toBeLessThan(55);
});

test("a better offer of an older generation is not used until it is proven in the present one", () => {
  const world = newWorld("stale").add("ada", "bob", "dan", "eve");
  world.wire("ada", "bob").wire("bob", "dan", { cost: 2 }).wire("ada", "eve").wire("eve", "dan", { cost: 4 });
  world.run({ untilSettled: true, within: "60s" }).run({ within: "20s" });
  const dan = world.destination("dan");
  expect(world.path("ada", "dan")).toEqual(["ada", "bob", "dan"]);
  const { liveness, announcements } = insideOf(world.routing("eve")).decision;
  const { lifeWriter } = announcements as unknown as Pick<StackInside, "lifeWriter">;
  const { writeProof } = lifeWriter;
  const { lives } = liveness;
  const { generationTold } = lives;
  lives.generationTold = (destination) => generationTold.call(lives, destination) - 3;
  lifeWriter.writeProof = () => false;

  world.setCost("eve", "dan", 1).run({ within: "40s" });

  expect(world.metric("eve", "dan")).toBe(1);
  expect(world.path("ada", "dan"), world.repeat()).toEqual(["ada", "bob", "dan"]);
  expect(sum(world, ["ada"], "stale")).toBeGreaterThan(0);
  Object.assign(lives, { generationTold });
  Object.assign(lifeWriter, { writeProof });
  world.run({ within: "20s" });
  expect(gearOf(livenessOf(world, "ada").lives.generation(dan), world.nacs.bytesOf(dan)[15]!)).toBe(0);
  expect(world.path("ada", "dan"), world.repeat()).toEqual(["ada", "eve", "dan"]);
  expect(world.metric("ada", "dan")).toBe(2);
});

describe("whoever loses its own link", () => {
  /** dan beside bob and, at the end of a dearer cable, eve; both beside cyd, who is beside ada; so many origins that suspicions count. */
  const crossing = (seed: string) => {
    const world = newWorld(seed, { detectMs: [50, 50] }).add("ada", "bob", "cyd", "dan", "eve");
    world.wire("dan", "bob").wire("bob", "cyd").wire("cyd", "ada").wire("dan", "eve").wire("eve", "cyd", { cost: 4 });
    world.run({ untilSettled: true, within: "60s" });
    world.originate("ada", MIDDLE);
    return world.run({ within: "130s" });
  };

  test("doubts its neighbour alone, and takes all other routes that it hears of without asking who lives", () => {
    const world = crossing("own link");
    const { table, decision } = insideOf(world.routing("dan"));
    const known = world.routing("dan").count;
    world.cut("dan", "bob").run({ within: "200ms" });
    expect(world.routing("dan").count).toBeLessThan(known - MIDDLE);
    const doubted = [...table.order.subarray(0, table.listed)].filter((one) => decision.liveness.lives.has(one, NOTED));
    expect(doubted).toEqual([world.destination("bob")]);

    world.run({ within: "10s" });

    expect(world.routing("dan").count).toBe(known);
    expect(world.path("dan", "ada")).toEqual(["dan", "eve", "cyd", "ada"]);
    world.run({ within: "20s" });
    expect(sum(world, ["ada", "bob", "cyd", "dan", "eve"], "suspected")).toBe(0);
  });

  test("and asks for a way in vain doubts, so that a ghost goes of which no neighbour of the dead told", () => {
    // gil heard of dan from eve, who keeps what she lost; ada had the shorter way over bob, and cannot use what gil offers.
    const world = newWorld("in vain", { detectMs: [50, 50] }).add("ada", "bob", "dan", "eve", "gil");
    world
      .wire("dan", "bob")
      .wire("bob", "ada")
      .wire("ada", "gil", { cost: 3 })
      .wire("gil", "eve")
      .wire("eve", "dan", { cost: 2 });
    world.run({ untilSettled: true, within: "60s" });
    world.originate("ada", MIDDLE);
    world.run({ within: "130s" });
    keepsGhosts(world, "eve");
    world.cut("bob", "ada").crash("dan").run({ within: "1s" });
    expect(world.knowing("dan")).toContain("gil");
    expect(livenessOf(world, "ada").lives.has(world.destination("dan"), NOTED)).toBe(false);

    expect(secondsUntilForgotten(world, "dan", ["ada", "gil"], 60), world.repeat()).toBeLessThan(55);

    expect(sum(world, ["ada", "gil"], "expired")).toBe(0);
  });
});

test("whoever loses its way to hundreds asks about them as fast as neighbours answer, and suspects nobody", () => {
  const world = newWorld("asks at a pace").add("ada", "bob", "cyd", "dan", "eve", "fay");
  world
    .wire("dan", "bob")
    .wire("bob", "cyd")
    .wire("cyd", "ada")
    .wire("cyd", "fay")
    .wire("dan", "eve")
    .wire("eve", "cyd", { cost: 4 });
  world.run({ untilSettled: true, within: "60s" });
  for (const origin of ["ada", "fay"]) world.originate(origin, MIDDLE); // each knows as many as the other has
  world.run({ within: "130s" });
  const known = world.routing("dan").count;
  expect(livenessOf(world, "dan").lives.gear(world.destination("ada"))).toBe(1);

  world.cut("dan", "bob");
  while (world.routing("dan").count === known) world.run({ within: "50ms" });
  expect(world.routing("dan").count).toBeLessThan(known - 2 * MIDDLE);
  world.run({ within: "40s" });

  expect(world.routing("dan").count).toBe(known);
  expect(sum(world, ["ada", "bob", "cyd", "dan", "eve", "fay"], "suspected")).toBe(0);
});
