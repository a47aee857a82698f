import { type Census, LINKS_MAX } from "../engine/census.js";
import type { Span } from "../report/tally.js";
import type { LiveGraph } from "./live-graph.js";

/** 99 % of the nodes with a path, in parts per hundred. */
const JOINED_PERCENT = 99;
/** Unfinished joins of this age count with their age; younger ones are censored. */
export const JOIN_OVERDUE_US = 10_000_000;

interface Joining {
  readonly node: number;
  /** Nodes that must have a route; -1 while unknown. Looked up anew each second. */
  need: number;
}

/**
 * Nodes of one shard from their first echoed hello until 99 % of the live nodes with a path to them have a route. Seen at
 * the ends of windows, so up to a window late. How many have a path is counted each second, so a node that joined within
 * the last second does not count yet among those that must learn of another.
 */
export class Joins {
  readonly spans: Span[] = [];
  private readonly census: Census;
  private readonly fromUs: number;
  private readonly joining = new Map<number, Joining>();

  /** @param fromUs  joins that begin before do not count */
  constructor(census: Census, fromUs: number) {
    this.census = census;
    this.fromUs = fromUs;
  }

  handleStart(node: number): void {
    this.joining.set(node, { node, need: -1 });
  }

  handleEnd(nowUs: number, node: number): void {
    const joining = this.joining.get(node);
    if (joining !== undefined) this.giveUp(nowUs, joining);
  }

  /** `graph` as it was at the last whole second. */
  handleWindow(nowUs: number, graph: LiveGraph): void {
    const { linkedUs, bornUs, holders } = this.census;
    for (const joining of this.joining.values()) {
      const { node } = joining;
      const atUs = linkedUs[node]!;
      if (atUs < 0 || atUs < bornUs[node]!) continue;
      if (atUs < this.fromUs) {
        this.joining.delete(node);
        continue;
      }
      if (joining.need < 0) joining.need = this.needOf(node, graph);
      if (joining.need <= 0 || holders[node]! < joining.need) continue;
      this.spans.push({ node, atUs, tookUs: nowUs - atUs, isCensored: false });
      this.joining.delete(node);
    }
  }

  /** The graph is new. */
  handleSecond(): void {
    for (const joining of this.joining.values()) joining.need = -1;
  }

  finish(nowUs: number): void {
    for (const joining of this.joining.values()) this.giveUp(nowUs, joining);
  }

  private giveUp(nowUs: number, { node }: Joining): void {
    this.joining.delete(node);
    const atUs = this.census.linkedUs[node]!;
    if (atUs < this.fromUs || atUs < this.census.bornUs[node]!) return;
    const tookUs = nowUs - atUs;
    this.spans.push({ node, atUs, tookUs, isCensored: tookUs < JOIN_OVERDUE_US });
  }

  /** 99 % of those in its part of the graph; -1 while none of its neighbours was there in the last second. */
  private needOf(node: number, graph: LiveGraph): number {
    const own = graph.component[node]!;
    if (own >= 0) return needed(graph.sizes[own]! - 1);
    for (let at = node * LINKS_MAX; at < (node + 1) * LINKS_MAX; at += 1) {
      const peer = this.census.linkPeer[at]! - 1;
      const theirs = peer < 0 ? -1 : graph.component[peer]!;
      if (theirs >= 0) return needed(graph.sizes[theirs]!);
    }
    return -1;
  }
}

function needed(reachable: number): number {
  return Math.ceil((reachable * JOINED_PERCENT) / 100);
}
