/** Small plans by hand and by chance, and what runs them. */
import fc from "fast-check";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import type { Parts } from "../../sim/engine/run.js";
import { Network } from "../../sim/network/network.js";
import { instruments } from "../../sim/oracle/instruments.js";
import { type Action, type LinkModel, NEUTRAL, type Plan, type PlannedNode } from "../../sim/plan/plan.js";

/** The simulator as `mariana sim run` puts it together. */
export const PARTS: Parts = {
  network: (plan) => new Network(plan, plan.seed),
  instruments,
  realSuite: createNativeSuite(),
};

export const CALM: LinkModel = { ...NEUTRAL, delayUs: 10_000 };

/** Public nodes 0 .. count - 1, of which each dials whom `dials` names and starts at once. `more` has the last word. */
export function planWith(
  count: number,
  dials: (node: number) => readonly number[],
  actions: readonly Action[] = [],
  more: Partial<Plan> = {},
): Plan {
  const addressOf = (node: number) => 1000 + node;
  const nodes = Array.from(
    { length: count },
    (_, node): PlannedNode => ({
      name: `n${node}`,
      role: "public",
      region: 0,
      interfaces: [{ realm: 0, address: addressOf(node), access: -1 }],
      dials: dials(node).map((target) => ({ node: target, from: 0, address: addressOf(target) })),
      driftPpm: 0,
      cpu: undefined,
    }),
  );
  const starts = nodes.map((_, node): Action => ({ atUs: 0, do: "start", node }));
  return {
    name: "small",
    seed: "1",
    hash: "0".repeat(64),
    durationUs: 100_000_000,
    warmupUs: 0,
    crypto: "modelled",
    nodes,
    realms: [{ name: "internet", parent: -1, region: 0, nat: undefined, lan: 0 }],
    models: [CALM, { ...CALM, lossPpm: 20_000 }],
    regions: { names: ["here"], rttUs: [0] },
    pairs: [],
    defaultModel: 1,
    actions: [...starts, ...actions],
    expect: [],
    isStrict: false,
    mutate: undefined,
    ...more,
  };
}

/** The same, but that the nodes start a millisecond apart. */
export function oneByOne(plan: Plan): Plan {
  const actions = plan.actions.map((action) =>
    action.do === "start" ? { ...action, atUs: action.node * 1_000 } : action,
  );
  return { ...plan, actions };
}

const HOME_NAT = {
  mapping: "endpoint",
  filtering: "port",
  portChoice: "preserve",
  hairpin: false,
  timeoutUs: 30_000_000,
  inboundRefresh: true,
  udpBlocked: false,
  mappingsMax: 100,
  access: 0,
} as const;

/** Any plan of a few nodes: public ones, some behind NATs, two regions, faults of several kinds. */
export const anyPlan: fc.Arbitrary<Plan> = fc
  .record({
    count: fc.integer({ min: 1, max: 14 }),
    homes: fc.integer({ min: 0, max: 3 }),
    dice: fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
    times: fc.array(fc.integer({ min: 0, max: 90_000_000 }), { maxLength: 20 }),
  })
  .map(({ count, homes, dice, times }) => {
    let thrown = 0;
    const die = (sides: number) => dice[thrown++ % dice.length]! % sides;
    const plain = planWith(count, (node) => (node === 0 ? [] : [die(node), die(node)]), []);
    const realms = Array.from({ length: homes }, (_, home) => ({
      name: `home${home}`,
      parent: 0,
      region: home % 2,
      nat: { ...HOME_NAT, address: 5000 + home },
      lan: 0,
    }));
    const nodes = plain.nodes.map((node, at): PlannedNode => {
      const realm = at === 0 || homes === 0 ? 0 : die(homes + 1);
      const interfaces = [{ realm, address: 1000 + at, access: die(3) - 1 }];
      return { ...node, role: realm === 0 ? "public" : "private", region: die(2), interfaces };
    });
    const actions = times
      .sort((a, b) => a - b)
      .map((atUs, id): Action => {
        const node = die(count);
        const other = die(count);
        const kinds: Action[] = [
          { atUs, do: "crash", node },
          { atUs, do: "restart", node, keepsState: true },
          { atUs, do: "partition", id, from: [node], to: [other], oneWay: false },
          { atUs, do: "heal", id: id - 1 },
          { atUs, do: "cut", a: node, b: other, oneWay: true },
          { atUs, do: "degrade", a: node, b: other, model: die(2), oneWay: false },
          { atUs, do: "dial", node, dial: { node: other, from: 0, address: 1000 + other } },
          { atUs, do: "traffic", flow: { from: node, to: other, kind: "request", bytes: 10, count: 1, gapUs: 0 } },
          homes === 0 ? { atUs, do: "pause", node } : { atUs, do: "rebind", realm: 1 + die(homes) },
        ];
        return kinds[die(kinds.length)]!;
      });
    return {
      ...plain,
      nodes,
      realms: [...plain.realms, ...realms],
      regions: { names: ["here", "there"], rttUs: [0, 80_000, 80_000, 0] },
      pairs: count > 1 ? [{ a: 0, b: 1, model: die(2), oneWay: false }] : [],
      actions: [...plain.actions, ...actions],
    };
  });
