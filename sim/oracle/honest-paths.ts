import type { Happenings } from "./happenings.js";
import type { LiveGraph } from "./live-graph.js";

/** So long two nodes must have been joined for one to be blamed when it forgets the other. */
export const JOINED_SECONDS = 20;

/**
 * Which nodes are joined by links between honest nodes that live and are awake: now, and at each of the last 20 whole
 * seconds. Without liars these are the components of the graph.
 */
export class HonestPaths {
  /** By node: a number that it shares with all whom it is joined to; -1 for who lies, sleeps, is dead or alone. */
  get component(): Int32Array {
    return this.history[this.place]!;
  }

  private readonly happenings: Happenings;
  private readonly history: readonly Int32Array[];
  private readonly queue: Int32Array;
  private place = 0;

  constructor(nodes: number, happenings: Happenings) {
    this.happenings = happenings;
    this.history = Array.from({ length: JOINED_SECONDS }, () => new Int32Array(nodes).fill(-1));
    this.queue = new Int32Array(nodes);
  }

  handleSecond(graph: LiveGraph): void {
    this.place = (this.place + 1) % JOINED_SECONDS;
    if (this.happenings.liars.length === 0) this.component.set(graph.component);
    else this.label(graph, this.component);
  }

  areJoined(a: number, b: number): boolean {
    return isJoined(this.component, a, b);
  }

  /** At each of the last 20 whole seconds. */
  wereJoined(a: number, b: number): boolean {
    return this.history.every((component) => isJoined(component, a, b));
  }

  private label({ start, from, nodes }: LiveGraph, component: Int32Array): void {
    const { happenings, queue } = this;
    component.fill(-1);
    let mark = 0;
    for (let root = 0; root < nodes; root += 1) {
      if (component[root]! >= 0 || start[root] === start[root + 1] || !happenings.isHonest(root)) continue;
      component[root] = mark;
      queue[0] = root;
      let length = 1;
      for (let i = 0; i < length; i += 1) {
        const node = queue[i]!;
        for (let at = start[node]!; at < start[node + 1]!; at += 1) {
          const next = from[at]!;
          if (component[next]! >= 0 || !happenings.isHonest(next)) continue;
          component[next] = mark;
          queue[length] = next;
          length += 1;
        }
      }
      mark += 1;
    }
  }
}

function isJoined(component: Int32Array, a: number, b: number): boolean {
  return component[a]! >= 0 && component[a] === component[b];
}
