import { type Census, censusBuffers, censusOver, LINKS_MAX } from "../../sim/engine/census.js";
import type { ShardView } from "../../sim/engine/observer.js";
import { Observatory } from "../../sim/oracle/observatory.js";
import type { Action, Byzantine, Plan } from "../../sim/plan/plan.js";

const SECOND_US = 1_000_000;

/** What actions a hand-made world can have; times in seconds. */
export type Deed =
  | readonly ["pause" | "resume" | "crash" | "start", number, number]
  | readonly ["byzantine", number, number, Byzantine]
  | readonly ["cut", number, number, number];

export function planOf(nodes: number, deeds: readonly Deed[] = [], more: Partial<Plan> = {}): Plan {
  return {
    name: "made by hand",
    seed: "census",
    hash: "",
    durationUs: 600 * SECOND_US,
    warmupUs: 0,
    crypto: "modelled",
    nodes: Array.from({ length: nodes }, (_, node) => ({
      name: `n${node}`,
      role: "public",
      region: 0,
      interfaces: [],
      dials: [],
      driftPpm: 0,
      cpu: undefined,
    })),
    realms: [],
    models: [],
    regions: { names: ["here"], rttUs: [0] },
    pairs: [],
    defaultModel: 0,
    actions: [
      ...Array.from({ length: nodes }, (_, node): Action => ({ do: "start", node, atUs: 0 })),
      ...deeds.map(actionOf),
    ],
    expect: [],
    isStrict: false,
    mutate: undefined,
    ...more,
  };
}

function actionOf(deed: Deed): Action {
  const atUs = deed[1] * SECOND_US;
  if (deed[0] === "cut") return { do: "cut", a: deed[2], b: deed[3], oneWay: false, atUs };
  if (deed[0] === "byzantine") return { do: "byzantine", node: deed[2], as: deed[3], atUs };
  return { do: deed[0], node: deed[2], atUs };
}

/** A census written by hand, and the oracles that look at it. All nodes live from the start on; links are of cost 1 unless said. */
export class CensusWorld {
  readonly census: Census;
  readonly observatory: Observatory;
  nowUs = 0;

  constructor(nodes: number, deeds: readonly Deed[] = [], more: Partial<Plan> = {}) {
    const census = censusOver(
      nodes,
      censusBuffers(nodes, 1, (bytes) => new ArrayBuffer(bytes)),
    );
    this.census = census;
    const view: ShardView = {
      plan: planOf(nodes, deeds, more),
      shard: 0,
      shards: 1,
      census,
      nacOf: () => new Uint8Array(16),
      nodeOf: () => -1,
      owns: () => true,
      host: () => undefined,
    };
    this.observatory = new Observatory(view, () => ({
      clients: 0,
      traffic: { offered: 0, delivered: 0, damaged: 0 },
    }));
    for (let node = 0; node < nodes; node += 1) this.start(node);
  }

  start(node: number): this {
    this.census.alive[node] = 1;
    this.census.bornUs[node] = this.nowUs;
    this.census.linkedUs[node] = -1;
    this.observatory.handleStart(this.nowUs, node);
    return this;
  }

  end(node: number, how: "crash" | "leave" = "crash"): this {
    this.census.alive[node] = 0;
    this.census.diedUs[node] = this.nowUs;
    const { nodes } = this.census;
    for (let destination = 0; destination < nodes; destination += 1) this.unroute(node, destination);
    this.census.linkPeer.fill(0, node * LINKS_MAX, (node + 1) * LINKS_MAX);
    this.observatory.handleEnd(this.nowUs, node, how);
    return this;
  }

  /** Both ends unless `oneEnd`. */
  link(a: number, b: number, cost = 1, oneEnd = false): this {
    this.linkEnd(a, b, cost);
    if (!oneEnd) this.linkEnd(b, a, cost);
    return this;
  }

  route(node: number, destination: number, hop: number, metric = 1): this {
    const at = node * this.census.nodes + destination;
    if (this.census.hop[at] === 0) this.census.holders[destination]! += 1;
    this.census.hop[at] = hop + 1;
    this.census.metric[at] = metric;
    this.census.changedUs[0] = this.nowUs;
    this.observatory.handleRoute(this.nowUs, node, destination, hop, metric);
    return this;
  }

  unroute(node: number, destination: number): this {
    const { census } = this;
    const at = node * census.nodes + destination;
    if (census.hop[at] === 0) return this;
    census.hop[at] = 0;
    census.holders[destination]! -= 1;
    census.lastLossUs[destination] = this.nowUs;
    census.changedUs[0] = this.nowUs;
    this.observatory.handleRoute(this.nowUs, node, destination, -1, 0);
    return this;
  }

  /** Nodes 0 .. n - 1 in a row, each with the right routes to all others. */
  line(): this {
    const { nodes } = this.census;
    for (let node = 1; node < nodes; node += 1) this.link(node - 1, node);
    for (let node = 0; node < nodes; node += 1) {
      for (let to = 0; to < nodes; to += 1) {
        if (to !== node) this.route(node, to, node + Math.sign(to - node), Math.abs(to - node));
      }
    }
    return this;
  }

  /** To a whole second; answers what the oracles said on the way first. */
  until(second: number) {
    for (let next = Math.floor(this.nowUs / SECOND_US) + 1; next <= second; next += 1) {
      this.nowUs = next * SECOND_US;
      this.observatory.handleWindow(this.nowUs);
      const violation = this.observatory.handleSecond(this.nowUs);
      if (violation !== undefined) return violation;
    }
    return undefined;
  }

  finish() {
    return this.observatory.finish(this.nowUs);
  }

  private linkEnd(node: number, peer: number, cost: number): void {
    const { linkPeer, linkCost, linkUpUs, linkedUs } = this.census;
    const first = node * LINKS_MAX;
    const at = linkPeer.subarray(first, first + LINKS_MAX).indexOf(0) + first;
    linkPeer[at] = peer + 1;
    linkCost[at] = cost;
    linkUpUs[at] = this.nowUs;
    if (linkedUs[node]! < 0) linkedUs[node] = this.nowUs;
    this.census.changedUs[0] = this.nowUs;
  }
}
