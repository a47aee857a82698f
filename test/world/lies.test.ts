import { describe, expect, test } from "vitest";
import { OUTBID_EPOCH_MAX } from "../../core/routing/origins.js";
import { insideOf, line, RoutingWorld } from "../support/routing-world.js";

const EPOCH_MAX = 0xffff_ffff;

/** ada > bob > cyd, and eve beside bob, who says that she is cyd. */
function deceived(epoch: number, slot: number) {
  const world = new RoutingWorld(`lie/${epoch}/${slot}`).add("ada", "bob", "cyd", "eve");
  world.wire("ada", "bob").wire("bob", "cyd").wire("bob", "eve").run({ untilSettled: true, within: "60s" });
  world.command("eve", (eve) => {
    const destination = world.destination("cyd");
    eve.originate(world.nowUs, destination, epoch);
    const present = Math.floor(world.nowUs / 5_000_000);
    const { decision } = insideOf(eve);
    decision.originate(destination, epoch, slot, present);
    decision.announceOwn(world.nowUs, destination);
  });
  return world.run({ within: "1s" });
}

describe("a lie about somebody's epoch", () => {
  test("that is the highest there is dies within 160 seconds of its liar, and nothing ever went round", () => {
    const world = deceived(EPOCH_MAX, 0);
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "eve"]);
    world.crash("eve").want("ada", "cyd").run({ within: "50s" });
    expect(world.path("ada", "cyd")).toEqual(["ada"]); // nobody can outbid it
    world.run({ within: "110s" }).want("ada", "cyd").run({ untilSettled: true, within: "60s" });
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
    expect(world.wrongRoutes()).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });

  test("that can be outbid is outbid, at the latest when the liar is gone", () => {
    const world = deceived(2_000_000_000, 0).crash("eve").run({ within: "100s" });
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
    expect(world.routing("ada").route(world.destination("cyd"))?.epoch).toBeGreaterThan(2_000_000_000);
    world.run({ untilSettled: true, within: "60s" });
    expect(world.loopsSeen()).toBe(0);
  });
});

test("a lie about somebody's slot within the epoch is undone by a newer epoch, once the liar is gone", () => {
  const world = deceived(1_000, 0xffff_fff0);
  expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "eve"]);
  world.crash("eve").run({ within: "15s" });
  expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
  expect(world.routing("ada").route(world.destination("cyd"))?.epoch).toBe(1_001);
  world.run({ untilSettled: true, within: "60s" });
  expect(world.wrongRoutes()).toEqual([]);
  expect(world.loopsSeen()).toBe(0);
});

/** `who` asks its neighbour for a route of `owner` that nobody ever gave out. */
function ask(
  world: RoutingWorld,
  who: string,
  neighbour: string,
  owner: string,
  epoch: number,
  index: number,
  hops = 32,
) {
  const destination = world.destination(owner);
  world.corrupt(who, neighbour, (_, asked) => asked.addRequest({ hops, destination, epoch, index, life: 0 }));
}

const epochOf = (world: RoutingWorld, name: string) => world.routing(name).epochOf(world.destination(name));

describe("a lie that would use up somebody's epochs", () => {
  test("in a request of a stranger some hops away changes nothing", () => {
    const world = line("ada", "bob", "cyd", "dan").run({ untilSettled: true, within: "30s" });
    for (const epoch of [1_001, 5_000, EPOCH_MAX - 1, EPOCH_MAX]) {
      ask(world, "ada", "bob", "dan", epoch, 0);
      world.run({ within: "40s" });
    }
    expect(epochOf(world, "dan")).toBe(1_000);
    expect(world.path("ada", "dan")).toEqual(["ada", "bob", "cyd", "dan"]);
  });

  test("in a request of its neighbour is not believed either", () => {
    const world = line("ada", "bob").run({ untilSettled: true, within: "30s" });
    ask(world, "ada", "bob", "bob", EPOCH_MAX - 1, 0);
    world.run({ within: "60s" });
    expect(epochOf(world, "bob")).toBe(1_000);
    expect(world.path("ada", "bob")).toEqual(["ada", "bob"]);
  });

  test("is not taken up by who becomes the origin after hearing it", () => {
    const world = deceived(EPOCH_MAX - 1, 0);
    const destination = world.destination("cyd");
    world.command("bob", (bob) => bob.originate(world.nowUs, destination, 1_005)).run({ within: "1s" });
    expect(world.routing("bob").epochOf(destination)).toBeLessThan(1_100); // cyd and bob outbid each other
  });

  test("in an advert drives them so far and no farther: each restart is newer still, and believed at once", () => {
    for (const lie of [OUTBID_EPOCH_MAX - 1, OUTBID_EPOCH_MAX + 7]) {
      const world = deceived(lie, 0).crash("eve").run({ within: "200s" });
      const driven = lie < OUTBID_EPOCH_MAX ? OUTBID_EPOCH_MAX : 1_000;
      expect(epochOf(world, "cyd")).toBe(driven);
      for (let restart = 1; restart <= 3; restart += 1) {
        world.run({ within: "3s" }); // oftener than twice in ten seconds it would be held
        world.restart("cyd").run({ within: "2s" });
        expect(epochOf(world, "cyd")).toBe(driven + restart);
        expect(world.routing("ada").epochOf(world.destination("cyd"))).toBe(driven + restart);
        expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
      }
      expect(world.loopsSeen()).toBe(0);
    }
  });
});

test("who asks for an absurd index makes nobody unreachable", () => {
  const world = line("ada", "bob", "cyd").run({ untilSettled: true, within: "30s" });
  for (const epoch of [1_000, 5_000, EPOCH_MAX]) {
    ask(world, "ada", "bob", "cyd", epoch, EPOCH_MAX * 256);
    world.run({ within: "10s" });
  }
  expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
  expect(world.wrongRoutes()).toEqual([]);
});

describe("who keeps asking keeps nobody else from asking", () => {
  /** ada > bob > vic is short, ada > cyd > dan > fay > vic is long; eve beside cyd asks `spam` twice a second. Seconds without a route. */
  function secondsLost(spam: (world: RoutingWorld) => void): number {
    const world = new RoutingWorld("asking").add("ada", "bob", "vic", "cyd", "dan", "fay", "eve");
    world.wire("ada", "bob").wire("bob", "vic").wire("ada", "cyd").wire("cyd", "dan").wire("dan", "fay");
    world.wire("fay", "vic").wire("eve", "cyd").run({ untilSettled: true, within: "60s" });
    const pass = () => {
      spam(world);
      world.want("ada", "vic").run({ within: "500ms" });
    };
    for (let i = 0; i < 8; i += 1) pass();
    world.cut("ada", "bob").cut("bob", "vic");
    for (let i = 0; i < 120 && world.path("ada", "vic")[1] === "bob"; i += 1) pass();
    for (let i = 0; i < 240; i += 1) {
      if (world.path("ada", "vic").at(-1) === "vic") return i / 2;
      pass();
    }
    return Number.POSITIVE_INFINITY;
  }
  const known = (world: RoutingWorld) => world.routing("eve").epochOf(world.destination("vic"));

  test.each([
    ["nothing", () => undefined],
    ["an absurd index", (world) => ask(world, "eve", "cyd", "vic", known(world), EPOCH_MAX * 256)],
    ["an absurd epoch", (world) => ask(world, "eve", "cyd", "vic", EPOCH_MAX, EPOCH_MAX * 256)],
    [
      "an index that cannot reach the origin",
      (world) => ask(world, "eve", "cyd", "vic", known(world), EPOCH_MAX * 256, 2),
    ],
  ] as readonly [string, (world: RoutingWorld) => void][])("by asking for %s", (_, spam) => {
    expect(secondsLost(spam)).toBeLessThanOrEqual(5);
  });
});
