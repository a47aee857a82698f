import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Network } from "../../sim/network/network.js";
import type { Action } from "../../sim/plan/plan.js";
import { NetworkWorld, WorldPlan } from "../support/network-world.js";

describe("islands", () => {
  test("are public nodes alone, and subnets whole, with gateways and stacked NATs", () => {
    const plan = new WorldPlan();
    const carrier = plan.realm({});
    const home = plan.realm({}, carrier);
    const farm = plan.realm(undefined);
    const [ada, bob] = [plan.node(), plan.node()];
    const [inHome, atCarrier] = [plan.node([home]), plan.node([carrier])];
    const [gateway, cow] = [plan.node([farm, 0]), plan.node([farm])];
    const { network } = new NetworkWorld(plan);
    const [a, b, h, c, g, w] = [ada, bob, inHome, atCarrier, gateway, cow].map((node) => network.islandOf(node));
    expect(new Set([a, b, h, g]).size).toBe(4);
    expect([c, w]).toEqual([h, g]);
    expect(network.islands).toBe(4);
    expect(network.islandOfAddress(plan.realms[carrier]!.nat!.address)).toBe(h);
    expect(network.islandOfAddress(plan.realms[home]!.nat!.address)).toBe(h);
    expect(network.islandOfAddress(plan.nodes[gateway]!.interfaces[1]!.address)).toBe(g);
    expect(network.islandOfAddress(5)).toBe(-1);
  });

  test("a gateway between two subnets joins them", () => {
    const plan = new WorldPlan();
    const [left, right] = [plan.realm(undefined), plan.realm({})];
    const [l, r] = [plan.node([left]), plan.node([right])];
    plan.node([left, right]);
    const { network } = new NetworkWorld(plan);
    expect(network.islandOf(l)).toBe(network.islandOf(r));
  });

  test("the lookahead is the least way between two islands: regions, pairs, and what faults make of them", () => {
    const plan = new WorldPlan();
    plan.regions = { names: ["eu", "us"], rttUs: [30_000, 90_000, 90_000, 40_000] };
    const [ada, bob, cyd] = [
      plan.node([0], { region: 0 }),
      plan.node([0], { region: 1 }),
      plan.node([0], { region: 1 }),
    ];
    expect(new NetworkWorld(plan).network.lookaheadUs).toBe(10_000 + 20_000); // nobody is two in eu
    plan.pair(ada, bob, { delayUs: 8_000 });
    expect(new NetworkWorld(plan).network.lookaheadUs).toBe(8_000);
    plan.actions.push({ atUs: 5, do: "degrade", a: ada, b: bob, model: plan.model({ delayUs: 6_000 }), oneWay: true });
    expect(new NetworkWorld(plan).network.lookaheadUs).toBe(6_000);
    plan.pair(bob, cyd, { delayUs: 300 });
    const { network } = new NetworkWorld(plan);
    expect(network.lookaheadUs).toBe(6_000);
    expect(network.islandOf(bob)).toBe(network.islandOf(cyd));
    expect(network.islandOf(ada)).not.toBe(network.islandOf(cyd));
  });

  test("an internet without any delay is one island", () => {
    const plan = new WorldPlan();
    plan.models[0] = { ...plan.models[0]!, delayUs: 0 };
    plan.node();
    plan.node([plan.realm({})]);
    const { network } = new NetworkWorld(plan);
    expect(network.islands).toBe(1);
    expect(network.lookaheadUs).toBeGreaterThan(0);
  });

  test("no datagram gets to another island before the lookahead, whatever the plan and its faults", () => {
    const nature = fc.record({
      seed: fc.nat(),
      delayUs: fc.constantFrom(0, 50, 500, 3_000, 20_000),
      rtts: fc.tuple(fc.constantFrom(0, 1_001, 30_000), fc.constantFrom(0, 7_000), fc.constantFrom(0, 90_000)),
      houses: fc.nat(3),
      pairs: fc.array(fc.tuple(fc.nat(9), fc.nat(9), fc.constantFrom(0, 900, 2_500, 15_000), fc.boolean()), {
        maxLength: 6,
        size: "max",
      }),
      faults: fc.array(fc.tuple(fc.nat(9), fc.nat(9), fc.constantFrom(0, 700, 4_000), fc.boolean()), {
        maxLength: 4,
        size: "max",
      }),
    });
    let crossed = 0;
    fc.assert(
      fc.property(nature, ({ seed, delayUs, rtts, houses, pairs, faults }) => {
        const plan = new WorldPlan();
        plan.regions = { names: ["a", "b"], rttUs: [rtts[0], rtts[2], rtts[2], rtts[1]] };
        plan.models[0] = {
          ...plan.models[0]!,
          delayUs,
          jitterUs: 3_000,
          jitterCorrelationPpm: 300_000,
          duplicatePpm: 300_000,
        };
        const realms = Array.from({ length: houses }, () => plan.realm({ filtering: "endpoint" }));
        for (let i = 0; i < 10; i += 1) {
          plan.node([i < realms.length ? realms[i]! : 0], { region: (seed >> i) & 1 });
        }
        for (const [a, b, us, oneWay] of pairs) if (a !== b) plan.pair(a, b, { delayUs: us }, oneWay);
        for (const [a, b, us, oneWay] of faults) {
          if (a === b) continue;
          plan.actions.push({ atUs: 0, do: "degrade", a, b, model: plan.model({ delayUs: us }), oneWay });
        }
        const built = plan.build();
        const network = new Network(built, String(seed));
        expect(network.lookaheadUs).toBeGreaterThan(0);
        const actions: (Action | undefined)[] = [undefined, ...built.actions];
        for (const action of actions) {
          if (action !== undefined) network.handleAction(0, action);
          for (let a = 0; a < 10; a += 1) {
            for (let b = 0; b < 10; b += 1) {
              if (a === b) continue;
              const nat = built.realms[built.nodes[b]!.interfaces[0]!.realm]!.nat;
              const address = nat?.address ?? built.nodes[b]!.interfaces[0]!.address;
              const out = (dueUs: number, island: number) => {
                if (island === network.islandOf(a)) return;
                crossed += 1;
                expect(dueUs).toBeGreaterThanOrEqual(1_000 + network.lookaheadUs);
              };
              network.send(1_000, a, 0, address * 65_536 + 4500, 100, out, b);
            }
          }
        }
      }),
      { numRuns: 150, seed: 4 },
    );
    expect(crossed).toBeGreaterThan(5_000);
  });
});

test("a network that only runs some islands tells the same as one that runs all", () => {
  const plan = new WorldPlan();
  plan.models[0] = { ...plan.models[0]!, lossPpm: 100_000, jitterUs: 5_000 };
  const access = plan.model({ delayUs: 0, lossPpm: 50_000, jitterUs: 900, jitterCorrelationPpm: 500_000 });
  for (let i = 0; i < 12; i += 1) plan.node([i % 3 === 0 ? 0 : plan.realm({ portChoice: "random" })], { access });
  const built = plan.build();
  const run = (shards: number): string[] => {
    const networks = Array.from({ length: shards }, () => new Network(built, "same"));
    const shardOf = (island: number) => networks[island % shards]!;
    const log: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      for (let a = 0; a < 12; a += 1) {
        for (let b = 0; b < 12; b += 3) {
          const nowUs = round * 1_000_000;
          const sender = shardOf(networks[0]!.islandOf(a));
          const to = built.nodes[b]!.interfaces[0]!.address * 65_536 + 4500;
          sender.send(nowUs, a, 0, to, 100, (dueUs, island, from, at, _at, length) => {
            const receiver = shardOf(island);
            const node = receiver.receive(dueUs, from, at, length, a);
            log.push(`${a}>${b} ${dueUs} ${from} ${node} ${node < 0 ? "" : receiver.delivery.dueUs}`);
          });
        }
      }
    }
    return log;
  };
  const whole = run(1);
  expect(whole.length).toBeGreaterThan(500);
  expect(run(2)).toEqual(whole);
  expect(run(5)).toEqual(whole);
});
