/**
 * One step of the MQ1 key schedule, the same at both ends. Each flight mixes a new secret into the chaining key, hashes
 * what it shows in clear into the transcript, and seals the rest under a key bound to both:
 *
 *   flight  salt     new secret              in clear                    transcript after the seal
 *   INIT    H(th0)   ML-KEM to static key    header, ct_s, X_I           H(th1 | sealed)
 *   RESP    ck1      X25519(X_I, X_R)        opening, idx_I, X_R         H(thr | body without the biscuit)
 *   CONF    ck2      ML-KEM to ek_e          opening, idx_R, biscuit, ct_e  H(th3 | sealed)
 *
 * RESP's transcript leaves the biscuit out because the biscuit contains that transcript; CONF's covers it.
 */
import { extract32, type FlightLabel, flightKey } from "../crypto/key-schedule.js";
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, type CryptoSuite } from "../crypto/suite.js";
import { BISCUIT_BYTES } from "../wire/flight.js";
import { RESP_BISCUIT_OFFSET } from "../wire/resp.js";

export interface FlightSecrets {
  readonly chainingKey: Uint8Array;
  /** Also the associated data of the seal. */
  readonly transcript: Uint8Array;
  readonly key: Uint8Array;
}

/** Each flight key seals one message, so its nonce may be zero. */
const FLIGHT_NONCE = new Uint8Array(AEAD_NONCE_BYTES);

/** @param head all bytes of the flight before its seal */
export function enterFlight(
  suite: CryptoSuite,
  label: FlightLabel,
  salt: Uint8Array,
  secret: Uint8Array,
  transcript: Uint8Array,
  head: Uint8Array,
): FlightSecrets {
  const chainingKey = extract32(suite, salt, secret);
  secret.fill(0);
  const next = suite.hash(transcript, head);
  return { chainingKey, transcript: next, key: flightKey(suite, chainingKey, label, next) };
}

/** Seals `flight[from, to - 16)` in place; the tag goes to `flight[to - 16, to)`. Answers a view of the sealed bytes. */
export function sealFlight(
  suite: CryptoSuite,
  secrets: FlightSecrets,
  flight: Uint8Array,
  from: number,
  to: number,
): Uint8Array {
  suite.aead(secrets.key).seal(FLIGHT_NONCE, secrets.transcript, flight, from, to - AEAD_TAG_BYTES - from);
  secrets.key.fill(0);
  return flight.subarray(from, to);
}

/** The body behind a seal, in a buffer of its own; undefined when the tag is wrong. */
export function openFlight(suite: CryptoSuite, secrets: FlightSecrets, sealed: Uint8Array): Uint8Array | undefined {
  const body = sealed.slice();
  const genuine = suite.aead(secrets.key).open(FLIGHT_NONCE, secrets.transcript, body, 0, body.length);
  secrets.key.fill(0);
  return genuine ? body.subarray(0, body.length - AEAD_TAG_BYTES) : undefined;
}

/** th2. */
export function respTranscript(suite: CryptoSuite, transcript: Uint8Array, body: Uint8Array): Uint8Array {
  const behind = RESP_BISCUIT_OFFSET + BISCUIT_BYTES;
  return suite.hash(transcript, body.subarray(0, RESP_BISCUIT_OFFSET), body.subarray(behind));
}
