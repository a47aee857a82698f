import type { Digest } from "../collections/digest.js";

export const REPLAY_WINDOW = 8192;

const NO_BITS = new Uint32Array(0);
const WORDS_MIN = 2;
const WORD_BITS = 32;

/**
 * Which packet numbers were received: of the newest 8,192 numbers every one; older ones count as received (RFC 6479 has
 * the idea). All below a floor were received or are too old; a ring of bits tells of those from the floor to the newest.
 *
 * While nothing is missing there are no bits at all, and the ring is as large as the oldest gap is far behind: thousands
 * of quiet sessions in one process cost nothing. It grows by doubling, to 1 KiB, and is kept.
 * Only the low bits of a number pick its place, so `&` is right for numbers beyond 2^32 too.
 */
export class ReplayWindow {
  /** Numbers from `floor` to `newest`; all other bits are clear. Its size in bits is a power of two, or 0. */
  private bits = NO_BITS;
  private floor = 0;
  private newest = -1;

  /** True when `counter` (an integer from 0 below 2^53) was not marked yet and is not too old to tell. */
  isFresh(counter: number): boolean {
    if (counter > this.newest) return true;
    return counter >= this.floor && !this.has(counter);
  }

  /** Only after the packet proved genuine: a forged number must not move the window. */
  mark(counter: number): void {
    if (counter === this.floor && counter > this.newest) {
      this.floor = counter + 1;
      this.newest = counter;
      return;
    }
    if (counter < this.floor) return;
    if (counter > this.newest) this.advance(counter);
    const slot = counter & (this.bits.length * WORD_BITS - 1);
    this.bits[slot >>> 5]! |= 1 << (slot & 31);
    if (counter === this.floor) this.raise();
  }

  digest(into: Digest): void {
    into.number(this.newest).number(this.floor);
    for (let from = this.floor; from <= this.newest; from += WORD_BITS) {
      let word = 0;
      for (let i = 0; i < WORD_BITS && from + i <= this.newest; i += 1) if (this.has(from + i)) word |= 1 << i;
      into.number(word >>> 0);
    }
  }

  /** `counter` is from the floor to the newest. */
  private has(counter: number): boolean {
    const slot = counter & (this.bits.length * WORD_BITS - 1);
    return (this.bits[slot >>> 5]! & (1 << (slot & 31))) !== 0;
  }

  /** Makes `counter` the newest: what falls out of the window counts as received. */
  private advance(counter: number): void {
    const oldest = counter - REPLAY_WINDOW + 1;
    if (oldest > this.newest) {
      this.bits.fill(0);
      this.floor = oldest;
    } else if (oldest > this.floor) {
      for (let number = this.floor; number < oldest; number += 1) this.clear(number);
      this.floor = oldest;
      if (this.has(oldest)) this.raise();
    }
    const span = counter - this.floor + 1;
    if (span > this.bits.length * WORD_BITS) this.grow(span);
    this.newest = counter;
  }

  /** The floor was received: it rises to the next number that was not. */
  private raise(): void {
    let floor = this.floor;
    while (floor <= this.newest && this.has(floor)) {
      this.clear(floor);
      floor += 1;
    }
    this.floor = floor;
  }

  private clear(counter: number): void {
    const slot = counter & (this.bits.length * WORD_BITS - 1);
    this.bits[slot >>> 5]! &= ~(1 << (slot & 31));
  }

  private grow(span: number): void {
    let words = Math.max(WORDS_MIN, this.bits.length);
    while (words * WORD_BITS < span) words *= 2;
    const bits = new Uint32Array(words);
    for (let number = this.floor; number <= this.newest; number += 1) {
      if (!this.has(number)) continue;
      const slot = number & (words * WORD_BITS - 1);
      bits[slot >>> 5]! |= 1 << (slot & 31);
    }
    this.bits = bits;
  }
}
