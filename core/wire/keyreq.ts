import { NAC_BYTES } from "../address/nac.js";
import type { Reader, Writer } from "./cursor.js";
import { NETWORK_LABEL_BYTES, PacketType } from "./flight.js";

/**
 * KEYREQ: "send me the static key of this address". It names no sender; an answer goes back the way the request came.
 *
 *   offset  size  field
 *        0     1  type          0x06
 *        1     1  version       1
 *        2     1  suite         1
 *        3     1  kind          0 the link key of whoever answers, 1 the key of a NAC
 *        4     4  networkLabel  first bytes of the network id
 *        8     8  nonce         random; the answer repeats it
 *       16    16  target        NAC; zero for kind 0
 *       32   872  padding       zero, so that the answer is not larger
 */
export interface KeyRequest {
  readonly version: number;
  readonly suite: number;
  readonly kind: KeyKind;
  readonly networkLabel: Uint8Array;
  readonly nonce: Uint8Array;
  readonly target: Uint8Array;
}

export const KeyKind = { link: 0, nac: 1 } as const;
export type KeyKind = (typeof KeyKind)[keyof typeof KeyKind];

export const KEY_NONCE_BYTES = 8;
/** KEYREQ and KEYRESP have the same size. */
export const KEY_PACKET_BYTES = 904;

export function encodeKeyRequest(out: Writer, request: KeyRequest): void {
  const end = out.offset + KEY_PACKET_BYTES;
  out.u8(PacketType.keyRequest).u8(request.version).u8(request.suite).u8(request.kind).raw(request.networkLabel);
  out.raw(request.nonce).raw(request.target);
  out.zeros(end - out.offset);
}

/** Takes all that remains in the reader as one KEYREQ. Byte fields are views of the input. */
export function decodeKeyRequest(input: Reader): KeyRequest | undefined {
  if (input.remaining !== KEY_PACKET_BYTES || input.u8() !== PacketType.keyRequest) return undefined;
  const version = input.u8();
  const suite = input.u8();
  const kind = input.u8();
  const networkLabel = input.raw(NETWORK_LABEL_BYTES);
  const nonce = input.raw(KEY_NONCE_BYTES);
  const target = input.raw(NAC_BYTES);
  if (!input.zeros(input.remaining) || (kind !== KeyKind.link && kind !== KeyKind.nac)) return undefined;
  return { version, suite, kind, networkLabel, nonce, target };
}
