import type { Digest } from "../collections/digest.js";
import type { VouchedEpoch } from "./elements.js";

/** Epoch proofs that wait for one neighbour. Beyond: not answered; whoever asked asks again. */
const EPOCHS_MAX = 32;

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
  /** By destination, each epoch vouched for by the one before it here; the route that they are for waits behind them. */
  readonly epochs = new Map<number, readonly VouchedEpoch[]>();

  get isEmpty(): boolean {
    return this.proofs.size === 0 && !this.isUrgent;
  }

  /** Answers and questions; proofs can wait for company. */
  get isUrgent(): boolean {
    return this.lives.size > 0 || this.suspicions.size > 0 || this.epochs.size > 0;
  }

  /** A later slot includes the earlier: a neighbour that can prove it can prove both. */
  suspect(destination: number, slot: number): void {
    this.suspicions.set(destination, Math.max(slot, this.suspicions.get(destination) ?? 0));
  }

  prove(destination: number, vouched: readonly VouchedEpoch[]): void {
    if (this.epochs.size < EPOCHS_MAX) this.epochs.set(destination, vouched);
  }

  digest(into: Digest): void {
    into.number(this.proofs.size).number(this.lives.size).number(this.suspicions.size).number(this.epochs.size);
    for (const slot of this.suspicions.values()) into.number(slot);
  }
}
