import type { Digest } from "../collections/digest.js";
import { heapAllocator, type NumberColumn, type TableAllocator, withRoom } from "../collections/table-allocator.js";

/** What all lists together may keep while they are empty. */
const ROOM_KEPT = 64;
const NONE = -1;
const PLACES_MAX = 2 ** 31 - 1;
const U16_MAX = 0xffff;

/**
 * Destinations that wait to be told: many lists, first in first out, in one piece of memory. A neighbour that waits for
 * nothing costs nothing, and the memory goes when all lists are empty. The owner bounds the lists: a destination is in each
 * at most once.
 */
export class PendingLists {
  private readonly allocate: TableAllocator;
  private destinations: NumberColumn;
  /** The place behind in the same list, or among the free, plus one; 0 at the end. */
  private behind: NumberColumn;
  private free = NONE;
  /** Places from here on were never used since the memory came. */
  private fresh = 0;
  private used = 0;
  private readonly heads: number[] = [];
  private readonly tails: number[] = [];
  private readonly lengths: number[] = [];

  constructor(allocate = heapAllocator) {
    this.allocate = allocate;
    this.destinations = allocate.u16(0);
    this.behind = allocate.u16(0);
  }

  length(list: number): number {
    return this.lengths[list] ?? 0;
  }

  push(list: number, destination: number): void {
    while (this.heads.length <= list) {
      this.heads.push(NONE);
      this.tails.push(NONE);
      this.lengths.push(0);
    }
    const at = this.takePlace(destination);
    this.used += 1;
    this.destinations[at] = destination;
    this.behind[at] = 0;
    const tail = this.tails[list]!;
    if (tail === NONE) this.heads[list] = at;
    else this.behind[tail] = at + 1;
    this.tails[list] = at;
    this.lengths[list]! += 1;
  }

  /** The first of the list, or -1. */
  shift(list: number): number {
    if (this.length(list) === 0) return -1;
    const at = this.heads[list]!;
    const destination = this.destinations[at]!;
    const next = this.after(at);
    this.heads[list] = next;
    if (next === NONE) this.tails[list] = NONE;
    this.lengths[list]! -= 1;
    this.behind[at] = this.free + 1;
    this.free = at;
    this.used -= 1;
    if (this.used === 0) this.empty();
    return destination;
  }

  /** The place of the first of the list, or -1. Places hold until the list is next changed. */
  first(list: number): number {
    return this.heads[list] ?? NONE;
  }

  /** The place behind, or -1. */
  after(place: number): number {
    return this.behind[place]! - 1;
  }

  destinationAt(place: number): number {
    return this.destinations[place]!;
  }

  clear(list: number): void {
    while (this.shift(list) >= 0);
  }

  digest(into: Digest): void {
    into.number(this.used);
    for (const length of this.lengths) into.number(length);
  }

  private takePlace(destination: number): number {
    const at = this.free;
    if (at === NONE) {
      const place = this.fresh;
      this.fresh += 1;
      this.destinations = withRoom(this.destinations, place, destination, PLACES_MAX, this.allocate);
      this.behind = withRoom(this.behind, place, this.fresh, PLACES_MAX, this.allocate);
      return place;
    }
    if (destination > U16_MAX) {
      this.destinations = withRoom(this.destinations, at, destination, PLACES_MAX, this.allocate);
    }
    this.free = this.after(at);
    return at;
  }

  private empty(): void {
    this.free = NONE;
    this.fresh = 0;
    if (this.destinations.length <= ROOM_KEPT) return;
    this.allocate.release(this.destinations);
    this.allocate.release(this.behind);
    this.destinations = this.allocate.u16(0);
    this.behind = this.allocate.u16(0);
  }
}
