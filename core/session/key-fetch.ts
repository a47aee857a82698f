/**
 * Asking for a static key and checking the answer. Whoever answers need not be trusted: the key must hash to the
 * address that was asked for.
 */
import { NAC_BYTES, nacFromHash } from "../address/nac.js";
import { sameBytes } from "../collections/bytes.js";
import { linkKeyHashOf, nacHashOf, networkLabelOf, SUITE_FLOOR } from "../crypto/identity.js";
import { type CryptoSuite, SUITE_ID } from "../crypto/suite.js";
import { Reader, Writer } from "../wire/cursor.js";
import { PROTOCOL_VERSION } from "../wire/flight.js";
import { decodeKeyRequest, encodeKeyRequest, KEY_PACKET_BYTES, KeyKind, type KeyRequest } from "../wire/keyreq.js";
import { decodeKeyResponse, encodeKeyResponse, SIGNATURE_HASH_BYTES } from "../wire/keyresp.js";
import type { HandshakeFault } from "./context.js";

/** All it takes to answer a KEYREQ: our own, or a copy of another's that was verified. */
export interface KeyMaterial {
  readonly suiteFloor: number;
  readonly publicKey: Uint8Array;
  /** H(signature public key), 32 bytes; zero for a link key. */
  readonly signatureHash: Uint8Array;
}

export type VerifiedKey =
  | {
      readonly kind: "nac";
      readonly nonce: Uint8Array;
      readonly nac: Uint8Array;
      readonly nacHash: Uint8Array;
      readonly material: KeyMaterial;
    }
  | {
      readonly kind: "link";
      readonly nonce: Uint8Array;
      readonly linkKeyHash: Uint8Array;
      readonly material: KeyMaterial;
    };

const NO_NAC = new Uint8Array(NAC_BYTES);
const NO_SIGNATURE = new Uint8Array(SIGNATURE_HASH_BYTES);

export function linkKeyMaterial(publicKey: Uint8Array): KeyMaterial {
  return { suiteFloor: SUITE_FLOOR, publicKey, signatureHash: NO_SIGNATURE };
}

export function nacKeyMaterial(
  suite: CryptoSuite,
  kemPublicKey: Uint8Array,
  signaturePublicKey: Uint8Array,
): KeyMaterial {
  return { suiteFloor: SUITE_FLOOR, publicKey: kemPublicKey, signatureHash: suite.hash(signaturePublicKey) };
}

/** A KEYREQ for the key of `nac`; for the link key of whoever answers when `nac` is undefined. `nonce` is 8 bytes. */
export function buildKeyRequest(networkId: Uint8Array, nac: Uint8Array | undefined, nonce: Uint8Array): Uint8Array {
  const out = new Uint8Array(KEY_PACKET_BYTES);
  encodeKeyRequest(new Writer(out), {
    version: PROTOCOL_VERSION,
    suite: SUITE_ID,
    kind: nac === undefined ? KeyKind.link : KeyKind.nac,
    networkLabel: networkLabelOf(networkId),
    nonce,
    target: nac ?? NO_NAC,
  });
  return out;
}

/** The request at `bytes[at, at + length)`, in views of it, or why it is refused. */
export function readKeyRequest(
  networkId: Uint8Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): KeyRequest | HandshakeFault {
  const request = decodeKeyRequest(new Reader(bytes, at, at + length));
  if (request === undefined) return "malformed";
  const fault = refuse(networkId, request);
  if (fault !== undefined) return fault;
  if (request.kind === KeyKind.link && !sameBytes(request.target, NO_NAC)) return "malformed";
  return request;
}

/** The KEYRESP to a request, with a key that the caller knows to be the target's. As large as the request. */
export function answerKeyRequest(request: KeyRequest, material: KeyMaterial): Uint8Array {
  const out = new Uint8Array(KEY_PACKET_BYTES);
  const { version, suite, kind, networkLabel, nonce, target } = request;
  encodeKeyResponse(new Writer(out), { version, suite, kind, networkLabel, nonce, target, ...material });
  return out;
}

/** The key in the KEYRESP at `bytes[at, at + length)`, copied, with the address recomputed; or why it is refused. */
export function verifyKeyResponse(
  suite: CryptoSuite,
  networkId: Uint8Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): VerifiedKey | HandshakeFault {
  const response = decodeKeyResponse(new Reader(bytes, at, at + length));
  if (response === undefined) return "malformed";
  const fault = refuse(networkId, response);
  if (fault !== undefined) return fault;
  const { suiteFloor, publicKey, signatureHash, target } = response;
  if (suiteFloor > SUITE_ID) return "suite"; // its owner accepts none of ours
  const nonce = response.nonce.slice();
  const material = { suiteFloor, publicKey: publicKey.slice(), signatureHash: signatureHash.slice() };

  if (response.kind === KeyKind.link) {
    if (!sameBytes(target, NO_NAC) || !sameBytes(signatureHash, NO_SIGNATURE)) return "malformed";
    return { kind: "link", nonce, linkKeyHash: linkKeyHashOf(suite, networkId, suiteFloor, publicKey), material };
  }
  const nacHash = nacHashOf(suite, networkId, suiteFloor, publicKey, signatureHash);
  const nac = nacFromHash(nacHash);
  return sameBytes(nac, target) ? { kind: "nac", nonce, nac, nacHash, material } : "address";
}

function refuse(
  networkId: Uint8Array,
  packet: { readonly version: number; readonly suite: number; readonly networkLabel: Uint8Array },
): HandshakeFault | undefined {
  if (packet.version !== PROTOCOL_VERSION) return "version";
  if (packet.suite !== SUITE_ID) return "suite";
  return sameBytes(packet.networkLabel, networkLabelOf(networkId)) ? undefined : "network";
}
