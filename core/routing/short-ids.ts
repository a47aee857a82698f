import type { Digest } from "../collections/digest.js";
import type { TableAllocator } from "../collections/table-allocator.js";

/**
 * Short ids: two bytes instead of a NAC's sixteen, on one link and in one direction.
 *
 * The first route that names a NAC gives it an id, and so the retraction of that route ends it. Both ends count alike,
 * since the control stream is in order: an id that ended is given again first, the last ended before the others; where
 * none is, the next higher one is taken. When all are in use, NACs are written in full and get none. A route repeated with
 * its NAC in full (table-answers.ts) gets a fresh id too; the old one is lost to the session.
 */
export const SHORT_IDS_MAX = 65_535;

/** The ids that ended and the next that never was. */
class FreeIds {
  private readonly ended: number[] = [];
  private fresh = 0;

  /** Ids given so far, ended ones included. */
  get given(): number {
    return this.fresh;
  }

  get inUse(): number {
    return this.fresh - this.ended.length;
  }

  /** -1 when all are in use. */
  take(): number {
    const again = this.ended.pop();
    if (again !== undefined) return again;
    if (this.fresh === SHORT_IDS_MAX) return -1;
    this.fresh += 1;
    return this.fresh - 1;
  }

  giveBack(id: number): void {
    this.ended.push(id);
  }

  digest(into: Digest): void {
    into.number(this.fresh).number(this.ended.length);
    for (const id of this.ended) into.number(id);
  }
}

/** What we call destinations. `column` holds, by destination, the id plus one; zero: none. */
export class OutgoingIds {
  private readonly free = new FreeIds();
  private readonly columns: { readonly ids: Uint16Array };

  constructor(columns: { readonly ids: Uint16Array }) {
    this.columns = columns;
  }

  /** -1 when the destination has none. */
  idOf(destination: number): number {
    return this.columns.ids[destination]! - 1;
  }

  give(destination: number): void {
    this.columns.ids[destination] = this.free.take() + 1;
  }

  end(destination: number): void {
    const id = this.idOf(destination);
    if (id >= 0) this.free.giveBack(id);
    this.columns.ids[destination] = 0;
  }

  get inUse(): number {
    return this.free.inUse;
  }

  digest(into: Digest): void {
    this.free.digest(into);
  }
}

/** What stands behind an id: free, a route that a bound refused, or FIRST plus the destination's number. */
const FREE = 0;
const REFUSED = 1;
const FIRST = 2;
const WIDE_FROM = 0x10000;

/** What the neighbour calls destinations. Two bytes per id; four once the dictionary's numbers need them. */
export class IncomingIds {
  private readonly free = new FreeIds();
  private readonly columns: { named: Uint16Array | Uint32Array };
  private readonly allocate: TableAllocator;

  constructor(columns: { named: Uint16Array | Uint32Array }, allocate: TableAllocator) {
    this.columns = columns;
    this.allocate = allocate;
  }

  /** A NAC in full came: `destination`, or -1 when its route was refused. */
  give(destination: number): void {
    const id = this.free.take();
    if (id < 0) return;
    const value = destination < 0 ? REFUSED : destination + FIRST;
    this.makeRoom(id, value);
    this.columns.named[id] = value;
  }

  /** The destination; -1 when its route was refused, -2 when the id means nothing. */
  destinationOf(id: number): number {
    const value = id < this.free.given ? this.columns.named[id]! : FREE;
    return value === FREE ? -2 : value === REFUSED ? -1 : value - FIRST;
  }

  end(id: number): void {
    this.columns.named[id] = FREE;
    this.free.giveBack(id);
  }

  get inUse(): number {
    return this.free.inUse;
  }

  digest(into: Digest): void {
    this.free.digest(into);
  }

  private makeRoom(id: number, value: number): void {
    const { named } = this.columns;
    const isWide = named instanceof Uint32Array || value >= WIDE_FROM;
    const isLongEnough = id < named.length;
    if (isLongEnough && isWide === named instanceof Uint32Array) return;
    const length = isLongEnough ? named.length : Math.max(64, named.length * 2);
    const larger = isWide ? this.allocate.u32(length) : this.allocate.u16(length);
    larger.set(named);
    this.columns.named = larger;
  }
}
