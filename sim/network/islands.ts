import type { Plan } from "../plan/plan.js";
import { halfRttUs, type PairModels } from "./pair-models.js";
import type { Stations } from "./stations.js";

/** Windows need no more; also what is answered when everything is one island. */
const LOOKAHEAD_MAX_US = 50_000;
/** Named pairs nearer than this are joined rather than all windows made so short. */
const PAIR_WINDOW_US = 2_000;
/** An internet in which anybody may be nearer than this to anybody is one island. */
const LEAST_WINDOW_US = 100;

/**
 * Islands: what must be run together. A public node alone, or all nodes and NATs of a realm tree below the internet with
 * its gateways. From one island to another a datagram takes at least `lookaheadUs`, whatever faults the plan has.
 */
export class Islands {
  readonly count: number;
  readonly lookaheadUs: number;
  private readonly ofStation: Int32Array;
  private readonly ofNode: Int32Array;

  constructor(plan: Plan, stations: Stations, models: PairModels) {
    const nodes = plan.nodes.length;
    // One element for each node, then one for each realm.
    const parent = Int32Array.from({ length: nodes + plan.realms.length }, (_, i) => i);
    plan.nodes.forEach((node, number) => {
      for (const { realm } of node.interfaces) if (realm !== 0) join(parent, number, nodes + topOf(plan, realm));
    });
    plan.realms.forEach((realm, number) => {
      if (realm.parent > 0) join(parent, nodes + number, nodes + topOf(plan, number));
    });

    const usualUs = leastUsualUs(plan, stations);
    const least = Math.min(usualUs, PAIR_WINDOW_US);
    let lookaheadUs = Math.min(usualUs, LOOKAHEAD_MAX_US);
    if (usualUs < LEAST_WINDOW_US) {
      for (let i = 1; i < parent.length; i += 1) join(parent, 0, i);
    }
    const near = nearPairs(plan, models);
    for (const { a, b, delayUs } of near) if (delayUs < least) join(parent, a, b);
    for (const { a, b, delayUs } of near) {
      if (rootOf(parent, a) !== rootOf(parent, b)) lookaheadUs = Math.min(lookaheadUs, delayUs);
    }

    const numbers = new Int32Array(parent.length).fill(-1);
    let count = 0;
    const islandAt = (element: number): number => {
      const root = rootOf(parent, element);
      if (numbers[root]! < 0) {
        numbers[root] = count;
        count += 1;
      }
      return numbers[root]!;
    };
    this.ofNode = Int32Array.from({ length: nodes }, (_, node) => islandAt(node));
    this.ofStation = Int32Array.from({ length: stations.count }, (_, station) => {
      const node = stations.node[station]!;
      if (node >= 0) return this.ofNode[node]!;
      return stations.realm[station]! < 0 ? -1 : islandAt(nodes + station - stations.interfaces);
    });
    this.count = count;
    this.lookaheadUs = count === 1 ? LOOKAHEAD_MAX_US : lookaheadUs;
  }

  ofNodeNumber(node: number): number {
    return this.ofNode[node]!;
  }

  ofStationNumber(station: number): number {
    return this.ofStation[station]!;
  }
}

/** Pairs of nodes whose delay is their own, now or after a fault. */
function nearPairs(plan: Plan, models: PairModels): { a: number; b: number; delayUs: number }[] {
  const near = plan.pairs.map(({ a, b, model }) => ({ a, b, delayUs: plan.models[model]!.delayUs }));
  for (const action of plan.actions) {
    if (action.do !== "degrade" || action.model < 0) continue;
    const { a, b } = action;
    const isNamed = models.isNamed(a, b) || models.isNamed(b, a);
    const extraUs = isNamed ? 0 : leastApartUs(plan, a, b);
    near.push({ a, b, delayUs: plan.models[action.model]!.delayUs + extraUs });
  }
  return near;
}

/** From where either node's interfaces, or the NATs before them, stand in the internet. */
function leastApartUs(plan: Plan, a: number, b: number): number {
  let leastUs = LOOKAHEAD_MAX_US;
  for (const from of outerRegions(plan, a)) {
    for (const to of outerRegions(plan, b)) leastUs = Math.min(leastUs, halfRttUs(plan, from, to));
  }
  return leastUs;
}

function outerRegions(plan: Plan, node: number): number[] {
  const { region, interfaces } = plan.nodes[node]!;
  return interfaces.map(({ realm }) => (realm === 0 ? region : plan.realms[topOf(plan, realm)]!.region));
}

/** The least delay between two stations of the internet that nothing else is said about. */
function leastUsualUs(plan: Plan, stations: Stations): number {
  const crowd = new Int32Array(Math.max(1, plan.regions.names.length));
  for (let station = 0; station < stations.count; station += 1) {
    if (stations.realm[station] === 0) crowd[stations.region[station]!]! += 1;
  }
  let leastUs = LOOKAHEAD_MAX_US;
  for (let a = 0; a < crowd.length; a += 1) {
    if (crowd[a] === 0) continue;
    for (let b = 0; b < crowd.length; b += 1) {
      const isPair = a === b ? crowd[a]! > 1 : crowd[b]! > 0;
      if (isPair) leastUs = Math.min(leastUs, plan.models[plan.defaultModel]!.delayUs + halfRttUs(plan, a, b));
    }
  }
  return leastUs;
}

/** The ancestor just below the internet; for a closed realm without a parent, itself. */
function topOf(plan: Plan, realm: number): number {
  let top = realm;
  while (plan.realms[top]!.parent > 0) top = plan.realms[top]!.parent;
  return top;
}

function rootOf(parent: Int32Array, element: number): number {
  let root = element;
  while (parent[root] !== root) {
    parent[root] = parent[parent[root]!]!;
    root = parent[root]!;
  }
  return root;
}

function join(parent: Int32Array, a: number, b: number): void {
  parent[rootOf(parent, b)] = rootOf(parent, a);
}
