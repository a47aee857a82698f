import { METRIC_INFINITY } from "../../core/routing/feasible.js";
import { type Census, LINKS_MAX } from "../engine/census.js";
import type { Violation } from "../engine/observer.js";
import type { Happenings } from "./happenings.js";
import type { HonestPaths } from "./honest-paths.js";
import type { LiveGraph } from "./live-graph.js";
import { SampledColumns } from "./sampled-columns.js";
import { SEARCH_MAX, ShortestPaths } from "./shortest-paths.js";
import type { TableWalk } from "./table-walk.js";

/** Routes more than so many times as dear as the shortest are counted there, percent. */
const STRETCH_MAX = 2_000;
const NONE = 65_535;

/** What the tables of all nodes are worth for some destinations, against the graph as it truly is. */
export class Reachability {
  pairs = 0;
  unreachable = 0;
  loops = 0;
  /** By percent of the shortest path: pairs. */
  readonly stretch: number[] = [];

  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly honest: HonestPaths;
  private readonly walk: TableWalk;
  private readonly paths: ShortestPaths;
  private readonly columns: SampledColumns;
  private readonly cost: Uint16Array;
  private readonly trail: Int32Array;

  constructor(census: Census, happenings: Happenings, honest: HonestPaths, walk: TableWalk) {
    this.census = census;
    this.happenings = happenings;
    this.honest = honest;
    this.walk = walk;
    this.paths = new ShortestPaths(census.nodes);
    this.columns = new SampledColumns(census);
    this.cost = new Uint16Array(census.nodes);
    this.trail = new Int32Array(census.nodes);
  }

  /**
   * Looks at up to 64 live destinations: counts pairs with a path and those without a route, seeks loops,
   * and follows the routes to some of them hop by hop for their stretch.
   */
  sample(
    nowUs: number,
    graph: LiveGraph,
    destinations: readonly number[],
    isMeasured: (destination: number) => boolean,
  ): Violation | undefined {
    const count = destinations.length;
    this.load(graph, destinations);
    let violation: Violation | undefined;
    for (let k = 0; k < count; k += 1) {
      const destination = destinations[k]!;
      this.countPairs(destination, k);
      if (isMeasured(destination)) this.measure(graph, destination, k);
      const loop = this.walk.findLoop(destination, this.columns.hops, k * this.census.nodes);
      if (loop === undefined) continue;
      this.loops += 1;
      violation ??= loopViolation(nowUs, destination, loop);
    }
    return violation;
  }

  /** Calls `visit` for each pair with a path but no route. */
  forEachUnserved(graph: LiveGraph, destinations: readonly number[], visit: (node: number, k: number) => void): void {
    this.load(graph, destinations);
    for (let k = 0; k < destinations.length; k += 1) {
      for (let node = 0; node < this.census.nodes; node += 1) {
        if (this.isPair(destinations[k]!, k, node) && this.columns.hops[k * this.census.nodes + node] === 0)
          visit(node, k);
      }
    }
  }

  /**
   * When all has been quiet for long enough, each node with a path has the shortest. Answers the first that has not; with
   * liars about, only whether honest nodes have any route to whom honest nodes join them is asked.
   */
  findWrong(nowUs: number, graph: LiveGraph, destinations: readonly number[]): Violation | undefined {
    this.load(graph, destinations);
    this.columns.gatherMetrics(destinations, destinations.length);
    const { nodes } = this.census;
    const isDeceived = this.happenings.liars.length > 0;
    for (let k = 0; k < destinations.length; k += 1) {
      const destination = destinations[k]!;
      for (let node = 0; node < nodes; node += 1) {
        const at = k * nodes + node;
        if (node === destination || !this.happenings.isHonest(node) || this.census.alive[node] === 0) continue;
        if (!this.happenings.isAwake(node)) continue;
        const shortest = this.paths.distance[at]!;
        // Who is behind liars alone may be kept from the living as well as from the dead.
        const hasPath = shortest < METRIC_INFINITY && (!isDeceived || this.honest.areJoined(node, destination));
        const hasRoute = this.columns.hops[at] !== 0;
        const metric = this.columns.metrics[at]!;
        const found = (oracle: string, text: string) => ({ oracle, atUs: nowUs, nodes: [destination, node], text });
        if (hasPath && !hasRoute) {
          return found(
            "starvation",
            `all is quiet, but node ${node} has no route to ${destination}; the path costs ${shortest}`,
          );
        }
        if (isDeceived || !hasRoute) continue;
        if (!hasPath)
          return found("truth", `all is quiet, but node ${node} has a route to ${destination}, to which no path leads`);
        if (metric !== shortest) {
          return found(
            "truth",
            `all is quiet, but node ${node} has metric ${metric} to ${destination}; the path costs ${shortest}`,
          );
        }
      }
    }
    return undefined;
  }

  private load(graph: LiveGraph, destinations: readonly number[]): void {
    if (destinations.length > SEARCH_MAX) throw new RangeError(`reachability: ${destinations.length} destinations`);
    this.paths.search(graph, destinations, destinations.length);
    this.columns.gather(destinations, destinations.length);
  }

  private countPairs(destination: number, k: number): void {
    const { nodes } = this.census;
    const { hops } = this.columns;
    const { distance } = this.paths;
    const end = (k + 1) * nodes;
    let pairs = 0;
    let unreachable = 0;
    for (let at = k * nodes; at < end; at += 1) {
      if (distance[at]! >= METRIC_INFINITY) continue;
      pairs += 1;
      if (hops[at] === 0) unreachable += 1;
    }
    this.pairs += pairs;
    this.unreachable += unreachable;
    if (distance[k * nodes + destination] === 0) {
      this.pairs -= 1; // the destination itself, which needs no route
      this.unreachable -= 1;
    }
    for (const liar of this.happenings.liars) {
      if (liar === destination || !this.isPath(k, liar)) continue;
      this.pairs -= 1;
      if (hops[k * nodes + liar] === 0) this.unreachable -= 1;
    }
  }

  private isPath(k: number, node: number): boolean {
    return this.paths.distance[k * this.census.nodes + node]! < METRIC_INFINITY;
  }

  private isPair(destination: number, k: number, node: number): boolean {
    return node !== destination && this.isPath(k, node) && this.happenings.isHonest(node);
  }

  /** Adds up the links that a packet would take, as those who send over them see their costs, and the ways through nodes. */
  private measure({ transit }: LiveGraph, destination: number, k: number): void {
    const { nodes } = this.census;
    const { cost, trail } = this;
    const hops = this.columns.hops.subarray(k * nodes, (k + 1) * nodes);
    cost.fill(0);
    for (let first = 0; first < nodes; first += 1) {
      let length = 0;
      let node = first;
      while (node !== destination && cost[node] === 0 && length < nodes) {
        cost[node] = NONE; // until it is known; a walk that comes back here leads nowhere
        trail[length] = node;
        length += 1;
        if (hops[node] === 0) break;
        node = hops[node]! - 1;
      }
      let total = node === destination ? 0 : cost[node]!;
      for (let i = length - 1; i >= 0; i -= 1) {
        const at = trail[i]!;
        const peer = hops[at]! - 1;
        const through = peer < 0 || peer === destination ? 0 : transit[peer]!;
        total = total === NONE || peer < 0 ? NONE : Math.min(NONE, total + this.costOf(at, peer) + through);
        cost[at] = total;
      }
      const shortest = this.paths.distance[k * nodes + first]!;
      if (first === destination || cost[first] === NONE || shortest >= METRIC_INFINITY) continue;
      if (!this.happenings.isHonest(first)) continue;
      const percent = Math.min(STRETCH_MAX, Math.floor((cost[first]! * 100) / shortest));
      while (this.stretch.length <= percent) this.stretch.push(0);
      this.stretch[percent]! += 1;
    }
  }

  /** Of the first link to the peer; NONE when there is none any more. */
  private costOf(node: number, peer: number): number {
    const { linkPeer, linkCost } = this.census;
    const end = (node + 1) * LINKS_MAX;
    for (let at = node * LINKS_MAX; at < end; at += 1) if (linkPeer[at] === peer + 1) return linkCost[at]!;
    return NONE;
  }
}

/** The destination, then the circle from its least node on. */
export function loopViolation(nowUs: number, destination: number, loop: readonly number[]): Violation {
  const begin = loop.indexOf(Math.min(...loop));
  const turned = [...loop.slice(begin), ...loop.slice(0, begin)];
  const circle = [...turned, turned[0]!].join(" > ");
  return {
    oracle: "loop",
    atUs: nowUs,
    nodes: [destination, ...turned],
    text: `packets for node ${destination} go round: ${circle}`,
  };
}
