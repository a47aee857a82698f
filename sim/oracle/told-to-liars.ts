import { SLOT_MS } from "../../core/link/network-time.js";
import { gearFor, lifetimeSlots } from "../../core/routing/gears.js";

const NONE = 255;

/** By destination, the best metric of this lifetime of a proof, and of the one before. */
interface Memory {
  readonly liar: number;
  present: Uint8Array;
  past: Uint8Array;
}

/**
 * The best that each liar was told of each destination while the proof of it could be shown: who keeps worse news to itself
 * says what was true, for one or two such lifetimes, and forges nothing. Looked at once a second.
 */
export class ToldToLiars {
  private readonly nodes: number;
  private readonly lifetimeUs: number;
  private readonly memories: Memory[] = [];
  private readonly byLiar = new Map<number, Memory>();
  private lifetimes = 0;

  constructor(nodes: number) {
    this.nodes = nodes;
    this.lifetimeUs = lifetimeSlots(gearFor(nodes, 0)) * SLOT_MS * 1000;
  }

  /** The best metric that the liar was told; 255 for none. */
  best(liar: number, destination: number): number {
    const memory = this.byLiar.get(liar);
    return memory === undefined ? NONE : Math.min(memory.present[destination]!, memory.past[destination]!);
  }

  /** @param tell  the best metric that is offered to the liar at this moment; 255 for none */
  handleSecond(nowUs: number, liars: readonly number[], tell: (liar: number, destination: number) => number): void {
    const lifetimes = Math.floor(nowUs / this.lifetimeUs);
    if (lifetimes !== this.lifetimes) for (const memory of this.memories) this.turn(memory);
    this.lifetimes = lifetimes;
    for (let i = this.memories.length; i < liars.length; i += 1) this.meet(liars[i]!);
    for (const { liar, present } of this.memories) {
      for (let destination = 0; destination < this.nodes; destination += 1) {
        const metric = tell(liar, destination);
        if (metric < present[destination]!) present[destination] = metric;
      }
    }
  }

  private turn(memory: Memory): void {
    memory.past = memory.present;
    memory.present = new Uint8Array(this.nodes).fill(NONE);
  }

  private meet(liar: number): void {
    const memory = {
      liar,
      present: new Uint8Array(this.nodes).fill(NONE),
      past: new Uint8Array(this.nodes).fill(NONE),
    };
    this.memories.push(memory);
    this.byLiar.set(liar, memory);
  }
}
