import { PacketType, TAG_BYTES } from "./flight.js";

/**
 * RECORD: one sealed packet of a session.
 *
 *   offset  size  field
 *        0     1  type        0x01
 *        1     4  index       the receiver's number for the session
 *        5     8  counter     below, XORed with a mask
 *       13     n  ciphertext
 *     13+n    16  tag         AES-256-GCM over (type, index, counter in clear) and the ciphertext
 *
 * The counter says under which key the packet is sealed and, over all keys, the how many-th it is. The mask keeps it from
 * showing as counting:
 *
 *        0     2  round       of the secret from which the key comes
 *        2     1  update      of the key within its round
 *        3     5  number      of the packet, from 0; goes on over all changes of keys
 *
 * The mask is the first 8 bytes of one AES-256 block over the 16 bytes behind the counter, under a key of its own
 * (RFC 9001 section 5.4 does the same for QUIC). Session seals and opens records in place, so there is no codec here.
 */

export const RECORD_INDEX_OFFSET = 1;
export const RECORD_COUNTER_OFFSET = 5;
export const RECORD_COUNTER_BYTES = 8;
export const RECORD_HEADER_BYTES = 13;
export const RECORD_OVERHEAD_BYTES = RECORD_HEADER_BYTES + TAG_BYTES;

/** The receiver's session number of a RECORD at `bytes[at, at + length)`; 0, which no session has, when it is none. */
export function recordIndex(bytes: Uint8Array, at: number, length: number): number {
  if (length < RECORD_OVERHEAD_BYTES || bytes[at] !== PacketType.record) return 0;
  const p = at + RECORD_INDEX_OFFSET;
  return ((bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!) >>> 0;
}
