/**
 * What all packets between two ends have in common, whether the ends are neighbours (one UDP datagram each) or far
 * apart (the packet of a FORWARD record). The first byte tells the type:
 *
 *   0x01 RECORD   record.ts     0x05 COOKIE   cookie.ts
 *   0x02 INIT     init.ts       0x06 KEYREQ   keyreq.ts
 *   0x03 RESP     resp.ts       0x07 KEYRESP  keyresp.ts
 *   0x04 CONF     conf.ts       0x08 UNKNOWN  unknown.ts
 *
 * INIT, RESP and CONF are the three flights of the handshake MQ1. Each starts with the same four bytes, here called
 * the opening, and is padded with zeros inside its seal to the size of its carrier, so that its size tells nothing.
 */

export const PacketType = {
  record: 1,
  init: 2,
  resp: 3,
  conf: 4,
  cookie: 5,
  keyRequest: 6,
  keyResponse: 7,
  unknown: 8,
} as const;

export const PROTOCOL_VERSION = 1;

/** type, version, suite, flags. */
export const OPENING_BYTES = 4;
export const NETWORK_LABEL_BYTES = 4;
export const KEM_PUBLIC_BYTES = 800;
export const KEM_CIPHERTEXT_BYTES = 768;
export const EPHEMERAL_BYTES = 32;
export const BISCUIT_BYTES = 133;
export const TAG_BYTES = 16;

/** No flight is larger than this before padding, so that each also fits through five onion layers. */
export const FLIGHT_UNPADDED_MAX_BYTES = 1030;
