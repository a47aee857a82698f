import { isNac } from "../address/nac.js";
import type { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { networkLabelOf } from "../crypto/identity.js";
import { initialTranscript, mac1Of, trafficKeys } from "../crypto/key-schedule.js";
import { AEAD_TAG_BYTES, type KemKeys, SUITE_ID, X25519_BYTES } from "../crypto/suite.js";
import { MILLISECOND_US } from "../time/instant.js";
import {
  BISCUIT_NONCE_BYTES,
  BISCUIT_STATE_BYTES,
  type BiscuitState,
  decodeBiscuitState,
  encodeBiscuitState,
  PATH_TAG_BYTES,
} from "../wire/biscuit.js";
import { CONF_HEAD_BYTES, decodeConf, decodeConfBody } from "../wire/conf.js";
import { LINK_DATAGRAM_BYTES } from "../wire/control-frame.js";
import { Reader, Writer } from "../wire/cursor.js";
import { BISCUIT_BYTES, NETWORK_LABEL_BYTES, PacketType, PROTOCOL_VERSION, TAG_BYTES } from "../wire/flight.js";
import {
  decodeInit,
  decodeInitBody,
  INIT_HEAD_BYTES,
  INIT_LABEL_OFFSET,
  INIT_TAIL_BYTES,
  MAC_BYTES,
} from "../wire/init.js";
import { END_PACKET_BYTES } from "../wire/network-header.js";
import type { Params } from "../wire/params.js";
import {
  encodeRespBody,
  encodeRespHead,
  type ObservedAddress,
  RESP_BISCUIT_OFFSET,
  RESP_HEAD_BYTES,
} from "../wire/resp.js";
import { type BiscuitGeneration, BiscuitKeys, FORGED_BISCUITS_MAX, FORGED_CONFS_MAX, KEEP_US } from "./biscuit-keys.js";
import type { HandshakeFault, SessionContext } from "./context.js";
import { enterFlight, openFlight, respTranscript, sealFlight } from "./flight-secrets.js";
import { Session } from "./session.js";

/** A biscuit is good for 10 s; the repeats of INIT and CONF take less. Its key lives at least that long after it. */
const BISCUIT_LIFE_MS = KEEP_US / MILLISECOND_US;
const NOTHING_ASSOCIATED = new Uint8Array(0);

export interface ResponderConfig {
  /** The static key that initiators address. */
  readonly keys: KemKeys;
  /** What is granted, or how to learn it at each RESP. */
  readonly params: Params | (() => Params);
  /** Bounds the biscuits remembered per key; USED_BISCUITS_MAX unless given. */
  readonly used?: Cap | undefined;
}

export interface InitAnswer {
  /** RESP, as large as the INIT. */
  readonly flight: Uint8Array;
  /** Where it goes; undefined on links: back along the path. */
  readonly returnNac: Uint8Array | undefined;
}

export type ConfAnswer =
  | { readonly session: Session; readonly peerParams: Params }
  /** A CONF seen before. If the owner still has that session, it answers with one more record; nothing else happens. */
  | { readonly repeatOf: number };

/**
 * The end that is called, one per static key. Keeps nothing of an initiator until its CONF: what it needs then travels
 * with the initiator in the biscuit. Bytes that are handed in are only read.
 */
export class Responder {
  private readonly context: SessionContext;
  private readonly config: ResponderConfig;
  private readonly networkLabel: Uint8Array;
  private readonly staticHash: Uint8Array;
  private readonly firstTranscript: Uint8Array;
  private readonly firstSalt: Uint8Array;
  private readonly biscuitKeys: BiscuitKeys;

  constructor(context: SessionContext, config: ResponderConfig) {
    const { suite, networkId } = context;
    this.context = context;
    this.config = config;
    this.networkLabel = networkLabelOf(networkId);
    this.staticHash = suite.hash(config.keys.publicKey);
    this.firstTranscript = initialTranscript(suite, PROTOCOL_VERSION, SUITE_ID, networkId, this.staticHash);
    this.firstSalt = suite.hash(this.firstTranscript);
    this.biscuitKeys = new BiscuitKeys(context, config.used);
  }

  /** When ephemeral keys must be erased: forward secrecy starts late if the owner calls handleTimeout late. */
  get nextTimeoutUs(): number {
    return this.biscuitKeys.nextTimeoutUs;
  }

  handleTimeout(nowUs: number): void {
    this.biscuitKeys.handleTimeout(nowUs);
  }

  /** H(pk_s). */
  get publicKeyHash(): Uint8Array {
    return this.staticHash;
  }

  /** Used biscuits of one pair of keys. */
  get cap(): Cap {
    return this.biscuitKeys.cap;
  }

  /**
   * Why the INIT at `bytes[at, at + length)` is not worth a key agreement; undefined when its mac1 is right. The checks
   * cost one hash at most; most junk ends at the second line.
   */
  screenInit(bytes: Uint8Array, at: number, length: number): HandshakeFault | undefined {
    if (!isFlightSize(length) || at + length > bytes.length || bytes[at] !== PacketType.init) return "malformed";
    if (bytes[at + 1] !== PROTOCOL_VERSION) return "version";
    if (bytes[at + 2] !== SUITE_ID) return "suite";
    if (!equal(this.networkLabel, bytes, at + INIT_LABEL_OFFSET, NETWORK_LABEL_BYTES)) return "network";
    const covered = length - INIT_TAIL_BYTES;
    const mac1 = mac1Of(this.context.suite, this.staticHash, bytes, at, covered);
    return equal(mac1, bytes, at + covered, MAC_BYTES) ? undefined : "mac";
  }

  /** Screens and answers. */
  handleInit(
    nowUs: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    pathTag: Uint8Array,
    observed: ObservedAddress,
    allocateIndex: () => number,
  ): InitAnswer | HandshakeFault {
    const junk = this.screenInit(bytes, at, length);
    return junk ?? this.answerInit(nowUs, bytes, at, length, pathTag, observed, allocateIndex);
  }

  /**
   * Answers an INIT that screenInit let through; this is where the key agreement is spent.
   *
   * @param pathTag        8 bytes by which the owner tells paths apart; CONF must come with the same. Zero end to end
   * @param observed       the sender's address, or OBSERVED_NOTHING
   * @param allocateIndex  draws a session number that is free now, not 0; it is not reserved
   */
  answerInit(
    nowUs: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    pathTag: Uint8Array,
    observed: ObservedAddress,
    allocateIndex: () => number,
  ): InitAnswer | HandshakeFault {
    const { suite, entropy } = this.context;

    const init = decodeInit(new Reader(bytes, at, at + length));
    if (init === undefined) return "malformed";
    const staticSecret = suite.kemDecapsulate(init.ciphertext, this.config.keys.secretKey);
    const initHead = bytes.subarray(at, at + INIT_HEAD_BYTES);
    const afterInit = enterFlight(suite, "mq1 init", this.firstSalt, staticSecret, this.firstTranscript, initHead);
    const initBytes = openFlight(suite, afterInit, init.sealed);
    if (initBytes === undefined) return "seal";
    const body = decodeInitBody(new Reader(initBytes));
    if (body === undefined) return "malformed";
    if ((body.suites & (1 << SUITE_ID)) === 0) return "suite";
    const hasReturn = body.returnNac.some((byte) => byte !== 0);
    if (hasReturn && !isNac(body.returnNac)) return "malformed";

    const ephemeralSecret = entropy(X25519_BYTES);
    const shared = suite.x25519Shared(ephemeralSecret, init.ephemeral);
    if (shared === undefined) return "malformed"; // a point of low order
    const ephemeral = suite.x25519Public(ephemeralSecret);
    ephemeralSecret.fill(0);

    const flight = new Uint8Array(length);
    encodeRespHead(new Writer(flight), {
      version: PROTOCOL_VERSION,
      suite: SUITE_ID,
      flags: 0,
      index: body.index,
      ephemeral,
    });
    const generation = this.biscuitKeys.serving(nowUs);
    const responderIndex = allocateIndex();
    const { params } = this.config;
    const bodyEnd = length - TAG_BYTES;
    encodeRespBody(new Writer(flight, RESP_HEAD_BYTES, bodyEnd), {
      index: responderIndex,
      biscuit: NO_BISCUIT_YET,
      publicKey: generation.kem.publicKey,
      params: typeof params === "function" ? params() : params,
      observed,
    });
    const transcript = suite.hash(afterInit.transcript, init.sealed);
    const respHead = flight.subarray(0, RESP_HEAD_BYTES);
    const secrets = enterFlight(suite, "mq1 resp", afterInit.chainingKey, shared, transcript, respHead);
    const biscuitAt = RESP_HEAD_BYTES + RESP_BISCUIT_OFFSET;
    this.writeBiscuit(generation, flight, biscuitAt, {
      chainingKey: secrets.chainingKey,
      transcript: respTranscript(suite, secrets.transcript, flight.subarray(RESP_HEAD_BYTES, bodyEnd)),
      initiatorIndex: body.index,
      responderIndex,
      returnNac: body.returnNac,
      issuedMs: Math.floor(nowUs / MILLISECOND_US),
      pathTag,
    });
    sealFlight(suite, secrets, flight, RESP_HEAD_BYTES, length);
    afterInit.chainingKey.fill(0);
    secrets.chainingKey.fill(0);
    return { flight, returnNac: hasReturn ? body.returnNac.slice() : undefined };
  }

  /** @param isIndexFree  may this session number still be given away? */
  handleConf(
    nowUs: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    pathTag: Uint8Array,
    isIndexFree: (index: number) => boolean,
  ): ConfAnswer | HandshakeFault {
    const { suite } = this.context;
    const conf = isFlightSize(length) ? decodeConf(new Reader(bytes, at, at + length)) : undefined;
    if (conf === undefined) return "malformed";
    if (conf.version !== PROTOCOL_VERSION) return "version";
    if (conf.suite !== SUITE_ID) return "suite";

    const opened = this.openBiscuit(nowUs, conf.biscuit);
    if (opened === undefined) return "biscuit";
    const { generation, state } = opened;
    if (state.responderIndex !== conf.index) return "biscuit";
    if (!equal(state.pathTag, pathTag, 0, PATH_TAG_BYTES)) return "path";
    const name = biscuitName(conf.biscuit);
    const known = generation.used.get(name);
    if (known !== undefined) return { repeatOf: known };
    const ageMs = nowUs / MILLISECOND_US - state.issuedMs;
    if (ageMs > BISCUIT_LIFE_MS) return "stale";
    if (generation.used.size >= this.cap.limit) return "full";
    if (!isIndexFree(state.responderIndex)) return "indexTaken";
    const forged = generation.forged.get(name) ?? 0;
    if (forged >= FORGED_CONFS_MAX) return "biscuit";
    if (forged === 0 && generation.forged.size >= FORGED_BISCUITS_MAX) return "full";

    const secret = suite.kemDecapsulate(conf.ciphertext, generation.kem.secretKey);
    const head = bytes.subarray(at, at + CONF_HEAD_BYTES);
    const secrets = enterFlight(suite, "mq1 conf", state.chainingKey, secret, state.transcript, head);
    const bodyBytes = openFlight(suite, secrets, conf.sealed);
    if (bodyBytes === undefined) {
      generation.forged.set(name, forged + 1);
      return "seal";
    }
    const body = decodeConfBody(new Reader(bodyBytes));
    if (body === undefined) return "malformed";

    generation.used.set(name, state.responderIndex);
    this.cap.note(generation.used.size);
    const th4 = suite.hash(secrets.transcript, conf.sealed);
    const ends = {
      initiator: false,
      localIndex: state.responderIndex,
      peerIndex: state.initiatorIndex,
      returnNac: state.returnNac.some((byte) => byte !== 0) ? state.returnNac.slice() : undefined,
    };
    const session = new Session(nowUs, this.context, trafficKeys(suite, secrets.chainingKey, th4), ends);
    state.chainingKey.fill(0);
    secrets.chainingKey.fill(0);
    return { session, peerParams: body.params };
  }

  digest(into: Digest): void {
    into.bytes(this.staticHash);
    this.biscuitKeys.digest(into);
  }

  private writeBiscuit(generation: BiscuitGeneration, out: Uint8Array, at: number, state: BiscuitState): void {
    const { suite, entropy } = this.context;
    const nonce = entropy(BISCUIT_NONCE_BYTES);
    const stateAt = at + BISCUIT_NONCE_BYTES;
    out.set(nonce, at);
    encodeBiscuitState(new Writer(out, stateAt, at + BISCUIT_BYTES), state);
    suite.aead(generation.biscuitKey).seal(nonce, NOTHING_ASSOCIATED, out, stateAt, BISCUIT_STATE_BYTES);
  }

  private openBiscuit(
    nowUs: number,
    biscuit: Uint8Array,
  ): { readonly generation: BiscuitGeneration; readonly state: BiscuitState } | undefined {
    const nonce = biscuit.subarray(0, BISCUIT_NONCE_BYTES);
    for (const generation of this.biscuitKeys.kept(nowUs)) {
      const sealed = biscuit.slice(BISCUIT_NONCE_BYTES);
      const aead = this.context.suite.aead(generation.biscuitKey);
      if (!aead.open(nonce, NOTHING_ASSOCIATED, sealed, 0, sealed.length)) continue;
      const state = decodeBiscuitState(new Reader(sealed, 0, sealed.length - AEAD_TAG_BYTES));
      return state && { generation, state };
    }
    return undefined;
  }
}

const NO_BISCUIT_YET = new Uint8Array(BISCUIT_BYTES);

/** Flights come padded to one of two sizes, so nothing else is looked at. */
function isFlightSize(length: number): boolean {
  return length === LINK_DATAGRAM_BYTES || length === END_PACKET_BYTES;
}

/** We drew the nonce at random and the biscuit is genuine, so 48 bits of it tell 4,096 biscuits apart. */
function biscuitName(biscuit: Uint8Array): number {
  return new Reader(biscuit).u48();
}

/** Not in constant time: neither mac1 nor a path tag is a secret. */
function equal(a: Uint8Array, b: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i += 1) if (a[i] !== b[at + i]) return false;
  return true;
}
