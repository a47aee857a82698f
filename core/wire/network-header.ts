import type { Reader, Writer } from "./cursor.js";

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
export interface NetworkHeader {
  readonly hopsLeft: number;
  readonly flags: number;
  /** A view of the input, 16 bytes. */
  readonly destination: Uint8Array;
}

export const NETWORK_HEADER_BYTES = 19;
export const NAC_OFFSET = 3;
export const HOPS_OFFSET = 1;
export const HOP_LIMIT = 32;

/** Every packet between two ends, feedback and handshakes included, has this size. */
export const END_PACKET_BYTES = 1152;

const KIND_FORWARD = 1;

export function encodeNetworkHeader(out: Writer, header: NetworkHeader): void {
  out.u8(KIND_FORWARD).u8(header.hopsLeft).u8(header.flags).raw(header.destination);
}

/** Undefined when the bytes are no FORWARD header with a whole packet behind it. */
export function decodeNetworkHeader(input: Reader): NetworkHeader | undefined {
  const kind = input.u8();
  const header = { hopsLeft: input.u8(), flags: input.u8(), destination: input.raw(16) };
  if (!input.ok || kind !== KIND_FORWARD || header.hopsLeft > HOP_LIMIT) return undefined;
  if (input.remaining !== END_PACKET_BYTES) return undefined;
  return header;
}
