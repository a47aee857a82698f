import type { HashBudget } from "./hash-budget.js";
import type { Walker } from "./step.js";

/** So many hashes at a time, some 14 ms: a long walk must not hold up packets. */
const SLICE = 32_768;
/** Links with a walk under way at a time; another link's walk of more than a slice has to wait. */
const WALKS_MAX = 256;

interface Walk {
  chain: number;
  destination: number;
  epoch: number;
  tag: number;
  position: number;
  steps: number;
  done: number;
  /** What it began with, 4 words, and where it is. */
  readonly from: Int32Array;
  readonly current: Int32Array;
}

/**
 * Walks that neighbours cause, paid from their allowance. One that is longer than a slice or than the allowance goes on when the
 * same is asked again; each link has one such walk, so that whoever asks for many only loses his own.
 */
export class MeteredWalks {
  private readonly walker: Walker;
  private readonly budget: HashBudget;
  private readonly walks = new Map<number, Walk>();

  constructor(walker: Walker, budget: HashBudget) {
    this.walker = walker;
    this.budget = budget;
  }

  /** The walker has entered the chain and holds the element at `position`. True when it has walked all the steps. */
  walk(
    nowUs: number,
    link: number,
    chain: number,
    destination: number,
    epoch: number,
    position: number,
    steps: number,
  ): boolean {
    const may = Math.min(SLICE, this.budget.available(nowUs, link));
    if (steps <= may) {
      this.budget.spend(nowUs, link, steps);
      this.walker.walk(position, steps);
      return true;
    }
    const walk = this.walkOf(link, chain, destination, epoch, position, steps);
    if (walk === undefined) return false;
    const now = Math.min(may, steps - walk.done);
    this.budget.spend(nowUs, link, now);
    this.walker.loadWords(walk.current, 0);
    this.walker.walk(position - walk.done, now);
    this.walker.storeWords(walk.current, 0);
    walk.done += now;
    if (walk.done < steps) return false;
    this.walks.delete(link);
    return true;
  }

  available(nowUs: number, link: number): number {
    return this.budget.available(nowUs, link);
  }

  /** So many hashes of another kind, all or none. */
  pay(nowUs: number, link: number, hashes: number): boolean {
    if (this.budget.available(nowUs, link) < hashes) return false;
    this.budget.spend(nowUs, link, hashes);
    return true;
  }

  forgetLink(link: number): void {
    this.walks.delete(link);
    this.budget.forget(link);
  }

  /** The number may mean another destination soon. */
  forget(destination: number): void {
    for (const [link, walk] of this.walks) if (walk.destination === destination) this.walks.delete(link);
  }

  private walkOf(
    link: number,
    chain: number,
    destination: number,
    epoch: number,
    position: number,
    steps: number,
  ): Walk | undefined {
    let walk = this.walks.get(link);
    if (walk === undefined) {
      if (this.walks.size >= WALKS_MAX) return undefined;
      const from = new Int32Array(4);
      walk = { chain, destination, epoch, tag: 0, position, steps, done: 0, from, current: new Int32Array(4) };
      this.walks.set(link, walk);
    } else if (
      walk.chain === chain &&
      walk.destination === destination &&
      walk.epoch === epoch &&
      walk.tag === this.walker.tag &&
      walk.position === position &&
      walk.steps === steps &&
      this.walker.holds(walk.from, 0)
    ) {
      return walk;
    }
    walk.chain = chain;
    walk.destination = destination;
    walk.epoch = epoch;
    walk.tag = this.walker.tag;
    walk.position = position;
    walk.steps = steps;
    walk.done = 0;
    this.walker.storeWords(walk.from, 0);
    this.walker.storeWords(walk.current, 0);
    return walk;
  }
}
