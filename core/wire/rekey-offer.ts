import type { Reader, Writer } from "./cursor.js";
import { KEM_PUBLIC_BYTES } from "./flight.js";

/**
 * REKEY_OFFER: "let us take new keys". The same behind the type byte of a control frame and of a cell frame; always
 * inside a record of the session whose keys it renews, and only from the end that opened that session.
 *
 *   offset  size  field
 *        0     2  round      the one that it begins: 1 for the first
 *        2   800  publicKey  fresh ML-KEM-512 key, the same in each repeat
 */
export interface RekeyOffer {
  readonly round: number;
  readonly publicKey: Uint8Array;
}
export const REKEY_OFFER_BYTES = 2 + KEM_PUBLIC_BYTES;

export function encodeRekeyOffer(out: Writer, offer: RekeyOffer): void {
  out.u16(offer.round).raw(offer.publicKey);
}

/** Undefined when the bytes are no REKEY_OFFER; `publicKey` is a view, and not looked into. */
export function decodeRekeyOffer(input: Reader): RekeyOffer | undefined {
  const offer = { round: input.u16(), publicKey: input.raw(KEM_PUBLIC_BYTES) };
  if (!input.ok) return undefined;
  if (offer.round === 0) return undefined; // that one came with the handshake
  return offer;
}
