import type { Digest } from "../collections/digest.js";

const ROOM_MIN = 64;
const NONE = -1;

/**
 * Destinations that wait to be told: many lists, first in first out, in one piece of memory. A neighbour that waits for
 * nothing costs nothing, and the memory goes when all lists are empty. The owner bounds the lists: a destination is in each
 * at most once.
 */
export class PendingLists {
  private destinations = new Uint32Array(0);
  /** What comes behind in the same list, or among the free; NONE at the end. */
  private behind = new Int32Array(0);
  private free = NONE;
  private used = 0;
  private readonly heads: number[] = [];
  private readonly tails: number[] = [];
  private readonly lengths: number[] = [];

  length(list: number): number {
    return this.lengths[list] ?? 0;
  }

  push(list: number, destination: number): void {
    while (this.heads.length <= list) {
      this.heads.push(NONE);
      this.tails.push(NONE);
      this.lengths.push(0);
    }
    if (this.free === NONE) this.grow();
    const at = this.free;
    this.free = this.behind[at]!;
    this.used += 1;
    this.destinations[at] = destination;
    this.behind[at] = NONE;
    const tail = this.tails[list]!;
    if (tail === NONE) this.heads[list] = at;
    else this.behind[tail] = at;
    this.tails[list] = at;
    this.lengths[list]! += 1;
  }

  /** The first of the list, or -1. */
  shift(list: number): number {
    if (this.length(list) === 0) return -1;
    const at = this.heads[list]!;
    const destination = this.destinations[at]!;
    this.heads[list] = this.behind[at]!;
    if (this.behind[at] === NONE) this.tails[list] = NONE;
    this.lengths[list]! -= 1;
    this.behind[at] = this.free;
    this.free = at;
    this.used -= 1;
    if (this.used === 0 && this.destinations.length > ROOM_MIN) this.giveBack();
    return destination;
  }

  /** The place of the first of the list, or -1. Places hold until the list is next changed. */
  first(list: number): number {
    return this.heads[list] ?? NONE;
  }

  /** The place behind, or -1. */
  after(place: number): number {
    return this.behind[place]!;
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

  private giveBack(): void {
    this.destinations = new Uint32Array(0);
    this.behind = new Int32Array(0);
    this.free = NONE;
  }

  private grow(): void {
    const before = this.destinations.length;
    const after = Math.max(ROOM_MIN, before + (before >> 1));
    const destinations = new Uint32Array(after);
    destinations.set(this.destinations);
    this.destinations = destinations;
    const behind = new Int32Array(after);
    behind.set(this.behind);
    for (let i = before; i < after; i += 1) behind[i] = i + 1 < after ? i + 1 : NONE;
    this.behind = behind;
    this.free = before;
  }
}
