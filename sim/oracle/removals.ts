import { type Census, lastLossOf } from "../engine/census.js";
import type { Violation } from "../engine/observer.js";
import type { Span } from "../report/tally.js";
import { firstViolation } from "./first-violation.js";
import type { Happenings } from "./happenings.js";
import type { HonestPaths } from "./honest-paths.js";
import type { LiveGraph } from "./live-graph.js";

/** The promise: a dead node is in nobody's table after so long. */
export const GHOST_US = 60_000_000;
/** So many nodes are named in a violation. */
const NAMED_MAX = 8;
const NOT_YET = -1;

interface Dead {
  readonly node: number;
  readonly atUs: number;
  /** Crashed in the time that counts: its removal is measured. */
  isMeasured: boolean;
  /** Who had a link to it in the second before; only while there are liars. */
  readonly watchers: readonly number[];
  /** When the last node that counts lost its route; NOT_YET while one has it. A liar may bring the dead back. */
  goneUs: number;
  /** Nodes with a route to it that no honest path joined to a watcher, at some second since they had it. */
  readonly eclipsed: Set<number>;
}

/**
 * The dead of one shard, from their end until nobody routes to them. Routes of nodes that stand still or lie count for
 * nothing. While there are liars, those of nodes that no path of honest nodes joins to an honest watcher of the dead count
 * apart: these are eclipsed. A node that was eclipsed stays so for this dead one until it has lost the route.
 */
export class Removals {
  readonly spans: Span[] = [];
  /** One for each pair of an eclipsed node and a dead one. */
  readonly eclipses: Span[] = [];
  ghosts = 0;
  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly paths: HonestPaths;
  private readonly dead = new Map<number, Dead>();

  constructor(census: Census, happenings: Happenings, paths: HonestPaths) {
    this.census = census;
    this.happenings = happenings;
    this.paths = paths;
  }

  /** `graph` as it was in the second before. */
  handleEnd(nowUs: number, node: number, isMeasured: boolean, graph: LiveGraph): void {
    const watchers =
      this.happenings.liars.length > 0
        ? Array.from(graph.from.subarray(graph.start[node]!, graph.start[node + 1]!)).filter((peer) =>
            this.happenings.isHonest(peer),
          )
        : [];
    this.dead.set(node, { node, atUs: nowUs, isMeasured, watchers, goneUs: NOT_YET, eclipsed: new Set() });
  }

  handleStart(nowUs: number, node: number): void {
    const dead = this.dead.get(node);
    if (dead !== undefined) this.bury(dead, nowUs, true);
  }

  handleWindow(): void {
    const { holders } = this.census;
    const mayReturn = this.happenings.liars.length > 0;
    for (const dead of this.dead.values()) {
      if (holders[dead.node] !== 0) continue;
      if (dead.goneUs === NOT_YET) dead.goneUs = this.lastLossUs(dead);
      if (!mayReturn) this.bury(dead, dead.goneUs, false);
    }
  }

  /** Looks for ghosts, and at who still routes to the dead for good reason. */
  handleSecond(nowUs: number): Violation | undefined {
    const { asleep, liars } = this.happenings;
    let violation: Violation | undefined;
    for (const dead of this.dead.values()) {
      const isOld = nowUs - dead.atUs > GHOST_US;
      if (!isOld && asleep.size === 0 && liars.length === 0) continue;
      const holders = this.holdersOf(dead, nowUs);
      if (holders.length > 0) dead.goneUs = NOT_YET;
      else if (dead.goneUs === NOT_YET) dead.goneUs = this.lastLossUs(dead);
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
    for (const dead of this.dead.values()) this.bury(dead, nowUs, false);
    for (const span of [...this.spans, ...this.eclipses]) if (span.atUs > nowUs - GHOST_US) span.isCensored = true;
  }

  /** Who is not gone yet counts with its age, or is censored when it came back. */
  private bury(dead: Dead, nowUs: number, isBack: boolean): void {
    this.dead.delete(dead.node);
    if (!dead.isMeasured) return;
    const isUnwatched = this.isUnwatched(dead);
    const isGone = dead.goneUs !== NOT_YET && !isUnwatched;
    this.push(this.spans, dead, isGone ? dead.goneUs : nowUs, !isGone && (isBack || isUnwatched));
    for (let i = dead.eclipsed.size; i > 0; i -= 1) this.push(this.eclipses, dead, nowUs, isBack);
  }

  /** Nobody honest could say that it is dead: all are eclipsed. */
  private isUnwatched(dead: Dead): boolean {
    return this.happenings.liars.length > 0 && dead.watchers.length === 0;
  }

  private lastLossUs(dead: Dead): number {
    return Math.max(dead.atUs, lastLossOf(this.census, dead.node));
  }

  private push(spans: Span[], { node, atUs }: Dead, endUs: number, isCensored: boolean): void {
    spans.push({ node, atUs, tookUs: endUs - atUs, isCensored });
  }

  /** Honest nodes, awake, not eclipsed, with a route to the dead. */
  private holdersOf(dead: Dead, nowUs: number): number[] {
    const { census, happenings } = this;
    const { nodes, hop, alive } = census;
    const holders: number[] = [];
    if (census.holders[dead.node] !== 0) {
      for (let node = 0; node < nodes; node += 1) {
        if (hop[node * nodes + dead.node] === 0 || alive[node] === 0) continue;
        if (!happenings.isHonest(node) || !happenings.isAwake(node)) continue;
        if (nowUs - happenings.resumedAtUs(node) <= GHOST_US && happenings.resumedAtUs(node) >= 0) continue;
        holders.push(node);
      }
    }
    return happenings.liars.length === 0 ? holders : this.withoutEclipsed(dead, nowUs, holders);
  }

  private withoutEclipsed(dead: Dead, nowUs: number, holders: readonly number[]): number[] {
    const { eclipsed } = dead;
    for (const node of eclipsed) {
      if (holders.includes(node)) continue;
      eclipsed.delete(node);
      if (dead.isMeasured) this.push(this.eclipses, dead, nowUs, false);
    }
    return holders.filter((node) => {
      if (!eclipsed.has(node) && dead.watchers.some((watcher) => this.isWatchedBy(watcher, node))) return true;
      eclipsed.add(node);
      return false;
    });
  }

  /** A watcher without any honest neighbour is joined to itself. */
  private isWatchedBy(watcher: number, node: number): boolean {
    return watcher === node || this.paths.areJoined(watcher, node);
  }
}
