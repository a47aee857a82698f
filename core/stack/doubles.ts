import { ascii } from "../address/text.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { MERGE_PROOF_BYTES } from "../wire/merge.js";
import type { Link } from "./link.js";

/** MERGE frames in one hello: more links that claim one router id than this are not all real. */
export const MERGES_MAX = 2;

const LABEL = ascii("mq1 merge");

/**
 * Two links that are up and whose hellos name the same router, one opened from each end. The name proves nothing: any
 * neighbour may claim it. That they are the same neighbour is known once a proof came.
 */
export function isCounterpart(link: Link, other: Link): boolean {
  return isSameRouter(link, other) && other.isIncoming !== link.isIncoming;
}

/**
 * Two links opened from the same end, over the same path or by the same dialer, whose hellos name the same router: one
 * succeeds the other. (An address of its own for each is a peer that is configured twice, who keeps both.)
 */
export function isSuccessor(link: Link, other: Link): boolean {
  const isSamePlace = other.path === link.path || (link.dialer !== undefined && link.dialer === other.dialer);
  return isSameRouter(link, other) && isSamePlace && other.isIncoming === link.isIncoming;
}

/**
 * What is said under `carrier` to show that its speaker is an end of `other` too: nobody else can make it, because it
 * takes the secrets of both sessions. A relay between two honest ends, who told each that it is the other, has two
 * sessions of which no end holds both.
 *
 *   proof = H("mq1 merge" | binding of the carrier | binding of the other | 1 if the speaker opened the carrier)[0..16)
 */
export function mergeProof(suite: CryptoSuite, carrier: Link, other: Link, bySelf: boolean): Uint8Array {
  const byOpener = bySelf === carrier.session.initiator;
  const parts = [LABEL, carrier.session.binding, other.session.binding, Uint8Array.of(byOpener ? 1 : 0)];
  return suite.hash(...parts).slice(0, MERGE_PROOF_BYTES);
}

/** In constant time: `proof` is from outside. */
export function isMergeProof(suite: CryptoSuite, carrier: Link, other: Link, proof: Uint8Array): boolean {
  const right = mergeProof(suite, carrier, other, false);
  let difference = proof.length ^ right.length;
  for (let i = 0; i < right.length; i += 1) difference |= right[i]! ^ proof[i]!;
  return difference === 0;
}

/** Both ends come to the same answer: what the lower router id opened stays. */
export function isOursKept(ourRouterId: Uint8Array, theirs: Uint8Array): boolean {
  for (let i = 0; i < ourRouterId.length; i += 1) {
    if (ourRouterId[i] !== theirs[i]) return ourRouterId[i]! < theirs[i]!;
  }
  return false;
}

function isSameRouter(link: Link, other: Link): boolean {
  return other !== link && other.isUp && !other.isDraining && other.isSameRouter(link);
}
