import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";

/** A newer index is given out at most this often, whoever asks. */
export const RAISE_SPACING_US = 500 * MILLISECOND_US;
/** Two nodes with the same keys would outbid each other's epochs; they may do so only this often. */
const EPOCH_SPACING_US = 30 * SECOND_US;
const EPOCH_MAX = 0xffff_ffff;

interface Origin {
  /** When the index was last raised. */
  raisedUs: number;
  /** Somebody waits for a newer index. */
  raiseAtUs: number;
  epochRaisedUs: number;
}

/** The destinations that this node is: when their indexes and epochs may be raised. */
export class Origins {
  private readonly origins = new Map<number, Origin>();
  nextTimeoutUs = NEVER;

  add(destination: number): void {
    if (this.origins.has(destination)) return;
    this.origins.set(destination, { raisedUs: -NEVER, raiseAtUs: NEVER, epochRaisedUs: -NEVER });
  }

  remove(destination: number): void {
    this.origins.delete(destination);
  }

  /** A newer index is wanted. True: raise it now; else it comes with a later `handleTimeout`. */
  wantRaise(nowUs: number, destination: number): boolean {
    const origin = this.origins.get(destination);
    if (origin === undefined) return false;
    const atUs = origin.raisedUs + RAISE_SPACING_US;
    if (atUs <= nowUs) {
      origin.raisedUs = nowUs;
      origin.raiseAtUs = NEVER;
      return true;
    }
    origin.raiseAtUs = atUs;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, atUs);
    return false;
  }

  /**
   * Somebody knows an epoch of ours that is newer than ours: our stored one was lost, or another node has our keys.
   * Returns the epoch to go on with, or undefined when it must wait.
   */
  nextEpoch(nowUs: number, destination: number, heard: number): number | undefined {
    const origin = this.origins.get(destination);
    if (origin === undefined || heard >= EPOCH_MAX || nowUs - origin.epochRaisedUs < EPOCH_SPACING_US) return undefined;
    origin.epochRaisedUs = nowUs;
    return heard + 1;
  }

  /** Calls `raise` for each destination whose wait is over. */
  handleTimeout(nowUs: number, raise: (destination: number) => void): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.nextTimeoutUs = NEVER;
    for (const [destination, origin] of this.origins) {
      if (origin.raiseAtUs <= nowUs) {
        origin.raiseAtUs = NEVER;
        origin.raisedUs = nowUs;
        raise(destination);
      }
      this.nextTimeoutUs = Math.min(this.nextTimeoutUs, origin.raiseAtUs);
    }
  }

  digest(into: Digest): void {
    into.number(this.origins.size);
    for (const origin of this.origins.values()) into.number(origin.raisedUs).number(origin.raiseAtUs);
  }
}
