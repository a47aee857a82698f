import { sameBytes } from "../collections/bytes.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import type { KemKeys } from "../crypto/suite.js";
import { Dialer } from "../link/dialer.js";
import { USED_BISCUITS_MAX } from "../session/biscuit-keys.js";
import { CookieGate } from "../session/cookie-gate.js";
import { Initiator } from "../session/initiator.js";
import {
  answerKeyRequest,
  buildKeyRequest,
  linkKeyMaterial,
  readKeyRequest,
  verifyKeyResponse,
} from "../session/key-fetch.js";
import { Responder } from "../session/responder.js";
import type { Session } from "../session/session.js";
import { Trace } from "../trace/trace.js";
import { LINK_DATAGRAM_BYTES } from "../wire/control-frame.js";
import { Reader, Writer } from "../wire/cursor.js";
import { KEY_NONCE_BYTES, KeyKind } from "../wire/keyreq.js";
import { decodeResp, OBSERVED_NOTHING } from "../wire/resp.js";
import { type Link, Peer } from "./link.js";
import { type Plane, type SessionIndex, type Timed, timed } from "./plane.js";

const LINK_PARAMS = { creditKiB: 0, streamsMax: 0, flags: 0 };

/** Who owns a session number of a link. */
export type LinkOwner = { readonly kind: "link"; readonly link: Link } | { readonly kind: "peer"; readonly peer: Peer };

/** What handshakes come to, for the links. */
export interface HandshakeUser {
  /** A session stands; `from` is our dialer that opened it, or the crowd of the neighbour who did. */
  handleSession(nowUs: number, path: number, session: Session, from: Dialer | number): void;
  /** The neighbour did not see that its CONF arrived. */
  handleRepeat(nowUs: number, link: Link): void;
  /** Our CONF was never answered. */
  handleUnconfirmed(nowUs: number, link: Link): void;
  /** A link on `path` that is up, opened by the neighbour and entrusted to no dialer. */
  incomingOn(path: number): Link | undefined;
}

/** From an address to a session with whoever answers there: key, INIT, RESP, CONF, for those who dial and those who are dialled. */
export class LinkHandshakes {
  private readonly plane: Plane;
  private readonly keys: KemKeys;
  private readonly index: SessionIndex<LinkOwner>;
  private readonly user: HandshakeUser;
  private readonly responder: Responder;
  private readonly gate: CookieGate;
  private readonly responding: Timed;
  private readonly peers: Peer[] = [];

  constructor(args: { plane: Plane; keys: KemKeys; index: SessionIndex<LinkOwner>; user: HandshakeUser }) {
    this.plane = args.plane;
    this.keys = args.keys;
    this.index = args.index;
    this.user = args.user;
    const used = new Cap("linkBiscuits", USED_BISCUITS_MAX);
    this.responder = new Responder(args.plane.session, { keys: args.keys, params: LINK_PARAMS, used });
    this.gate = new CookieGate(args.plane.session, this.responder.publicKeyHash);
    this.responding = timed(args.plane, this.responder, (now) => this.responder.handleTimeout(now));
  }

  /**
   * Keeps a link to whoever answers on `path`; `pin` is the 32-byte hash of the peer's link key, if known. A path that is
   * dialled already keeps the dialer it has, which learns the pin.
   */
  addPeer(nowUs: number, path: number, pin: Uint8Array | undefined): void {
    const known = this.peerOn(path);
    if (known !== undefined) {
      known.dialer.tighten(pin);
      return;
    }
    const { random32, entropy } = this.plane.ports;
    const dialer = new Dialer(nowUs, { path, pin, random32, newNonce: () => entropy(KEY_NONCE_BYTES) });
    const peer = new Peer(this.plane, dialer, (now, self) => this.dial(now, self));
    this.peers.push(peer);
    this.plane.watch(peer);
  }

  get pathsDialled(): number[] {
    return this.peers.map(({ dialer }) => dialer.path);
  }

  /** The responder's first record: our CONF arrived. */
  confirm(nowUs: number, dialer: Dialer, session: Session): void {
    const peer = this.peerOn(dialer.path);
    if (peer === undefined || dialer.state.kind !== "shaking" || dialer.state.initiator.session !== session) return;
    dialer.state.initiator.confirm();
    dialer.handleLinked(nowUs);
    peer.index = 0; // the number is the link's now
    this.plane.watch(peer);
  }

  /** A peer who opened a link himself need not be dialled, unless he shall prove his key. */
  entrust(nowUs: number, link: Link): void {
    const peer = this.peerOn(link.path);
    if (peer === undefined) return;
    const { dialer } = peer;
    const isSeeking = dialer.state.kind === "waiting" || dialer.state.kind === "asking";
    if (!isSeeking || dialer.pin !== undefined || link.dialer !== undefined) return;
    link.dialer = dialer;
    dialer.handleLinked(nowUs);
    dialer.handleUp();
    this.plane.watch(peer);
  }

  /** The dialer's link is gone: dial again after a pause, `leastUs` at least. */
  handleLost(nowUs: number, dialer: Dialer, leastUs: number): void {
    dialer.handleLost(nowUs, leastUs);
    const peer = this.peerOn(dialer.path);
    if (peer !== undefined) this.plane.watch(peer);
  }

  /** Dials at once, beside a link that still stands. */
  redial(nowUs: number, path: number): void {
    const peer = this.peerOn(path);
    if (peer?.dialer.redial(nowUs)) this.dial(nowUs, peer);
  }

  /** The peer on `path`, whom we could not reach, speaks to us: it is dialled without waiting for the end of the pause. */
  hurry(nowUs: number, path: number): void {
    const peer = this.peerOn(path);
    if (peer?.dialer.hurry(nowUs)) this.plane.watch(peer);
  }

  handleKeyRequest(path: number, bytes: Uint8Array, at: number, length: number): void {
    const request = readKeyRequest(this.plane.session.networkId, bytes, at, length);
    if (typeof request === "string") return this.plane.refuse(request, "malformed");
    // Only the link key is served to an address: a NAC asked here would tell which host it lives on.
    if (request.kind !== KeyKind.link) return this.plane.drop("notOurs");
    const answer = answerKeyRequest(request, linkKeyMaterial(this.keys.publicKey));
    this.plane.ports.sink.transmit(path, answer, 0, answer.length);
  }

  handleKeyResponse(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const { suite, networkId } = this.plane.session;
    const key = verifyKeyResponse(suite, networkId, bytes, at, length);
    if (typeof key === "string") return this.plane.refuse(key, "badKey");
    if (key.kind !== "link") return this.plane.refuse("stray", "badKey");
    for (const peer of this.peers) {
      const { path: own, pin, state } = peer.dialer;
      if (own !== path || state.kind !== "asking" || !sameBytes(state.nonce, key.nonce)) continue;
      if (pin !== undefined && !sameBytes(pin, key.linkKeyHash)) return this.plane.refuse("address", "badKey");
      return this.shake(nowUs, peer, key.material.publicKey);
    }
    this.plane.refuse("stray"); // nobody asked, or the answer is late
  }

  handleInit(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    if (length !== LINK_DATAGRAM_BYTES) return this.plane.refuse("malformed", "malformed");
    const junk = this.responder.screenInit(bytes, at, length);
    if (junk !== undefined) return this.plane.refuse(junk);
    const tag = pathTag(path);
    const verdict = this.gate.judge(nowUs, path, bytes, at, length, tag);
    if (verdict === "refuse") return this.plane.refuse("rate");
    if (verdict === "ask") {
      const cookie = this.gate.bake(nowUs, bytes, at, length, tag);
      this.plane.handshakes.cookie += 1;
      return this.plane.ports.sink.transmit(path, cookie, 0, cookie.length);
    }
    const answer = this.responder.answerInit(nowUs, bytes, at, length, tag, OBSERVED_NOTHING, () =>
      this.index.propose(),
    );
    this.plane.watch(this.responding);
    if (typeof answer === "string") return this.plane.refuse(answer);
    this.plane.ports.sink.transmit(path, answer.flight, 0, answer.flight.length);
  }

  /** "Too many INITs": ours shall show that we receive what is sent to us. */
  handleCookie(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const peer = this.peerOn(path);
    if (peer?.dialer.state.kind !== "shaking") return this.plane.refuse("stray");
    const { initiator } = peer.dialer.state;
    const { faults } = initiator;
    const flight = initiator.handleCookie(nowUs, bytes, at, length);
    if (flight !== undefined) this.plane.ports.sink.transmit(path, flight, 0, flight.length);
    else if (initiator.faults > faults) this.plane.refuse(initiator.lastFault ?? "stray");
    this.plane.watch(peer);
  }

  handleResp(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const resp = decodeResp(new Reader(bytes, at, at + length));
    if (resp === undefined) return this.plane.refuse("malformed");
    const owner = this.index.get(resp.index);
    if (owner?.kind !== "peer" || owner.peer.dialer.path !== path) return this.plane.refuse("stray");
    const { peer } = owner;
    const { state } = peer.dialer;
    if (state.kind !== "shaking") return this.plane.refuse("stray");
    const flight = state.initiator.handleResp(nowUs, bytes, at, length);
    if (flight === undefined) return this.plane.refuse(state.initiator.lastFault ?? "stray");
    this.plane.ports.sink.transmit(path, flight, 0, flight.length);
    const { session } = state.initiator;
    if (session !== undefined) this.user.handleSession(nowUs, path, session, peer.dialer);
    this.plane.watch(peer);
  }

  handleConf(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number, crowd: number): void {
    const done = this.responder.handleConf(nowUs, bytes, at, length, pathTag(path), (index) =>
      this.index.isFree(index),
    );
    if (typeof done === "string") return this.plane.refuse(done);
    if ("repeatOf" in done) {
      const owner = this.index.get(done.repeatOf);
      if (owner?.kind === "link") this.user.handleRepeat(nowUs, owner.link);
      return;
    }
    this.user.handleSession(nowUs, path, done.session, crowd);
  }

  digest(into: Digest): void {
    for (const peer of this.peers) {
      into.number(peer.index);
      peer.dialer.digest(into);
    }
    this.responder.digest(into);
    this.gate.digest(into);
  }

  get caps(): readonly Cap[] {
    return [this.responder.cap, this.gate.cap];
  }

  /** The configured peer on a path. */
  private peerOn(path: number): Peer | undefined {
    return this.peers.find((one) => one.dialer.path === path);
  }

  private shake(nowUs: number, peer: Peer, peerPublicKey: Uint8Array): void {
    const localIndex = this.index.propose();
    const initiator = new Initiator(this.plane.session, {
      peerPublicKey,
      returnNac: undefined,
      params: LINK_PARAMS,
      flightBytes: LINK_DATAGRAM_BYTES,
      localIndex,
    });
    const flight = initiator.start(nowUs);
    if (flight === undefined) return this.plane.drop("badKey");
    peer.index = localIndex;
    this.index.set(localIndex, { kind: "peer", peer });
    this.plane.handshakes.started += 1;
    this.plane.ports.trace(Trace.handshakeStarted, 0, localIndex, 0);
    peer.dialer.handleKey(initiator);
    this.plane.ports.sink.transmit(peer.dialer.path, flight, 0, flight.length);
    this.plane.watch(peer);
  }

  private dial(nowUs: number, peer: Peer): void {
    const incoming = this.user.incomingOn(peer.dialer.path);
    if (incoming !== undefined) this.entrust(nowUs, incoming);
    const { state } = peer.dialer;
    const step = peer.dialer.handleTimeout(nowUs);
    const { sink } = this.plane.ports;
    if (step?.kind === "ask") {
      const request = buildKeyRequest(this.plane.session.networkId, undefined, step.nonce);
      sink.transmit(peer.dialer.path, request, 0, request.length);
    } else if (step?.kind === "flight") {
      sink.transmit(peer.dialer.path, step.flight, 0, step.flight.length);
    } else if (step?.kind === "failed" && state.kind === "shaking") {
      this.forgetAttempt(nowUs, peer, state.initiator);
    }
    this.plane.watch(peer);
  }

  /** The flights came to nothing: neither their number nor a link that never was confirmed is left. */
  private forgetAttempt(nowUs: number, peer: Peer, initiator: Initiator): void {
    this.plane.handshakes.failed += 1;
    this.plane.ports.trace(Trace.handshakeFailed, 0, initiator.localIndex, 0);
    peer.index = 0;
    const owner = this.index.get(initiator.localIndex);
    if (owner?.kind === "link") this.user.handleUnconfirmed(nowUs, owner.link);
    else this.index.delete(initiator.localIndex);
  }
}

/** What a biscuit binds a link's handshake to: the path it was asked on. */
function pathTag(path: number): Uint8Array {
  const tag = new Uint8Array(8);
  new Writer(tag).u64(path);
  return tag;
}
