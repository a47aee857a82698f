import type { Census } from "../engine/census.js";
import type { Violation } from "../engine/observer.js";
import type { Happenings } from "./happenings.js";
import type { LiveGraph } from "./live-graph.js";
import type { Reachability } from "./reachability.js";

/** The watched pairs are looked at so often. */
const EVERY_SECONDS = 5;
/**
 * A node asks for one of its starving destinations every 500 to 631 ms (core/routing/decision.ts), in turn. With as many as
 * there are nodes, two rounds and a minute for the answers are more than it can need.
 */
const ROUNDS = 2;
const ASK_US = 650_000;
const ANSWER_US = 60_000_000;

/** Destinations that are watched. */
export const WATCHED_SIZE = 16;

/** Pairs that have a path, the whole time, and yet no route. Watches destinations that are fixed for the run. */
export class Starvation {
  pairs = 0;
  longestUs = 0;
  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly reachability: Reachability;
  private readonly watched: readonly number[];
  private readonly boundUs: number;
  /** By watched destination and node: since when there is a path but no route; 0 for served. */
  private readonly sinceUs: Float64Array;
  private readonly seen: Uint8Array;

  /** @param watched  64 destinations at most */
  constructor(census: Census, happenings: Happenings, reachability: Reachability, watched: readonly number[]) {
    this.census = census;
    this.happenings = happenings;
    this.reachability = reachability;
    this.watched = watched;
    this.boundUs = ANSWER_US + ROUNDS * ASK_US * census.nodes;
    this.sinceUs = new Float64Array(watched.length * census.nodes);
    this.seen = new Uint8Array(watched.length * census.nodes);
  }

  handleSecond(nowUs: number, second: number, graph: LiveGraph): Violation | undefined {
    if (second % EVERY_SECONDS !== 0 || this.watched.length === 0) return undefined;
    const { nodes } = this.census;
    const { sinceUs, seen } = this;
    let violation: Violation | undefined;
    seen.fill(0);
    this.reachability.forEachUnserved(graph, this.watched, (node, k) => {
      const at = k * nodes + node;
      seen[at] = 1;
      if (sinceUs[at] === 0) sinceUs[at] = nowUs;
      const forUs = nowUs - sinceUs[at]!;
      if (forUs > this.longestUs) this.longestUs = forUs;
      if (forUs <= this.boundUs) return;
      this.pairs += 1;
      if (this.happenings.liars.length > 0) return; // who lies may swallow what would help
      violation ??= {
        oracle: "starvation",
        atUs: nowUs,
        nodes: [this.watched[k]!, node],
        text: `node ${node} has a path to ${this.watched[k]} but no route for ${forUs / 1e6} s`,
      };
    });
    for (let at = 0; at < sinceUs.length; at += 1) if (seen[at] === 0) sinceUs[at] = 0;
    return violation;
  }
}
