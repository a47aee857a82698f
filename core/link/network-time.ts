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
  /** Our own clock stood still or leapt: until a neighbour tells the time, nobody does. */
  isDoubtful = false;
  private deafUntilUs = -NEVER;
  /** When network time leapt last. */
  private leaptUs = -NEVER;
  private doubtUntilUs = -NEVER;

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
    const isAdopted = this.isDoubtful;
    this.settle();
    if (!isAdopted && Math.abs(this.milliseconds(nowUs) - beforeMs) >= LEAP_MS) this.leaptUs = nowUs;
  }

  /** Our own clock cannot be believed, nor what was measured by it: the next neighbours to tell the time are right. */
  distrust(nowUs: number): void {
    this.isDoubtful = true;
    this.doubtUntilUs = nowUs + DOUBT_US;
    this.deafUntilUs = nowUs + QUEUED_US;
    this.offsetsMs.length = 0;
  }

  /** This node begins: whoever it meets first knows the time better, if it knows it at all. */
  begin(nowUs: number): void {
    this.isDoubtful = true;
    this.doubtUntilUs = nowUs + DOUBT_US;
  }

  /** Nodes whose clocks are far apart have met, and find a common time in some hellos: no slot is to be counted meanwhile. */
  isLeaping(nowUs: number): boolean {
    return nowUs - this.leaptUs < LEAP_US;
  }

  /** To be called before each input: doubt ends after a while. */
  handleInput(nowUs: number): void {
    if (nowUs >= this.doubtUntilUs) this.isDoubtful = false;
  }

  forget(link: number): void {
    if (this.offsetsMs[link] === undefined) return;
    this.offsetsMs[link] = undefined;
    this.settle();
  }

  digest(into: Digest): void {
    into
      .number(this.offsetMs)
      .number(this.isDoubtful ? 1 : 0)
      .number(this.leaptUs);
    for (let link = 0; link < this.offsetsMs.length; link += 1) {
      const offsetMs = this.offsetsMs[link];
      if (offsetMs !== undefined) into.number(link).number(offsetMs);
    }
  }

  private wallMs(nowUs: number): number {
    return this.wallMsAtStart + Math.floor((nowUs - this.startUs) / 1000);
  }

  private settle(): void {
    let count = this.isDoubtful ? 0 : 1;
    votes[0] = 0;
    for (const offsetMs of this.offsetsMs) {
      if (offsetMs === undefined) continue;
      insert(offsetMs, count);
      count += 1;
    }
    if (count === (this.isDoubtful ? 0 : 1)) return; // alone again: keep what the network last agreed on
    const middle = count >> 1;
    // Of an even number the mean of the middle two: the larger one would let a pair of nodes push each other forward.
    this.offsetMs = count % 2 === 1 ? votes[middle]! : Math.floor((votes[middle - 1]! + votes[middle]!) / 2);
    if (this.isDoubtful) this.adopt();
  }

  /** What the neighbours say is our own clock from now on. */
  private adopt(): void {
    this.isDoubtful = false;
    this.wallMsAtStart += this.offsetMs;
    for (let link = 0; link < this.offsetsMs.length; link += 1) {
      const offsetMs = this.offsetsMs[link];
      if (offsetMs !== undefined) this.offsetsMs[link] = offsetMs - this.offsetMs;
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
