import type { Digest } from "../collections/digest.js";
import { type NumberColumn, type TableAllocator, withRoom } from "../collections/table-allocator.js";

/**
 * Short ids: two bytes instead of a NAC's sixteen.
 *
 * A node has one id for each destination that it ever mentions, the same for all its neighbours. Each route that names the
 * NAC in full states it too, and from then on the neighbour knows whom it means; the retraction of that route ends this, as
 * the neighbour may forget the NAC then. The id is the destination's until the node forgets it, which is when no neighbour
 * holds a route of ours to it any more: so no id ever means two NACs on one link. When all ids are in use, NACs are
 * written in full and state ID_NONE.
 */
export const SHORT_IDS_MAX = 65_535;
export const ID_NONE = 65_535;

/** The ids that a node gives: those that ended are given again first, the last ended before the others. */
export class OutgoingIds {
  private readonly ended: number[] = [];
  private fresh = 0;

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

/** What stands behind an id: nothing, a route that a bound refused, or FIRST plus the destination's number. */
const FREE = 0;
const REFUSED = 1;
const FIRST = 2;

/** What one neighbour calls destinations. Two bytes per id; four once the dictionary's numbers need them. */
export class IncomingIds {
  inUse = 0;
  private named: NumberColumn;
  private readonly allocate: TableAllocator;

  constructor(allocate: TableAllocator) {
    this.allocate = allocate;
    this.named = allocate.u16(0);
  }

  get bytes(): number {
    return this.named.byteLength;
  }

  /** A NAC in full came with an id: `destination`, or -1 when its route was refused. */
  give(id: number, destination: number): void {
    if (id === ID_NONE) return;
    const value = destination < 0 ? REFUSED : destination + FIRST;
    this.named = withRoom(this.named, id, value, SHORT_IDS_MAX, this.allocate);
    if (this.named[id] === FREE) this.inUse += 1;
    this.named[id] = value;
  }

  /** The destination; -1 when its route was refused, -2 when the id means nothing. */
  destinationOf(id: number): number {
    const value = id < this.named.length ? this.named[id]! : FREE;
    return value === FREE ? -2 : value === REFUSED ? -1 : value - FIRST;
  }

  end(id: number): void {
    if (id >= this.named.length || this.named[id] === FREE) return;
    this.named[id] = FREE;
    this.inUse -= 1;
  }

  /** The neighbour is gone: no id means anything any more. */
  close(): void {
    this.allocate.release(this.named);
    this.named = this.allocate.u16(0);
    this.inUse = 0;
  }

  digest(into: Digest): void {
    into.number(this.inUse);
  }
}
