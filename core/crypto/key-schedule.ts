/**
 * The key schedule of the MQ1 handshake: pure functions from secrets and transcript hashes to keys. The handshake in
 * core/session says what goes into the transcript and when.
 *
 *   th0 = H("MQ1" | version | suite | network id | H(static key))
 *   ck1 = Extract(H(th0), ss_s)   ck2 = Extract(ck1, X25519)   ck3 = Extract(ck2, ss_e)      first 32 bytes each
 *   flight key = Expand(ck, label | transcript, 32)            traffic keys = Expand(ck3, "mq1 traffic" | th4, 184)
 *
 * HKDF-SHA-512 (RFC 5869), H = SHA3-256, `|` concatenates.
 */
import { ascii } from "../address/text.js";
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES, type CryptoSuite, HASH_BYTES } from "./suite.js";

export const CHAINING_KEY_BYTES = 32;
export const MAC1_BYTES = 16;

const PROTOCOL = ascii("MQ1");
const MAC1_LABEL = ascii("mq1 mac1");
const DIRECTION_BYTES = AEAD_KEY_BYTES + AEAD_NONCE_BYTES + AEAD_KEY_BYTES;

/** Which flight a key seals; each has its own label, so that no key serves two. */
export type FlightLabel = "mq1 init" | "mq1 resp" | "mq1 conf";

const LABELS: Readonly<Record<FlightLabel, Uint8Array>> = {
  "mq1 init": ascii("mq1 init"),
  "mq1 resp": ascii("mq1 resp"),
  "mq1 conf": ascii("mq1 conf"),
};
const TRAFFIC_LABEL = ascii("mq1 traffic");

/** Keys of one direction of a session. */
export interface DirectionKeys {
  /** AES-256-GCM, 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes, XORed with the counter. */
  readonly iv: Uint8Array;
  /** Header mask, 32 bytes. */
  readonly mask: Uint8Array;
}

export interface TrafficKeys {
  readonly toResponder: DirectionKeys;
  readonly toInitiator: DirectionKeys;
  /** 32 bytes, from which the next keys of this session come. */
  readonly rekey: Uint8Array;
}

/** th0. `staticPublicHash` is H(static KEM public key of the responder). */
export function initialTranscript(
  suite: CryptoSuite,
  version: number,
  suiteId: number,
  networkId: Uint8Array,
  staticPublicHash: Uint8Array,
): Uint8Array {
  return suite.hash(PROTOCOL, Uint8Array.of(version, suiteId), networkId, staticPublicHash);
}

/** The next chaining key: HKDF-Extract, its first 32 bytes. */
export function extract32(suite: CryptoSuite, salt: Uint8Array, secret: Uint8Array): Uint8Array {
  return suite.extract(salt, secret).slice(0, CHAINING_KEY_BYTES);
}

/** The AEAD key of one flight, bound to everything said before it. */
export function flightKey(
  suite: CryptoSuite,
  chainingKey: Uint8Array,
  label: FlightLabel,
  transcript: Uint8Array,
): Uint8Array {
  return suite.expand(chainingKey, concat(LABELS[label], transcript), AEAD_KEY_BYTES);
}

/** The keys of both directions, bound to the whole transcript (th4). */
export function trafficKeys(suite: CryptoSuite, chainingKey: Uint8Array, transcript: Uint8Array): TrafficKeys {
  const info = concat(TRAFFIC_LABEL, transcript);
  const material = suite.expand(chainingKey, info, 2 * DIRECTION_BYTES + HASH_BYTES);
  return {
    toResponder: directionAt(material, 0),
    toInitiator: directionAt(material, DIRECTION_BYTES),
    rekey: material.slice(2 * DIRECTION_BYTES),
  };
}

/**
 * mac1 over `bytes[at, at + length)`: shows that the sender of an INIT knows whose key it speaks to, before the
 * responder spends a decapsulation on it. Not a secret: H(static key) is the key.
 */
export function mac1Of(
  suite: CryptoSuite,
  staticPublicHash: Uint8Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): Uint8Array {
  return suite.hash(MAC1_LABEL, staticPublicHash, bytes.subarray(at, at + length)).slice(0, MAC1_BYTES);
}

function directionAt(material: Uint8Array, at: number): DirectionKeys {
  const ivAt = at + AEAD_KEY_BYTES;
  const maskAt = ivAt + AEAD_NONCE_BYTES;
  return {
    key: material.slice(at, ivAt),
    iv: material.slice(ivAt, maskAt),
    mask: material.slice(maskAt, at + DIRECTION_BYTES),
  };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
