import { describe, expect, test } from "vitest";
import { line, RoutingWorld } from "../support/routing-world.js";

const EPOCH_MAX = 0xffff_ffff;

/** ada > bob > cyd, and eve beside bob, who says that she is cyd. */
function deceived(epoch: number, slot: number) {
  const world = new RoutingWorld(`lie/${epoch}/${slot}`).add("ada", "bob", "cyd", "eve");
  world.wire("ada", "bob").wire("bob", "cyd").wire("bob", "eve").run({ untilSettled: true, within: "60s" });
  world.command("eve", (eve) => {
    eve.setSlot(slot);
    eve.originate(world.nowUs, world.destination("cyd"), epoch);
  });
  return world.run({ within: "1s" });
}

describe("a lie about somebody's epoch", () => {
  test("that is the highest there is dies within 80 seconds of its liar, and nothing ever went round", () => {
    const world = deceived(EPOCH_MAX, 0);
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "eve"]);
    world.crash("eve").want("ada", "cyd").run({ within: "50s" });
    expect(world.path("ada", "cyd")).toEqual(["ada"]); // nobody can outbid it
    world.run({ within: "30s" }).want("ada", "cyd").run({ untilSettled: true, within: "60s" });
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
    expect(world.wrongRoutes()).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });

  test("that can be outbid is outbid, at the latest when the liar is gone", () => {
    const world = deceived(2_000_000_000, 0).crash("eve").run({ within: "40s" });
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

test("who asks for an absurd index makes nobody unreachable", () => {
  const world = line("ada", "bob", "cyd").run({ untilSettled: true, within: "30s" });
  const destination = world.destination("cyd");
  world.corrupt("ada", "bob", ({ decision }) => {
    const [bob] = (decision as unknown as { table: { neighbours: { addRequest(request: object): void }[] } }).table
      .neighbours;
    for (const epoch of [1_000, 5_000, EPOCH_MAX]) {
      bob!.addRequest({ hops: 32, destination, epoch, index: 0xffff_ffff * 256 });
    }
  });
  world.run({ untilSettled: true, within: "60s" });
  expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
  expect(world.wrongRoutes()).toEqual([]);
});
