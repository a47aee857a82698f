import { NAC_BYTES } from "../address/nac.js";
import type { Reader, Writer } from "./cursor.js";
import { KEM_PUBLIC_BYTES, NETWORK_LABEL_BYTES, PacketType } from "./flight.js";
import { KEY_NONCE_BYTES, KEY_PACKET_BYTES, KeyKind } from "./keyreq.js";

/**
 * KEYRESP: a static key and what else it takes to recompute the address, so that anybody can check the answer.
 *
 *   offset  size  field
 *        0     1  type           0x07
 *        1     1  version        1
 *        2     1  suite          1
 *        3     1  kind           as asked
 *        4     4  networkLabel   first bytes of the network id
 *        8     8  nonce          as asked
 *       16    16  target         as asked
 *       32     1  suiteFloor     lowest suite the owner speaks
 *       33     7  zero
 *       40   800  publicKey      ML-KEM-512
 *      840    32  signatureHash  SHA3-256 of the ML-DSA-44 key; zero for kind 0
 *      872    32  reserved       zero
 */
export interface KeyResponse {
  readonly version: number;
  readonly suite: number;
  readonly kind: KeyKind;
  readonly networkLabel: Uint8Array;
  readonly nonce: Uint8Array;
  readonly target: Uint8Array;
  readonly suiteFloor: number;
  readonly publicKey: Uint8Array;
  readonly signatureHash: Uint8Array;
}

const FLOOR_ZERO_BYTES = 7;
export const SIGNATURE_HASH_BYTES = 32;
const RESERVED_BYTES = 32;

export function encodeKeyResponse(out: Writer, response: KeyResponse): void {
  out.u8(PacketType.keyResponse).u8(response.version).u8(response.suite).u8(response.kind).raw(response.networkLabel);
  out.raw(response.nonce).raw(response.target).u8(response.suiteFloor).zeros(FLOOR_ZERO_BYTES);
  out.raw(response.publicKey).raw(response.signatureHash).zeros(RESERVED_BYTES);
}

/** Takes all that remains in the reader as one KEYRESP. Byte fields are views of the input. */
export function decodeKeyResponse(input: Reader): KeyResponse | undefined {
  if (input.remaining !== KEY_PACKET_BYTES || input.u8() !== PacketType.keyResponse) return undefined;
  const version = input.u8();
  const suite = input.u8();
  const kind = input.u8();
  const networkLabel = input.raw(NETWORK_LABEL_BYTES);
  const nonce = input.raw(KEY_NONCE_BYTES);
  const target = input.raw(NAC_BYTES);
  const suiteFloor = input.u8();
  if (!input.zeros(FLOOR_ZERO_BYTES)) return undefined;
  const publicKey = input.raw(KEM_PUBLIC_BYTES);
  const signatureHash = input.raw(SIGNATURE_HASH_BYTES);
  if (!input.zeros(RESERVED_BYTES) || (kind !== KeyKind.link && kind !== KeyKind.nac)) return undefined;
  return { version, suite, kind, networkLabel, nonce, target, suiteFloor, publicKey, signatureHash };
}
