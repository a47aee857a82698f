/**
 * The key schedule of the MQ1 handshake: pure functions from secrets and transcript hashes to keys. The handshake in
 * core/session says what goes into the transcript and when.
 *
 *   th0 = H("MQ1" | version | suite | network id | H(static key))
 *   ck1 = Extract(H(th0), ss_s)   ck2 = Extract(ck1, X25519)   ck3 = Extract(ck2, ss_e)      first 32 bytes each
 *   flight key = Expand(ck, label | transcript, 32)            traffic keys = Expand(ck3, "mq1 traffic" | th4, 96)
 *
 * The packet keys of a session come from the secret of a round and change with each update (core/session/rekey.ts):
 *
 *   R_0 from the traffic keys, x_0 empty            R_r+1 = Extract(N_r, ss), x_r+1 = H(offer | answer)
 *   N_r = Expand(R_r, "mq1 salt" | x_r, 32)         U_r,0 = Expand(R_r, "mq1 to responder" or "mq1 to initiator" | x_r, 32)
 *   key, iv = Expand(U_r,u, "mq1 packet", 44)       U_r,u+1 = Expand(U_r,u, "mq1 update", 32)
 *   binding = Expand(R_0, "mq1 binding", 32)
 *
 * HKDF-SHA-512 (RFC 5869), H = SHA3-256, `|` concatenates.
 */
import { ascii } from "../address/text.js";
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES, type CryptoSuite, HASH_BYTES } from "./suite.js";

export const CHAINING_KEY_BYTES = 32;
export const MAC1_BYTES = 16;

const PROTOCOL = ascii("MQ1");
const MAC1_LABEL = ascii("mq1 mac1");
/** Which flight a key seals; each has its own label, so that no key serves two. */
export type FlightLabel = "mq1 init" | "mq1 resp" | "mq1 conf";

const LABELS: Readonly<Record<FlightLabel, Uint8Array>> = {
  "mq1 init": ascii("mq1 init"),
  "mq1 resp": ascii("mq1 resp"),
  "mq1 conf": ascii("mq1 conf"),
};
const TRAFFIC_LABEL = ascii("mq1 traffic");

const SALT_LABEL = ascii("mq1 salt");
const TO_RESPONDER_LABEL = ascii("mq1 to responder");
const TO_INITIATOR_LABEL = ascii("mq1 to initiator");
const PACKET_LABEL = ascii("mq1 packet");
const UPDATE_LABEL = ascii("mq1 update");
const BINDING_LABEL = ascii("mq1 binding");
const NO_EXCHANGE = new Uint8Array(0);

/** What the handshake gives a session. */
export interface TrafficKeys {
  /** Header mask, 32 bytes, for the life of the session. */
  readonly maskToResponder: Uint8Array;
  readonly maskToInitiator: Uint8Array;
  /** R_0, 32 bytes: the packet keys come from it. */
  readonly roundSecret: Uint8Array;
}

/** What the secret of a round gives; 32 bytes each. */
export interface RoundKeys {
  /** N_r: the next round starts from it. */
  readonly salt: Uint8Array;
  /** U_r,0 of both directions. */
  readonly toResponder: Uint8Array;
  readonly toInitiator: Uint8Array;
}

/** What seals the packets of one direction between two updates. */
export interface PacketKey {
  /** AES-256-GCM, 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes, XORed with the counter. */
  readonly iv: Uint8Array;
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

/** What both ends know at the end of the handshake, bound to the whole transcript (th4). */
export function trafficKeys(suite: CryptoSuite, chainingKey: Uint8Array, transcript: Uint8Array): TrafficKeys {
  const material = suite.expand(chainingKey, concat(TRAFFIC_LABEL, transcript), 2 * AEAD_KEY_BYTES + HASH_BYTES);
  const keys = {
    maskToResponder: material.slice(0, AEAD_KEY_BYTES),
    maskToInitiator: material.slice(AEAD_KEY_BYTES, 2 * AEAD_KEY_BYTES),
    roundSecret: material.slice(2 * AEAD_KEY_BYTES),
  };
  material.fill(0);
  return keys;
}

/** @param exchange  H(offer | answer) of the messages that began the round; absent for round 0 */
export function roundKeys(suite: CryptoSuite, roundSecret: Uint8Array, exchange: Uint8Array = NO_EXCHANGE): RoundKeys {
  return {
    salt: suite.expand(roundSecret, concat(SALT_LABEL, exchange), HASH_BYTES),
    toResponder: suite.expand(roundSecret, concat(TO_RESPONDER_LABEL, exchange), HASH_BYTES),
    toInitiator: suite.expand(roundSecret, concat(TO_INITIATOR_LABEL, exchange), HASH_BYTES),
  };
}

/** 32 bytes that both ends of a session know and nobody else; they tell nothing of its keys. */
export function sessionBinding(suite: CryptoSuite, roundSecret: Uint8Array): Uint8Array {
  return suite.expand(roundSecret, BINDING_LABEL, HASH_BYTES);
}

/** R_r+1 from N_r and the secret that the answer sealed to the offer. */
export function nextRoundSecret(suite: CryptoSuite, salt: Uint8Array, secret: Uint8Array): Uint8Array {
  return extract32(suite, salt, secret);
}

/** The packet key of U_r,u. */
export function packetKey(suite: CryptoSuite, chainSecret: Uint8Array): PacketKey {
  const material = suite.expand(chainSecret, PACKET_LABEL, AEAD_KEY_BYTES + AEAD_NONCE_BYTES);
  const made = { key: material.slice(0, AEAD_KEY_BYTES), iv: material.slice(AEAD_KEY_BYTES) };
  material.fill(0);
  return made;
}

/** U_r,u+1 from U_r,u. There is no way back. */
export function nextChainSecret(suite: CryptoSuite, chainSecret: Uint8Array): Uint8Array {
  return suite.expand(chainSecret, UPDATE_LABEL, HASH_BYTES);
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

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
