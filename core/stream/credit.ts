import type { Digest } from "../collections/digest.js";
import type { Strain } from "./bounds.js";

const FAST_ROUNDS = 8;
/** While little memory is left, a window is so much smaller than it was at first: a power of two. */
const CRAMPED_SHIFT = 4;

/**
 * How much the peer may still send: an absolute byte limit that follows what the application has taken. The window
 * doubles up to its maximum when half of it is used within eight round trips:
 * with losses a byte waits several for the one before it.
 */
export class ReceiveCredit {
  /** The peer loses its session beyond this. */
  limit: number;
  /** Bytes that arrived, by the highest offset seen. */
  received = 0;
  /** Bytes the application took, or that nobody wants any more. */
  consumed = 0;
  /** The limit that the peer knows of, at least. */
  private told: number;
  private window: number;
  private readonly windowFirst: number;
  private readonly windowMax: number;
  private raisedUs = 0;

  /** @param told  what the peer may have been told instead of `window`, if less */
  constructor(window: number, windowMax: number, told = window) {
    this.limit = window;
    this.told = Math.min(told, window);
    this.window = window;
    this.windowFirst = window;
    this.windowMax = Math.max(window, windowMax);
  }

  /** Bytes that the peer used and nobody took. */
  get held(): number {
    return this.received - this.consumed;
  }

  mayReceive(bytes: number): boolean {
    return this.received + bytes <= this.limit;
  }

  receive(bytes: number): void {
    this.received += bytes;
  }

  consume(bytes: number): void {
    this.consumed += bytes;
  }

  /**
   * True when the peer is to be told of a higher limit: half the window was taken, or the peer runs out and something
   * was taken. The latter matters where unread bytes of one stream hold most of a session's window.
   */
  needsRaise(strain: Strain): boolean {
    const window = this.windowUnder(strain);
    const gain = this.consumed + window - this.told;
    if (this.told < this.limit) return this.received >= this.told >>> 1 && gain >= window >>> 2;
    if (gain >= window >>> 1) return true;
    return this.told - this.received <= window >>> 2 && gain >= window >>> 6;
  }

  /** Raises the limit and returns it. */
  raise(nowUs: number, rttUs: number, strain: Strain): number {
    if (strain !== "none") this.window = Math.min(this.window, this.windowFirst);
    else if (this.raisedUs > 0 && nowUs - this.raisedUs < FAST_ROUNDS * rttUs) {
      this.window = Math.min(this.window * 2, this.windowMax);
    }
    this.raisedUs = nowUs;
    this.told = Math.max(this.told, this.consumed + this.windowUnder(strain));
    this.limit = Math.max(this.limit, this.told);
    return this.told;
  }

  digest(into: Digest): void {
    into.number(this.limit).number(this.received).number(this.consumed).number(this.window).number(this.told);
  }

  private windowUnder(strain: Strain): number {
    return strain === "cramped" ? this.windowFirst >>> CRAMPED_SHIFT : this.window;
  }
}
