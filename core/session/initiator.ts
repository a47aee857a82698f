import type { Digest } from "../collections/digest.js";
import { networkLabelOf } from "../crypto/identity.js";
import { initialTranscript, mac1Of, trafficKeys } from "../crypto/key-schedule.js";
import { KEM_SEED_BYTES, SUITE_ID, X25519_BYTES } from "../crypto/suite.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { CONF_HEAD_BYTES, encodeConfBody, encodeConfHead } from "../wire/conf.js";
import { Reader, Writer } from "../wire/cursor.js";
import { PROTOCOL_VERSION, TAG_BYTES } from "../wire/flight.js";
import { encodeInitBody, encodeInitHead, INIT_HEAD_BYTES, INIT_TAIL_BYTES, MAC_BYTES } from "../wire/init.js";
import type { Params } from "../wire/params.js";
import { decodeResp, decodeRespBody, type ObservedAddress, RESP_HEAD_BYTES } from "../wire/resp.js";
import type { HandshakeFault, SessionContext } from "./context.js";
import { mac2Of, openCookie } from "./cookies.js";
import { enterFlight, openFlight, respTranscript, sealFlight } from "./flight-secrets.js";
import { Session } from "./session.js";

/**
 * INIT and CONF are repeated byte for byte so long after they were last sent, but for the mac2 of an INIT that met a COOKIE;
 * after the last wait the attempt failed.
 */
const REPEAT_GAPS_US = [250 * MILLISECOND_US, 500 * MILLISECOND_US, 1000 * MILLISECOND_US] as const;
const LAST_WAIT_US = 2000 * MILLISECOND_US;

const ENCAPSULATION_BYTES = KEM_SEED_BYTES / 2;
const NO_NAC = new Uint8Array(16);
const NO_EARLY = new Uint8Array(0);

export interface InitiatorConfig {
  /** The responder's static ML-KEM key, 800 bytes, already checked against its address. */
  readonly peerPublicKey: Uint8Array;
  /** Where RESP shall go; undefined on links, which answer on the path. */
  readonly returnNac?: Uint8Array | undefined;
  readonly params: Params;
  /** What each flight is padded to: LINK_DATAGRAM_BYTES or END_PACKET_BYTES. */
  readonly flightBytes: number;
  /** Our number for the session, random and not 0 (drawIndex). */
  readonly localIndex: number;
}

/** What is being repeated until the other end answers. */
interface Repeat {
  readonly flight: Uint8Array;
  /** Times it was sent. */
  readonly sent: number;
  readonly nextUs: number;
}

interface Established {
  readonly session: Session;
  readonly peerParams: Params;
  readonly observed: ObservedAddress;
}

type State =
  | { readonly kind: "idle" }
  | {
      readonly kind: "awaitingResp";
      readonly repeat: Repeat;
      readonly hasCookie: boolean;
      readonly chainingKey: Uint8Array;
      readonly transcript: Uint8Array;
      readonly ephemeralSecret: Uint8Array;
    }
  | { readonly kind: "awaitingRecord"; readonly repeat: Repeat; readonly established: Established }
  | { readonly kind: "confirmed"; readonly established: Established }
  | { readonly kind: "failed" };

/** One attempt at a handshake, from the end that starts it. The initiator stays anonymous. */
export class Initiator {
  readonly localIndex: number;
  /** RESPs and COOKIEs that were refused; the attempt goes on, since anybody can send rubbish. */
  faults = 0;
  lastFault: HandshakeFault | undefined;

  private readonly context: SessionContext;
  private readonly config: InitiatorConfig;
  private state: State = { kind: "idle" };

  /** Throws RangeError for an index of 0: the caller draws it. */
  constructor(context: SessionContext, config: InitiatorConfig) {
    if (config.localIndex === 0) throw new RangeError("Initiator: localIndex is 0, which names no session");
    this.context = context;
    this.config = config;
    this.localIndex = config.localIndex;
  }

  /** Undefined until RESP was verified. From then on data may be sealed and sent, behind CONF. */
  get session(): Session | undefined {
    return this.established?.session;
  }

  /** What the responder grants; undefined until RESP was verified. */
  get peerParams(): Params | undefined {
    return this.established?.peerParams;
  }

  /** The address under which the responder sees us; undefined until RESP was verified. */
  get observed(): ObservedAddress | undefined {
    return this.established?.observed;
  }

  get nextTimeoutUs(): number {
    const state = this.state;
    return state.kind === "awaitingResp" || state.kind === "awaitingRecord" ? state.repeat.nextUs : NEVER;
  }

  /** The INIT flight, which belongs to this attempt. Undefined, and failed, when the peer's key is no ML-KEM key. */
  start(nowUs: number): Uint8Array | undefined {
    if (this.state.kind !== "idle") throw new Error(`Initiator.start: the attempt is ${this.state.kind}`);
    const { suite, entropy, networkId } = this.context;
    const { peerPublicKey, returnNac, params, flightBytes, localIndex } = this.config;

    const randomness = entropy(ENCAPSULATION_BYTES);
    const kem = suite.kemEncapsulate(peerPublicKey, randomness);
    if (kem === undefined) {
      this.state = { kind: "failed" };
      return undefined;
    }
    const ephemeralSecret = entropy(X25519_BYTES).slice();

    const flight = new Uint8Array(flightBytes);
    encodeInitHead(new Writer(flight), {
      version: PROTOCOL_VERSION,
      suite: SUITE_ID,
      flags: 0,
      networkLabel: networkLabelOf(networkId),
      ciphertext: kem.ciphertext,
      ephemeral: suite.x25519Public(ephemeralSecret),
    });
    const sealedEnd = flightBytes - INIT_TAIL_BYTES;
    encodeInitBody(new Writer(flight, INIT_HEAD_BYTES, sealedEnd - TAG_BYTES), {
      index: localIndex,
      returnNac: returnNac ?? NO_NAC,
      params,
      suites: 1 << SUITE_ID,
    });

    const staticHash = suite.hash(peerPublicKey);
    const th0 = initialTranscript(suite, PROTOCOL_VERSION, SUITE_ID, networkId, staticHash);
    const head = flight.subarray(0, INIT_HEAD_BYTES);
    const secrets = enterFlight(suite, "mq1 init", suite.hash(th0), kem.secret, th0, head);
    const sealed = sealFlight(suite, secrets, flight, INIT_HEAD_BYTES, sealedEnd);
    flight.set(mac1Of(suite, staticHash, flight, 0, sealedEnd), sealedEnd);

    this.state = {
      kind: "awaitingResp",
      repeat: firstSending(flight, nowUs),
      hasCookie: false,
      chainingKey: secrets.chainingKey,
      transcript: suite.hash(secrets.transcript, sealed),
      ephemeralSecret,
    };
    return flight;
  }

  /** Verifies a RESP at `bytes[at, at + length)`, which is only read. Answers CONF; undefined when it was ignored. */
  handleResp(nowUs: number, bytes: Uint8Array, at: number, length: number): Uint8Array | undefined {
    const state = this.state;
    if (state.kind !== "awaitingResp") return this.ignore("stray"); // to a repeated INIT: the first one counts
    const { suite, entropy } = this.context;
    const { flightBytes, localIndex, params } = this.config;

    const resp = length === flightBytes ? decodeResp(new Reader(bytes, at, at + length)) : undefined;
    if (resp === undefined || resp.index !== localIndex) return this.ignore("malformed");
    if (resp.version !== PROTOCOL_VERSION) return this.ignore("version");
    if (resp.suite !== SUITE_ID) return this.ignore("suite");
    const shared = suite.x25519Shared(state.ephemeralSecret, resp.ephemeral);
    if (shared === undefined) return this.ignore("malformed");

    const respHead = bytes.subarray(at, at + RESP_HEAD_BYTES);
    const afterResp = enterFlight(suite, "mq1 resp", state.chainingKey, shared, state.transcript, respHead);
    const bodyBytes = openFlight(suite, afterResp, resp.sealed);
    if (bodyBytes === undefined) return this.ignore("seal");
    const body = decodeRespBody(new Reader(bodyBytes));
    const kem = body && suite.kemEncapsulate(body.publicKey, entropy(ENCAPSULATION_BYTES));
    if (body === undefined || kem === undefined) return this.ignore("malformed");

    const flight = new Uint8Array(flightBytes);
    encodeConfHead(new Writer(flight), {
      version: PROTOCOL_VERSION,
      suite: SUITE_ID,
      flags: 0,
      index: body.index,
      biscuit: body.biscuit,
      ciphertext: kem.ciphertext,
    });
    encodeConfBody(new Writer(flight, CONF_HEAD_BYTES, flightBytes - TAG_BYTES), { params, early: NO_EARLY });
    const th2 = respTranscript(suite, afterResp.transcript, bodyBytes);
    const confHead = flight.subarray(0, CONF_HEAD_BYTES);
    const secrets = enterFlight(suite, "mq1 conf", afterResp.chainingKey, kem.secret, th2, confHead);
    const sealed = sealFlight(suite, secrets, flight, CONF_HEAD_BYTES, flightBytes);
    const th4 = suite.hash(secrets.transcript, sealed);

    const ends = { initiator: true, localIndex, peerIndex: body.index, returnNac: undefined };
    const session = new Session(nowUs, this.context, trafficKeys(suite, secrets.chainingKey, th4), ends);
    const observed = { ...body.observed, address: body.observed.address.slice() };
    eraseAll(state.ephemeralSecret, state.chainingKey, afterResp.chainingKey, secrets.chainingKey);
    this.state = {
      kind: "awaitingRecord",
      repeat: firstSending(flight, nowUs),
      established: { session, peerParams: body.params, observed },
    };
    return flight;
  }

  /**
   * A COOKIE at `bytes[at, at + length)`: INIT bears it in mac2 from now on. Answers INIT, to be sent once more at once;
   * undefined when the COOKIE was ignored, or when one was answered before: whoever sees INIT can make a COOKIE, and
   * must not make us talk. The next repeat bears the newer one.
   */
  handleCookie(nowUs: number, bytes: Uint8Array, at: number, length: number): Uint8Array | undefined {
    const state = this.state;
    if (state.kind !== "awaitingResp") return this.ignore("stray");
    const { suite } = this.context;
    const { flight } = state.repeat;
    const cookie = openCookie(suite, suite.hash(this.config.peerPublicKey), flight, bytes, at, length);
    if (cookie === undefined) return this.ignore("seal");
    flight.set(mac2Of(suite, cookie, flight, 0, flight.length), flight.length - MAC_BYTES);
    if (state.hasCookie) return undefined;
    const repeat = { ...state.repeat, nextUs: nowUs + REPEAT_GAPS_US[0] };
    this.state = { ...state, hasCookie: true, repeat };
    return flight;
  }

  /** The first record of the responder opened: CONF arrived and need not be repeated. */
  confirm(): void {
    if (this.state.kind === "awaitingRecord") this.state = { kind: "confirmed", established: this.state.established };
  }

  /** The flight to send once more, "failed" when the waiting is over, undefined when nothing is due. */
  handleTimeout(nowUs: number): Uint8Array | "failed" | undefined {
    const state = this.state;
    if (state.kind !== "awaitingResp" && state.kind !== "awaitingRecord") return undefined;
    const { flight, sent, nextUs } = state.repeat;
    if (nowUs < nextUs) return undefined;
    if (sent > REPEAT_GAPS_US.length) {
      this.abandon();
      return "failed";
    }
    const gapUs = REPEAT_GAPS_US[sent] ?? LAST_WAIT_US;
    this.state = { ...state, repeat: { flight, sent: sent + 1, nextUs: nowUs + gapUs } };
    return flight;
  }

  /** Gives up and forgets all secrets of an attempt that is not confirmed; a confirmed session is its owner's. */
  abandon(): void {
    const state = this.state;
    if (state.kind === "confirmed") return;
    if (state.kind === "awaitingResp") eraseAll(state.ephemeralSecret, state.chainingKey);
    if (state.kind === "awaitingRecord") state.established.session.erase();
    this.state = { kind: "failed" };
  }

  digest(into: Digest): void {
    const state = this.state;
    into.number(this.localIndex).number(STATE_NUMBERS[state.kind]).number(this.faults).number(this.nextTimeoutUs);
    if (state.kind === "awaitingResp" || state.kind === "awaitingRecord") into.bytes(state.repeat.flight);
    this.session?.digest(into);
  }

  private get established(): Established | undefined {
    const state = this.state;
    return state.kind === "awaitingRecord" || state.kind === "confirmed" ? state.established : undefined;
  }

  private ignore(fault: HandshakeFault): undefined {
    this.faults += 1;
    this.lastFault = fault;
    return undefined;
  }
}

const STATE_NUMBERS = { idle: 0, awaitingResp: 1, awaitingRecord: 2, confirmed: 3, failed: 4 } as const;

function firstSending(flight: Uint8Array, nowUs: number): Repeat {
  return { flight, sent: 1, nextUs: nowUs + REPEAT_GAPS_US[0] };
}

function eraseAll(...secrets: Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}
