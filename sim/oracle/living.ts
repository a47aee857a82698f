import type { Census } from "../engine/census.js";
import type { LiveGraph } from "./live-graph.js";

/**
 * Living nodes that were taken for dead: somebody had a route to the node, then nobody, though there was a path to it at
 * this whole second and at the one before. Each counts once until somebody has a route again.
 */
export class LivingNodes {
  falseRemovals = 0;
  private readonly census: Census;
  private readonly wasHeld: Uint8Array;
  private readonly hadPath: Uint8Array;

  constructor(census: Census) {
    this.census = census;
    this.wasHeld = new Uint8Array(census.nodes);
    this.hadPath = new Uint8Array(census.nodes);
  }

  /** A life ends or begins: nothing of the last one counts. */
  forget(node: number): void {
    this.wasHeld[node] = 0;
    this.hadPath[node] = 0;
  }

  /** Of the nodes for which `owns` holds. */
  handleSecond(graph: LiveGraph, owns: (node: number) => boolean): void {
    const { holders, alive } = this.census;
    for (let node = 0; node < this.wasHeld.length; node += 1) {
      const component = graph.component[node]!;
      const hasPath = component >= 0 && graph.sizes[component]! > 1;
      if (alive[node] === 1 && holders[node]! > 0) this.wasHeld[node] = 1;
      else if (this.wasHeld[node] === 1 && hasPath && this.hadPath[node] === 1) {
        if (owns(node)) this.falseRemovals += 1;
        this.wasHeld[node] = 0;
      }
      this.hadPath[node] = hasPath ? 1 : 0;
    }
  }
}
