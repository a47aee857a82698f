import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Barriers } from "../../sim/network/barriers.js";
import { PairIndex } from "../../sim/network/pair-index.js";
import { NetworkWorld, WorldPlan } from "../support/network-world.js";

function four() {
  const plan = new WorldPlan();
  const [ada, bob, cyd, dan] = [plan.node(), plan.node(), plan.node(), plan.node()];
  return { plan, world: new NetworkWorld(plan), ada, bob, cyd, dan };
}

/** Does a datagram from `a` to `b` arrive? */
function reaches(world: NetworkWorld, a: number, b: number): boolean {
  return world.ask(a, world.endpoint(b)).length === 1;
}

describe("a partition", () => {
  test("keeps two sides apart until it heals, and nobody within a side", () => {
    const { world, ada, bob, cyd, dan } = four();
    world.act({ do: "partition", id: 1, from: [ada, bob], to: [cyd, dan], oneWay: false });
    expect(reaches(world, ada, cyd)).toBe(false);
    expect(reaches(world, dan, bob)).toBe(false);
    expect(reaches(world, ada, bob)).toBe(true);
    expect(reaches(world, cyd, dan)).toBe(true);
    expect(world.network.counts.partition).toBe(2);
    world.act({ do: "heal", id: 1 });
    expect(reaches(world, ada, cyd)).toBe(true);
    expect(reaches(world, dan, bob)).toBe(true);
  });

  test("may work one way only", () => {
    const { world, ada, bob } = four();
    world.act({ do: "partition", id: 1, from: [ada], to: [bob], oneWay: true });
    expect(reaches(world, ada, bob)).toBe(false);
    expect(reaches(world, bob, ada)).toBe(true);
  });

  test("also stops what was under way when it began", () => {
    const { world, ada, bob } = four();
    world.send(ada, world.endpoint(bob));
    world.act({ do: "partition", id: 1, from: [ada], to: [bob], oneWay: false });
    expect(world.run()).toEqual([]);
  });

  test("stops what was sent while it held, though it heals before that would arrive", () => {
    const { world, ada, bob } = four();
    world.act({ do: "partition", id: 1, from: [ada], to: [bob], oneWay: false });
    world.send(ada, world.endpoint(bob));
    world.act({ do: "heal", id: 1 });
    expect(world.run()).toEqual([]);
  });

  test("holds across NATs, and keeps no mapping alive", () => {
    const plan = new WorldPlan();
    const home = plan.realm({ filtering: "port", timeoutUs: 5_000_000, inboundRefresh: true });
    const [ada, cyd] = [plan.node([home]), plan.node()];
    const world = new NetworkWorld(plan);
    const [first] = world.ask(ada, world.endpoint(cyd));
    world.act({ do: "partition", id: 7, from: [cyd], to: [ada], oneWay: true });
    for (let i = 0; i < 5; i += 1) expect(world.ask(cyd, first!.from)).toEqual([]);
    expect(world.network.counts.partition).toBe(5);
    world.act({ do: "heal", id: 7 });
    expect(world.ask(cyd, first!.from)).toEqual([]);
    expect(world.network.counts.noMapping).toBe(1);
  });

  test("is one of many: each pair is apart exactly while some partition says so", () => {
    const set = fc.uniqueArray(fc.nat(9), { maxLength: 10 });
    const act = fc.oneof(
      { weight: 3, arbitrary: fc.record({ id: fc.nat(80), from: set, to: set, oneWay: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ heal: fc.nat(80) }) },
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 150, size: "max" }), (acts) => {
        const barriers = new Barriers(10);
        const inForce = new Map<number, { from: number[]; to: number[]; oneWay: boolean }>();
        for (const now of acts) {
          if ("heal" in now) {
            barriers.heal(now.heal);
            inForce.delete(now.heal);
          } else {
            barriers.partition(now.id, now.from, now.to, now.oneWay);
            inForce.set(now.id, now);
          }
        }
        const all = [...inForce.values()];
        for (let a = 0; a < 10; a += 1) {
          for (let b = 0; b < 10; b += 1) {
            const isApart = all.some(
              ({ from, to, oneWay }) =>
                (from.includes(a) && to.includes(b)) || (!oneWay && to.includes(a) && from.includes(b)),
            );
            expect(barriers.isPartitioned(a, b)).toBe(isApart);
          }
        }
        expect(barriers.isOpen).toBe(all.length === 0);
      }),
      { numRuns: 200, seed: 4 },
    );
  });
});

describe("a link", () => {
  test("that is cut carries nothing until it is mended, and no other link minds", () => {
    const { world, ada, bob, cyd } = four();
    world.act({ do: "cut", a: ada, b: bob, oneWay: false });
    expect([reaches(world, ada, bob), reaches(world, bob, ada), reaches(world, ada, cyd)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(world.network.counts.cut).toBe(2);
    world.act({ do: "mend", a: bob, b: ada });
    expect([reaches(world, ada, bob), reaches(world, bob, ada)]).toEqual([true, true]);
  });

  test("that is cut one way still carries the other way", () => {
    const { world, ada, bob } = four();
    world.act({ do: "cut", a: ada, b: bob, oneWay: true });
    expect([reaches(world, ada, bob), reaches(world, bob, ada)]).toEqual([false, true]);
  });

  test("that degrades meets another model until it meets the old one again; the regions stay as far apart", () => {
    const plan = new WorldPlan();
    plan.regions = { names: ["here"], rttUs: [20_000] };
    const slow = plan.model({ delayUs: 40_000 });
    const [ada, bob, cyd] = [plan.node(), plan.node(), plan.node()];
    plan.pair(ada, cyd, { delayUs: 5_000 });
    const world = new NetworkWorld(plan);
    const delay = (a: number, b: number) => {
      const sentUs = world.nowUs;
      return world.ask(a, world.endpoint(b))[0]!.atUs - sentUs;
    };
    expect([delay(ada, bob), delay(bob, ada), delay(ada, cyd)]).toEqual([20_000, 20_000, 5_000]);
    world.act({ do: "degrade", a: ada, b: bob, model: slow, oneWay: true });
    world.act({ do: "degrade", a: ada, b: cyd, model: slow, oneWay: false });
    expect([delay(ada, bob), delay(bob, ada), delay(ada, cyd), delay(cyd, ada)]).toEqual([
      50_000, 20_000, 40_000, 40_000,
    ]);
    world.act({ do: "degrade", a: ada, b: bob, model: -1, oneWay: false });
    world.act({ do: "degrade", a: ada, b: cyd, model: -1, oneWay: false });
    expect([delay(ada, bob), delay(bob, ada), delay(ada, cyd)]).toEqual([20_000, 20_000, 5_000]);
  });

  test("of a pair keeps its model across a NAT when the sender knows who is there", () => {
    const plan = new WorldPlan();
    const home = plan.realm({});
    const [ada, cyd] = [plan.node([home]), plan.node()];
    plan.pair(ada, cyd, { delayUs: 70_000 });
    const world = new NetworkWorld(plan);
    const [there] = world.ask(ada, world.endpoint(cyd));
    expect(there!.atUs).toBe(70_200);
    let sentUs = world.nowUs;
    expect(world.ask(cyd, there!.from, { peer: ada })[0]!.atUs - sentUs).toBe(70_200);
    sentUs = world.nowUs;
    expect(world.ask(cyd, there!.from)[0]!.atUs - sentUs).toBe(10_200);
  });
});

test("a node that moves is reached at its new address only, and shows it", () => {
  const plan = new WorldPlan();
  const [ada, bob] = [plan.node(), plan.node()];
  const move = { atUs: 0, do: "move", node: ada, interface: 0, address: plan.address() } as const;
  plan.actions.push(move);
  const world = new NetworkWorld(plan);
  const old = world.endpoint(ada);
  expect(world.ask(bob, old)).toHaveLength(1);
  world.act(move);
  expect(world.ask(bob, old)).toEqual([]);
  const [seen] = world.ask(ada, world.endpoint(bob));
  expect(seen!.from).toBe(move.address * 65_536 + 4500);
  expect(world.ask(bob, seen!.from)).toMatchObject([{ node: ada }]);
});

test("an address that is given twice is a mistake of the plan, and is named", () => {
  const plan = new WorldPlan();
  plan.node();
  const realm = plan.realm({ address: 1001 });
  plan.node([realm]);
  expect(() => new NetworkWorld(plan)).toThrow("the address 1001 is given twice");
});

test("an interface that sends to more peers than there is room for forgets the oldest, and works on", () => {
  const plan = new WorldPlan();
  plan.models[0] = { ...plan.models[0]!, lossPpm: 500_000 };
  const ada = plan.node();
  const others = Array.from({ length: 4_100 }, () => plan.node());
  const fates = () => {
    const world = new NetworkWorld(plan);
    // The first peer's weather before and after it was forgotten: a new one, not the old one over again.
    const weather = () => Array.from({ length: 64 }, () => (reaches(world, ada, others[0]!) ? "." : "x")).join("");
    const before = weather();
    for (const other of others) world.send(ada, world.endpoint(other));
    world.run();
    return [before, weather()];
  };
  const [before, after] = fates();
  expect(after).not.toBe(before);
  expect(fates()).toEqual([before, after]);
});

test("a pair in the place of a forgotten one does not wait in its queue", () => {
  const plan = new WorldPlan();
  plan.models[0] = { ...plan.models[0]!, rate: 8_000, queueBytes: 10_000 }; // a byte each millisecond
  const ada = plan.node();
  const others = Array.from({ length: 4_097 }, () => plan.node());
  const world = new NetworkWorld(plan);
  world.send(ada, world.endpoint(others[0]!), { length: 9_000 });
  const newest = others.at(-1)!;
  for (const other of others.slice(1)) world.send(ada, world.endpoint(other), { length: 1 });
  expect(world.run().find(({ node }) => node === newest)!.atUs).toBe(11_000);
});

test("an index of pairs agrees with a plain map, through growth and removals", () => {
  const act = fc.tuple(fc.constantFrom("set", "delete"), fc.integer({ min: -40, max: 40 }), fc.nat(3), fc.nat(1000));
  fc.assert(
    fc.property(fc.array(act, { maxLength: 400, size: "max" }), (acts) => {
      const index = new PairIndex();
      const map = new Map<string, number>();
      for (const [what, a, b, value] of acts) {
        if (what === "set") {
          index.set(a, b, value);
          map.set(`${a}/${b}`, value);
        } else {
          index.delete(a, b);
          map.delete(`${a}/${b}`);
        }
      }
      expect(index.size).toBe(map.size);
      for (let a = -40; a <= 40; a += 1) {
        for (let b = 0; b <= 3; b += 1) expect(index.get(a, b)).toBe(map.get(`${a}/${b}`) ?? -1);
      }
    }),
    { numRuns: 100, seed: 4 },
  );
});
