import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { PendingLists } from "./pending-lists.js";
import { type RouteRecords, SETTLING, SETTLING_FORCED } from "./records.js";

export const TICK_US = 40 * MILLISECOND_US;
/** A better route is told so many ticks later, times what its first link costs: nobody waits for it. */
export const BETTER_TICKS = 3;
/**
 * A route that got worse is told this many ticks later: two seconds, as the neighbours of a dead node need to find out, one
 * after the other.
 */
export const WORSE_TICKS = 50;
/** No wait may be as long; a power of two. */
const RING = 64;
/** What is told within so many ticks need not be told sooner, not even to a neighbour that has just come. */
const SOON_TICKS = 6;

/**
 * Changed routes that are not told yet. Losses never wait.
 *
 * **News waits as long as it is far**, where there is much of it: a new route is told as many ticks after it was learned as its
 * first link costs, a better one three times as many. Over any path, news then takes about as many ticks as the path's metric
 * says: as in Dijkstra's search, the best way to a destination is heard of first, and told once. Otherwise the quickest way
 * comes first and the better ones behind it, and each of them goes through the whole network.
 *
 * **Bad news waits longer.** A node that lost the best of its routes goes on with the next at once, but tells only two
 * seconds later that it is longer. If the destination is dead, the next ones will be lost by then as well, and one
 * retraction is all that is told, instead of a longer ghost each time (A. Bremler-Barr, Y. Afek, S. Schwarz, "Improved BGP
 * convergence via ghost flushing", INFOCOM 2003). Loops cannot come of it: the feasibility distance does not rise.
 *
 * A list may name a destination that has moved to another; its record says which one counts. So a destination stands in
 * each list once for each time that it was told before that tick: RING times at most.
 */
export class Settling {
  /** When the next routes are due; NEVER when none waits. */
  nextTimeoutUs = NEVER;
  /** After `take`: the route is told even to those who know its metric. */
  isForced = false;
  private readonly records: RouteRecords;
  /** By tick, modulo RING. */
  private readonly lists = new PendingLists();
  /** The first tick whose list may hold something. */
  private tick = 0;

  constructor(records: RouteRecords) {
    this.records = records;
  }

  /** The destination is told in so many ticks, less than RING. If it waits already, it goes on waiting, however it changed. */
  add(nowUs: number, destination: number, ticks: number, isForced: boolean): void {
    const { records, lists } = this;
    const before = records.settling(destination);
    const force = isForced ? SETTLING_FORCED : 0;
    if ((before & SETTLING) !== 0) {
      records.setSettling(destination, before | force);
      return;
    }
    const present = Math.ceil(nowUs / TICK_US);
    const place = (present + ticks) % RING;
    records.setSettling(destination, SETTLING | force | place);
    lists.push(place, destination);
    const dueUs = (present + ticks) * TICK_US;
    if (dueUs >= this.nextTimeoutUs) return;
    this.nextTimeoutUs = dueUs;
    this.tick = present + ticks;
  }

  /** The route is lost, and was told to be: nothing waits. */
  drop(destination: number): void {
    this.records.setSettling(destination, 0);
  }

  /** The next destination that is due, or -1. It waits no more. */
  take(nowUs: number): number {
    const { records, lists } = this;
    while (this.nextTimeoutUs <= nowUs && this.nextTimeoutUs < NEVER) {
      const place = this.tick % RING;
      for (let destination = lists.shift(place); destination >= 0; destination = lists.shift(place)) {
        const state = records.settling(destination);
        if ((state & SETTLING) === 0 || state % RING !== place) continue;
        records.setSettling(destination, 0);
        this.isForced = (state & SETTLING_FORCED) !== 0;
        return destination;
      }
      this.advance();
    }
    return -1;
  }

  isWaiting(destination: number): boolean {
    return (this.records.settling(destination) & SETTLING) !== 0;
  }

  /** It waits, and is new: nobody was told of it since it was lost. */
  isNew(destination: number): boolean {
    return (this.records.settling(destination) & SETTLING_FORCED) !== 0;
  }

  /** It waits, and not for long. */
  isSoon(nowUs: number, destination: number): boolean {
    if (!this.isWaiting(destination)) return false;
    return ticksUntil(Math.ceil(nowUs / TICK_US), this.records.settling(destination) % RING) <= SOON_TICKS;
  }

  digest(into: Digest): void {
    into.number(this.nextTimeoutUs);
    this.lists.digest(into);
  }

  /** To the next tick whose list holds something: none is as far as RING. */
  private advance(): void {
    for (let i = 1; i < RING; i += 1) {
      if (this.lists.length((this.tick + i) % RING) === 0) continue;
      this.tick += i;
      this.nextTimeoutUs = this.tick * TICK_US;
      return;
    }
    this.nextTimeoutUs = NEVER;
  }
}

function ticksUntil(present: number, place: number): number {
  return (place - (present % RING) + RING) % RING;
}
