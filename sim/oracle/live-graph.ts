import { type Census, LINKS_MAX } from "../engine/census.js";

/** May a packet pass between two nodes? What the network cuts, and who stands still, is asked here. */
export interface Passage {
  isAwake(node: number): boolean;
  isOpen(from: number, to: number): boolean;
}

/**
 * The graph as it truly is: links that both ends have up, between nodes that live and are awake, and that the network does
 * not cut in either direction. Kept by the node that a link leads to, since paths are searched from their ends: the links
 * into `v` are `start[v] .. start[v + 1] - 1`, from node `from` at cost `cost`, as the node at the beginning sees the cost.
 */
export class LiveGraph {
  readonly nodes: number;
  /** By node: what the way through it costs, its links aside. */
  readonly transit: ArrayLike<number>;
  start: Int32Array;
  from: Uint16Array;
  cost: Uint8Array;
  /** Component of each node that takes part, -1 for the others; and the size of each component. */
  readonly component: Int32Array;
  readonly sizes: Int32Array;
  components = 0;

  private readonly degree: Int32Array;
  private readonly stamp: Int32Array;
  private readonly queue: Int32Array;
  private ends = { from: new Uint16Array(0), to: new Uint16Array(0), cost: new Uint8Array(0) };

  constructor(nodes: number, transit: ArrayLike<number> = new Uint8Array(nodes)) {
    this.nodes = nodes;
    this.transit = transit;
    this.start = new Int32Array(nodes + 1);
    this.from = new Uint16Array(0);
    this.cost = new Uint8Array(0);
    this.component = new Int32Array(nodes);
    this.sizes = new Int32Array(nodes);
    this.degree = new Int32Array(nodes);
    this.stamp = new Int32Array(nodes);
    this.queue = new Int32Array(nodes);
  }

  degreeOf(node: number): number {
    return this.start[node + 1]! - this.start[node]!;
  }

  build(census: Census, passage: Passage): void {
    this.scatter(this.collect(census, passage));
    this.keepMutual();
    this.findComponents();
  }

  /** All links that are up at their beginning, in order of node and link; their ends are awake. */
  private collect(census: Census, passage: Passage): number {
    const { linkPeer, linkCost, alive } = census;
    const pairs = new Uint32Array(linkPeer.buffer, linkPeer.byteOffset, linkPeer.length >> 1); // two links at a glance
    let count = 0;
    this.degree.fill(0);
    for (let node = 0; node < this.nodes; node += 1) {
      if (alive[node] === 0 || !passage.isAwake(node)) continue;
      const end = ((node + 1) * LINKS_MAX) >> 1;
      for (let pair = (node * LINKS_MAX) >> 1; pair < end; pair += 1) {
        if (pairs[pair] === 0) continue;
        for (let at = pair * 2; at < pair * 2 + 2; at += 1) {
          const peer = linkPeer[at]! - 1;
          if (peer < 0 || alive[peer] === 0 || !passage.isAwake(peer)) continue;
          if (!passage.isOpen(node, peer) || !passage.isOpen(peer, node)) continue;
          if (count === this.ends.from.length) this.grow();
          this.ends.from[count] = node;
          this.ends.to[count] = peer;
          this.ends.cost[count] = linkCost[at]!;
          this.degree[peer]! += 1;
          count += 1;
        }
      }
    }
    return count;
  }

  private grow(): void {
    const length = Math.max(1024, this.ends.from.length * 2);
    const { from, to, cost } = this.ends;
    this.ends = { from: new Uint16Array(length), to: new Uint16Array(length), cost: new Uint8Array(length) };
    this.ends.from.set(from);
    this.ends.to.set(to);
    this.ends.cost.set(cost);
    this.from = new Uint16Array(length);
    this.cost = new Uint8Array(length);
  }

  /** Sorts the links by where they lead to. */
  private scatter(count: number): void {
    const { start, degree } = this;
    start[0] = 0;
    for (let node = 0; node < this.nodes; node += 1) start[node + 1] = start[node]! + degree[node]!;
    for (let node = 0; node < this.nodes; node += 1) degree[node] = start[node]!; // where the next one goes
    for (let i = 0; i < count; i += 1) {
      const to = this.ends.to[i]!;
      this.from[degree[to]!] = this.ends.from[i]!;
      this.cost[degree[to]!] = this.ends.cost[i]!;
      degree[to]! += 1;
    }
  }

  /** Drops links that only one end has up. Works on rows in order, so what is kept can move to the front. */
  private keepMutual(): void {
    const { start, from, cost, stamp, ends } = this;
    stamp.fill(-1);
    let kept = 0;
    let out = 0; // in `ends`, which is in order of the beginning: the links out of each node in turn
    const total = start[this.nodes]!;
    for (let node = 0; node < this.nodes; node += 1) {
      for (; out < total && ends.from[out] === node; out += 1) stamp[ends.to[out]!] = node;
      const first = start[node]!;
      const last = start[node + 1]!;
      start[node] = kept;
      for (let at = first; at < last; at += 1) {
        if (stamp[from[at]!] !== node) continue;
        from[kept] = from[at]!;
        cost[kept] = cost[at]!;
        kept += 1;
      }
    }
    start[this.nodes] = kept;
  }

  private findComponents(): void {
    const { component, sizes, queue, start, from } = this;
    component.fill(-1);
    this.components = 0;
    for (let root = 0; root < this.nodes; root += 1) {
      if (component[root]! >= 0 || start[root] === start[root + 1]) continue;
      const mark = this.components;
      this.components += 1;
      component[root] = mark;
      queue[0] = root;
      let length = 1;
      for (let i = 0; i < length; i += 1) {
        const node = queue[i]!;
        for (let at = start[node]!; at < start[node + 1]!; at += 1) {
          const next = from[at]!;
          if (component[next]! >= 0) continue;
          component[next] = mark;
          queue[length] = next;
          length += 1;
        }
      }
      sizes[mark] = length;
    }
  }
}
