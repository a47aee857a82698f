import type { TableAllocator } from "../collections/table-allocator.js";
import { AGE_OLD, METRIC_NONE } from "./feasible.js";

/**
 * One cell per destination and neighbour, 6 bytes: what the neighbour taught of it, and what it was told.
 *
 *   offset  size  field
 *        0     2  age     of what it taught, from AGE_OLD downwards
 *        2     1  metric  XOR METRIC_NONE
 *        3     1  told    XOR METRIC_NONE
 *        4     2  flags   see below
 *
 * The cells of one destination lie side by side, in the order of the neighbours' slots: choosing and telling go over all
 * neighbours of one destination, and meet one or two cache lines. Zeros mean "nothing", as in records.ts.
 */
const CELL_HALVES = 3;
const CELL_BYTES = 2 * CELL_HALVES;
const METRIC_BYTE = 2;
const TOLD_BYTE = 3;
const FLAGS_HALF = 2;

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
export const QUEUED_ANY = 0xf0;
/** The neighbour knows by which short id we call the destination. */
export const NAMED = 0x100;
/** It asked, and is answered whether our route may help it or not. */
export const OWED = 0x200;

/** Strides grow by an eighth, by two at least: most nodes have few neighbours, and unused room costs memory for each destination. */
const STRIDE_STEP_MIN = 2;

export class Cells {
  /** Cells per destination: slots that neighbours may have. */
  stride = 0;
  private capacity: number;
  private readonly allocate: TableAllocator;
  private halves: Uint16Array;
  private bytes: Uint8Array;

  constructor(capacity: number, allocate: TableAllocator) {
    this.capacity = capacity;
    this.allocate = allocate;
    this.halves = allocate.u16(0);
    this.bytes = bytesOf(this.halves);
  }

  /** Room for more destinations. */
  grow(capacity: number): void {
    const halves = this.allocate.u16(capacity * this.stride * CELL_HALVES);
    halves.set(this.halves);
    this.capacity = capacity;
    this.halves = halves;
    this.bytes = bytesOf(halves);
  }

  /** Room for at least `slots` neighbours. Only the cells of `destinations[0, count)` are kept: the others hold nothing. */
  widen(slots: number, destinations: Uint32Array, count: number): void {
    if (slots <= this.stride) return;
    const before = this.stride * CELL_HALVES;
    const old = this.halves;
    this.stride = Math.max(slots, this.stride + Math.max(STRIDE_STEP_MIN, this.stride >> 3));
    const after = this.stride * CELL_HALVES;
    this.halves = this.allocate.u16(this.capacity * after);
    this.bytes = bytesOf(this.halves);
    for (let i = 0; i < count; i += 1) {
      const from = destinations[i]! * before;
      const to = destinations[i]! * after;
      for (let k = 0; k < before; k += 1) this.halves[to + k] = old[from + k]!;
    }
  }

  /** The cell of a destination that the table knows and a neighbour's slot; slot 0 is the first of the destination. */
  at(destination: number, slot: number): number {
    return destination * this.stride + slot;
  }

  /** Indexes behind the newest known; see route-table.ts. */
  age(cell: number): number {
    return AGE_OLD - this.halves[cell * CELL_HALVES]!;
  }

  setAge(cell: number, age: number): void {
    this.halves[cell * CELL_HALVES] = AGE_OLD - age;
  }

  /** A newer index of the destination came, by `step`: all that was taught of it is so much older. */
  growAges(destination: number, step: number): void {
    const end = (destination + 1) * this.stride * CELL_HALVES;
    for (let at = destination * this.stride * CELL_HALVES; at < end; at += CELL_HALVES) {
      this.halves[at] = Math.max(0, this.halves[at]! - step);
    }
  }

  /** As the neighbour announced it; METRIC_NONE when it has no route or never said. */
  metric(cell: number): number {
    return this.bytes[cell * CELL_BYTES + METRIC_BYTE]! ^ METRIC_NONE;
  }

  /** Only Decision may: digest and count follow. */
  setMetric(cell: number, metric: number): void {
    this.bytes[cell * CELL_BYTES + METRIC_BYTE] = metric ^ METRIC_NONE;
  }

  /** The metric that the neighbour was told last; METRIC_NONE when never, or retracted. */
  told(cell: number): number {
    return this.bytes[cell * CELL_BYTES + TOLD_BYTE]! ^ METRIC_NONE;
  }

  setTold(cell: number, metric: number): void {
    this.bytes[cell * CELL_BYTES + TOLD_BYTE] = metric ^ METRIC_NONE;
  }

  flags(cell: number): number {
    return this.halves[cell * CELL_HALVES + FLAGS_HALF]!;
  }

  setFlags(cell: number, flags: number): void {
    this.halves[cell * CELL_HALVES + FLAGS_HALF] = flags;
  }

  clear(cell: number): void {
    const at = cell * CELL_HALVES;
    this.halves[at] = 0;
    this.halves[at + 1] = 0;
    this.halves[at + 2] = 0;
  }
}

function bytesOf(halves: Uint16Array): Uint8Array {
  return new Uint8Array(halves.buffer, halves.byteOffset, halves.length * 2);
}
