import { describe, expect, test } from "vitest";
import { endpointOf } from "../../sim/network/datagram.js";
import { NAT_PROFILES } from "../../sim/network/nat-profiles.js";
import type { Nat } from "../../sim/plan/plan.js";
import { NetworkWorld, WorldPlan } from "../support/network-world.js";

const BEHAVIOURS = ["endpoint", "address", "port"] as const;
const SECOND = 1_000_000;

/** Two nodes in a house, two in the internet. */
function house(nat: Partial<Nat>) {
  const plan = new WorldPlan();
  const home = plan.realm(nat);
  const [ada, bob] = [plan.node([home]), plan.node([home])];
  const [cyd, dan] = [plan.node(), plan.node()];
  const world = new NetworkWorld(plan);
  return { world, home, ada, bob, cyd, dan, address: plan.realms[home]!.nat!.address };
}

/** As whom `to` sees `from`. */
function seen(world: NetworkWorld, from: number, to: number): number {
  const arrivals = world.ask(from, world.endpoint(to));
  expect(arrivals).toMatchObject([{ node: to }]);
  return arrivals[0]!.from;
}

describe("behind a NAT", () => {
  test("a node is seen at the NAT's address, and answers find it", () => {
    const { world, ada, cyd, address } = house({ filtering: "port" });
    const from = seen(world, ada, cyd);
    expect(from).toBe(endpointOf(address, 4500));
    expect(world.ask(cyd, from)).toMatchObject([{ node: ada, from: world.endpoint(cyd) }]);
  });

  test("the ways of a datagram add up: LAN, line of the house, internet", () => {
    const plan = new WorldPlan();
    const home = plan.realm({ access: plan.model({ delayUs: 7_000 }) });
    const [ada, cyd] = [plan.node([home]), plan.node()];
    const world = new NetworkWorld(plan);
    const [there] = world.ask(ada, world.endpoint(cyd));
    expect(there!.atUs).toBe(200 + 7_000 + 10_000);
    const sentUs = world.nowUs;
    const [back] = world.ask(cyd, there!.from);
    expect(back!.atUs - sentUs).toBe(10_000 + 7_000 + 200);
  });

  test("nobody outside begins, whatever the filter", () => {
    const { world, ada, cyd, address } = house({});
    expect(world.ask(cyd, endpointOf(address, 4500))).toEqual([]);
    expect(world.ask(cyd, world.endpoint(ada))).toEqual([]); // a private address means nothing outside
    expect(world.network.counts).toMatchObject({ noMapping: 1, unreachable: 1 });
  });

  test.each([
    ["endpoint", true],
    ["address", false],
    ["port", false],
  ] as const)("a stranger's answer passes a filter by %s: %s", (filtering, passes) => {
    const { world, ada, cyd, dan } = house({ filtering });
    const from = seen(world, ada, cyd);
    expect(world.ask(dan, from)).toHaveLength(passes ? 1 : 0);
    expect(world.network.counts.filtered).toBe(passes ? 0 : 1);
  });

  test.each([
    ["endpoint", true],
    ["address", false],
    ["port", false],
  ] as const)("two remotes see the same endpoint with mapping by %s: %s", (mapping, isSame) => {
    const { world, ada, cyd, dan } = house({ mapping });
    expect(seen(world, ada, cyd) === seen(world, ada, dan)).toBe(isSame);
    expect(seen(world, ada, cyd)).toBe(seen(world, ada, cyd));
  });

  test("two remotes with one address, behind a NAT of their own, are one to mapping by address and two by port", () => {
    for (const mapping of BEHAVIOURS) {
      const plan = new WorldPlan();
      const [left, right] = [plan.realm({ mapping }), plan.realm({})];
      const [ada, bob, eve] = [plan.node([left]), plan.node([right]), plan.node([right])];
      const cyd = plan.node();
      const world = new NetworkWorld(plan);
      const [bobSeen, eveSeen] = [seen(world, bob, cyd), seen(world, eve, cyd)];
      const adaSeen = [bobSeen, eveSeen].map((to) => world.ask(ada, to)[0]!.from);
      expect(adaSeen[0] === adaSeen[1]).toBe(mapping !== "port");
    }
  });

  test.each([false, true])(
    "silence closes the way back, and inbound traffic alone keeps it open: %s",
    (inboundRefresh) => {
      const { world, ada, cyd } = house({ timeoutUs: 30 * SECOND, inboundRefresh, filtering: "port" });
      const from = seen(world, ada, cyd);
      for (let i = 0; i < 3; i += 1) {
        world.run(19 * SECOND);
        // At 20, 40 and 60 seconds from the last that ada sent.
        expect(world.ask(cyd, from)).toHaveLength(inboundRefresh || i === 0 ? 1 : 0);
      }
      world.run(30 * SECOND);
      expect(world.ask(cyd, from)).toEqual([]);
    },
  );

  test("outbound traffic keeps the way back open in any case", () => {
    const { world, ada, cyd } = house({ timeoutUs: 30 * SECOND, filtering: "port" });
    const from = seen(world, ada, cyd);
    for (let i = 0; i < 5; i += 1) {
      world.run(28 * SECOND);
      expect(seen(world, ada, cyd)).toBe(from);
    }
    expect(world.ask(cyd, from)).toHaveLength(1);
  });

  test("when all mappings are taken the one idle for longest goes", () => {
    const { world, ada, bob, cyd } = house({ mappingsMax: 1 });
    const adaSeen = seen(world, ada, cyd);
    expect(world.ask(cyd, adaSeen)).toHaveLength(1);
    const bobSeen = seen(world, bob, cyd);
    expect(world.ask(cyd, bobSeen)).toMatchObject([{ node: bob }]);
    expect(world.ask(cyd, adaSeen).map(({ node }) => node)).not.toContain(ada);
  });

  test("where UDP is blocked nothing gets out or in, and the LAN goes on", () => {
    const { world, ada, bob, cyd, address } = house(NAT_PROFILES["udp-blocked"]);
    expect(world.ask(ada, world.endpoint(cyd))).toEqual([]);
    expect(world.ask(cyd, endpointOf(address, 4500))).toEqual([]);
    expect(world.ask(ada, world.endpoint(bob))).toMatchObject([{ node: bob }]);
    expect(world.network.counts.udpBlocked).toBe(2);
  });
});

describe("hairpinning", () => {
  const grid = BEHAVIOURS.flatMap((mapping) =>
    BEHAVIOURS.flatMap((filtering) =>
      (["preserve", "sequential", "random"] as const).flatMap((portChoice) =>
        [false, true].map((hairpin) => ({ mapping, filtering, portChoice, hairpin })),
      ),
    ),
  );

  test.each(grid)(
    "two in one house by their outer endpoints: mapping $mapping, filtering $filtering, ports $portChoice, hairpin $hairpin",
    (nat) => {
      const { world, ada, bob, cyd } = house(nat);
      const [adaSeen, bobSeen] = [seen(world, ada, cyd), seen(world, bob, cyd)];
      world.ask(bob, adaSeen); // opens the way for the answer, where the mapping is the one that cyd saw
      const heard = world.ask(ada, bobSeen);
      const passes = nat.hairpin && (nat.filtering === "endpoint" || nat.mapping === "endpoint");
      expect(heard.map(({ node }) => node)).toEqual(passes ? [bob] : []);
      // RFC 4787 REQ-9: the source is the outer one.
      if (passes && nat.mapping === "endpoint") expect(heard[0]!.from).toBe(adaSeen);
      if (!nat.hairpin) expect(world.network.counts.hairpin).toBe(2);
    },
  );

  test("a datagram that turns round at the house's NAT never sees the line of the house", () => {
    const plan = new WorldPlan();
    const home = plan.realm({ access: plan.model({ delayUs: 50_000 }) });
    const [ada, bob, cyd] = [plan.node([home]), plan.node([home]), plan.node()];
    const world = new NetworkWorld(plan);
    const bobSeen = seen(world, bob, cyd);
    const sentUs = world.nowUs;
    expect(world.ask(ada, bobSeen)[0]!.atUs - sentUs).toBe(400);
  });
});

describe("two NATs", () => {
  const { home, symmetric, corporate } = NAT_PROFILES;

  /** Both are told by a third how they look from outside, send to that, and once more. */
  function punch(left: Partial<Nat>, right: Partial<Nat>): boolean {
    const plan = new WorldPlan();
    const [ada, bob] = [plan.node([plan.realm(left)]), plan.node([plan.realm(right)])];
    const cyd = plan.node();
    const world = new NetworkWorld(plan);
    const [adaSeen, bobSeen] = [seen(world, ada, cyd), seen(world, bob, cyd)];
    const heard: Set<number> = new Set();
    for (let round = 0; round < 2; round += 1) {
      for (const { node } of [...world.ask(ada, bobSeen), ...world.ask(bob, adaSeen)]) heard.add(node);
    }
    // Who hears the other answers to where it came from, and that gets through.
    const toBob = world.arrivals.find(({ node, from }) => node === ada && from !== world.endpoint(cyd));
    const toAda = world.arrivals.find(({ node, from }) => node === bob && from !== world.endpoint(cyd));
    const answers = [toBob && world.ask(ada, toBob.from), toAda && world.ask(bob, toAda.from)];
    expect(answers.every((answer) => answer === undefined || answer.length === 1)).toBe(true);
    return heard.size > 0;
  }

  test.each([
    ["house", home, "house", home, true],
    ["house", home, "symmetric", symmetric, false],
    ["symmetric", symmetric, "symmetric", symmetric, false],
    ["corporate", corporate, "house", home, false],
    ["carrier", NAT_PROFILES["carrier-grade"], "house", home, true],
    ["carrier", NAT_PROFILES["carrier-grade"], "symmetric", symmetric, true],
    ["symmetric", symmetric, "open cone", { ...home, filtering: "endpoint" as const }, true],
    ["house", home, "house open to addresses", { ...home, filtering: "address" as const }, true],
  ] as const)("a hole is punched between %s and %s: %s", (_left, left, _right, right, passes) => {
    expect(punch(left, right)).toBe(passes);
  });

  test("a house behind a carrier is seen at the carrier's address, and answers find their way down both", () => {
    const plan = new WorldPlan();
    const carrier = plan.realm(NAT_PROFILES["carrier-grade"]);
    const [home1, home2] = [plan.realm(home, carrier), plan.realm(home, carrier)];
    const [ada, bob, eve] = [plan.node([home1]), plan.node([home2]), plan.node([carrier])];
    const cyd = plan.node();
    const world = new NetworkWorld(plan);
    const adaSeen = seen(world, ada, cyd);
    const bobSeen = seen(world, bob, cyd);
    const outer = plan.realms[carrier]!.nat!.address;
    expect([adaSeen, bobSeen].map((endpoint) => Math.floor(endpoint / 65_536))).toEqual([outer, outer]);
    expect(adaSeen).not.toBe(bobSeen);
    expect(world.ask(cyd, adaSeen)).toMatchObject([{ node: ada, from: world.endpoint(cyd) }]);
    expect(world.ask(cyd, bobSeen)).toMatchObject([{ node: bob }]);

    // A neighbour at the same carrier is reached within it, seen at the house's address in the carrier's realm.
    expect(seen(world, ada, eve)).toBe(endpointOf(plan.realms[home1]!.nat!.address, 4500));

    // Two houses of one carrier meet by the carrier's hairpin (RFC 6888 REQ-1), once both have opened their own NATs.
    world.ask(ada, bobSeen);
    world.ask(bob, adaSeen);
    expect(world.ask(ada, bobSeen)).toMatchObject([{ node: bob, from: adaSeen }]);
  });
});

describe("faults of NATs", () => {
  test("after a rebind the old endpoint leads nowhere, and the next datagram shows the new one", () => {
    const { world, home, ada, bob, cyd } = house({ filtering: "port" });
    const before = [seen(world, ada, cyd), seen(world, bob, cyd)];
    world.act({ do: "rebind", realm: home });
    expect(before.flatMap((endpoint) => world.ask(cyd, endpoint))).toEqual([]);
    const after = [seen(world, ada, cyd), seen(world, bob, cyd)];
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(world.ask(cyd, after[0]!)).toMatchObject([{ node: ada }]);
    expect(world.ask(cyd, after[1]!)).toMatchObject([{ node: bob }]);
  });

  test("after a reboot with another address nobody is known, and the old address is nobody's", () => {
    const plan = new WorldPlan();
    const realm = plan.realm({});
    const [ada, cyd] = [plan.node([realm]), plan.node()];
    const address = plan.address();
    const reboot = { atUs: 0, do: "reboot", realm, address } as const;
    plan.actions.push(reboot);
    const world = new NetworkWorld(plan);
    const before = seen(world, ada, cyd);
    world.act(reboot);
    expect(world.ask(cyd, before)).toEqual([]);
    expect(world.ask(cyd, endpointOf(address, 4500))).toEqual([]);
    expect(world.network.counts).toMatchObject({ unreachable: 1, noMapping: 1 });
    expect(seen(world, ada, cyd)).toBe(endpointOf(address, 4500));
    expect(world.ask(cyd, endpointOf(address, 4500))).toMatchObject([{ node: ada }]);
  });
});
