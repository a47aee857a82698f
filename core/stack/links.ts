import { sameBytes } from "../collections/bytes.js";
import type { Digest } from "../collections/digest.js";
import type { KemKeys } from "../crypto/suite.js";
import { Dialer } from "../link/dialer.js";
import { Neighbour } from "../link/neighbour.js";
import { drawIndex } from "../session/context.js";
import { Initiator } from "../session/initiator.js";
import {
  answerKeyRequest,
  buildKeyRequest,
  linkKeyMaterial,
  readKeyRequest,
  verifyKeyResponse,
} from "../session/key-fetch.js";
import { Responder } from "../session/responder.js";
import { type Session, SessionFault } from "../session/session.js";
import { UnknownPool } from "../session/unknown-pool.js";
import { SECOND_US } from "../time/instant.js";
import { Trace } from "../trace/trace.js";
import { ByeReason, decodeBye, encodeBye } from "../wire/bye.js";
import { ControlFrame, LINK_DATAGRAM_BYTES, paddedControlBytes, RecordKind } from "../wire/control-frame.js";
import { Reader, Writer } from "../wire/cursor.js";
import { PacketType } from "../wire/flight.js";
import { decodeHello, encodeHello } from "../wire/hello.js";
import { KeyKind } from "../wire/keyreq.js";
import { END_PACKET_BYTES, NETWORK_HEADER_BYTES } from "../wire/network-header.js";
import { RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, recordIndex } from "../wire/record.js";
import { decodeResp, OBSERVED_NOTHING } from "../wire/resp.js";
import { decodeUnknown, encodeUnknown, UNKNOWN_BYTES } from "../wire/unknown.js";
import { type Plane, SessionIndex, type Timed, timed } from "./plane.js";
import type { LinkDownReason, PeerStatus } from "./ports.js";

/** More links than this are refused: an ordinary node holds 8, a public relay 64, and each may be replaced once. */
const LINKS_MAX = 128;
/** After its successor took over, a link still opens records of the old session for this long. */
const PREVIOUS_KEPT_US = 5 * SECOND_US;
/** An UNKNOWN hint goes out at most this often, whatever arrives. */
const HINT_INTERVAL_US = SECOND_US / 5;

const LINK_PARAMS = { creditKiB: 0, streamsMax: 0, flags: 0 };
const BYE_WRITTEN_BYTES = 2;

/** What the links hand up: records that are not about the link itself. */
export interface LinkUser {
  /** A FORWARD record arrived. The network header stands at `bytes[at]`, `length` bytes with its packet; ours until return. */
  handleForward(nowUs: number, link: number, bytes: Uint8Array, at: number, length: number): void;
  handleKeyRequest(nowUs: number, link: number, hops: number, bytes: Uint8Array, at: number, length: number): void;
  handleKeyResponse(nowUs: number, link: number, bytes: Uint8Array, at: number, length: number): void;
}

/** One end of a link: a session with its neighbour, over one path. */
class Link implements Timed {
  readonly id: number;
  readonly path: number;
  readonly timer: number;
  readonly incoming: boolean;
  readonly dialer: Dialer | undefined;
  readonly bornUs: number;
  session: Session;
  /** The session that `session` took over from, until `previousUntilUs`. */
  previous: Session | undefined;
  previousUntilUs = 0;
  neighbour: Neighbour;
  routerId: Uint8Array | undefined;
  /** Routing was told that the link is up. */
  routed = false;
  private readonly onTimeout: (nowUs: number, link: Link) => void;

  constructor(args: {
    id: number;
    path: number;
    timer: number;
    session: Session;
    dialer: Dialer | undefined;
    nowUs: number;
    random32: () => number;
    onTimeout: (nowUs: number, link: Link) => void;
  }) {
    this.id = args.id;
    this.path = args.path;
    this.timer = args.timer;
    this.session = args.session;
    this.dialer = args.dialer;
    this.incoming = args.dialer === undefined;
    this.bornUs = args.nowUs;
    this.neighbour = new Neighbour(args.nowUs, args.random32);
    this.onTimeout = args.onTimeout;
  }

  get isUp(): boolean {
    return this.neighbour.state.kind === "up";
  }

  get nextTimeoutUs(): number {
    return this.neighbour.nextTimeoutUs;
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs, this);
  }
}

/** A configured peer: its dialer, and the session number of the handshake under way. */
class Peer implements Timed {
  readonly dialer: Dialer;
  readonly timer: number;
  /** The number proposed in our INIT; 0 while none is under way. */
  index = 0;
  private readonly onTimeout: (nowUs: number, peer: Peer) => void;

  constructor(dialer: Dialer, timer: number, onTimeout: (nowUs: number, peer: Peer) => void) {
    this.dialer = dialer;
    this.timer = timer;
    this.onTimeout = onTimeout;
  }

  get nextTimeoutUs(): number {
    return this.dialer.nextTimeoutUs;
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs, this);
  }
}

type IndexOwner =
  | { readonly kind: "link"; link: Link; readonly session: Session }
  | { readonly kind: "peer"; readonly peer: Peer };

/** The lower plane: datagrams of neighbours in and out. Everything above sees numbered links. */
export class Links {
  private readonly plane: Plane;
  private readonly keys: KemKeys;
  private readonly routerId: Uint8Array;
  private readonly user: LinkUser;
  private readonly responder: Responder;
  private readonly pool = new UnknownPool();
  private readonly strangers: Timed;
  private readonly responding: Timed;
  private readonly index: SessionIndex<IndexOwner>;
  private readonly links: (Link | undefined)[] = [];
  private readonly peers: Peer[] = [];
  private readonly out = new Uint8Array(LINK_DATAGRAM_BYTES);
  private readonly small = new Uint8Array(UNKNOWN_BYTES);
  private hintUs = -HINT_INTERVAL_US;

  constructor(args: { plane: Plane; keys: KemKeys; routerId: Uint8Array; user: LinkUser }) {
    this.plane = args.plane;
    this.keys = args.keys;
    this.routerId = args.routerId;
    this.user = args.user;
    this.responder = new Responder(args.plane.session, { keys: args.keys, params: LINK_PARAMS });
    this.index = new SessionIndex(() => drawIndex(args.plane.session.entropy));
    const { pool, responder, plane } = this;
    this.strangers = timed(plane, pool, (now) => pool.handleTimeout(now, (path, index) => this.hint(now, path, index)));
    this.responding = timed(plane, responder, (now) => responder.handleTimeout(now));
  }

  /** Keeps a link to whoever answers on `path`; `pin` is the 32-byte hash of the peer's link key, if known. */
  addPeer(nowUs: number, path: number, pin: Uint8Array | undefined): void {
    const { random32, entropy } = this.plane.ports;
    const dialer = new Dialer(nowUs, { path, pin, random32, newNonce: () => entropy(8) });
    const peer = new Peer(dialer, this.plane.takeTimer(), (now, self) => this.dial(now, self));
    this.peers.push(peer);
    this.plane.watch(peer);
  }

  get upCount(): number {
    let count = 0;
    for (const link of this.links) if (link?.isUp) count += 1;
    return count;
  }

  handleDatagram(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    switch (bytes[at]) {
      case PacketType.record:
        return this.handleRecord(nowUs, path, bytes, at, length);
      case PacketType.init:
        return this.handleInit(nowUs, path, bytes, at, length);
      case PacketType.resp:
        return this.handleResp(nowUs, path, bytes, at, length);
      case PacketType.conf:
        return this.handleConf(nowUs, path, bytes, at, length);
      case PacketType.keyRequest:
        return this.handleKeyRequest(path, bytes, at, length);
      case PacketType.keyResponse:
        return this.handleKeyResponse(nowUs, path, bytes, at, length);
      case PacketType.unknown:
        return this.handleUnknown(nowUs, path, bytes, at, length);
      default:
        this.plane.drop("malformed");
    }
  }

  /**
   * Seals the network header and packet that stand at `bytes[at + 13]` for `link` and sends them: the record is made
   * around them, in place. False when the link is gone.
   */
  forward(link: number, bytes: Uint8Array, at: number): boolean {
    const target = this.links[link];
    if (target === undefined || !target.isUp) return false;
    return this.send(target, bytes, at, NETWORK_HEADER_BYTES + END_PACKET_BYTES);
  }

  /** Sends a key request or answer, which travel hop by hop. */
  sendKeyPacket(link: number, kind: number, hops: number, packet: Uint8Array): boolean {
    const target = this.links[link];
    if (target === undefined || !target.isUp) return false;
    const out = new Writer(this.out, RECORD_HEADER_BYTES);
    out.u8(kind).u8(hops).raw(packet);
    return this.send(target, this.out, 0, out.offset - RECORD_HEADER_BYTES);
  }

  /** Lets out what routing has ready for each link. */
  flushControl(nowUs: number): void {
    const routing = this.plane.routing;
    for (let id = routing.pollLink(); id >= 0; id = routing.pollLink()) {
      const link = this.links[id];
      const out = this.controlWriter();
      if (link === undefined || !routing.pollControl(nowUs, id, out)) return;
      this.sendControl(link, out);
    }
  }

  /** Says BYE on every link. */
  shutdown(nowUs: number): void {
    for (const link of this.links) {
      if (link !== undefined) this.close(nowUs, link, "shutdown", ByeReason.shutdown);
    }
  }

  status(nowUs: number): PeerStatus[] {
    const all: PeerStatus[] = [];
    for (const link of this.links) {
      if (link === undefined || link.neighbour.state.kind !== "up") continue;
      all.push({
        link: link.id,
        path: link.path,
        pinned: link.dialer?.pin !== undefined,
        incoming: link.incoming,
        found: link.incoming ? "incoming" : "config",
        rttUs: link.neighbour.rttUs,
        lossPerMille: link.neighbour.lossPerMille,
        cost: link.neighbour.cost,
        upUs: nowUs - link.neighbour.state.sinceUs,
      });
    }
    return all;
  }

  digest(into: Digest): void {
    into.number(this.index.size).number(this.links.length);
    for (const link of this.links) {
      if (link === undefined) continue;
      into.number(link.id).number(link.path);
      link.session.digest(into);
      link.neighbour.digest(into);
    }
    for (const peer of this.peers) peer.dialer.digest(into);
  }

  private handleRecord(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const index = recordIndex(bytes, at, length);
    const owner = index === 0 ? undefined : this.index.get(index);
    if (owner === undefined || owner.kind !== "link") return this.handleStranger(nowUs, path, index, bytes, at, length);
    const { link, session } = owner;
    const opened = session.open(bytes, at, length);
    if (opened <= 0) return this.refuse(opened);
    if (link.dialer?.state.kind === "shaking") this.confirm(nowUs, link.dialer, session);
    if (link.path !== path) return this.plane.drop("handshake"); // an address change is validated before it is trusted
    const body = at + RECORD_HEADER_BYTES;
    switch (bytes[body]) {
      case RecordKind.forward:
        if (link.isUp) this.user.handleForward(nowUs, link.id, bytes, body, opened);
        return;
      case RecordKind.control:
        return this.handleControl(nowUs, link, session, new Reader(bytes, body + 1, body + opened));
      case RecordKind.keyRequest:
        if (link.isUp) this.user.handleKeyRequest(nowUs, link.id, bytes[body + 1]!, bytes, body + 2, opened - 2);
        return;
      case RecordKind.keyResponse:
        if (link.isUp) this.user.handleKeyResponse(nowUs, link.id, bytes, body + 2, opened - 2);
        return;
      default:
        this.plane.drop("malformed");
    }
  }

  /** The responder's first record: our CONF arrived. */
  private confirm(nowUs: number, dialer: Dialer, session: Session): void {
    const peer = this.peers.find((one) => one.dialer === dialer);
    if (peer === undefined || dialer.state.kind !== "shaking" || dialer.state.initiator.session !== session) return;
    dialer.state.initiator.confirm();
    dialer.handleLinked(nowUs);
    peer.index = 0; // the number is the link's now
    this.plane.watch(peer);
  }

  private refuse(fault: number): void {
    if (fault === SessionFault.replay) {
      this.plane.replays += 1;
      return this.plane.drop("replayed");
    }
    this.plane.drop(fault === SessionFault.forged ? "badTag" : "malformed");
  }

  /** A record of no session of ours: it may have overtaken its CONF, or we may have been restarted. */
  private handleStranger(
    nowUs: number,
    path: number,
    index: number,
    bytes: Uint8Array,
    at: number,
    length: number,
  ): void {
    this.plane.drop("unknownSession");
    if (index === 0) return;
    this.pool.keep(nowUs, index, path, bytes, at, length);
    this.plane.watch(this.strangers);
  }

  /** No CONF came behind it, so whoever sent it believes in a session that we lost. */
  private hint(nowUs: number, path: number, index: number): void {
    if (nowUs - this.hintUs < HINT_INTERVAL_US) return;
    this.hintUs = nowUs;
    encodeUnknown(new Writer(this.small), { index });
    this.plane.ports.sink.transmit(path, this.small, 0, UNKNOWN_BYTES);
  }

  private handleUnknown(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const unknown = decodeUnknown(new Reader(bytes, at, at + length));
    if (unknown === undefined) return this.plane.drop("malformed");
    for (const peer of this.peers) {
      if (peer.dialer.path !== path) continue;
      const link = this.links.find((one) => one?.dialer === peer.dialer);
      if (link?.session.peerIndex !== unknown.index || nowUs - link.bornUs < SECOND_US) continue;
      if (peer.dialer.redial(nowUs)) this.dial(nowUs, peer);
    }
  }

  private handleControl(nowUs: number, arrived: Link, session: Session, frames: Reader): void {
    let link = arrived;
    while (frames.remaining > 0) {
      const type = frames.u8();
      if (type === ControlFrame.padding) return;
      if (type === ControlFrame.hello) {
        const hello = decodeHello(frames);
        if (hello === undefined) return this.plane.drop("malformed");
        const target = this.recognise(nowUs, link, session, hello.routerId);
        if (target === undefined) return;
        link = target;
        const wasUp = link.isUp;
        const { cameUp, answer } = link.neighbour.handleHello(nowUs, hello);
        this.plane.time.observe(nowUs, link.id, hello.networkTimeMs, link.neighbour.rttUs >> 1);
        if (cameUp) this.linkUp(nowUs, link);
        else if (wasUp && link.neighbour.settleCost()) this.costChanged(nowUs, link);
        if (link.isUp) {
          this.plane.routing.linkRtt(link.id, link.neighbour.rttUs);
          this.plane.routing.handleHello(nowUs, link.id, hello.controlSent, hello.controlProcessed);
        }
        if (answer || cameUp) this.sendHello(nowUs, link);
        this.plane.watch(link);
      } else if (type === ControlFrame.bye) {
        if (decodeBye(frames) === undefined) return this.plane.drop("malformed");
        return this.down(nowUs, link, "bye");
      } else if (!link.isUp) {
        return; // routes before the first echo: the neighbour repeats them
      } else if (!this.plane.routing.handleFrame(nowUs, link.id, type, frames)) {
        return this.plane.drop("malformed");
      }
    }
  }

  /**
   * The link that a hello of `routerId` belongs to. On a path that has a link already, the same router continues it
   * under the new session; another router was restarted there, and the old link goes at once.
   */
  private recognise(nowUs: number, link: Link, session: Session, routerId: Uint8Array): Link | undefined {
    if (link.routerId !== undefined) return sameBytes(link.routerId, routerId) ? link : undefined;
    const older = this.links.find((one) => one !== undefined && one !== link && one.path === link.path && one.isUp);
    if (older?.routerId !== undefined && sameBytes(older.routerId, routerId)) {
      this.adopt(nowUs, older, link, session);
      return older;
    }
    if (older !== undefined) this.down(nowUs, older, "replaced");
    link.routerId = routerId.slice();
    return link;
  }

  private adopt(nowUs: number, older: Link, younger: Link, session: Session): void {
    if (older.previous !== undefined) this.forgetSession(older.previous);
    older.previous = older.session;
    older.previousUntilUs = nowUs + PREVIOUS_KEPT_US;
    older.session = session;
    this.index.set(session.localIndex, { kind: "link", link: older, session });
    this.links[younger.id] = undefined;
    this.plane.unwatch(younger);
    this.plane.watch(older);
  }

  private linkUp(nowUs: number, link: Link): void {
    const pinned = link.dialer?.pin !== undefined;
    link.routed = true;
    this.plane.routing.linkUp(nowUs, link.id, link.routerId!, link.neighbour.cost);
    this.plane.ports.trace(Trace.linkUp, link.id, link.path, 0);
    this.plane.ports.sink.event({ kind: "linkUp", link: link.id, path: link.path, pinned, incoming: link.incoming });
  }

  private costChanged(nowUs: number, link: Link): void {
    this.plane.routing.linkCost(nowUs, link.id, link.neighbour.cost);
    this.plane.ports.trace(Trace.linkCost, link.id, link.neighbour.cost, 0);
  }

  /** Takes the link down and tells the neighbour. */
  private close(nowUs: number, link: Link, reason: LinkDownReason, byeReason: number): void {
    const out = this.controlWriter();
    if (out.room >= BYE_WRITTEN_BYTES) encodeBye(out.u8(ControlFrame.bye), { reason: byeReason });
    this.sendControl(link, out);
    this.down(nowUs, link, reason);
  }

  private down(nowUs: number, link: Link, reason: LinkDownReason): void {
    if (this.links[link.id] !== link) return;
    this.links[link.id] = undefined;
    this.plane.unwatch(link);
    this.forgetSession(link.session);
    if (link.previous !== undefined) this.forgetSession(link.previous);
    this.plane.time.forget(link.id);
    if (link.routed) {
      this.plane.routing.linkDown(nowUs, link.id);
      this.plane.ports.trace(Trace.linkDown, link.id, 0, 0);
      this.plane.ports.sink.event({ kind: "linkDown", link: link.id, path: link.path, reason });
    }
    this.redial(nowUs, link);
  }

  private redial(nowUs: number, link: Link): void {
    const peer = this.peers.find((one) => one.dialer === link.dialer);
    if (peer === undefined || peer.dialer.state.kind !== "linked") return;
    if (this.links.some((one) => one?.dialer === peer.dialer)) return;
    peer.dialer.handleLost(nowUs);
    this.plane.watch(peer);
  }

  private forgetSession(session: Session): void {
    this.index.delete(session.localIndex);
    session.erase();
  }

  private linkTimeout(nowUs: number, link: Link): void {
    const step = link.neighbour.handleTimeout(nowUs);
    if (step === "dead") return this.down(nowUs, link, "dead");
    if (link.routed && this.plane.routing.isStalled(nowUs, link.id)) return this.down(nowUs, link, "stalled");
    if (link.previous !== undefined && nowUs >= link.previousUntilUs) {
      this.forgetSession(link.previous);
      link.previous = undefined;
    }
    if (step === "hello") this.sendHello(nowUs, link);
    const peer = this.peers.find((one) => one.dialer === link.dialer);
    if (link.session.wantsSuccessor && peer?.dialer.redial(nowUs)) this.dial(nowUs, peer);
    this.plane.watch(link);
  }

  private sendHello(nowUs: number, link: Link): void {
    const routing = this.plane.routing;
    const out = this.controlWriter();
    const hello = link.neighbour.nextHello(nowUs, {
      routerId: this.routerId,
      networkTimeMs: this.plane.time.milliseconds(nowUs),
      controlSent: link.isUp ? routing.controlSent(link.id) : 0,
      controlProcessed: link.isUp ? routing.controlProcessed(link.id) : 0,
    });
    encodeHello(out.u8(ControlFrame.hello), hello);
    this.sendControl(link, out);
    this.plane.watch(link);
  }

  private controlWriter(): Writer {
    const out = new Writer(
      this.out,
      RECORD_HEADER_BYTES,
      LINK_DATAGRAM_BYTES - (RECORD_OVERHEAD_BYTES - RECORD_HEADER_BYTES),
    );
    return out.u8(RecordKind.control);
  }

  private sendControl(link: Link, out: Writer): void {
    const bare = out.offset - RECORD_HEADER_BYTES + RECORD_OVERHEAD_BYTES;
    if (out.offset === RECORD_HEADER_BYTES + 1) return; // nothing was written
    out.zeros(paddedControlBytes(bare) - bare);
    this.send(link, this.out, 0, out.offset - RECORD_HEADER_BYTES);
  }

  private send(link: Link, bytes: Uint8Array, at: number, length: number): boolean {
    const total = link.session.seal(bytes, at, length);
    if (total === 0) return false;
    this.plane.ports.sink.transmit(link.path, bytes, at, total);
    return true;
  }

  // The handshake of links.

  private dial(nowUs: number, peer: Peer): void {
    const step = peer.dialer.handleTimeout(nowUs);
    const { sink } = this.plane.ports;
    if (step?.kind === "ask") {
      const request = buildKeyRequest(this.plane.session.networkId, undefined, step.nonce);
      sink.transmit(peer.dialer.path, request, 0, request.length);
    } else if (step?.kind === "flight") {
      sink.transmit(peer.dialer.path, step.flight, 0, step.flight.length);
    } else if (step?.kind === "failed") {
      this.forgetAttempt(peer);
      this.plane.handshakes.failed += 1;
    }
    this.plane.watch(peer);
  }

  private handleKeyRequest(path: number, bytes: Uint8Array, at: number, length: number): void {
    const request = readKeyRequest(this.plane.session.networkId, bytes, at, length);
    if (typeof request === "string") return this.plane.drop("malformed");
    // Only the link key is served to an address: a NAC asked here would tell which host it lives on.
    if (request.kind !== KeyKind.link) return this.plane.drop("notOurs");
    const answer = answerKeyRequest(request, linkKeyMaterial(this.keys.publicKey));
    this.plane.ports.sink.transmit(path, answer, 0, answer.length);
  }

  private handleKeyResponse(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const { suite, networkId } = this.plane.session;
    const key = verifyKeyResponse(suite, networkId, bytes, at, length);
    if (typeof key === "string" || key.kind !== "link") return this.plane.drop("badKey");
    for (const peer of this.peers) {
      const { path: own, pin, state } = peer.dialer;
      if (own !== path || state.kind !== "asking" || !sameBytes(state.nonce, key.nonce)) continue;
      if (pin !== undefined && !sameBytes(pin, key.linkKeyHash)) return this.plane.drop("badKey");
      return this.shake(nowUs, peer, key.material.publicKey);
    }
    this.plane.drop("handshake"); // nobody asked, or the answer is late
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
    this.forgetAttempt(peer);
    peer.index = localIndex;
    this.index.set(localIndex, { kind: "peer", peer });
    this.plane.handshakes.started += 1;
    this.plane.ports.trace(Trace.handshakeStarted, 0, localIndex, 0);
    peer.dialer.handleKey(initiator);
    this.plane.ports.sink.transmit(peer.dialer.path, flight, 0, flight.length);
    this.plane.watch(peer);
  }

  private forgetAttempt(peer: Peer): void {
    if (this.index.get(peer.index)?.kind === "peer") this.index.delete(peer.index);
    peer.index = 0;
  }

  private handleInit(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    if (length !== LINK_DATAGRAM_BYTES) return this.plane.drop("malformed");
    const answer = this.responder.handleInit(nowUs, bytes, at, length, pathTag(path), OBSERVED_NOTHING, () =>
      this.index.propose(),
    );
    this.plane.watch(this.responding);
    if (typeof answer === "string") return this.plane.drop("handshake");
    this.plane.ports.sink.transmit(path, answer.flight, 0, answer.flight.length);
  }

  private handleResp(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const resp = decodeResp(new Reader(bytes, at, at + length));
    const owner = resp === undefined ? undefined : this.index.get(resp.index);
    if (owner?.kind !== "peer" || owner.peer.dialer.path !== path) return this.plane.drop("handshake");
    const { peer } = owner;
    const { state } = peer.dialer;
    if (state.kind !== "shaking") return this.plane.drop("handshake");
    const flight = state.initiator.handleResp(nowUs, bytes, at, length);
    if (flight === undefined) return this.plane.drop("handshake");
    this.plane.ports.sink.transmit(path, flight, 0, flight.length);
    const session = state.initiator.session;
    const link = session === undefined ? undefined : this.link(nowUs, path, session, peer.dialer);
    if (link === undefined) return;
    this.sendHello(nowUs, link);
    this.plane.watch(peer);
  }

  private handleConf(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const done = this.responder.handleConf(nowUs, bytes, at, length, pathTag(path), (index) =>
      this.index.isFree(index),
    );
    if (typeof done === "string") return this.plane.drop("handshake");
    if ("repeatOf" in done) {
      const owner = this.index.get(done.repeatOf);
      if (owner?.kind === "link" && owner.link.session === owner.session) this.sendHello(nowUs, owner.link);
      return;
    }
    const link = this.link(nowUs, path, done.session, undefined);
    if (link === undefined) return;
    this.sendHello(nowUs, link);
    this.pool.take(done.session.localIndex, (pooledPath, pooled, pooledAt, pooledLength) => {
      this.handleRecord(nowUs, pooledPath, pooled, pooledAt, pooledLength);
    });
  }

  /** A place for a new session, or undefined when there are too many links. */
  private link(nowUs: number, path: number, session: Session, dialer: Dialer | undefined): Link | undefined {
    let id = this.links.indexOf(undefined);
    if (id < 0) id = this.links.length;
    if (id >= LINKS_MAX) {
      this.plane.drop("linkLimit");
      session.erase();
      return undefined;
    }
    const link = new Link({
      id,
      path,
      timer: this.plane.takeTimer(),
      session,
      dialer,
      nowUs,
      random32: this.plane.ports.random32,
      onTimeout: (now, self) => this.linkTimeout(now, self),
    });
    this.links[id] = link;
    this.index.set(session.localIndex, { kind: "link", link, session });
    this.plane.handshakes.done += 1;
    this.plane.ports.trace(Trace.handshakeDone, 0, session.localIndex, 0);
    this.plane.watch(link);
    return link;
  }
}

/** What a biscuit binds a link's handshake to: the path it was asked on. */
function pathTag(path: number): Uint8Array {
  const tag = new Uint8Array(8);
  new Writer(tag).u64(path);
  return tag;
}
