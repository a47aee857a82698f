import { Urgency } from "../../core/routing/neighbour.js";
import { Trace } from "../../core/trace/trace.js";
import { type Census, LINKS_MAX } from "./census.js";
import type { Fingerprints } from "./fingerprints.js";
import type { Host } from "./host.js";
import type { Moment } from "./moment.js";
import type { Observer } from "./observer.js";
import type { Roster } from "./roster.js";

/** Writes into the census, and the fingerprint of the state, what the stacks of one shard tell of themselves. */
export class CensusFeed {
  private readonly census: Census;
  private readonly shard: number;
  private readonly roster: Roster;
  private readonly moment: Moment;
  private readonly fingerprints: Fingerprints;
  private readonly observer: Observer;

  constructor(args: {
    census: Census;
    shard: number;
    roster: Roster;
    moment: Moment;
    fingerprints: Fingerprints;
    observer: Observer;
  }) {
    this.census = args.census;
    this.shard = args.shard;
    this.roster = args.roster;
    this.moment = args.moment;
    this.fingerprints = args.fingerprints;
    this.observer = args.observer;
  }

  handleStart(node: number): void {
    const { census } = this;
    const { nowUs } = this.moment;
    census.alive[node] = 1;
    census.bornUs[node] = nowUs;
    census.linkedUs[node] = -1;
    census.changedUs[this.shard] = nowUs;
  }

  handleEnd(node: number): void {
    const { census } = this;
    const { nowUs } = this.moment;
    census.alive[node] = 0;
    census.diedUs[node] = nowUs;
    for (let destination = 0; destination < census.nodes; destination += 1) this.setRoute(node, destination, 0, 0);
    for (let link = 0; link < LINKS_MAX; link += 1) this.linkDown(node, link);
    census.changedUs[this.shard] = nowUs;
  }

  trace(host: Host, code: number, a: number, b: number, c: number): void {
    const { node } = host;
    const { nowUs } = this.moment;
    switch (code) {
      case Trace.routeSelected:
      case Trace.routeLost: {
        const destination = this.roster.nodeOfNumber(a);
        if (destination < 0 || destination === node) return;
        const hop = code === Trace.routeLost ? 0 : this.census.linkPeer[node * LINKS_MAX + b]!;
        if (this.setRoute(node, destination, hop, c)) {
          this.observer.handleRoute(nowUs, node, destination, hop - 1, c);
        }
        return;
      }
      case Trace.entryWritten: {
        const destination = this.roster.nodeOfNumber(a);
        if (destination >= 0) this.observer.handleEntry(nowUs, node, destination, b, c);
        return;
      }
      case Trace.lifeWritten: {
        const destination = this.roster.nodeOfNumber(a);
        if (destination >= 0) this.observer.handleEntry(nowUs, node, destination, b, Urgency.news);
        return;
      }
      case Trace.routeRequested: {
        const destination = this.roster.nodeOfNumber(a);
        if (destination >= 0) this.observer.handleRequest?.(nowUs, node, destination, b);
        return;
      }
      case Trace.suspected: {
        const destination = this.roster.nodeOfNumber(a);
        if (destination >= 0) this.observer.handleSuspicion?.(nowUs, node, destination);
        return;
      }
      case Trace.linkUp:
        return this.linkUp(host, a, b, c);
      case Trace.linkDown: {
        const peer = this.linkDown(node, a);
        if (peer >= 0) this.observer.handleLink(nowUs, node, peer, false);
        return;
      }
      case Trace.linkCost:
        if (a < LINKS_MAX) this.census.linkCost[node * LINKS_MAX + a] = b;
        return;
      default:
        return;
    }
  }

  private setRoute(node: number, destination: number, hop: number, metric: number): boolean {
    const { census, fingerprints } = this;
    const { nowUs } = this.moment;
    const at = node * census.nodes + destination;
    const before = census.hop[at]!;
    if (before === 0 && hop === 0) return false;
    if (before !== 0) fingerprints.count(-1, node, destination, (before << 8) | census.metric[at]!);
    if (hop !== 0) fingerprints.count(1, node, destination, (hop << 8) | metric);
    census.hop[at] = hop;
    census.metric[at] = metric;
    census.changedUs[this.shard] = nowUs;
    if (before === 0) Atomics.add(census.holders, destination, 1);
    if (hop === 0) {
      Atomics.sub(census.holders, destination, 1);
      const loss = this.shard * census.nodes + destination;
      census.lastLossUs[loss] = Math.max(census.lastLossUs[loss]!, nowUs);
    }
    return true;
  }

  private linkUp(host: Host, link: number, path: number, cost: number): void {
    const { census } = this;
    const { nowUs } = this.moment;
    const { node } = host;
    const peer = host.paths.peerOf(path);
    if (peer < 0 || link >= LINKS_MAX)
      throw new Error(`node ${node}: link ${link} came up on a path nobody was heard on`);
    const at = node * LINKS_MAX + link;
    census.linkPeer[at] = peer + 1;
    census.linkCost[at] = cost;
    census.linkUpUs[at] = nowUs;
    census.changedUs[this.shard] = nowUs;
    if (census.linkedUs[node]! < 0) census.linkedUs[node] = nowUs;
    this.fingerprints.count(1, node, peer, -1 - link);
    this.observer.handleLink(nowUs, node, peer, true);
  }

  /** Answers whose it was; -1 when it was not up. */
  private linkDown(node: number, link: number): number {
    const { census } = this;
    const at = node * LINKS_MAX + link;
    const peer = census.linkPeer[at]! - 1;
    if (peer < 0) return -1;
    this.fingerprints.count(-1, node, peer, -1 - link);
    census.linkPeer[at] = 0;
    census.changedUs[this.shard] = this.moment.nowUs;
    return peer;
  }
}
