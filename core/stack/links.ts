import { sameBytes } from "../collections/bytes.js";
import type { Digest } from "../collections/digest.js";
import type { KemKeys } from "../crypto/suite.js";
import type { Dialer } from "../link/dialer.js";
import { drawIndex } from "../session/context.js";
import type { RekeyTypes } from "../session/rekey.js";
import { type Session, SessionFault } from "../session/session.js";
import { UnknownPool } from "../session/unknown-pool.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { Trace } from "../trace/trace.js";
import { ByeReason, decodeBye, encodeBye } from "../wire/bye.js";
import { ControlFrame, LINK_DATAGRAM_BYTES, paddedControlBytes, RecordKind } from "../wire/control-frame.js";
import { Reader, Writer } from "../wire/cursor.js";
import { PacketType } from "../wire/flight.js";
import { decodeHello, encodeHello, type Hello, ROUTER_ID_BYTES } from "../wire/hello.js";
import { END_PACKET_BYTES, NETWORK_HEADER_BYTES } from "../wire/network-header.js";
import { RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, recordIndex } from "../wire/record.js";
import { decodeUnknown, encodeUnknown, UNKNOWN_BYTES } from "../wire/unknown.js";
import { isDouble, Link } from "./link.js";
import { type HandshakeUser, LinkHandshakes, type LinkOwner } from "./link-handshakes.js";
import { type Plane, SessionIndex, type Timed, timed } from "./plane.js";
import { LINK_DOWN_REASONS, type LinkDownReason, type PeerStatus } from "./ports.js";

/**
 * More links opened by others than this are refused: an ordinary node holds 8, a public relay 64, and each may be
 * replaced once. Links to configured peers always find room: there are two per peer at most.
 */
const INCOMING_MAX = 128;
/** A link whose successor is up stays for this long, so that routes move over before it goes. */
const OVERLAP_US = 5 * SECOND_US;
/** UNKNOWN hints of one second, whatever arrives; beyond, neighbours find out by silence. */
const HINTS_MAX = 64;

const REKEY_TYPES: RekeyTypes = { offer: ControlFrame.rekeyOffer, answer: ControlFrame.rekeyAnswer };

const NO_ROUTER = new Uint8Array(ROUTER_ID_BYTES);

/** What the links hand up: records that are not about the link itself. */
export interface LinkUser {
  /** A FORWARD record arrived. The network header stands at `bytes[at]`, `length` bytes with its packet; ours until return. */
  handleForward(nowUs: number, link: number, bytes: Uint8Array, at: number, length: number): void;
  handleKeyRequest(nowUs: number, link: number, hops: number, bytes: Uint8Array, at: number, length: number): void;
  handleKeyResponse(nowUs: number, link: number, bytes: Uint8Array, at: number, length: number): void;
}

/**
 * The lower plane: datagrams of neighbours in and out. Everything above sees numbered links.
 *
 * A link is one session and ends with it. Two to the same router over one path stand side by side for a while, when both
 * ends dialled at once or a session needed a successor; whoever opened the one too many says BYE on it (settleDoubles).
 */
export class Links implements HandshakeUser {
  private readonly plane: Plane;
  private readonly routerId: Uint8Array;
  private readonly user: LinkUser;
  private readonly handshakes: LinkHandshakes;
  private readonly pool = new UnknownPool("linkUnknown");
  private readonly strangers: Timed;
  private readonly index: SessionIndex<LinkOwner>;
  private readonly links: (Link | undefined)[] = [];
  private readonly out = new Uint8Array(LINK_DATAGRAM_BYTES);
  private readonly small = new Uint8Array(UNKNOWN_BYTES);
  private hints = 0;
  private hintsSinceUs: number = -NEVER;

  constructor(args: { plane: Plane; keys: KemKeys; routerId: Uint8Array; user: LinkUser }) {
    this.plane = args.plane;
    this.routerId = args.routerId;
    this.user = args.user;
    const { pool, plane } = this;
    this.index = new SessionIndex(() => drawIndex(plane.session.entropy));
    this.handshakes = new LinkHandshakes({ plane, keys: args.keys, index: this.index, user: this });
    this.strangers = timed(plane, pool, (now) => pool.handleTimeout(now, (path, index) => this.hint(now, path, index)));
  }

  /** Keeps a link to whoever answers on `path`; `pin` is the 32-byte hash of the peer's link key, if known. */
  addPeer(nowUs: number, path: number, pin: Uint8Array | undefined): void {
    this.handshakes.addPeer(nowUs, path, pin);
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
        return this.handshakes.handleInit(nowUs, path, bytes, at, length);
      case PacketType.resp:
        return this.handshakes.handleResp(nowUs, path, bytes, at, length);
      case PacketType.conf:
        return this.handshakes.handleConf(nowUs, path, bytes, at, length);
      case PacketType.cookie:
        return this.handshakes.handleCookie(nowUs, path, bytes, at, length);
      case PacketType.keyRequest:
        return this.handshakes.handleKeyRequest(path, bytes, at, length);
      case PacketType.keyResponse:
        return this.handshakes.handleKeyResponse(nowUs, path, bytes, at, length);
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
    let idle = 0; // links in a row that had nothing to write after all
    for (let id = routing.pollLink(); id >= 0 && idle <= this.links.length; id = routing.pollLink()) {
      const link = this.links[id];
      const out = this.controlWriter();
      if (link !== undefined && routing.pollControl(nowUs, id, out)) {
        this.sendControl(link, out);
        idle = 0;
      } else idle += 1;
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
        pinned: link.isPinned,
        incoming: link.isIncoming,
        found: link.dialer === undefined ? "incoming" : "config",
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
      into.number(link.id).number(link.path).number(link.bornUs).number(link.retireAtUs);
      into.number(link.routed ? 1 : 0).bytes(link.routerId ?? NO_ROUTER);
      link.session.digest(into);
      link.neighbour.digest(into);
    }
    this.handshakes.digest(into);
    into.number(this.hints).number(this.hintsSinceUs);
    this.pool.digest(into);
  }

  private handleRecord(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const index = recordIndex(bytes, at, length);
    const owner = index === 0 ? undefined : this.index.get(index);
    if (owner === undefined || owner.kind !== "link") return this.handleStranger(nowUs, path, index, bytes, at, length);
    const { link } = owner;
    // Not even opened: a copy from elsewhere must not make a replay of the original. Changes of address are not followed.
    if (link.path !== path) return this.plane.drop("unknownSession");
    const opened = link.session.open(nowUs, bytes, at, length);
    if (opened <= 0) return this.refuse(opened);
    if (link.dialer?.state.kind === "shaking") this.handshakes.confirm(nowUs, link.dialer, link.session);
    const body = at + RECORD_HEADER_BYTES;
    const kind = bytes[body]!;
    if (kind === RecordKind.control) {
      return this.handleControl(nowUs, link, new Reader(bytes, body + 1, body + opened));
    }
    if (!link.isUp) return this.plane.drop("linkDown");
    switch (kind) {
      case RecordKind.forward:
        return this.user.handleForward(nowUs, link.id, bytes, body, opened);
      case RecordKind.keyRequest:
        return this.user.handleKeyRequest(nowUs, link.id, bytes[body + 1]!, bytes, body + 2, opened - 2);
      case RecordKind.keyResponse:
        return this.user.handleKeyResponse(nowUs, link.id, bytes, body + 2, opened - 2);
      default:
        this.plane.drop("malformed");
    }
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
    if (nowUs - this.hintsSinceUs >= SECOND_US) {
      this.hintsSinceUs = nowUs;
      this.hints = 0;
    }
    if (this.hints >= HINTS_MAX) return;
    this.hints += 1;
    encodeUnknown(new Writer(this.small), { index });
    this.plane.ports.sink.transmit(path, this.small, 0, UNKNOWN_BYTES);
  }

  private handleUnknown(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const unknown = decodeUnknown(new Reader(bytes, at, at + length));
    if (unknown === undefined) return this.plane.drop("malformed");
    const link = this.links.find((one) => one?.path === path && one.session.peerIndex === unknown.index);
    if (link?.dialer !== undefined && nowUs - link.bornUs >= SECOND_US) this.handshakes.redial(nowUs, path);
  }

  private handleControl(nowUs: number, link: Link, frames: Reader): void {
    while (frames.remaining > 0) {
      const type = frames.u8();
      if (type === ControlFrame.padding) return;
      if (type === ControlFrame.hello) {
        const hello = decodeHello(frames);
        if (hello === undefined) return this.plane.drop("malformed");
        if (!this.handleHello(nowUs, link, hello)) return;
      } else if (type === ControlFrame.bye) {
        if (decodeBye(frames) === undefined) return this.plane.drop("malformed");
        return this.down(nowUs, link, "bye");
      } else if (type === ControlFrame.rekeyOffer || type === ControlFrame.rekeyAnswer) {
        if (!link.session.handleRekey(type === ControlFrame.rekeyOffer ? "offer" : "answer", frames)) {
          return this.plane.drop("malformed");
        }
        this.sendRekey(nowUs, link);
      } else if (!link.isUp) {
        return; // routes before the first echo: the neighbour repeats them
      } else if (!this.plane.routing.handleFrame(nowUs, link.id, type, frames)) {
        return this.plane.drop("malformed");
      }
    }
  }

  /** False when the link is gone by it, or it was not of this neighbour. */
  private handleHello(nowUs: number, link: Link, hello: Hello): boolean {
    if (!this.recognise(nowUs, link, hello.routerId)) return false;
    const { routing, time } = this.plane;
    const { neighbour } = link;
    const { cameUp, answer } = neighbour.handleHello(nowUs, hello);
    if (link.isUp) time.observe(nowUs, link.id, hello.networkTimeMs, neighbour.rttUs >> 1);
    if (cameUp) this.linkUp(nowUs, link);
    else if (link.isUp && neighbour.settleCost()) this.costChanged(nowUs, link);
    if (link.isUp) {
      routing.linkRtt(link.id, neighbour.rttUs);
      routing.handleHello(nowUs, link.id, hello.controlSent, hello.controlProcessed);
    }
    if (answer || cameUp) this.sendHello(nowUs, link);
    if (cameUp) this.settleDoubles(nowUs, link);
    this.plane.watch(link);
    return this.links[link.id] === link;
  }

  /**
   * False when a hello of `routerId` does not belong to the link. The first one names its neighbour: when that is
   * another router than before on this path, the process there was restarted, and its old links go at once.
   */
  private recognise(nowUs: number, link: Link, routerId: Uint8Array): boolean {
    if (link.routerId !== undefined) return sameBytes(link.routerId, routerId);
    if (sameBytes(this.routerId, routerId)) {
      this.down(nowUs, link, "dead"); // the address that we dialled is our own
      return false;
    }
    for (const other of this.links) {
      if (other?.routerId === undefined || other.path !== link.path) continue;
      if (!sameBytes(other.routerId, routerId)) this.down(nowUs, other, "replaced");
    }
    link.routerId = routerId.slice();
    return true;
  }

  private linkUp(nowUs: number, link: Link): void {
    const { id, path, isPinned, isIncoming } = link;
    link.routed = true;
    this.plane.routing.linkUp(nowUs, id, link.routerId!, link.neighbour.cost);
    this.plane.ports.trace(Trace.linkUp, id, path, 0);
    this.plane.ports.sink.event({ kind: "linkUp", link: id, path, pinned: isPinned, incoming: isIncoming });
    link.dialer?.handleUp();
    this.handshakes.entrust(nowUs, link);
  }

  /**
   * `link` came up beside another to the same router on the same path. Decided by who opened them, so that both ends
   * agree, and done by the opener, who alone knows whether a pin holds a link.
   */
  private settleDoubles(nowUs: number, link: Link): void {
    for (const other of this.links) {
      if (other === undefined || !isDouble(link, other)) continue;
      if (other.isIncoming === link.isIncoming) this.succeed(nowUs, other);
      else this.giveWay(nowUs, link.isIncoming ? other : link, link.isIncoming ? link : other);
    }
  }

  /** Both ends dialled at once: the link that the higher router id opened is one too many. */
  private giveWay(nowUs: number, ours: Link, theirs: Link): void {
    if (ours.isPinned || !isLower(theirs.routerId!, this.routerId)) return;
    theirs.dialer ??= ours.dialer;
    this.close(nowUs, ours, "replaced", ByeReason.replaced);
  }

  /**
   * The opener has a younger link: as successor of a session that is used up, or because he lost this one. The hello
   * that is due now tells: no answer, and it is dead within a second.
   */
  private succeed(nowUs: number, older: Link): void {
    older.neighbour.doubt(nowUs);
    if (!older.isIncoming) older.retireAtUs = nowUs + OVERLAP_US;
    this.plane.watch(older);
  }

  private costChanged(nowUs: number, link: Link): void {
    this.plane.routing.linkCost(nowUs, link.id, link.neighbour.cost);
    this.plane.ports.trace(Trace.linkCost, link.id, link.neighbour.cost, 0);
  }

  /** Takes the link down and tells the neighbour. */
  private close(nowUs: number, link: Link, reason: LinkDownReason, byeReason: number): void {
    const out = this.controlWriter();
    encodeBye(out.u8(ControlFrame.bye), { reason: byeReason });
    this.sendControl(link, out);
    this.down(nowUs, link, reason);
  }

  private down(nowUs: number, link: Link, reason: LinkDownReason): void {
    if (this.links[link.id] !== link) return;
    this.links[link.id] = undefined;
    this.plane.release(link);
    this.index.delete(link.session.localIndex);
    link.session.erase();
    this.plane.time.forget(link.id);
    if (link.routed) {
      this.plane.routing.linkDown(nowUs, link.id);
      this.plane.ports.trace(Trace.linkDown, link.id, LINK_DOWN_REASONS.indexOf(reason), 0);
      this.plane.ports.sink.event({ kind: "linkDown", link: link.id, path: link.path, reason });
    }
    this.redial(nowUs, link);
  }

  private redial(nowUs: number, link: Link): void {
    const { dialer } = link;
    if (dialer?.state.kind !== "linked" || this.links.some((one) => one?.dialer === dialer)) return;
    this.handshakes.handleLost(nowUs, dialer);
  }

  private linkTimeout(nowUs: number, link: Link): void {
    const step = link.neighbour.handleTimeout(nowUs);
    link.session.handleTimeout(nowUs);
    // It may be that we are heard all the same: then the neighbour need not wait for his own six seconds.
    if (step === "dead") return this.close(nowUs, link, "dead", ByeReason.unheard);
    if (link.routed && this.plane.routing.isStalled(nowUs, link.id)) {
      return this.close(nowUs, link, "stalled", ByeReason.unheard);
    }
    if (nowUs >= link.retireAtUs) {
      link.retireAtUs = NEVER;
      const isSucceeded = this.links.some((other) => other !== undefined && isDouble(link, other));
      if (isSucceeded) return this.close(nowUs, link, "replaced", ByeReason.replaced);
    }
    if (step === "hello") this.sendHello(nowUs, link);
    this.sendRekey(nowUs, link);
    if (link.session.wantsSuccessor && !link.isIncoming && link.retireAtUs === NEVER) {
      this.handshakes.redial(nowUs, link.path);
    }
    this.plane.watch(link);
  }

  /** What the session has to say about its own keys; asked at each hello at least, and there are hellos always. */
  private sendRekey(nowUs: number, link: Link): void {
    if (!link.session.owesRekey) return;
    const out = this.controlWriter();
    if (link.session.pollRekey(nowUs, out, REKEY_TYPES)) this.sendControl(link, out);
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
    out.zeros(paddedControlBytes(bare) - bare);
    this.send(link, this.out, 0, out.offset - RECORD_HEADER_BYTES);
  }

  private send(link: Link, bytes: Uint8Array, at: number, length: number): boolean {
    const total = link.session.seal(bytes, at, length);
    if (total === 0) return false;
    this.plane.ports.sink.transmit(link.path, bytes, at, total);
    return true;
  }

  // What handshakes come to.

  handleSession(nowUs: number, path: number, session: Session, dialer: Dialer | undefined): void {
    if (dialer === undefined) {
      this.forgetGreeting(nowUs, path);
      if (this.incomingCount >= INCOMING_MAX) {
        session.erase();
        return this.plane.drop("linkLimit");
      }
    }
    this.sendHello(nowUs, this.link(nowUs, path, session, dialer));
    this.pool.take(session.localIndex, (pooledPath, pooled, pooledAt, pooledLength) => {
      this.handleRecord(nowUs, pooledPath, pooled, pooledAt, pooledLength);
    });
  }

  handleRepeat(nowUs: number, link: Link): void {
    this.sendHello(nowUs, link);
  }

  handleUnconfirmed(nowUs: number, link: Link): void {
    this.down(nowUs, link, "dead");
  }

  incomingOn(path: number): Link | undefined {
    return this.links.find((one) => one?.path === path && one.isUp && one.dialer === undefined);
  }

  private get incomingCount(): number {
    let count = 0;
    for (const link of this.links) if (link?.isIncoming) count += 1;
    return count;
  }

  /** A path holds one link of others that is not up yet: whoever shakes hands there anew gave up the one before. */
  private forgetGreeting(nowUs: number, path: number): void {
    for (const link of this.links) {
      if (link?.path === path && link.isIncoming && !link.isUp) this.down(nowUs, link, "replaced");
    }
  }

  private link(nowUs: number, path: number, session: Session, dialer: Dialer | undefined): Link {
    let id = this.links.indexOf(undefined);
    if (id < 0) id = this.links.length;
    const onTimeout = (now: number, self: Link) => this.linkTimeout(now, self);
    const link = new Link({ id, path, plane: this.plane, session, dialer, nowUs, onTimeout });
    this.links[id] = link;
    this.index.set(session.localIndex, { kind: "link", link });
    this.plane.handshakes.done += 1;
    this.plane.ports.trace(Trace.handshakeDone, 0, session.localIndex, 0);
    this.plane.watch(link);
    return link;
  }
}

function isLower(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return false;
}
