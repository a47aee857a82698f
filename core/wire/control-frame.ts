/**
 * What a link RECORD carries, and the frames of a CONTROL record.
 *
 * The plaintext of every link RECORD starts with one kind byte:
 *
 *   FORWARD  0x01  network header and one end-to-end packet (network-header.ts)
 *   CONTROL  0x02  control frames, one behind the other; a zero byte ends the list (padding)
 *   KEYREQ   0x03  hops left u8, then a KEYREQ packet that travels hop by hop (keyreq.ts)
 *   KEYRESP  0x04  zero u8, then the KEYRESP packet that answers it (keyresp.ts)
 *
 * A CONTROL record is padded so that the UDP payload is a multiple of 64 bytes and at least 128: its size tells little
 * about its content.
 */

export const RecordKind = { forward: 1, control: 2, keyRequest: 3, keyResponse: 4 } as const;

export const ControlFrame = {
  padding: 0,
  hello: 1,
  routes: 2,
  routeStatus: 3,
  routeHead: 4,
  routeRequest: 5,
  bye: 6,
  rekeyOffer: 7,
  rekeyAnswer: 8,
  pathChallenge: 9,
  pathResponse: 10,
  merge: 11,
  tableQuery: 12,
  tableSums: 13,
  epochRequest: 14,
} as const;

/** The largest UDP payload that we ever send: what IPv6 carries everywhere (RFC 8200 section 5, less headers). */
export const LINK_DATAGRAM_BYTES = 1200;

const CONTROL_STEP_BYTES = 64;
export const CONTROL_LEAST_BYTES = 128;

/** The UDP payload of a CONTROL record of `bytes` (header and tag included) after padding. */
export function paddedControlBytes(bytes: number): number {
  const stepped = Math.ceil(bytes / CONTROL_STEP_BYTES) * CONTROL_STEP_BYTES;
  return Math.min(LINK_DATAGRAM_BYTES, Math.max(CONTROL_LEAST_BYTES, stepped));
}
