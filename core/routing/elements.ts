import { ELEMENT_BYTES } from "../wire/routes.js";

/**
 *   sound   fits what is held of the origin's chains, or nothing was held yet; it is remembered if it says more
 *   forged  does not fit
 *   busy    the neighbour's share of hashes is spent: not looked at, to be asked for again
 */
export type Verdict = "sound" | "forged" | "busy";

/**
 * The hash chains that make adverts authentic: 16-byte elements that only the origin can make for the first time, and that
 * others can only weaken (core/chain). Destinations are numbers of the node's dictionary; generations and slots are whole slot
 * numbers, not their low bits.
 */
export interface Elements {
  /** We are the origin of `destination` from `slot` on, in this epoch. */
  originate(destination: number, epoch: number, slot: number): void;
  /** Writes the element of (generation, metric), 16 bytes at `bytes[at]`. What cannot be known is written as zeros. */
  writeMetric(
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    bytes: Uint8Array,
    at: number,
  ): void;
  /** Writes the element of the life chain for `slot`, as `writeMetric`. */
  writeLife(destination: number, epoch: number, slot: number, bytes: Uint8Array, at: number): void;
  /** A neighbour on `link` says that `bytes[at, at + 16)` is the element of (generation, metric). */
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
  /** Nothing is known of the destination any more; its number may serve another NAC. */
  forget(destination: number): void;
}

/** No chains: elements are zero, and all are believed. For worlds in which nobody lies. */
export const noElements: Elements = {
  originate: () => undefined,
  writeMetric: (_destination, _epoch, _generation, _metric, bytes, at) => bytes.fill(0, at, at + ELEMENT_BYTES),
  writeLife: (_destination, _epoch, _slot, bytes, at) => bytes.fill(0, at, at + ELEMENT_BYTES),
  checkMetric: () => "sound",
  checkLife: () => "sound",
  forget: () => undefined,
};
