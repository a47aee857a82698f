import { METRIC_INFINITY } from "../../core/routing/feasible.js";
import { LAST_RESORT_COST } from "../../core/routing/transit.js";
import type { LiveGraph } from "./live-graph.js";

/** Destinations of one search: the bits of two words. */
export const SEARCH_MAX = 64;
/** A link costs 1 to 4, and the way through a node LAST_RESORT_COST more: so far ahead lies what is pending, and the present level. */
const LEVELS = 4 + LAST_RESORT_COST + 1;
const NO_PATH = 255;

/**
 * Dijkstra from up to 64 destinations in one go: costs are small integers, so the nodes are visited level by level, and all
 * destinations whose distance to a node is the same are one visit, a bit each (multi-source search, Then et al., VLDB 2014).
 * Paths of METRIC_INFINITY and more do not exist: no node could hold such a route.
 */
export class ShortestPaths {
  /** `distance[k * nodes + node]`: cost of the shortest path from the node to the k-th destination; 255 without one. */
  readonly distance: Uint8Array;

  private readonly nodes: number;
  private readonly seenLow: Int32Array;
  private readonly seenHigh: Int32Array;
  /** By level (in a ring) and node: destinations whose distance may be that level. */
  private readonly pendingLow: Int32Array;
  private readonly pendingHigh: Int32Array;
  private readonly lists: Int32Array;
  private readonly lengths = new Int32Array(LEVELS);

  constructor(nodes: number) {
    this.nodes = nodes;
    this.distance = new Uint8Array(SEARCH_MAX * nodes);
    this.seenLow = new Int32Array(nodes);
    this.seenHigh = new Int32Array(nodes);
    this.pendingLow = new Int32Array(LEVELS * nodes);
    this.pendingHigh = new Int32Array(LEVELS * nodes);
    this.lists = new Int32Array(LEVELS * nodes);
  }

  /** Fills `distance` for `count` destinations, 64 at most. Throws RangeError for more. */
  search(graph: LiveGraph, destinations: ArrayLike<number>, count: number): void {
    if (count > SEARCH_MAX) throw new RangeError(`shortest paths: ${count} destinations are more than ${SEARCH_MAX}`);
    this.distance.fill(NO_PATH, 0, count * this.nodes);
    this.seenLow.fill(0);
    this.seenHigh.fill(0);
    for (let k = 0; k < count; k += 1) {
      const isLow = k < 32;
      this.put(0, destinations[k]!, isLow ? 1 << k : 0, isLow ? 0 : 1 << (k - 32));
    }
    let empty = 0;
    for (let level = 0; level < METRIC_INFINITY && empty < LEVELS; level += 1) {
      empty = this.visit(graph, level) ? 0 : empty + 1;
    }
    // What lies beyond the last level is not wanted: the next search begins with nothing pending.
    for (let slot = 0; slot < LEVELS; slot += 1) {
      for (let i = 0; i < this.lengths[slot]!; i += 1) {
        const at = slot * this.nodes + this.lists[slot * this.nodes + i]!;
        this.pendingLow[at] = 0;
        this.pendingHigh[at] = 0;
      }
      this.lengths[slot] = 0;
    }
  }

  private put(slot: number, node: number, low: number, high: number): void {
    const at = slot * this.nodes + node;
    if ((this.pendingLow[at]! | this.pendingHigh[at]!) === 0) {
      this.lists[slot * this.nodes + this.lengths[slot]!] = node;
      this.lengths[slot]! += 1;
    }
    this.pendingLow[at]! |= low;
    this.pendingHigh[at]! |= high;
  }

  /** False when nothing was pending at this level. */
  private visit(graph: LiveGraph, level: number): boolean {
    const { nodes, seenLow, seenHigh, pendingLow, pendingHigh, lists, lengths } = this;
    const { start, from, cost, transit } = graph;
    const slot = level % LEVELS;
    const length = lengths[slot]!;
    lengths[slot] = 0;
    for (let i = 0; i < length; i += 1) {
      const node = lists[slot * nodes + i]!;
      const place = slot * nodes + node;
      const low = pendingLow[place]! & ~seenLow[node]!;
      const high = pendingHigh[place]! & ~seenHigh[node]!;
      pendingLow[place] = 0;
      pendingHigh[place] = 0;
      if ((low | high) === 0) continue;
      seenLow[node]! |= low;
      seenHigh[node]! |= high;
      this.write(node, low, 0, level);
      this.write(node, high, 32, level);
      const through = level === 0 ? 0 : transit[node]!; // only destinations are at level 0
      for (let at = start[node]!; at < start[node + 1]!; at += 1) {
        const before = from[at]!;
        const nextLow = low & ~seenLow[before]!;
        const nextHigh = high & ~seenHigh[before]!;
        if ((nextLow | nextHigh) !== 0) this.put((level + through + cost[at]!) % LEVELS, before, nextLow, nextHigh);
      }
    }
    return length > 0;
  }

  private write(node: number, bits: number, first: number, level: number): void {
    let rest = bits;
    while (rest !== 0) {
      const bit = 31 - Math.clz32(rest);
      this.distance[(first + bit) * this.nodes + node] = level;
      rest ^= 1 << bit;
    }
  }
}
