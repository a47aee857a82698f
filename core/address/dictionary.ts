import { KeyedHash } from "./keyed-hash.js";

/**
 * NACs interned as small dense numbers, so that tables are columns of typed arrays and no packet needs a string.
 *
 * Open addressing on the four u32 words of a NAC, hashed under a key of the owner's. Injected: every simulated node of a
 * worker shares one. Nothing may depend on the interned number itself (ties are broken by ids), only on its being dense
 * and stable while somebody holds it.
 *
 * A number is held by whoever keeps it: `intern` and `hold` take a hold, `release` gives one back. When the last is given
 * back, the number serves another NAC. Whoever wants a NAC for ever just never releases it.
 */
export class NacDictionary {
  private words: Uint32Array;
  private slots: Int32Array;
  private holds: Uint32Array;
  private readonly spare: number[] = [];
  private readonly hash: KeyedHash;
  private count = 0;

  /**
   * @param capacity  NACs before it first grows; a power of two
   * @param seed      two u32, random where strangers choose the NACs
   */
  constructor(capacity = 64, seed: readonly [number, number] = [0, 0]) {
    this.words = new Uint32Array(capacity * 4);
    this.slots = new Int32Array(capacity * 4).fill(-1);
    this.holds = new Uint32Array(capacity);
    this.hash = new KeyedHash(seed);
  }

  /** Numbers are below this. */
  get size(): number {
    return this.count;
  }

  /** NACs that somebody holds. */
  get held(): number {
    return this.count - this.spare.length;
  }

  /** The number of the NAC at `offset`, with one hold more; a new one when nobody holds it. Copies the 16 bytes. */
  intern(bytes: Uint8Array, offset = 0): number {
    const known = this.find(bytes, offset);
    if (known >= 0) {
      this.holds[known]! += 1;
      return known;
    }
    const number = this.spare.pop() ?? this.nextNumber();
    for (let i = 0; i < 4; i += 1) this.words[number * 4 + i] = wordAt(bytes, offset + i * 4);
    this.slots[this.emptySlotOf(number)] = number;
    this.holds[number] = 1;
    return number;
  }

  isHeld(number: number): boolean {
    return this.holds[number]! > 0;
  }

  /** One hold more on a number that somebody holds. */
  hold(number: number): void {
    this.checkHeld(number);
    this.holds[number]! += 1;
  }

  /** One hold less; after the last the number is free for another NAC, and `find` does not know this one any more. */
  release(number: number): void {
    this.checkHeld(number);
    this.holds[number]! -= 1;
    if (this.holds[number]! > 0) return;
    this.vacate(number);
    this.spare.push(number);
  }

  /** The number of a NAC that somebody holds, or -1. */
  find(bytes: Uint8Array, offset = 0): number {
    const a = wordAt(bytes, offset);
    const b = wordAt(bytes, offset + 4);
    const c = wordAt(bytes, offset + 8);
    const d = wordAt(bytes, offset + 12);
    const mask = this.slots.length - 1;
    let slot = this.hash.of(a, b, c, d) & mask;
    for (;;) {
      const number = this.slots[slot]!;
      if (number < 0) return -1;
      const at = number * 4;
      if (this.words[at] === a && this.words[at + 1] === b && this.words[at + 2] === c && this.words[at + 3] === d) {
        return number;
      }
      slot = (slot + 1) & mask;
    }
  }

  /** Word `place` (0 to 3, big-endian) of NAC `number`. */
  word(number: number, place: number): number {
    return this.words[number * 4 + place]!;
  }

  /** Writes the 16 bytes of NAC `number`. Throws RangeError for a number that was never given. */
  write(number: number, out: Uint8Array, offset = 0): void {
    if (number < 0 || number >= this.count) throw new RangeError(`NacDictionary: no NAC has the number ${number}`);
    for (let i = 0; i < 4; i += 1) {
      const word = this.words[number * 4 + i]!;
      out[offset + i * 4] = word >>> 24;
      out[offset + i * 4 + 1] = word >>> 16;
      out[offset + i * 4 + 2] = word >>> 8;
      out[offset + i * 4 + 3] = word;
    }
  }

  /** A fresh copy of the 16 bytes of NAC `number`. */
  bytesOf(number: number): Uint8Array {
    const out = new Uint8Array(16);
    this.write(number, out);
    return out;
  }

  private checkHeld(number: number): void {
    if (!this.isHeld(number)) throw new RangeError(`NacDictionary: nobody holds the number ${number}`);
  }

  private nextNumber(): number {
    if ((this.count + 1) * 4 > this.words.length) this.grow();
    const number = this.count;
    this.count += 1;
    return number;
  }

  private homeOf(number: number): number {
    const at = number * 4;
    const { words } = this;
    return this.hash.of(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!) & (this.slots.length - 1);
  }

  private emptySlotOf(number: number): number {
    const mask = this.slots.length - 1;
    let slot = this.homeOf(number);
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    return slot;
  }

  /** Takes a number out of the slots; those behind it that would not be found any more move up (Knuth 6.4, algorithm R). */
  private vacate(number: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let hole = this.homeOf(number);
    while (slots[hole] !== number) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; slots[at]! >= 0; at = (at + 1) & mask) {
      const home = this.homeOf(slots[at]!);
      if (((at - home) & mask) < ((at - hole) & mask)) continue; // it lives behind the hole
      slots[hole] = slots[at]!;
      hole = at;
    }
    slots[hole] = -1;
  }

  private grow(): void {
    const words = new Uint32Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    const holds = new Uint32Array(words.length / 4);
    holds.set(this.holds);
    this.holds = holds;
    this.slots = new Int32Array(words.length).fill(-1);
    for (let number = 0; number < this.count; number += 1) {
      if (holds[number]! > 0) this.slots[this.emptySlotOf(number)] = number;
    }
  }
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}
