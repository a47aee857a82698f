import { type Census, lastLossOf } from "../engine/census.js";
import type { Violation } from "../engine/observer.js";
import type { Span } from "../report/tally.js";
import { firstViolation } from "./first-violation.js";
import type { Happenings } from "./happenings.js";
import type { LiveGraph } from "./live-graph.js";

/** The promise: a dead node is in nobody's table after so long. */
export const GHOST_US = 60_000_000;
/** So many nodes are named in a violation. */
const NAMED_MAX = 8;

interface Dead {
  readonly node: number;
  readonly atUs: number;
  /** Crashed in the time that counts: its removal is measured. */
  isMeasured: boolean;
  /** Who had a link to it in the second before; only while there are liars. */
  readonly watchers: readonly number[];
  isEclipseCounted: boolean;
}

/**
 * The dead of one shard, from their end until nobody routes to them. Routes of nodes that stand still or lie count for
 * nothing; nor, while there are liars, those of nodes that no path of honest nodes joins to an honest watcher of the dead:
 * these are eclipsed, and counted.
 */
export class Removals {
  readonly spans: Span[] = [];
  ghosts = 0;
  eclipsed = 0;
  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly dead = new Map<number, Dead>();

  constructor(census: Census, happenings: Happenings) {
    this.census = census;
    this.happenings = happenings;
  }

  /** `graph` as it was in the second before. */
  handleEnd(nowUs: number, node: number, isMeasured: boolean, graph: LiveGraph): void {
    const watchers =
      this.happenings.liars.length > 0
        ? Array.from(graph.from.subarray(graph.start[node]!, graph.start[node + 1]!)).filter((peer) =>
            this.happenings.isHonest(peer),
          )
        : [];
    this.dead.set(node, { node, atUs: nowUs, isMeasured, watchers, isEclipseCounted: false });
  }

  handleStart(nowUs: number, node: number): void {
    const dead = this.dead.get(node);
    if (dead === undefined) return;
    this.measure(dead, nowUs, true);
    this.dead.delete(node);
  }

  handleWindow(): void {
    for (const dead of this.dead.values()) if (this.census.holders[dead.node] === 0) this.bury(dead);
  }

  /** Looks for ghosts, and at who still routes to the dead for good reason. */
  handleSecond(nowUs: number, graph: LiveGraph): Violation | undefined {
    const { asleep, liars } = this.happenings;
    let violation: Violation | undefined;
    for (const dead of this.dead.values()) {
      const isOld = nowUs - dead.atUs > GHOST_US;
      if (!isOld && asleep.size === 0 && liars.length === 0) continue;
      const holders = this.holdersOf(dead, nowUs, graph);
      if (holders.length === 0 && (liars.length === 0 || dead.watchers.length > 0))
        this.measure(dead, this.lastLossUs(dead), false);
      if (!isOld || holders.length === 0) continue;
      this.ghosts += holders.length;
      violation = firstViolation([
        violation,
        {
          oracle: "ghost",
          atUs: nowUs,
          nodes: [dead.node, ...holders.slice(0, NAMED_MAX)],
          text: `${holders.length} nodes still route to node ${dead.node}, which ended ${(nowUs - dead.atUs) / 1e6} s ago`,
        },
      ]);
    }
    return violation;
  }

  /** Crashes of the last minute are censored; older ones that somebody still knows count with their age. */
  finish(nowUs: number): void {
    const isHidden = this.happenings.liars.length > 0;
    for (const dead of this.dead.values()) this.measure(dead, nowUs, isHidden && dead.watchers.length === 0);
    this.dead.clear();
    for (const span of this.spans) if (span.atUs > nowUs - GHOST_US) span.isCensored = true;
  }

  private bury(dead: Dead): void {
    this.measure(dead, this.lastLossUs(dead), false);
    this.dead.delete(dead.node);
  }

  private lastLossUs(dead: Dead): number {
    return Math.max(dead.atUs, lastLossOf(this.census, dead.node));
  }

  private measure(dead: Dead, endUs: number, isCensored: boolean): void {
    if (!dead.isMeasured) return;
    dead.isMeasured = false;
    this.spans.push({ node: dead.node, atUs: dead.atUs, tookUs: endUs - dead.atUs, isCensored });
  }

  /** Honest nodes, awake, not eclipsed, with a route to the dead. */
  private holdersOf(dead: Dead, nowUs: number, graph: LiveGraph): number[] {
    const { census, happenings } = this;
    const { nodes, hop, alive } = census;
    const holders: number[] = [];
    for (let node = 0; node < nodes; node += 1) {
      if (hop[node * nodes + dead.node] === 0 || alive[node] === 0) continue;
      if (!happenings.isHonest(node) || !happenings.isAwake(node)) continue;
      if (nowUs - happenings.resumedAtUs(node) <= GHOST_US && happenings.resumedAtUs(node) >= 0) continue;
      holders.push(node);
    }
    if (happenings.liars.length === 0 || holders.length === 0) return holders;
    const joined = this.joinedTo(dead.watchers, graph);
    const seen = holders.filter((node) => joined.has(node));
    if (nowUs - dead.atUs > GHOST_US && !dead.isEclipseCounted) {
      dead.isEclipseCounted = true;
      this.eclipsed += holders.length - seen.length;
    }
    return seen;
  }

  private joinedTo(watchers: readonly number[], graph: LiveGraph): Set<number> {
    const joined = new Set(watchers);
    for (const node of joined) {
      for (let at = graph.start[node]!; at < graph.start[node + 1]!; at += 1) {
        if (this.happenings.isHonest(graph.from[at]!)) joined.add(graph.from[at]!);
      }
    }
    return joined;
  }
}
