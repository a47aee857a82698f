import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Decision } from "./decision.js";
import { AGE_OLD } from "./feasible.js";
import type { RouteTable } from "./route-table.js";

/** A newer index is given out at most this often, whoever asks. */
const RAISE_SPACING_US = 500 * MILLISECOND_US;
/** Two nodes with the same keys would outbid each other's epochs; they may do so only this often. */
const EPOCH_SPACING_US = 30 * SECOND_US;
/**
 * Up to here epochs are outbid: the end of 2097. What a lie drives an origin to is kept for ever, so it must leave room for
 * newer ones: one for each restart.
 */
export const OUTBID_EPOCH_MAX = 0xf000_0000;

interface Origin {
  /** When the index was last raised. */
  raisedUs: number;
  /** Somebody waits for a newer index. */
  raiseAtUs: number;
  epochRaisedUs: number;
}

export type EpochRaised = (destination: number, epoch: number) => void;

/** The destinations that this node is: announced, taken back, and given newer indexes and epochs when others need them. */
export class Origins {
  /** The network's time slot; indexes of new origins start in it. */
  slot = 0;
  nextTimeoutUs = NEVER;

  private readonly table: RouteTable;
  private readonly decision: Decision;
  private readonly epochRaised: EpochRaised | undefined;
  private readonly origins = new Map<number, Origin>();

  constructor(table: RouteTable, decision: Decision, epochRaised: EpochRaised | undefined) {
    this.table = table;
    this.decision = decision;
    this.epochRaised = epochRaised;
  }

  /** What this node is the origin of. */
  get destinations(): Iterable<number> {
    return this.origins.keys();
  }

  originate(nowUs: number, destination: number, epoch: number): void {
    if (!this.origins.has(destination)) {
      this.origins.set(destination, { raisedUs: -NEVER, raiseAtUs: NEVER, epochRaisedUs: -NEVER });
    }
    const used = this.decision.originate(nowUs, destination, epoch, this.slot);
    if (used !== epoch) this.epochRaised?.(destination, used);
  }

  withdraw(nowUs: number, destination: number): void {
    if (this.origins.delete(destination)) this.decision.withdraw(nowUs, destination);
  }

  /**
   * Somebody speaks of a destination of ours. When in a newer epoch than ours, then our stored one was lost, or another
   * node has our keys: we must go beyond it to be heard.
   */
  handleHeard(nowUs: number, destination: number, epoch: number): void {
    const origin = this.origins.get(destination);
    if (origin === undefined || epoch <= this.table.records.epoch(destination)) return;
    this.goBeyond(nowUs, destination, origin, epoch);
  }

  /**
   * A neighbour asks for an index of ours. When it is of a newer epoch, or so far ahead of the newest that we cannot have
   * given it out, then others believe in what we never said, or do not say any more. A newer epoch undoes it.
   */
  handleAsked(nowUs: number, destination: number, epoch: number, index: number): void {
    const origin = this.origins.get(destination);
    if (origin === undefined || epoch < this.table.records.epoch(destination)) return;
    const isNewer = epoch > this.table.records.epoch(destination);
    const isAbsurd = index - this.table.records.index(destination) > AGE_OLD;
    if (isNewer || isAbsurd) this.goBeyond(nowUs, destination, origin, epoch);
  }

  private goBeyond(nowUs: number, destination: number, origin: Origin, epoch: number): void {
    if (epoch >= OUTBID_EPOCH_MAX) return; // forgotten once its liar is gone; see Decision.forget
    if (nowUs - origin.epochRaisedUs < EPOCH_SPACING_US) return;
    origin.epochRaisedUs = nowUs;
    const used = this.decision.originate(nowUs, destination, epoch + 1, this.slot);
    this.epochRaised?.(destination, used);
  }

  /** A newer index is wanted: raised now, or when the spacing allows. */
  wantRaise(nowUs: number, destination: number): void {
    const origin = this.origins.get(destination);
    if (origin === undefined) return;
    const atUs = origin.raisedUs + RAISE_SPACING_US;
    if (atUs <= nowUs) {
      this.raise(nowUs, destination, origin);
      return;
    }
    origin.raiseAtUs = atUs;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, atUs);
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.nextTimeoutUs = NEVER;
    for (const [destination, origin] of this.origins) {
      if (origin.raiseAtUs <= nowUs) this.raise(nowUs, destination, origin);
      this.nextTimeoutUs = Math.min(this.nextTimeoutUs, origin.raiseAtUs);
    }
  }

  digest(into: Digest): void {
    into.number(this.slot).number(this.origins.size);
    for (const origin of this.origins.values()) into.number(origin.raisedUs).number(origin.raiseAtUs);
  }

  private raise(nowUs: number, destination: number, origin: Origin): void {
    origin.raisedUs = nowUs;
    origin.raiseAtUs = NEVER;
    this.decision.raiseIndex(nowUs, destination);
  }
}
