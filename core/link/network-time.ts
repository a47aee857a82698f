import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";

/**
 * Network time: what most of the neighbours agree on, carried in hellos. Time slots are counted from it, so that the
 * clocks of single nodes need not be right.
 *
 * Own wall clock (given once, at start) plus an offset: the median of the neighbours' offsets and, as one vote, our own.
 */
export const SLOT_MS = 5_000;
/** What a node tells that doubts its own clock and has heard nothing better yet. */
export const TIME_UNKNOWN = 0;
/** Slots are u32 on the wire; a time beyond them (the year 2650) is nobody's honest clock. */
const TIME_END_MS = SLOT_MS * 0x1_0000_0000;

/** A change of network time by so much is a leap, and may be followed by others for so long. */
const LEAP_MS = 2 * SLOT_MS;
const LEAP_US = 3 * SECOND_US;
/** What was said while we stood still is read first, and tells a time that is long over. */
const QUEUED_US = 250 * MILLISECOND_US;
/** When nobody has told the time for so long, all others doubt theirs as well, or are gone: ours is as good as any. */
const DOUBT_US = 5 * SECOND_US;

// Scratch of one call, shared by all: as many as one node has links, and its own.
const votes: number[] = [];

export class NetworkTime {
  private wallMsAtStart: number;
  private readonly startUs: number;
  /** By link; undefined for one that said nothing. */
  private readonly offsetsMs: (number | undefined)[] = [];
  private offsetMs = 0;
  /** Until then a neighbour that tells the time is right, and our own clock is not. */
  private doubtUntilUs = -NEVER;
  private deafUntilUs = -NEVER;
  /** When network time leapt last. */
  private leaptUs = -NEVER;

  /** @param wallClockSeconds  the shell's clock at `nowUs`, seconds since 1970 */
  constructor(nowUs: number, wallClockSeconds: number) {
    this.startUs = nowUs;
    this.wallMsAtStart = wallClockSeconds * 1000;
  }

  milliseconds(nowUs: number): number {
    return Math.max(0, this.wallMs(nowUs) + this.offsetMs);
  }

  slot(nowUs: number): number {
    return Math.floor(this.milliseconds(nowUs) / SLOT_MS);
  }

  /** A neighbour on `link` said that network time was `theirsMs`, `ageUs` ago (half a round trip). */
  observe(nowUs: number, link: number, theirsMs: number, ageUs: number): void {
    if (theirsMs === TIME_UNKNOWN || theirsMs >= TIME_END_MS || nowUs < this.deafUntilUs) return;
    const offsetMs = theirsMs + Math.floor(ageUs / 1000) - this.wallMs(nowUs);
    while (this.offsetsMs.length < link) this.offsetsMs.push(undefined);
    if (this.offsetsMs[link] === offsetMs) return;
    this.offsetsMs[link] = offsetMs;
    const beforeMs = this.milliseconds(nowUs);
    if (this.isDoubtful(nowUs)) {
      this.adopt(offsetMs);
      return;
    }
    this.settle();
    if (Math.abs(this.milliseconds(nowUs) - beforeMs) >= LEAP_MS) this.leaptUs = nowUs;
  }

  /** This node begins: whoever it meets first knows the time better, if it knows it at all. */
  begin(nowUs: number): void {
    this.doubtUntilUs = nowUs + DOUBT_US;
  }

  /** Our own clock stood still or leapt. It cannot be believed, nor what was measured by it: the next neighbour to tell the time is right. */
  distrust(nowUs: number): void {
    this.doubtUntilUs = nowUs + DOUBT_US;
    this.deafUntilUs = nowUs + QUEUED_US;
    this.offsetsMs.length = 0;
  }

  /** Until a neighbour tells the time, or for a while, nobody does. */
  isDoubtful(nowUs: number): boolean {
    return nowUs < this.doubtUntilUs;
  }

  /** Nodes whose clocks are far apart have met, and find a common time in some hellos: no slot is to be counted meanwhile. */
  isLeaping(nowUs: number): boolean {
    return nowUs - this.leaptUs < LEAP_US;
  }

  forget(link: number): void {
    if (this.offsetsMs[link] === undefined) return;
    this.offsetsMs[link] = undefined;
    this.settle();
  }

  digest(into: Digest): void {
    into.number(this.offsetMs).number(this.doubtUntilUs).number(this.deafUntilUs).number(this.leaptUs);
    for (let link = 0; link < this.offsetsMs.length; link += 1) {
      const offsetMs = this.offsetsMs[link];
      if (offsetMs !== undefined) into.number(link).number(offsetMs);
    }
  }

  private wallMs(nowUs: number): number {
    return this.wallMsAtStart + Math.floor((nowUs - this.startUs) / 1000);
  }

  private settle(): void {
    let count = 1;
    votes[0] = 0;
    for (const offsetMs of this.offsetsMs) {
      if (offsetMs === undefined) continue;
      insert(offsetMs, count);
      count += 1;
    }
    if (count === 1) return; // alone again: keep what the network last agreed on
    const middle = count >> 1;
    // Of an even number the mean of the middle two: the larger one would let a pair of nodes push each other forward.
    this.offsetMs = count % 2 === 1 ? votes[middle]! : Math.floor((votes[middle - 1]! + votes[middle]!) / 2);
  }

  /** What the first neighbour says is our own clock from now on. */
  private adopt(offsetMs: number): void {
    this.doubtUntilUs = -NEVER;
    this.wallMsAtStart += offsetMs;
    for (let link = 0; link < this.offsetsMs.length; link += 1) {
      const known = this.offsetsMs[link];
      if (known !== undefined) this.offsetsMs[link] = known - offsetMs;
    }
    this.offsetMs = 0;
  }
}

/** Puts a vote in its place among the first `count`, which are in order: a hello moves one of few, most of them a little. */
function insert(vote: number, count: number): void {
  let at = count;
  while (at > 0 && votes[at - 1]! > vote) {
    votes[at] = votes[at - 1]!;
    at -= 1;
  }
  votes[at] = vote;
}
