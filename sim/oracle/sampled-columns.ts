import type { Census } from "../engine/census.js";
import { SEARCH_MAX } from "./shortest-paths.js";

/**
 * Columns of the census for some destinations, copied so that each is dense: the census lies row by row, and a walk down a
 * column would touch another page of memory with every step.
 */
export class SampledColumns {
  /** `hops[k * nodes + node]` for the k-th destination, as in the census; 0 for nodes that do not live. */
  readonly hops: Uint16Array;
  readonly metrics: Uint8Array;
  private readonly census: Census;

  constructor(census: Census) {
    this.census = census;
    this.hops = new Uint16Array(SEARCH_MAX * census.nodes);
    this.metrics = new Uint8Array(SEARCH_MAX * census.nodes);
  }

  gather(destinations: ArrayLike<number>, count: number): void {
    const { hop, alive, nodes } = this.census;
    const { hops } = this;
    for (let node = 0; node < nodes; node += 1) {
      const isAlive = alive[node] === 1;
      const row = node * nodes;
      for (let k = 0; k < count; k += 1) {
        hops[k * nodes + node] = isAlive ? hop[row + destinations[k]!]! : 0;
      }
    }
  }

  gatherMetrics(destinations: ArrayLike<number>, count: number): void {
    const { metric, nodes } = this.census;
    for (let node = 0; node < nodes; node += 1) {
      for (let k = 0; k < count; k += 1) this.metrics[k * nodes + node] = metric[node * nodes + destinations[k]!]!;
    }
  }
}
