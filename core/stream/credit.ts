import type { Digest } from "../collections/digest.js";

const FAST_ROUNDS = 8;

/**
 * How much the peer may still send: an absolute byte limit that follows what the application has taken. The window
 * doubles up to its maximum when half of it is used within eight round trips:
 * with losses a byte waits several for the one before it.
 */
export class ReceiveCredit {
  /** The limit the peer was told of. */
  limit: number;
  /** Bytes that arrived, by the highest offset seen. */
  received = 0;
  /** Bytes the application took, or that nobody wants any more. */
  consumed = 0;
  private window: number;
  private readonly windowMax: number;
  private raisedUs = 0;

  constructor(window: number, windowMax: number) {
    this.limit = window;
    this.window = window;
    this.windowMax = Math.max(window, windowMax);
  }

  /** False when the peer may not send so much. */
  receive(bytes: number): boolean {
    this.received += bytes;
    return this.received <= this.limit;
  }

  consume(bytes: number): void {
    this.consumed += bytes;
  }

  /**
   * True when the peer is to be told of a higher limit: half the window was taken, or the peer runs out and something
   * was taken. The latter matters where unread bytes of one stream hold most of a session's window.
   */
  get needsRaise(): boolean {
    const gain = this.consumed + this.window - this.limit;
    if (gain >= this.window >>> 1) return true;
    return this.limit - this.received <= this.window >>> 2 && gain >= this.window >>> 6;
  }

  /** Raises the limit and returns it. */
  raise(nowUs: number, rttUs: number): number {
    if (this.raisedUs > 0 && nowUs - this.raisedUs < FAST_ROUNDS * rttUs) {
      this.window = Math.min(this.window * 2, this.windowMax);
    }
    this.raisedUs = nowUs;
    this.limit = Math.max(this.limit, this.consumed + this.window);
    return this.limit;
  }

  digest(into: Digest): void {
    into.number(this.limit).number(this.received).number(this.consumed).number(this.window);
  }
}
