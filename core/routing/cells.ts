import type { NumberColumn, TableAllocator } from "../collections/table-allocator.js";
import { AGE_OLD, METRIC_NONE } from "./feasible.js";

/**
 * One cell per destination and neighbour, 32 bits: what the neighbour taught of it, and what it was told.
 *
 *   bits   field
 *   0-9    flags   see below
 *   10-16  told    plus one; 0 is METRIC_NONE
 *   17-23  metric  plus one; 0 is METRIC_NONE
 *   24-31  age     of what it taught, plus one; 0 is AGE_OLD, 255 stands in `far`
 *
 * The cells of one destination lie side by side, in the order of the neighbours' slots: choosing and telling go over all
 * neighbours of one destination, and meet one or two cache lines. Zeros mean "nothing", as in records.ts. Metrics are 0 to
 * METRIC_INFINITY, or METRIC_NONE.
 *
 * Offers are hardly ever more than some indexes behind the newest. The ages of those that are have a column of their own,
 * which there is from the first of them on.
 */
const FLAGS_MASK = 0x3ff;
const TOLD_SHIFT = 10;
const METRIC_SHIFT = 17;
const METRIC_MASK = 0x7f;
const AGE_SHIFT = 24;
const AGE_FAR = 255;
/** From this age on it stands in `far`. */
const FAR_FROM = AGE_FAR - 1;
/** In `far`: added to the age of a stale offer. Ages from here on are AGE_OLD. */
const STALE = 0x8000;
const ALL_BUT_TOLD = ~(METRIC_MASK << TOLD_SHIFT);
const ALL_BUT_METRIC = ~(METRIC_MASK << METRIC_SHIFT);
const ALL_BUT_AGE = 0xff_ffff;

/** Something waits to be told about this destination. */
export const PENDING = 0x01;
/** Tell it even when the metric is what the neighbour was told last: the index or the epoch is newer. */
export const FORCED = 0x02;
/** The neighbour asked for a newer index of this destination. */
export const ASKED = 0x04;
/** The neighbour says that it is the origin. */
export const FROM_ORIGIN = 0x08;
/** In the list of the first urgency; those of the others follow. */
export const QUEUED_FIRST = 0x10;
export const QUEUED_ANY = 0x70;
/** The neighbour knows by which short id we call the destination. */
export const NAMED = 0x100;
/** It asked, and is answered whether our route may help it or not. */
export const OWED = 0x200;

/** Strides grow by an eighth, by one at least: most nodes have few neighbours, and unused room costs memory for each destination. */
const STRIDE_STEP_MIN = 1;

export class Cells {
  /** Cells per destination: slots that neighbours may have. */
  stride = 0;
  private capacity: number;
  private readonly allocate: TableAllocator;
  private words: Uint32Array;
  /** Ages that do not fit their bits; cells with others may say anything here. */
  private far: Uint16Array | undefined;

  constructor(capacity: number, allocate: TableAllocator) {
    this.capacity = capacity;
    this.allocate = allocate;
    this.words = allocate.u32(0);
  }

  /** Room for more destinations. */
  grow(capacity: number): void {
    const { words, far } = this;
    this.capacity = capacity;
    this.words = this.allocate.u32(capacity * this.stride);
    this.words.set(words);
    this.allocate.release(words);
    if (far === undefined) return;
    this.far = this.allocate.u16(capacity * this.stride);
    this.far.set(far);
    this.allocate.release(far);
  }

  /** Room for at least `slots` neighbours. Only the cells of `destinations[0, count)` are kept: the others hold nothing. */
  widen(slots: number, destinations: NumberColumn, count: number): void {
    const { stride: before, words, far } = this;
    if (slots <= before) return;
    this.stride = Math.max(slots, before + Math.max(STRIDE_STEP_MIN, before >> 3));
    this.words = this.allocate.u32(this.capacity * this.stride);
    spread(words, before, this.words, this.stride, destinations, count);
    this.allocate.release(words);
    if (far === undefined) return;
    this.far = this.allocate.u16(this.capacity * this.stride);
    spread(far, before, this.far, this.stride, destinations, count);
    this.allocate.release(far);
  }

  /** The cell of a destination that the table knows and a neighbour's slot; slot 0 is the first of the destination. */
  at(destination: number, slot: number): number {
    return destination * this.stride + slot;
  }

  /** Indexes behind the newest known; see route-table.ts. */
  age(cell: number): number {
    const age = this.words[cell]! >>> AGE_SHIFT;
    if (age === 0) return AGE_OLD;
    if (age < AGE_FAR) return age - 1;
    const far = this.far![cell]!;
    return far < STALE ? far : AGE_OLD;
  }

  /** The offer was told in a generation that is over: it counts as old until the neighbour proves it in the present one. */
  makeStale(cell: number): void {
    const age = this.age(cell);
    if (age < STALE) this.setFar(cell, age + STALE);
  }

  isStale(cell: number): boolean {
    return this.words[cell]! >>> AGE_SHIFT === AGE_FAR && this.far![cell]! >= STALE;
  }

  /** A stale offer has the age again that it was told with. */
  renew(cell: number): void {
    if (this.isStale(cell)) this.setAge(cell, this.far![cell]! - STALE);
  }

  setAge(cell: number, age: number): void {
    const rest = this.words[cell]! & ALL_BUT_AGE;
    if (age >= STALE) this.words[cell] = rest;
    else if (age < FAR_FROM) this.words[cell] = rest | ((age + 1) << AGE_SHIFT);
    else this.setFar(cell, age);
  }

  /** A newer index of the destination came, by `step`: all that was taught of it is so much older. */
  growAges(destination: number, step: number): void {
    const end = (destination + 1) * this.stride;
    for (let cell = destination * this.stride; cell < end; cell += 1) {
      const age = this.words[cell]! >>> AGE_SHIFT;
      if (age === 0) continue;
      if (age + step < AGE_FAR) this.words[cell] = this.words[cell]! + (step << AGE_SHIFT);
      else if (this.isStale(cell)) this.growStale(cell, step);
      else this.setAge(cell, this.age(cell) + step);
    }
  }

  /** As the neighbour announced it; METRIC_NONE when it has no route or never said. */
  metric(cell: number): number {
    const metric = (this.words[cell]! >>> METRIC_SHIFT) & METRIC_MASK;
    return metric === 0 ? METRIC_NONE : metric - 1;
  }

  /** Only Decision may: digest and count follow. */
  setMetric(cell: number, metric: number): void {
    this.words[cell] = (this.words[cell]! & ALL_BUT_METRIC) | (bitsOf(metric) << METRIC_SHIFT);
  }

  /** The metric that the neighbour was told last; METRIC_NONE when never, or retracted. */
  told(cell: number): number {
    const told = (this.words[cell]! >>> TOLD_SHIFT) & METRIC_MASK;
    return told === 0 ? METRIC_NONE : told - 1;
  }

  setTold(cell: number, metric: number): void {
    this.words[cell] = (this.words[cell]! & ALL_BUT_TOLD) | (bitsOf(metric) << TOLD_SHIFT);
  }

  flags(cell: number): number {
    return this.words[cell]! & FLAGS_MASK;
  }

  setFlags(cell: number, flags: number): void {
    this.words[cell] = (this.words[cell]! & ~FLAGS_MASK) | flags;
  }

  clear(cell: number): void {
    this.words[cell] = 0;
  }

  private setFar(cell: number, value: number): void {
    this.words[cell] = (this.words[cell]! & ALL_BUT_AGE) | (AGE_FAR << AGE_SHIFT);
    this.far ??= this.allocate.u16(this.capacity * this.stride);
    this.far[cell] = value;
  }

  private growStale(cell: number, step: number): void {
    const age = this.far![cell]! - STALE + step;
    if (age < STALE) this.setFar(cell, age + STALE);
    else this.setAge(cell, AGE_OLD);
  }
}

function bitsOf(metric: number): number {
  return metric === METRIC_NONE ? 0 : metric + 1;
}

/** Rows of one width become rows of another. */
function spread<Column extends NumberColumn>(
  old: Column,
  before: number,
  wide: Column,
  after: number,
  destinations: NumberColumn,
  count: number,
): void {
  for (let i = 0; i < count; i += 1) {
    const from = destinations[i]! * before;
    const to = destinations[i]! * after;
    for (let k = 0; k < before; k += 1) wide[to + k] = old[from + k]!;
  }
}
