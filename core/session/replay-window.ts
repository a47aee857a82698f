import type { Digest } from "../collections/digest.js";

export const REPLAY_WINDOW = 8192;

/**
 * Which packet numbers were received: a ring of bits for the newest 8,192 numbers (RFC 6479 has the idea, with whole
 * words where this clears single bits). Older ones count as received. Allocates nothing after construction.
 * Only the low bits of a number pick its place, so `&` is right for numbers beyond 2^32 too.
 */
export class ReplayWindow {
  private readonly bits = new Uint32Array(REPLAY_WINDOW / 32);
  private newest = -1;

  /** True when `counter` (an integer from 0 below 2^53) was not marked yet and is not too old to tell. */
  isFresh(counter: number): boolean {
    if (counter > this.newest) return true;
    if (counter <= this.newest - REPLAY_WINDOW) return false;
    const slot = counter & (REPLAY_WINDOW - 1);
    return (this.bits[slot >>> 5]! & (1 << (slot & 31))) === 0;
  }

  /** Only after the packet proved genuine: a forged number must not move the window. */
  mark(counter: number): void {
    if (counter > this.newest) this.advance(counter);
    const slot = counter & (REPLAY_WINDOW - 1);
    this.bits[slot >>> 5]! |= 1 << (slot & 31);
  }

  digest(into: Digest): void {
    into.number(this.newest);
    for (const word of this.bits) into.number(word);
  }

  private advance(counter: number): void {
    if (counter - this.newest >= REPLAY_WINDOW) {
      this.bits.fill(0);
    } else {
      for (let skipped = this.newest + 1; skipped < counter; skipped += 1) this.clear(skipped);
    }
    this.newest = counter;
  }

  private clear(counter: number): void {
    const slot = counter & (REPLAY_WINDOW - 1);
    this.bits[slot >>> 5]! &= ~(1 << (slot & 31));
  }
}
