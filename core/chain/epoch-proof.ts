/**
 * EPOCH proof: what the chains of an epoch end in, and that the epoch before it says so.
 *
 *   offset  size  field
 *        0     4  startSlot     the slot it began in; a hint by which its elements are walked down to the end, not signed
 *        4     8  tag           the epoch's
 *       12    16  metricEnd     one step below the lowest element of the metric chain
 *       28    16  previousLife  the lowest element of the life chain of the epoch before
 *       44    12  previousKey   the key that the epoch before named for this one
 *       56   288  signature     of the anchor, by previousKey
 *
 *   tag    = (H under chain 3, tag = key[8..12) | startSlot, of H under chain 3, tag = key[0..8), of the lowest life element)[0..8)
 *   anchor = H("mq/anchor/1" | NAC 16 | epoch 4 | metricEnd 16 | tag 8)[0..16)
 *
 * So a tag commits to the life chain, to the slot in which its lowest element stands (or old elements would serve in later
 * slots), and to the key that signs the epoch after it, and since it salts the metric chain, whoever
 * verified one step of that holds all that he needs for judging the next epoch. The tag comes with the first route. 64 bits: a search
 * for another preimage serves one epoch of one NAC.
 *
 * The epoch that follows e is e + 1. An origin that lost count, or a receiver that missed an epoch, needs the descriptor
 * (descriptor.ts), or has to wait until the destination is forgotten.
 */

import type { NacDictionary } from "../address/dictionary.js";
import { ascii } from "../address/text.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { EPOCH_PROOF_BYTES, TAG_BYTES } from "../routing/elements.js";
import { Reader, Writer } from "../wire/cursor.js";
import { ONE_TIME_PUBLIC_BYTES, ONE_TIME_SIGNATURE_BYTES } from "./one-time-key.js";
import { Chain, epochInfo, readWords, type Walker } from "./step.js";

export const END_BYTES = 16;
export const ANCHOR_BYTES = 16;
const ANCHOR = ascii("mq/anchor/1");

export interface EpochProof {
  readonly startSlot: number;
  readonly tag: Uint8Array;
  readonly metricEnd: Uint8Array;
  readonly previousLife: Uint8Array;
  readonly previousKey: Uint8Array;
  readonly signature: Uint8Array;
}

export function encodeEpochProof(proof: EpochProof): Uint8Array {
  const bytes = new Uint8Array(EPOCH_PROOF_BYTES);
  const out = new Writer(bytes).u32(proof.startSlot).raw(proof.tag).raw(proof.metricEnd);
  out.raw(proof.previousLife).raw(proof.previousKey).raw(proof.signature);
  return bytes;
}

/** Views into `bytes`. Undefined when there are too few. */
export function decodeEpochProof(bytes: Uint8Array, at: number): EpochProof | undefined {
  const input = new Reader(bytes, at);
  const proof = {
    startSlot: input.u32(),
    tag: input.raw(TAG_BYTES),
    metricEnd: input.raw(END_BYTES),
    previousLife: input.raw(END_BYTES),
    previousKey: input.raw(ONE_TIME_PUBLIC_BYTES),
    signature: input.raw(ONE_TIME_SIGNATURE_BYTES),
  };
  return input.ok ? proof : undefined;
}

/** 16 bytes. */
export function anchorOf(
  suite: CryptoSuite,
  dictionary: NacDictionary,
  destination: number,
  epoch: number,
  tag: Uint8Array,
  metricEnd: Uint8Array,
): Uint8Array {
  return suite.hash(epochInfo(ANCHOR, dictionary, destination, epoch), metricEnd, tag).slice(0, ANCHOR_BYTES);
}

const keyWords = new Int32Array(3); // scratch of one call

/** The walker holds the lowest life element, and afterwards, in its first two words, the tag. Two hashes. */
export function walkToTag(
  walker: Walker,
  dictionary: NacDictionary,
  destination: number,
  epoch: number,
  key: Uint8Array,
  keyAt: number,
  startSlot: number,
): void {
  readWords(key, keyAt, keyWords, 0, 3);
  walker.enter(Chain.tag, dictionary, destination, epoch, keyWords[0]!, keyWords[1]!);
  walker.walk(1, 1);
  walker.enter(Chain.tag, dictionary, destination, epoch, keyWords[2]!, startSlot | 0);
  walker.walk(0, 1);
}
