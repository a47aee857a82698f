import { ELEMENT_BYTES } from "../wire/routes.js";

/**
 * What routing asks of whoever proves and checks adverts. Real hash chains stand behind it in the daemon (core/chain), a
 * model of the same sizes in large simulations (sim/suite/modelled-elements.ts).
 *
 * Of each (NAC, epoch) there are two chains. The metric chain has one element for each (generation, metric): whoever holds
 * one can make those of higher metrics and of older generations, and no others. The life chain has one for each slot.
 *
 * On the wire: a route that states its NAC in full, or another epoch than was told before, is tagged (element 16 | tag 8), others
 * bear the element alone; a life entry bears 28 bytes. Without the tag anybody could show a life chain of his own.
 */

/** Says which life chain and which next epoch belong to a metric chain: follows the element in a route that names an epoch first. */
export const TAG_BYTES = 8;
/** A life element, and the key of the next epoch by which it is tied to the tag. */
export const LIFE_PROOF_BYTES = ELEMENT_BYTES + 12;
/** What an epoch's chains end in, signed by the epoch before; see core/chain/epoch-proof.ts. */
export const EPOCH_PROOF_BYTES = 344;

/** The epoch `previous` vouches for `epoch`. */
export interface VouchedEpoch {
  readonly epoch: number;
  readonly previous: number;
  /** 344 bytes. */
  readonly proof: Uint8Array;
}

/**
 * sound     it fits what is held, or nothing is held yet; it is remembered if it is better
 * forged    the neighbour contradicts what the identity signed, or what it vouched for itself: it lies, and is to blame
 * disputed  it contradicts what is held, and one of the two is false; the neighbour may have been taken in by somebody else's
 *           lie, or we may. Not to be used, nobody to blame. While a chain is new, the one that more neighbours vouch for
 *           is held; the destination's signed descriptor ends it (HashChains.bind)
 * unproven  of a newer epoch than the held one, which must vouch for it: its epoch proof comes first (`checkEpoch`), then it is asked again
 * busy      the neighbour's allowance of hashes is spent. Not remembered, but a walk that was begun goes on when the
 *           same claim is asked again: whoever keeps the neighbour's stream waiting loses nothing
 */
export type Verdict = "sound" | "forged" | "disputed" | "unproven" | "busy";

/** How the chains of one own destination are, and what checking those of others came to. */
export interface ElementsReport {
  /** The own destination's epoch, whether its chains are made, and the last slot that they prove. */
  readonly epoch: number;
  readonly isReady: boolean;
  readonly lastSlot: number;
  /** Destinations of others of which an element is held. */
  readonly held: number;
  /** Of how many of them the identity itself signed it. */
  readonly bound: number;
  /** Hashes computed for own chains, and for what neighbours claimed. */
  readonly ownHashes: number;
  readonly checkHashes: number;
  /** Claims by their verdict. */
  readonly verdicts: Readonly<Record<Verdict, number>>;
}

/** Destinations by their number in the dictionary, links by number; slots of 5 s as full numbers, u32. */
export interface Elements {
  /** A newer epoch of a known destination must be proven. False: whatever epoch is stated is believed. */
  readonly provesEpochs: boolean;
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
  /** Writes the 8 bytes of the epoch's tag. False, and zeros, when it is not known. */
  writeTag(destination: number, epoch: number, into: Uint8Array, at: number): boolean;
  /** Writes 28 bytes: the element of the life chain for `slot`, and the key. False, and zeros, as `writeMetric`. */
  writeLife(destination: number, epoch: number, slot: number, into: Uint8Array, at: number): boolean;

  /**
   * A neighbour on `link` says that `bytes[at, at + 16)` is the element of (generation, metric); with `isTagged` the 8 bytes
   * behind it are the tag. A destination or epoch that is not held yet needs it: `unproven` without.
   *
   * @param known  the newest epoch that routing knows the destination in or saw proven, -1 for none: for models that hold nothing
   */
  checkMetric(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    bytes: Uint8Array,
    at: number,
    isTagged?: boolean,
    known?: number,
  ): Verdict;
  /** As `checkMetric`, 28 bytes. Of a destination that is not held: `unproven`, its route comes first. */
  checkLife(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    slot: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict;

  /** Writes the 344 bytes by which the epoch `previous`, the one before unless given, vouches for `epoch`. False when they are not held. */
  proveEpoch(destination: number, epoch: number, into: Uint8Array, at: number, previous?: number): boolean;
  /**
   * Such a proof came, by the epoch that is held: afterwards `checkMetric` takes that epoch's elements. Of the held one
   * itself: whether it may be shown to others, who know the epoch before.
   */
  checkEpoch(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    bytes: Uint8Array,
    at: number,
    previous?: number,
  ): Verdict;

  /**
   * Somebody states a route of an own destination in a newer epoch than ours. Whether it is one that our keys made: by another node
   * that has them, or by this one before it lost its state. `at` is that of the element; only what is tagged can be told.
   */
  isOwnEpoch(
    destination: number,
    epoch: number,
    generation: number,
    bytes: Uint8Array,
    at: number,
    isTagged: boolean,
  ): boolean;
  /**
   * Own chains. The epoch proves slots from `startSlot` on. Ready at once when it was made ahead (the successor of the epoch
   * before), else `work` makes it. True when there is work to do.
   *
   * @param isFresh  nobody here knows which epoch was the last: then whichever one others know may vouch for this one
   */
  originate(destination: number, epoch: number, startSlot: number, isFresh?: boolean): boolean;
  /** Whether the chains of an own destination's epoch can write, and prove whose successor it is. */
  isReady(destination: number, epoch: number): boolean;
  /** The last slot that the epoch of an own destination can prove; -1 when it is not ours. Before it ends, the origin goes on in epoch + 1. */
  lastSlot(destination: number): number;
  /** Makes own chains, this one's and the next's, off the packet path: at most so many hashes. True while there is more to do. */
  work(hashesMax: number): boolean;

  /** Nobody speaks of the destination any more, or it is ours no longer: its number may mean another soon. */
  forget(destination: number): void;
  /** The link is gone: what it vouched for counts no more, and its allowance ends. */
  forgetLink(link: number): void;

  /** Undefined where there are no chains, or the destination is not ours. */
  report(destination: number): ElementsReport | undefined;
}

/** No chains: elements are zero, and all are believed. For worlds in which nobody lies. */
export const noElements: Elements = {
  provesEpochs: false,
  writeMetric: (_destination, _epoch, _generation, _metric, into, at) => zeros(into, at, ELEMENT_BYTES),
  writeTag: (_destination, _epoch, into, at) => zeros(into, at, TAG_BYTES),
  writeLife: (_destination, _epoch, _slot, into, at) => zeros(into, at, LIFE_PROOF_BYTES),
  checkMetric: () => "sound",
  checkLife: () => "sound",
  proveEpoch: (_destination, _epoch, into, at) => zeros(into, at, EPOCH_PROOF_BYTES),
  checkEpoch: () => "sound",
  isOwnEpoch: () => true,
  originate: () => false,
  isReady: () => true,
  lastSlot: () => Number.MAX_SAFE_INTEGER,
  work: () => false,
  forget: () => undefined,
  forgetLink: () => undefined,
  report: () => undefined,
};

function zeros(into: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i += 1) into[i] = 0;
  return true;
}
