import { describe, expect, test } from "vitest";
import { BROADCAST_ADDRESS, endpointOf, MULTICAST_ADDRESS } from "../../sim/network/datagram.js";
import { PORT } from "../../sim/plan/plan.js";
import { NetworkWorld, WorldPlan } from "../support/network-world.js";

describe("between two public nodes", () => {
  test("a datagram takes the delay of the default line and half the round trip of the regions", () => {
    const plan = new WorldPlan();
    plan.regions = { names: ["eu", "asia"], rttUs: [10_000, 180_000, 180_000, 20_000] };
    const [ada, bob, cyd] = [plan.node([0]), plan.node([0]), plan.node([0], { region: 1 })];
    const world = new NetworkWorld(plan);
    world.send(ada, world.endpoint(bob), { tag: 1 });
    world.send(ada, world.endpoint(cyd), { tag: 2 });
    expect(world.run().map(({ atUs, node, from, tag }) => ({ atUs, node, from, tag }))).toEqual([
      { atUs: 15_000, node: bob, from: world.endpoint(ada), tag: 1 },
      { atUs: 100_000, node: cyd, from: world.endpoint(ada), tag: 2 },
    ]);
  });

  test("a pair that the plan names has its own line, in one direction if it says so", () => {
    const plan = new WorldPlan();
    plan.regions = { names: ["eu"], rttUs: [10_000] };
    const [ada, bob] = [plan.node(), plan.node()];
    plan.pair(ada, bob, { delayUs: 3_000 }, true);
    const world = new NetworkWorld(plan);
    world.send(ada, world.endpoint(bob));
    world.send(bob, world.endpoint(ada));
    expect(world.run().map(({ atUs, node }) => ({ atUs, node }))).toEqual([
      { atUs: 3_000, node: bob },
      { atUs: 15_000, node: ada },
    ]);
  });

  test("what is sent to nobody's address, or to a port where nobody listens, is counted and gone", () => {
    const plan = new WorldPlan();
    const [ada, bob] = [plan.node(), plan.node()];
    const world = new NetworkWorld(plan);
    world.send(ada, endpointOf(77, PORT));
    world.send(ada, world.endpoint(bob) + 1);
    expect(world.run()).toEqual([]);
    expect(world.network.counts).toMatchObject({ unreachable: 1, closedPort: 1 });
  });

  test("a datagram longer than UDP carries is the sender's mistake", () => {
    const plan = new WorldPlan();
    const [ada, bob] = [plan.node(), plan.node()];
    const world = new NetworkWorld(plan);
    expect(() => world.send(ada, world.endpoint(bob), { length: 65_508 })).toThrow(RangeError);
    expect(world.ask(ada, world.endpoint(bob), { length: 65_507 })).toHaveLength(1);
  });
});

describe("in a private subnet", () => {
  function house() {
    const plan = new WorldPlan();
    const home = plan.realm(undefined);
    const gateway = plan.node([home, 0]);
    const [tv, phone] = [plan.node([home]), plan.node([home])];
    const far = plan.node();
    return { gateway, tv, phone, far, world: new NetworkWorld(plan) };
  }

  test("neighbours talk over the LAN, and nobody gets out without a NAT", () => {
    const { world, tv, phone, far } = house();
    expect(world.ask(tv, world.endpoint(phone))).toMatchObject([{ atUs: 200, node: phone }]);
    expect(world.ask(tv, world.endpoint(far))).toEqual([]);
    expect(world.ask(far, world.endpoint(tv))).toEqual([]);
    expect(world.network.counts.unreachable).toBe(2);
  });

  test("a gateway stands in both worlds, with an address in each", () => {
    const { world, gateway, tv, far } = house();
    expect(world.ask(tv, world.endpoint(gateway, 0))).toMatchObject([{ node: gateway, interface: 0 }]);
    expect(world.ask(gateway, world.endpoint(far), { i: 1 })).toMatchObject([
      { node: far, from: world.endpoint(gateway, 1) },
    ]);
    expect(world.ask(far, world.endpoint(gateway, 1))).toMatchObject([{ node: gateway, interface: 1 }]);
    expect(world.ask(gateway, world.endpoint(far), { i: 0 })).toEqual([]);
  });

  test.each([
    ["broadcast", BROADCAST_ADDRESS],
    ["link-local multicast", MULTICAST_ADDRESS],
  ])("a %s is heard by all others in the realm and by nobody else", (_, address) => {
    const { world, gateway, tv, phone, far } = house();
    const heard = world.ask(tv, endpointOf(address, PORT));
    expect(heard.map(({ node }) => node).sort()).toEqual([gateway, phone]);
    expect(heard.every(({ from }) => from === world.endpoint(tv))).toBe(true);
    expect(world.ask(far, endpointOf(address, PORT))).toEqual([]);
  });
});
