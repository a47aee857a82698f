import { describe, expect, test } from "vitest";
import { METRIC_INFINITY, METRIC_NONE } from "../../core/routing/feasible.js";
import type { Neighbour } from "../../core/routing/neighbour.js";
import type { Routing } from "../../core/routing/routing.js";
import { SECOND_US } from "../../core/time/instant.js";
import { ENTRY_RETRACTION, emptyRouteEntry, type RouteEntry } from "../../core/wire/routes.js";
import { grid, insideOf, RoutingWorld, randomGraph } from "../support/routing-world.js";
import { StackWorld } from "../support/stack-world.js";

/** Three hellos, and what a search takes over links of some tens of milliseconds. */
const LIMIT_SECONDS = 3 * 2 + 0.5;

interface Lesson {
  readonly name: string;
  readonly from: string;
  readonly destination: number;
  /** As it was said. */
  readonly entry: RouteEntry;
}

/** What some node learned, and uses for no route: its damage tells nobody else anything, so that all bytes are the search's. */
function quietLesson(world: RoutingWorld, destinations: readonly number[]): Lesson {
  for (const name of world.names()) {
    const { table } = insideOf(world.routing(name));
    const { records, cells } = table;
    for (const { link, slot, cost } of table.neighbours) {
      for (const destination of destinations) {
        const cell = cells.at(destination, slot);
        const metric = cells.metric(cell);
        if (records.next(destination) === link || metric + cost <= records.metric(destination) + 1) continue;
        if (metric >= METRIC_INFINITY - 10) continue;
        const index = records.index(destination) - cells.age(cell);
        const place = { epoch: records.epoch(destination), slot: Math.floor(index / 256), repair: index % 256 };
        return { name, from: world.peer(name, link), destination, entry: { ...emptyRouteEntry(), ...place, metric } };
      }
    }
  }
  throw new Error(`${world.repeat()}: every lesson is in use`);
}

function neighbourOf(world: RoutingWorld, name: string, from: string): Neighbour {
  return insideOf(world.routing(name)).table.neighbours.find(({ link }) => world.peer(name, link) === from)!;
}

/** NACs of which `name` holds something else than `from` announced. */
function differences(world: RoutingWorld, { name, from }: Lesson): number {
  const learned = neighbourOf(world, name, from);
  const told = neighbourOf(world, from, name);
  const learnedTable = insideOf(world.routing(name)).table;
  const toldTable = insideOf(world.routing(from)).table;
  let count = 0;
  for (let number = 0; number < world.nacs.size; number += 1) {
    const holds = learnedTable.knows(number) ? learned.learnedMetric(number) : METRIC_NONE;
    const says = toldTable.knows(number) ? told.toldMetric(number) : METRIC_NONE;
    if (holds !== says) count += 1;
  }
  return count;
}

/** The seconds until both ends hold the same. */
function repairSeconds(world: RoutingWorld, lesson: Lesson, limitSeconds: number): number {
  const startUs = world.nowUs;
  while (differences(world, lesson) > 0) {
    world.run({ within: "50ms" });
    if (world.nowUs - startUs > limitSeconds * 1e6) throw new Error(`${world.repeat()}: not repaired`);
  }
  return (world.nowUs - startUs) / 1e6;
}

/** Found by no digest, but once hellos have paid, two entries each, for a table of sixteen to be counted anew. */
const BY_ITSELF = "a metric that changed by itself";
const RECOUNT_SECONDS = (16 / 2) * 2;

type Damage = (world: RoutingWorld, lesson: Lesson) => void;

/** As if a message had been processed wrongly. */
const teach = (world: RoutingWorld, { name, from, destination }: Lesson, entry: RouteEntry) =>
  world.corrupt(name, from, ({ decision }, neighbour) => {
    decision.learn(world.nowUs, neighbour, destination, entry);
  });

const damages: Record<string, Damage> = {
  "a metric that is too high": (world, lesson) => {
    teach(world, lesson, { ...lesson.entry, metric: lesson.entry.metric + 7 });
  },
  [BY_ITSELF]: (world, { name, from, destination }) => {
    world.corrupt(name, from, ({ table: { cells } }, { slot }) => {
      const cell = cells.at(destination, slot);
      cells.setMetric(cell, cells.metric(cell) + 3);
    });
  },
  "an entry that is missing": (world, lesson) => {
    teach(world, lesson, { ...lesson.entry, flags: ENTRY_RETRACTION });
  },
  "a ghost that nobody announced": (world, lesson) => {
    const destination = world.nacs.intern(new Uint8Array(16).fill(0x77));
    teach(world, { ...lesson, destination }, { ...emptyRouteEntry(), epoch: 9, metric: 63 });
  },
};

describe("a lesson that was noted wrongly is repaired within three hellos and a search of less than a kilobyte", () => {
  test.each(Object.entries(damages))("%s is found and mended", (what, damage) => {
    for (const seed of ["oak", "elm", "fir"]) {
      const world = randomGraph(`${seed}/${what}`, 16, 16).run({ untilSettled: true, within: "120s" });
      world.stopNetworkTime().run({ within: "5s" }); // nothing is said but what repairs
      const lesson = quietLesson(
        world,
        world.names().map((name) => world.destination(name)),
      );
      damage(world, lesson);
      expect(differences(world, lesson), world.repeat()).toBe(1);
      const before = world.controlBytes;
      repairSeconds(world, lesson, LIMIT_SECONDS + (what === BY_ITSELF ? RECOUNT_SECONDS : 0));
      world.run({ within: "30s" });
      expect(world.controlBytes - before, world.repeat()).toBeLessThan(1_024);
      expect(world.tables().searches, world.repeat()).toBe(1);
      expect(world.wrongRoutes(), world.repeat()).toEqual([]);
    }
  });

  test("in a table of thousands", () => {
    const world = grid(2, 2).run({ untilSettled: true, within: "60s" });
    const many = world.originate("0,0", 3_000);
    world.run({ untilSettled: true, within: "120s" }).stopNetworkTime().run({ within: "150s" });
    const lesson = quietLesson(world, many);
    damages["an entry that is missing"]!(world, lesson);
    const before = world.controlBytes;
    repairSeconds(world, lesson, LIMIT_SECONDS);
    world.run({ within: "10s" });
    expect(world.controlBytes - before).toBeLessThan(1_280); // one question more than in a small one
    expect(world.tables().repeats).toBeLessThanOrEqual(8);
  });
});

test("several wrong lessons over links that lose a fifth of all records are repaired all the same", () => {
  for (const seed of ["ash", "yew", "box"]) {
    const link = { loss: 0.2, reorder: 0.2, duplicate: 0.1 };
    const world = randomGraph(`wet/${seed}`, 16, 16, { link }).run({ untilSettled: true, within: "120s" });
    const destinations = world.names().map((name) => world.destination(name));
    const lesson = quietLesson(world, destinations);
    for (const damage of Object.values(damages)) damage(world, lesson);
    expect(differences(world, lesson), world.repeat()).toBeGreaterThan(1);
    repairSeconds(world, lesson, 120);
    world.run({ untilSettled: true, within: "120s" });
    expect(world.wrongRoutes(), world.repeat()).toEqual([]);
  }
});

test("what a node hears of itself is compared too, and starts no search, nor when it withdraws and returns", () => {
  const world = new RoutingWorld("mirror").add("ada", "bob", "cyd");
  world
    .wire("ada", "bob", { cost: 4 })
    .wire("ada", "cyd")
    .wire("cyd", "bob")
    .run({ untilSettled: true, within: "60s" });
  const ada = world.destination("ada");
  expect(neighbourOf(world, "ada", "bob").learnedMetric(ada)).toBe(METRIC_NONE); // bob goes by cyd: no help to ada
  world.restart("ada", 900).run({ untilSettled: true, within: "60s" }); // in an older epoch: the others still tell of the newer
  expect(world.knowing("ada")).toEqual(["bob", "cyd"]);
  world.command("ada", (routing) => routing.withdraw(world.nowUs, ada));
  world.run({ within: "20s" }); // the world throws at the first search that nothing caused
  expect(world.knowing("ada")).toEqual([]);
  world.command("ada", (routing) => routing.originate(world.nowUs, ada, 1_002));
  world.run({ within: "20s" });
  expect(world.knowing("ada")).toEqual(["bob", "cyd"]);
  expect(world.tables()).toEqual({ searches: 0, miscounts: 0, repeats: 0, refused: 0 });
});

test("whole nodes find and mend it too, by the digests in their hellos", () => {
  const world = new StackWorld({ seed: "whole" }).line("ada", "bob", "cyd");
  const ada = world.node("ada");
  expect(world.run(5 * SECOND_US, () => ada.stack.status().routes === 2)).toBe(true);
  world.run(3 * SECOND_US);
  world.hasLiar = true; // searches are no mistake from here on
  const routing = ada.inside.plane.routing as unknown as Routing;
  const { neighbours } = insideOf(routing).table;
  const cyd = ada.inside.ports.dictionary.find(world.node("cyd").nac);
  const { decision } = insideOf(routing);
  decision.learn(world.nowUs, neighbours[0]!, cyd, { ...emptyRouteEntry(), flags: ENTRY_RETRACTION });
  expect(routing.nextHop(cyd)).toBe(-1);

  expect(world.run(LIMIT_SECONDS * SECOND_US, () => routing.nextHop(cyd) >= 0)).toBe(true);

  world.run(30 * SECOND_US);
  expect(routing.tables).toEqual({ searches: 1, miscounts: 0, repeats: 0, refused: 0 });
  const { tables } = world.node("bob").inside.plane.routing;
  expect([tables.searches, tables.repeats]).toEqual([0, 2]); // bob and cyd: so few are one bucket
});
