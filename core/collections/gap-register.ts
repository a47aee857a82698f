import { NEVER } from "../time/instant.js";
import type { Digest } from "./digest.js";

/** A gap is told of at the latest when this many later numbers have arrived. */
const LATER_NUMBERS = 3;
const CAPACITY_MIN = 256;
const NO_BITS = new Uint32Array(0);

export type Arrival = "new" | "duplicate" | "beyond";

/**
 * Which numbers of a sequence have arrived: a floor below which all have, and a ring of bits above it.
 *
 * The ring comes with the first gap and grows by doubling up to `capacity` numbers past the floor; a number further ahead
 * is "beyond": it is not noted, and whoever sent it must repeat it. Nothing is allocated per number.
 *
 * A gap may be mere reordering, so it is told of only when three later numbers have arrived or when it has been open
 * for a delay that the owner chooses (`dueBelow`).
 */
export class GapRegister {
  /** Every number below this one has arrived. */
  floor: number;
  /** The largest number that has arrived; floor - 1 when none is missing. */
  highest: number;

  private readonly capacity: number;
  private bits: Uint32Array;
  private mask: number;
  /** Missing numbers below this one have been open long enough. */
  private ripeBelow: number;
  /** Missing numbers below this one were seen at `markUs` and are ripening. */
  private markBelow: number;
  private markUs = 0;

  /** @param first the first number of the sequence  @param capacity numbers past the floor, a power of two >= 256 */
  constructor(first = 1, capacity = 16_384) {
    if (capacity < CAPACITY_MIN || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`GapRegister: capacity must be a power of two >= ${CAPACITY_MIN}, not ${capacity}`);
    }
    this.floor = first;
    this.highest = first - 1;
    this.ripeBelow = first;
    this.markBelow = first;
    this.capacity = capacity;
    this.bits = NO_BITS;
    this.mask = -1;
  }

  /** True when something below the highest number is missing. */
  get hasGaps(): boolean {
    return this.floor <= this.highest;
  }

  insert(number: number, nowUs: number): Arrival {
    if (number < this.floor) return "duplicate";
    if (number === this.floor && number > this.highest) {
      this.floor = number + 1;
      this.highest = number;
      return "new";
    }
    if (number >= this.floor + this.capacity) return "beyond";
    if (number > this.floor + this.mask) this.grow(number);
    const slot = number & this.mask;
    const bit = 1 << (slot & 31);
    if ((this.bits[slot >>> 5]! & bit) !== 0) return "duplicate";
    this.bits[slot >>> 5]! |= bit;
    if (number > this.highest) {
      // A new hole below `number`: it starts to ripen now, unless an older one is ripening still.
      const isHole = number > this.highest + 1;
      this.highest = number;
      if (isHole && this.markBelow <= this.ripeBelow) {
        this.markBelow = number;
        this.markUs = nowUs;
      }
    }
    if (number === this.floor) this.raiseFloor();
    return "new";
  }

  has(number: number): boolean {
    if (number < this.floor) return true;
    if (number > this.highest) return false;
    const slot = number & this.mask;
    return (this.bits[slot >>> 5]! & (1 << (slot & 31))) !== 0;
  }

  /** Missing numbers below the returned one are due to be told of: three later ones came, or `delayUs` went by. */
  dueBelow(nowUs: number, delayUs: number): number {
    if (this.markBelow > this.ripeBelow && nowUs - this.markUs >= delayUs) {
      this.ripeBelow = this.markBelow;
      // What was missing above the mark until now starts to ripen in its turn.
      if (this.highest > this.ripeBelow && this.nextClear(this.ripeBelow, this.highest) < this.highest) {
        this.markBelow = this.highest;
        this.markUs = nowUs;
      }
    }
    return Math.max(this.floor, this.ripeBelow, this.highest - LATER_NUMBERS + 1);
  }

  /** When a gap that is not due yet becomes due by age alone; NEVER when there is none. */
  nextDueUs(delayUs: number): number {
    if (this.markBelow <= this.ripeBelow || this.markBelow <= this.floor) return NEVER;
    return this.markUs + delayUs;
  }

  /**
   * Writes the missing ranges below `below`, oldest first, as pairs (start, length) into `out`.
   * Returns the number of ranges: at most out.length / 2; what did not fit stays missing and is listed later.
   */
  missing(out: Uint32Array, below = this.highest): number {
    const end = Math.min(below, this.highest);
    const rangesMax = out.length >>> 1;
    let count = 0;
    let at = this.floor;
    while (count < rangesMax) {
      at = this.nextClear(at, end);
      if (at >= end) break;
      const stop = this.nextSet(at, end);
      out[count * 2] = at;
      out[count * 2 + 1] = stop - at;
      count += 1;
      at = stop;
    }
    return count;
  }

  /** The smallest missing number >= `from` and below `below`; `below` when there is none. */
  firstMissing(from: number, below: number): number {
    return this.nextClear(Math.max(from, this.floor), Math.max(below, this.floor));
  }

  digest(into: Digest): void {
    into.number(this.floor).number(this.highest).number(this.ripeBelow).number(this.markBelow);
    for (let number = this.floor; number <= this.highest; number += 1) {
      const missingFrom = this.nextClear(number, this.highest + 1);
      if (missingFrom > this.highest) break;
      into.number(missingFrom);
      number = this.nextSet(missingFrom, this.highest + 1);
    }
  }

  private raiseFloor(): void {
    let floor = this.floor;
    for (;;) {
      const slot = floor & this.mask;
      const word = this.bits[slot >>> 5]!;
      const bit = 1 << (slot & 31);
      if ((word & bit) === 0) break;
      this.bits[slot >>> 5] = word & ~bit;
      floor += 1;
    }
    this.floor = floor;
  }

  private nextSet(from: number, end: number): number {
    return this.next(from, end, 0);
  }

  private nextClear(from: number, end: number): number {
    return this.next(from, end, -1);
  }

  /** The first number in [from, end) whose bit, flipped by `flip`, is set; `end` when none is. */
  private next(from: number, end: number, flip: number): number {
    let at = from;
    while (at < end) {
      const slot = at & this.mask;
      const word = ((this.bits[slot >>> 5]! ^ flip) >>> (slot & 31)) | 0;
      if (word !== 0) return Math.min(end, at + (31 - Math.clz32(word & -word)));
      at += 32 - (slot & 31);
    }
    return end;
  }

  private grow(number: number): void {
    let size = Math.max(CAPACITY_MIN, this.mask + 1);
    while (number >= this.floor + size) size *= 2;
    const bits = new Uint32Array(size / 32);
    for (let old = this.floor; old <= this.highest; old += 1) {
      if (!this.has(old)) continue;
      const slot = old & (size - 1);
      bits[slot >>> 5]! |= 1 << (slot & 31);
    }
    this.bits = bits;
    this.mask = size - 1;
  }
}
