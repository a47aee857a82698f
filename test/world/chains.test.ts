import { describe, expect, test } from "vitest";
import { HashChains } from "../../core/chain/hash-chains.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { Elements } from "../../core/routing/elements.js";
import { NETWORK } from "../support/chain-nodes.js";
import { insideOf, RoutingWorld, type WorldOptions } from "../support/routing-world.js";

/** Network time counts in slots of 5 s since 1970: this is in 2023. */
const FIRST_SLOT = 340_000_000;
const SLOTS = 256;

/** A world of real hash chains. Nodes of one `keys` have the same secret, whatever they are called. */
function chained(
  seed: string,
  names: string,
  {
    epochSlots = SLOTS,
    firstSlots = epochSlots,
    keys = (name: string) => name,
    ...options
  }: {
    epochSlots?: number;
    firstSlots?: number;
    keys?: (name: string) => string;
  } & WorldOptions = {},
): RoutingWorld {
  const elementsOf: WorldOptions["elementsOf"] = (name, dictionary) => {
    const secretOf = (destination: number) => nobleSuite.hash(dictionary.bytesOf(destination), Buffer.from(keys(name)));
    return new HashChains({ suite: nobleSuite, dictionary, networkId: NETWORK, secretOf, epochSlots, firstSlots });
  };
  const world = new RoutingWorld(`chains/${seed}`, { firstSlot: FIRST_SLOT, elementsOf, ...options });
  return world.add(...names.split(" "));
}

function chainsOf(world: RoutingWorld, name: string): HashChains {
  return (world.routing(name) as unknown as { elements: Elements }).elements as HashChains;
}

function ring(world: RoutingWorld): RoutingWorld {
  const names = world.names();
  for (const [i, name] of names.entries()) world.wire(name, names[(i + 1) % names.length]!);
  return world.run({ untilSettled: true, within: "60s" });
}

/** That nobody took anybody for a liar. */
function expectNoBlame(world: RoutingWorld): void {
  for (const name of world.names()) {
    if (!world.isAlive(name)) continue;
    expect(world.routing(name).liveness.forged, name).toBe(0);
    expect(world.routing(name).storms.elementBreaches, name).toBe(0);
  }
}

describe("with real chains", () => {
  test("a ring finds its ways, proves every generation, and blames nobody", () => {
    const world = ring(chained("ring", "ada bob cyd dan eve"));
    expect(world.wrongRoutes()).toEqual([]);
    world.run({ within: "120s" });
    expect(world.wrongRoutes()).toEqual([]);
    expectNoBlame(world);
    for (const name of world.names()) {
      const { verdicts, isReady, held } = chainsOf(world, name).report(world.destination(name))!;
      expect([verdicts.unproven, verdicts.disputed, verdicts.busy, isReady, held]).toEqual([0, 0, 0, true, 4]);
      expect(verdicts.sound).toBeGreaterThan(20);
    }
  });

  test("an origin that restarts is believed at once by all who knew it, and by whoever did not", () => {
    const world = ring(chained("restart", "ada bob cyd dan eve")).run({ within: "40s" }); // first impressions are over
    world.crash("ada").run({ within: "8s" });
    world.add("fay").wire("fay", "cyd").run({ within: "1s" });
    world.restart("ada").run({ within: "500ms" });
    for (const name of ["bob", "cyd", "dan", "eve", "fay"]) {
      expect(world.routing(name).route(world.destination("ada"))?.epoch, name).toBe(1_001);
    }
    world.run({ untilSettled: true, within: "30s" });
    expect(world.wrongRoutes()).toEqual([]);
    expectNoBlame(world);
    for (const name of ["bob", "cyd", "dan", "eve"]) expect(world.routing(name).liveness.epochsProven, name).toBe(1);
    expect(world.routing("fay").liveness.epochsProven).toBe(0); // it needs no proof, having heard of no other
  });

  test("where a fifth of all records is lost, proofs and routes of a new epoch come all the same", () => {
    for (const seed of ["one", "two", "three"]) {
      const world = chained(`loss-${seed}`, "ada bob cyd dan eve", { link: { loss: 0.2, reorder: 0.2 } });
      ring(world).run({ within: "40s" });
      world.restart("ada").run({ within: "15s" });
      for (const name of ["bob", "cyd", "dan", "eve"]) {
        expect(world.routing(name).route(world.destination("ada"))?.epoch, `${seed}: ${name}`).toBe(1_001);
      }
      world.run({ untilSettled: true, within: "60s" });
      expect(world.wrongRoutes()).toEqual([]);
      expectNoBlame(world);
    }
  });

  test("a relay that first heard of an origin in its new epoch fetches the proof for whoever knew the old one", () => {
    const world = chained("relay", "ada bob cyd");
    world.wire("ada", "bob").wire("bob", "cyd").run({ untilSettled: true, within: "60s" }).run({ within: "40s" });
    world.crash("ada").crash("bob").run({ within: "7s" });
    world.restart("ada").add("fay").wire("ada", "fay").run({ within: "2s" });
    expect(world.path("fay", "ada")).toEqual(["fay", "ada"]);
    world.wire("fay", "cyd").run({ within: "500ms" });
    expect(world.path("cyd", "ada")).toEqual(["cyd", "fay", "ada"]);
    expect(world.routing("cyd").route(world.destination("ada"))?.epoch).toBe(1_001);
    world.run({ untilSettled: true, within: "30s" });
    expectNoBlame(world);
  });

  test("who missed some epochs is led over them by a relay that saw them all, and by one that did not", () => {
    const world = chained("missed", "ada bob cyd dan").wire("ada", "bob").wire("bob", "cyd");
    world.wire("ada", "dan").run({ untilSettled: true, within: "60s" }).run({ within: "40s" });
    world.cut("bob", "cyd").run({ within: "10s" });
    for (let i = 0; i < 3; i += 1) world.restart("ada").run({ within: "5s" });
    world.add("fay").wire("bob", "fay").run({ within: "5s" }); // it knows of the last epoch only
    world.wire("fay", "cyd").run({ within: "500ms" });
    expect(world.path("cyd", "ada")).toEqual(["cyd", "fay", "bob", "ada"]);
    expect(world.routing("cyd").route(world.destination("ada"))?.epoch).toBe(1_003);
    world.run({ untilSettled: true, within: "30s" });
    expectNoBlame(world);
  });

  test("an origin whose chains end goes on in the next epoch, and nobody loses the way for a moment", () => {
    const world = ring(chained("midnight", "ada bob cyd dan", { epochSlots: 128 }));
    for (let second = 0; second < 1_500; second += 1) {
      world.run({ within: "1s" });
      for (const from of world.names()) {
        for (const to of world.names()) expect(world.path(from, to).at(-1), `${from} to ${to}, ${second} s`).toBe(to);
      }
    }
    expect(world.loopsSeen()).toBe(0);
    expectNoBlame(world);
    for (const name of world.names()) {
      const epochs = world.names().map((one) => world.routing(name).route(world.destination(one))!.epoch);
      expect(Math.min(...epochs), name).toBeGreaterThanOrEqual(1_003);
    }
  });

  test("an origin that lost its state is believed at once, whichever epoch others know", () => {
    const world = ring(chained("lost-state", "ada bob cyd dan eve")).run({ within: "40s" });
    world.restart("ada", 50_000, true).run({ within: "500ms" });
    for (const name of ["bob", "cyd", "dan", "eve"]) {
      expect(world.routing(name).route(world.destination("ada"))?.epoch, name).toBe(50_000);
    }
    expect(world.routing("dan").liveness.epochsProven).toBe(1);
    world.run({ untilSettled: true, within: "30s" });
    expectNoBlame(world);
  });

  test("an origin that skips an epoch, though it kept count, is believed as soon as it is forgotten", () => {
    const world = ring(chained("skipped", "ada bob cyd dan")).run({ within: "40s" });
    world.restart("ada", 50_000).run({ within: "20s" });
    for (const name of ["bob", "cyd", "dan"]) expect(world.path(name, "ada"), name).toEqual([name]);
    expectNoBlame(world); // nor is it taken for a liar
    world.run({ within: "150s" });
    for (const name of ["bob", "cyd", "dan"]) {
      expect(world.routing(name).route(world.destination("ada"))?.epoch, name).toBe(50_000);
    }
  });

  test("of two nodes with the same keys the one in the older epoch goes on in the next, and all follow", () => {
    const world = chained("clone", "ada bob cyd eve", { keys: () => "the same" });
    world.wire("ada", "bob").wire("bob", "cyd").wire("cyd", "eve").run({ untilSettled: true, within: "60s" });
    world.run({ within: "40s" });
    const ada = world.destination("ada");
    world.command("eve", (eve) => eve.originate(world.nowUs, ada, 1_001));
    world.run({ within: "2s" });
    // Ada heard of it, knew the keys for her own, and went beyond; then it was eve's turn. Neither may again before 30 s.
    expect(world.routing("ada").route(ada)?.epoch).toBe(1_002);
    expect(world.routing("cyd").route(ada)?.epoch).toBe(1_003);
    expect(world.path("bob", "ada")).toEqual(["bob", "cyd", "eve"]);
    world.run({ within: "100s" });
    for (const name of ["bob", "cyd"]) {
      const epoch = world.routing(name).route(ada)?.epoch;
      expect(epoch).toBeGreaterThanOrEqual(1_003); // they outbid each other, at most twice a minute
      expect(epoch).toBeLessThanOrEqual(1_010);
    }
    expectNoBlame(world);
  });
});

describe("a liar among real chains", () => {
  /** ada > bob > cyd > dan > eve > ada: eve, who is next to ada, wants to be her. */
  function ringOf(seed: string): RoutingWorld {
    const world = ring(chained(seed, "ada bob cyd dan eve")).run({ within: "40s" });
    world.isCorrupted = true; // what is not believed is missing from a table
    return world;
  }

  /** What all but eve hold of ada after eve lied for a while. */
  function expectUnmoved(world: RoutingWorld, epoch = 1_000): void {
    const ada = world.destination("ada");
    for (const name of ["bob", "cyd", "dan"]) {
      expect(world.path(name, "ada").at(-1), name).toBe("ada");
      expect(world.routing(name).route(ada)?.epoch, name).toBe(epoch);
    }
    expect(world.path("cyd", "ada")).toEqual(["cyd", "bob", "ada"]);
    expect(world.routing("ada").route(ada)?.epoch).toBe(epoch);
  }

  test.each([
    ["the next epoch", 1_001],
    ["an epoch far ahead", 900_000],
    ["the highest epoch of all", 0xffff_ffff],
  ])("who claims %s for another is not believed, and does not drive the origin on", (_name, epoch) => {
    const world = ringOf(`epoch-${epoch}`);
    const ada = world.destination("ada");
    world.command("eve", (eve) => {
      eve.originate(world.nowUs, ada, epoch);
      insideOf(eve).decision.originate(ada, epoch, FIRST_SLOT + 1_000, FIRST_SLOT);
      insideOf(eve).decision.announceOwn(world.nowUs, ada);
    });
    for (let i = 0; i < 60; i += 1) {
      world.run({ within: "1s" });
      if (i > 0) expectUnmoved(world);
    }
    const { unchecked, epochsAsked } = world.routing("dan").liveness;
    expect(unchecked).toBeGreaterThan(0); // it was heard
    expect(epochsAsked).toBeLessThanOrEqual(12); // and not believed any more for being told again
    expect(chainsOf(world, "ada").counters.sound).toBeGreaterThan(0);
  });

  test("who claims the present epoch with elements of its own is found out, and blamed by whom it told the truth before", () => {
    const world = ringOf("present");
    const ada = world.destination("ada");
    world.command("eve", (eve) => {
      eve.originate(world.nowUs, ada, 1_000);
      insideOf(eve).decision.originate(ada, 1_000, FIRST_SLOT + 1_000, FIRST_SLOT);
      insideOf(eve).decision.announceOwn(world.nowUs, ada);
    });
    world.run({ within: "10s" });
    expectUnmoved(world);
    expect(world.routing("dan").liveness.forged).toBeGreaterThan(0);
    expect(world.routing("dan").storms.elementBreaches).toBeGreaterThan(0);
  });

  test("who lowers the metric that it heard is found out", () => {
    const world = ringOf("metric");
    const inside = insideOf(world.routing("dan"));
    const liar = inside.decision.announcements as unknown as { offered(destination: number): number };
    const chains = chainsOf(world, "dan");
    const { writeMetric } = HashChains.prototype;
    liar.offered = () => 0; // it heard 1 of eve, and makes 2 of that
    chains.writeMetric = (destination, epoch, generation, metric, into, at) =>
      writeMetric.call(chains, destination, epoch, generation, metric, into, at) ||
      writeMetric.call(chains, destination, epoch, generation, metric + 1, into, at); // the best that it has
    world.command("dan", () => inside.decision.announceOwn(world.nowUs, world.destination("ada")));
    world.run({ within: "2s" });
    expect(world.routing("cyd").liveness.forged).toBeGreaterThan(0);
    world.run({ within: "60s" });
    expect(world.path("cyd", "ada")).toEqual(["cyd", "bob", "ada"]);
    expect(world.routing("cyd").storms.elementBreaches).toBeGreaterThan(0);
  });

  test("who shows yesterday's elements, all of them sound, brings back nobody", () => {
    const world = ringOf("yesterday");
    const ada = world.destination("ada");
    const chains = chainsOf(world, "eve");
    const kept = new Uint8Array(24);
    const generation = insideOf(world.routing("eve")).decision.liveness.lives.generation(ada);
    expect(chains.writeMetric(ada, 1_000, generation, 1, kept, 0) && chains.writeTag(ada, 1_000, kept, 16)).toBe(true);
    world.restart("ada").run({ within: "60s" });
    expectUnmoved(world, 1_001);
    // Eve goes back to the old epoch, with the best that it ever heard of it.
    world.command("eve", (eve) => {
      const { decision, table } = insideOf(eve);
      table.forgetIndex(ada);
      table.hear(ada, 1_000, (FIRST_SLOT + 2) * 256);
      decision.liveness.lives.setGeneration(ada, generation);
      chains.writeMetric = (_destination, _epoch, _generation, _metric, into, at) => {
        into.set(kept.subarray(0, 16), at);
        return true;
      };
      chains.writeTag = (_destination, _epoch, into, at) => {
        into.set(kept.subarray(16), at);
        return true;
      };
      decision.announceOwn(world.nowUs, ada);
    });
    world.run({ within: "1s" });
    expect(world.path("dan", "ada")).toEqual(["dan"]); // whoever went by eve needs another way, and asks for a newer index
    world.run({ within: "4s" });
    for (let i = 0; i < 30; i += 1) {
      world.run({ within: "1s" });
      expectUnmoved(world, 1_001);
    }
  });

  test("who sends proofs that nobody asked for, or asks for more than it may, costs no hashes and nothing else", () => {
    const world = ringOf("unasked");
    const ada = world.destination("ada");
    const before = chainsOf(world, "dan").report(world.destination("dan"))!.checkHashes;
    const inside = insideOf(world.routing("eve"));
    const { neighbours } = inside.table;
    const towardsDan = neighbours.find(({ link }) => world.peer("eve", link) === "dan")!;
    for (let i = 0; i < 80; i += 1) {
      world.command("eve", () => {
        towardsDan.obtainOutbox().prove(ada, [{ epoch: 1_000, previous: 999, proof: new Uint8Array(344) }]);
        inside.decision.tellLife(world.nowUs, towardsDan, ada); // it leaves with the next batch
        for (let known = 0; known < 60; known += 1) {
          towardsDan.epochRequests.push({ want: 1, destination: world.destination("dan"), epoch: 1_000, known });
        }
        inside.table.makeReady(towardsDan);
      });
      world.run({ within: "100ms" });
    }
    const dan = world.routing("dan");
    expect(dan.liveness.epochsRefused).toBeGreaterThan(20);
    expect(dan.liveness).toMatchObject({ epochsProven: 0, forged: 0 });
    expect(dan.refusals.requests).toBeGreaterThan(1_000);
    const { checkHashes } = chainsOf(world, "dan").report(world.destination("dan"))!;
    expect(checkHashes - before).toBeLessThan(20_000);
    expectUnmoved(world);
  });
});
