import { type Census, LINKS_MAX } from "../engine/census.js";

/** Both ends of a session have it up within this time of each other: hellos that are lost are repeated until the link is dead. */
const SESSION_SKEW_US = 10_000_000;

const UNSEEN = 0;
const ON_THIS_WALK = 1;
const DONE = 2;

/**
 * Follows next hops as the census has them. A loop is a circle of honest nodes that would send a packet round: each of its
 * hops must be a link that both ends hold of the same session. (Of a node that restarted, neighbours hold the session with
 * its earlier life for some seconds; what they send there is dropped, so it goes round nowhere.)
 */
export class TableWalk {
  private readonly census: Census;
  private readonly isHonest: (node: number) => boolean;
  private readonly state: Uint8Array;
  private readonly path: Int32Array;
  private readonly ups: { readonly ours: number[]; readonly theirs: number[] } = { ours: [], theirs: [] };

  constructor(census: Census, isHonest: (node: number) => boolean) {
    this.census = census;
    this.isHonest = isHonest;
    this.state = new Uint8Array(census.nodes);
    this.path = new Int32Array(census.nodes);
  }

  /**
   * Every node's walk to `destination`, whose next hops stand in `hops[at, at + nodes)` as in the census. Answers the nodes
   * of the first loop, or undefined.
   */
  findLoop(destination: number, hops: Uint16Array, at: number): number[] | undefined {
    const { state, path } = this;
    const { nodes } = this.census;
    state.fill(UNSEEN);
    state[destination] = DONE;
    for (let first = 0; first < nodes; first += 1) {
      if (state[first] !== UNSEEN || hops[at + first] === 0) continue;
      let length = 0;
      let node = first;
      while (node >= 0 && state[node] === UNSEEN) {
        state[node] = ON_THIS_WALK;
        path[length] = node;
        length += 1;
        node = hops[at + node]! - 1;
      }
      if (node >= 0 && state[node] === ON_THIS_WALK) {
        const loop = Array.from(path.subarray(path.indexOf(node), length));
        if (this.isLoop(loop)) return loop;
      }
      for (let i = 0; i < length; i += 1) state[path[i]!] = DONE;
    }
    return undefined;
  }

  /** The walk of one packet from `node`, read from the census. */
  findLoopFrom(node: number, destination: number): number[] | undefined {
    const { hop, nodes } = this.census;
    const path = [node];
    let last = node;
    for (let steps = 0; steps < nodes; steps += 1) {
      const next = hop[last * nodes + destination]! - 1;
      if (next < 0 || next === destination) return undefined;
      const begin = path.indexOf(next);
      if (begin >= 0) {
        const loop = path.slice(begin);
        return this.isLoop(loop) ? loop : undefined;
      }
      path.push(next);
      last = next;
    }
    return undefined;
  }

  private isLoop(loop: readonly number[]): boolean {
    if (!loop.every((node) => this.isHonest(node) && this.census.alive[node] === 1)) return false;
    return loop.every((node, place) => this.isOneSession(node, loop[(place + 1) % loop.length]!));
  }

  /** Are the links between the two the same sessions at both ends? Otherwise one of them holds what the other has lost. */
  private isOneSession(a: number, b: number): boolean {
    const { ours, theirs } = this.ups;
    this.collectUps(a, b, ours);
    this.collectUps(b, a, theirs);
    if (ours.length === 0 || ours.length !== theirs.length) return false;
    const born = Math.max(this.census.bornUs[a]!, this.census.bornUs[b]!);
    return ours.every((up, i) => {
      const other = theirs[i]!;
      return Math.min(up, other) >= born && Math.abs(up - other) <= SESSION_SKEW_US;
    });
  }

  private collectUps(node: number, peer: number, into: number[]): void {
    const { linkPeer, linkUpUs } = this.census;
    into.length = 0;
    for (let at = node * LINKS_MAX; at < (node + 1) * LINKS_MAX; at += 1) {
      if (linkPeer[at] === peer + 1) into.push(linkUpUs[at]!);
    }
    into.sort((x, y) => x - y);
  }
}
