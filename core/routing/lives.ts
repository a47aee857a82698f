import { GEAR_PERIODIC, gearOf, lifetimeSlots, periodSlots } from "./gears.js";
import type { RouteTable } from "./route-table.js";

/** Flags of a record's `life`; the gear of its origin stands above them. */
/** Lost once: the origin must prove that it lived in the slot `proof`, or later. */
export const NOTED = 0x01;
/** Offers are there, and are not used until the origin proves that it lives. */
export const BARRED = 0x02;
/** First heard of in an old generation, and nothing was proven since. */
export const HEARSAY = 0x04;
/** The next hop's offer was proven in the newest generation. */
export const NEXT_PROVEN = 0x08;
/** A proof of life is newer than the generation: its slot is `proof`. */
export const BY_LIFE = 0x10;
/** On the list of doubts. */
export const DOUBTED = 0x20;
const FLAGS = 0x3f;
const GEAR_SHIFT = 6;

/** Slots are kept by their low 16 bits. */
const LOW = 0x10000;
/** A proof may be demanded of the present slot or of one of the next two; an origin gives it once that has begun. */
export const AHEAD_SLOTS = 2;

/** What is known of each origin's life: which slots it has proven, which it has yet to. Kept in the table's records. */
export class Lives {
  /** The present slot of network time. */
  slot = 0;
  private readonly table: RouteTable;
  private readonly isStrict: boolean;

  constructor(table: RouteTable, isStrict: boolean) {
    this.table = table;
    this.isStrict = isStrict;
  }

  has(destination: number, flags: number): boolean {
    return (this.table.records.life(destination) & flags) !== 0;
  }

  set(destination: number, flags: number): void {
    const { records } = this.table;
    records.setLife(destination, records.life(destination) | flags);
  }

  clear(destination: number, flags: number): void {
    const { records } = this.table;
    records.setLife(destination, records.life(destination) & ~flags);
  }

  /** The whole number of a slot whose low bits are given: the one next to the present. */
  full(low: number): number {
    return this.slot + (((low - this.slot) << 16) >> 16);
  }

  /**
   * The whole number of a slot that an origin proved, which counts as the next one if it is later: no origin knows elements of
   * the future but one whose clock is ahead, or ours is behind. It lives now, and that is all that it proved.
   */
  provable(low: number): number {
    return Math.min(this.full(low), this.slot + 1);
  }

  gear(destination: number): number {
    return this.table.records.life(destination) >> GEAR_SHIFT;
  }

  /** Its origin proves every 15 s that it lives, or must, and is not to be suspected. */
  isPeriodic(destination: number): boolean {
    return this.isStrict || this.gear(destination) === GEAR_PERIODIC;
  }

  generation(destination: number): number {
    return this.full(this.table.records.generation(destination));
  }

  setGeneration(destination: number, generation: number): void {
    const { records, dictionary } = this.table;
    const gear = gearOf(generation, dictionary.word(destination, 3) & 0xff);
    records.setGeneration(destination, generation % LOW);
    records.setLife(destination, (gear << GEAR_SHIFT) | (records.life(destination) & FLAGS));
  }

  /** The slot of the newest sign of life, or the one that a noted origin must prove. */
  proof(destination: number): number {
    return this.full(this.table.records.proof(destination));
  }

  setProof(destination: number, slot: number): void {
    this.table.records.setProof(destination, slot % LOW);
  }

  /** The newest slot in which the origin lived for certain. */
  proven(destination: number): number {
    const generation = this.generation(destination);
    return this.has(destination, BY_LIFE) ? Math.max(generation, this.proof(destination)) : generation;
  }

  /** The slot that a noted destination must prove. When network time was set back it may be one that nobody can prove for long. */
  wanted(destination: number): number {
    const wanted = this.proof(destination);
    if (wanted <= this.slot + AHEAD_SLOTS) return wanted;
    this.setProof(destination, this.slot + 1);
    return this.slot + 1;
  }

  /** So many slots after its newest proof a destination is dead. */
  lifetime(destination: number): number {
    return lifetimeSlots(this.isStrict ? GEAR_PERIODIC : this.gear(destination));
  }

  /** The generation that the route in use can be announced in. */
  generationTold(destination: number): number {
    const generation = this.generation(destination);
    return this.has(destination, NEXT_PROVEN) ? generation : generation - periodSlots(this.gear(destination));
  }
}
