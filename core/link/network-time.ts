import type { Digest } from "../collections/digest.js";

/**
 * Network time: what most of the neighbours agree on, carried in hellos. Time slots are counted from it, so that the
 * clocks of single nodes need not be right.
 *
 * Own wall clock (given once, at start) plus an offset: the median of the neighbours' offsets and, as one vote, our own.
 */
export const SLOT_MS = 5_000;
/** Slots are u32 on the wire; a time beyond them (the year 2650) is nobody's honest clock. */
const TIME_END_MS = SLOT_MS * 0x1_0000_0000;

export class NetworkTime {
  private readonly wallMsAtStart: number;
  private readonly startUs: number;
  private readonly offsetsMs = new Map<number, number>();
  private offsetMs = 0;

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
    if (theirsMs >= TIME_END_MS) return;
    this.offsetsMs.set(link, theirsMs + Math.floor(ageUs / 1000) - this.wallMs(nowUs));
    this.settle();
  }

  forget(link: number): void {
    if (this.offsetsMs.delete(link)) this.settle();
  }

  digest(into: Digest): void {
    into.number(this.offsetMs);
    for (const [link, offsetMs] of this.offsetsMs) into.number(link).number(offsetMs);
  }

  private wallMs(nowUs: number): number {
    return this.wallMsAtStart + Math.floor((nowUs - this.startUs) / 1000);
  }

  private settle(): void {
    if (this.offsetsMs.size === 0) return; // alone again: keep what the network last agreed on
    const votes = [0, ...this.offsetsMs.values()].sort((a, b) => a - b);
    const middle = votes.length >> 1;
    // Of an even number the mean of the middle two: the larger one would let a pair of nodes push each other forward.
    const isOdd = votes.length % 2 === 1;
    this.offsetMs = isOdd ? votes[middle]! : Math.floor((votes[middle - 1]! + votes[middle]!) / 2);
  }
}
