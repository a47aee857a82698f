/**
 * The network header of a FORWARD record: where one end-to-end packet goes. It names no source.
 *
 *   offset  size  field
 *        0     1  kind         0x01 (RecordKind.forward)
 *        1     1  hopsLeft     32 at the sender; each relay subtracts one; a packet with none left is dropped
 *        2     1  flags        zero; kept for a scope and a landmark flag
 *        3    16  destination  NAC
 *       19  1152  packet       RECORD, INIT, RESP or CONF between the two ends
 */
export class NetworkHeader {
  hopsLeft = 0;
  flags = 0;
}

export const NETWORK_HEADER_BYTES = 19;
export const NAC_OFFSET = 3;
export const HOPS_OFFSET = 1;
const FLAGS_OFFSET = 2;
export const HOP_LIMIT = 32;

/** Every packet between two ends, feedback and handshakes included, has this size. */
export const END_PACKET_BYTES = 1152;

const KIND_FORWARD = 1;

/** Writes kind, hops and flags at `out[at]`. The caller writes the destination at `out[at + NAC_OFFSET]`. */
export function encodeNetworkHeader(out: Uint8Array, at: number, hopsLeft: number, flags: number): void {
  out[at] = KIND_FORWARD;
  out[at + HOPS_OFFSET] = hopsLeft;
  out[at + FLAGS_OFFSET] = flags;
}

/**
 * Reads into a reused object, since every packet passes here; the destination is left at `bytes[at + NAC_OFFSET]`. False
 * when the bytes are no FORWARD header with a whole packet behind it.
 */
export function decodeNetworkHeader(bytes: Uint8Array, at: number, length: number, into: NetworkHeader): boolean {
  if (length !== NETWORK_HEADER_BYTES + END_PACKET_BYTES || at + length > bytes.length) return false;
  into.hopsLeft = bytes[at + HOPS_OFFSET]!;
  into.flags = bytes[at + FLAGS_OFFSET]!;
  return bytes[at] === KIND_FORWARD && into.hopsLeft <= HOP_LIMIT;
}
