import { Cap } from "../../core/collections/cap.js";
import { networkIdOf } from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { type CryptoSuite, type Entropy, KEM_SEED_BYTES, type KemKeys } from "../../core/crypto/suite.js";
import { drawIndex, type SessionContext } from "../../core/session/context.js";
import { Initiator } from "../../core/session/initiator.js";
import { type InitAnswer, Responder } from "../../core/session/responder.js";
import type { Session } from "../../core/session/session.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { OBSERVED_NOTHING } from "../../core/wire/resp.js";

export const LINK_BYTES = 1200;
export const END_BYTES = 1152;
export const PATH_TAG = new Uint8Array(8);

/** The same stream for the same seed (splitmix32). For tests only: nobody's keys come from here. */
export function seededEntropy(seed: number): Entropy {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return (length) => Uint8Array.from({ length }, () => next() >>> 13);
}

/** A NAC-shaped address that is not anybody's. */
export function anyNac(entropy: Entropy): Uint8Array {
  const nac = entropy(16);
  nac[6] = 0x80 | (nac[6]! & 0x0f);
  nac[8] = 0x80 | (nac[8]! & 0x3f);
  return nac;
}

export interface PairConfig {
  readonly seed?: number;
  readonly flightBytes?: number;
  readonly returnNac?: Uint8Array;
  readonly initiatorSuite?: CryptoSuite;
  readonly responderSuite?: CryptoSuite;
  readonly initiatorNetwork?: string;
  readonly usedBiscuitsMax?: number;
}

export const INITIATOR_PARAMS = { creditKiB: 4096, streamsMax: 64, flags: 0 };
export const RESPONDER_PARAMS = { creditKiB: 2048, streamsMax: 256, flags: 0 };

/** One responder, any number of initiators that know its key, and no network between them but the test itself. */
export class HandshakePair {
  readonly responder: Responder;
  readonly keys: KemKeys;
  readonly flightBytes: number;
  /** Session numbers that the responder gave away. */
  readonly taken = new Set<number>();
  readonly initiatorContext: SessionContext;
  readonly responderContext: SessionContext;
  private readonly config: PairConfig;

  constructor(config: PairConfig = {}) {
    const seed = config.seed ?? 1;
    const suite = config.responderSuite ?? nobleSuite;
    const initiatorSuite = config.initiatorSuite ?? suite;
    this.config = config;
    this.flightBytes = config.flightBytes ?? LINK_BYTES;
    this.initiatorContext = {
      suite: initiatorSuite,
      entropy: seededEntropy(seed * 2),
      networkId: networkIdOf(suite, config.initiatorNetwork ?? "test"),
    };
    const entropy = seededEntropy(seed * 2 + 1);
    this.responderContext = { suite, entropy, networkId: networkIdOf(suite, "test") };
    this.keys = suite.kemKeys(entropy(KEM_SEED_BYTES));
    this.responder = new Responder(this.responderContext, {
      keys: this.keys,
      params: RESPONDER_PARAMS,
      used: config.usedBiscuitsMax === undefined ? undefined : new Cap("usedBiscuits", config.usedBiscuitsMax),
    });
  }

  initiator(): Initiator {
    return new Initiator(this.initiatorContext, {
      peerPublicKey: this.keys.publicKey,
      returnNac: this.config.returnNac,
      params: INITIATOR_PARAMS,
      flightBytes: this.flightBytes,
      localIndex: drawIndex(this.initiatorContext.entropy),
    });
  }

  init(nowUs: number, flight: Uint8Array, pathTag: Uint8Array = PATH_TAG) {
    return this.responder.handleInit(nowUs, flight, 0, flight.length, pathTag, OBSERVED_NOTHING, () =>
      drawIndex(this.responderContext.entropy),
    );
  }

  conf(nowUs: number, flight: Uint8Array, pathTag: Uint8Array = PATH_TAG) {
    const answer = this.responder.handleConf(nowUs, flight, 0, flight.length, pathTag, (i) => !this.taken.has(i));
    if (typeof answer !== "string" && "session" in answer) this.taken.add(answer.session.localIndex);
    return answer;
  }

  /** An undisturbed handshake at `nowUs`. */
  connect(nowUs = 0) {
    const initiator = this.initiator();
    const init = initiator.start(nowUs)!;
    const answer = expectAnswer(this.init(nowUs, init));
    const conf = initiator.handleResp(nowUs, answer.flight, 0, answer.flight.length)!;
    const accepted = this.conf(nowUs, conf);
    if (typeof accepted === "string" || !("session" in accepted)) throw new Error(`CONF gave ${accepted}`);
    return { initiator, init, answer, resp: answer.flight, conf, near: initiator.session!, far: accepted.session };
  }
}

export function expectAnswer(answer: InitAnswer | string): InitAnswer {
  if (typeof answer === "string") throw new Error(`INIT was refused: ${answer}`);
  return answer;
}

/** A record of `session` that holds `plaintext`. */
export function sealed(session: Session, plaintext: Uint8Array): Uint8Array {
  const record = new Uint8Array(plaintext.length + 29);
  record.set(plaintext, RECORD_HEADER_BYTES);
  const length = session.seal(record, 0, plaintext.length);
  return record.subarray(0, length);
}

/** The plaintext of a record, or the fault; the record itself is left as it was. */
export function opened(session: Session, record: Uint8Array, nowUs = 0): Uint8Array | number {
  const copy = record.slice();
  const length = session.open(nowUs, copy, 0, copy.length);
  return length < 0 ? length : copy.slice(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
}

/** True when what one end seals the other opens, both ways. */
export function talk(a: Session, b: Session): boolean {
  return says(a, b, [1, 2, 3]) && says(b, a, [4, 5]);
}

function says(from: Session, to: Session, bytes: number[]): boolean {
  const heard = opened(to, sealed(from, Uint8Array.from(bytes)));
  return typeof heard !== "number" && heard.join() === bytes.join();
}
