import type { Digest } from "../collections/digest.js";

/**
 * What a neighbour is to be told of lives rather than of routes. Each destination waits at most once for each; what is told is
 * looked up when it leaves. Nearly all neighbours have none.
 */
export class Outbox {
  /** Destinations whose newest generation proves what the neighbour was told. */
  readonly proofs = new Set<number>();
  /** Destinations of which the newest proof of life is wanted. */
  readonly lives = new Set<number>();
  /** Destination to the slot that it must prove. */
  readonly suspicions = new Map<number, number>();

  get isEmpty(): boolean {
    return this.proofs.size === 0 && !this.isUrgent;
  }

  /** Answers and questions; proofs can wait for company. */
  get isUrgent(): boolean {
    return this.lives.size > 0 || this.suspicions.size > 0;
  }

  /** A later slot includes the earlier: a neighbour that can prove it can prove both. */
  suspect(destination: number, slot: number): void {
    this.suspicions.set(destination, Math.max(slot, this.suspicions.get(destination) ?? 0));
  }

  digest(into: Digest): void {
    into.number(this.proofs.size).number(this.lives.size).number(this.suspicions.size);
    for (const slot of this.suspicions.values()) into.number(slot);
  }
}
