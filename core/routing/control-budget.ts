import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/**
 * What a node says to one neighbour of itself and of routes within any ten seconds, in bytes of datagrams: 16 KB/s, or two
 * per cent of what the link carries for others where that is more (Reticulum's announce cap). Snapshots are counted apart:
 * they have a pace of their own, and come once in the life of a link.
 */
export const CONTROL_BYTES_PER_10S = 160_000;
/** Of what a link carries, one part in so many. */
export const CONTROL_PARTS = 50;

/** At the least rate, one byte may leave in so many microseconds: 12,500 in a second. */
const BYTE_US = 80;
/**
 * Bytes of so much time may leave at once after a rest. With those of ten seconds and the one record by which the allowance may be
 * overdrawn that makes 157,500 bytes; the rest is for what is said before it is charged, between two hellos.
 */
const CREDIT_US = 2.5 * SECOND_US;

/**
 * Who may use how much of the allowance: what is left is for those before. So whoever comes first never waits for what was
 * said by those behind it, and while there is not enough for all, the last wait. Hellos are charged and never wait.
 */
export const Share = {
  /** Retractions, and repairs, for which all that came later waits at the neighbour. */
  retraction: CREDIT_US,
  /** Requests, answers, proofs of life. */
  answer: (CREDIT_US * 7) / 8,
  news: (CREDIT_US * 3) / 4,
} as const;

/** The allowance of one neighbour, as one number (the cell rate algorithm, as session/rate-limit.ts). */
export class ControlBudget {
  /** When the allowance is whole again. */
  private wholeUs = 0;
  private byteUs = BYTE_US;

  /** What the link carries for others: bytes in a second, as measured of late. */
  setCarried(bytesPerSecond: number): void {
    const leastPerSecond = CONTROL_BYTES_PER_10S / 10;
    this.byteUs = (BYTE_US * leastPerSecond) / Math.max(leastPerSecond, Math.floor(bytesPerSecond / CONTROL_PARTS));
  }

  charge(nowUs: number, bytes: number): void {
    this.wholeUs = Math.max(this.wholeUs, nowUs) + Math.ceil(bytes * this.byteUs);
  }

  /** From when on those with this share may speak; long ago in most cases. */
  opensUs(shareUs: number): number {
    return this.wholeUs - shareUs;
  }

  digest(into: Digest): void {
    into.number(this.wholeUs).number(this.byteUs);
  }
}
