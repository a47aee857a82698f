import { SLOT_MS } from "../../core/link/network-time.js";
import { gearFor, lifetimeSlots } from "../../core/routing/gears.js";

const NONE = 255;

/** By destination, the best metric of this lifetime of a proof, and of the one before. */
interface Memory {
  present: Uint8Array;
  past: Uint8Array;
}

/**
 * The best that each liar was told of each destination while the proof of it could be shown, 255 for nothing: who keeps worse
 * news to itself says what was true, for one or two such lifetimes, and forges nothing.
 */
export class ToldToLiars {
  private readonly nodes: number;
  private readonly lifetimeUs: number;
  private readonly memories = new Map<number, Memory>();
  private lifetimes = 0;

  constructor(nodes: number) {
    this.nodes = nodes;
    this.lifetimeUs = lifetimeSlots(gearFor(nodes, 0)) * SLOT_MS * 1000;
  }

  best(liar: number, destination: number): number {
    const memory = this.memories.get(liar);
    return memory === undefined ? NONE : Math.min(memory.present[destination]!, memory.past[destination]!);
  }

  /** What is told from now on may be remembered for longer than what was told before. */
  handleSecond(nowUs: number): void {
    const lifetimes = Math.floor(nowUs / this.lifetimeUs);
    if (lifetimes === this.lifetimes) return;
    this.lifetimes = lifetimes;
    for (const memory of this.memories.values()) {
      memory.past = memory.present;
      memory.present = this.nothing();
    }
  }

  /** By destination, the best of the present lifetime: to be lowered by whoever sees better told. */
  obtain(liar: number): Uint8Array {
    const known = this.memories.get(liar);
    if (known !== undefined) return known.present;
    const memory = { present: this.nothing(), past: this.nothing() };
    this.memories.set(liar, memory);
    return memory.present;
  }

  private nothing(): Uint8Array {
    return new Uint8Array(this.nodes).fill(NONE);
  }
}
