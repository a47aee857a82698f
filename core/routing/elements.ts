import { ELEMENT_BYTES } from "../wire/routes.js";

/**
 * What routing asks of whoever proves and checks adverts. Real hash chains stand behind it in the daemon (core/chain), a
 * model of the same sizes in large simulations (sim/suite/modelled-elements.ts).
 *
 * Of each (NAC, epoch) there are two chains. The metric chain has one element for each (generation, metric): whoever holds
 * one can make those of higher metrics and of older generations, and no others. The life chain has one for each slot.
 */
/** Metric end, life end, and the hash of the next epoch's anchor; see core/chain/epoch-proof.ts. */
export const EPOCH_PROOF_BYTES = 48;

/**
 * sound     it fits what is held, or nothing is held yet; it is remembered if it is better
 * forged    it contradicts what was proven to be the destination's, or what it gave itself: nobody honest made it
 * disputed  it contradicts what is held, but what is held was never proven either: one of the two is false. The chain
 *           that more neighbours vouch for is held; the destination's signed descriptor ends it. Until then not to be used
 * unproven  of an epoch that the held one must answer for: its epoch proof comes first (`checkEpoch`), then it is asked again
 * busy      the neighbour's allowance of hashes is spent. Not remembered, but a walk that was begun goes on when the
 *           same claim is asked again: whoever keeps the neighbour's stream waiting loses nothing
 */
export type Verdict = "sound" | "forged" | "disputed" | "unproven" | "busy";

/** Destinations by their number in the dictionary, links by number; slots of 5 s as full numbers, u32. */
export interface Elements {
  /**
   * Writes 16 bytes: the element of (epoch, generation, metric) of a destination, own or heard. False, and zeros written, when
   * it cannot be made: nothing that good was heard, or an own chain is not ready or has ended.
   */
  writeMetric(
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    into: Uint8Array,
    at: number,
  ): boolean;
  writeLife(destination: number, epoch: number, slot: number, into: Uint8Array, at: number): boolean;

  checkMetric(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict;
  checkLife(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    slot: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict;

  /** Writes the 48 bytes that show whose successor `epoch` is. False when they are not held. */
  proveEpoch(destination: number, epoch: number, into: Uint8Array, at: number): boolean;
  /** Such a proof came: of a newer epoch before its first route, or of the held one, which from then on must answer for the next. */
  checkEpoch(nowUs: number, link: number, destination: number, epoch: number, bytes: Uint8Array, at: number): Verdict;

  /**
   * Own chains. The epoch proves slots from `startSlot` on. Ready at once when it was made ahead (the successor of the epoch
   * before), else `work` makes it.
   */
  originate(destination: number, epoch: number, startSlot: number): void;
  /** Whether the chains of an own destination's epoch can write. */
  isReady(destination: number, epoch: number): boolean;
  /** The last slot that the epoch of an own destination can prove; -1 when it is not ours. Before it ends, the origin goes on in epoch + 1. */
  lastSlot(destination: number): number;
  /** Makes own chains, this one's and the next's, off the packet path: at most so many hashes. True while there is more to do. */
  work(hashesMax: number): boolean;

  /** Nobody speaks of the destination any more, or it is ours no longer: its number may mean another soon. */
  forget(destination: number): void;
  /** The link is gone: what it vouched for counts no more, and its allowance ends. */
  forgetLink(link: number): void;
}

/** No chains: elements are zero, and all are believed. For worlds in which nobody lies. */
export const noElements: Elements = {
  writeMetric: (_destination, _epoch, _generation, _metric, into, at) => zeros(into, at, ELEMENT_BYTES),
  writeLife: (_destination, _epoch, _slot, into, at) => zeros(into, at, ELEMENT_BYTES),
  checkMetric: () => "sound",
  checkLife: () => "sound",
  proveEpoch: (_destination, _epoch, into, at) => zeros(into, at, EPOCH_PROOF_BYTES),
  checkEpoch: () => "sound",
  originate: () => undefined,
  isReady: () => true,
  lastSlot: () => Number.MAX_SAFE_INTEGER,
  work: () => false,
  forget: () => undefined,
  forgetLink: () => undefined,
};

function zeros(into: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i += 1) into[i] = 0;
  return true;
}
