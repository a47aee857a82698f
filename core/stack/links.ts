import { sameBytes } from "../collections/bytes.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import type { KemKeys } from "../crypto/suite.js";
import { BAN_US, Bans } from "../link/bans.js";
import type { Dialer } from "../link/dialer.js";
import { FlapDamping } from "../link/flap-damping.js";
import { Herd } from "../link/herd.js";
import { TOGETHER_US } from "../link/neighbour.js";
import type { Transit } from "../routing/transit.js";
import { drawIndex } from "../session/context.js";
import { type Session, SessionFault } from "../session/session.js";
import { UnknownPool } from "../session/unknown-pool.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { Trace } from "../trace/trace.js";
import { ByeReason, decodeBye } from "../wire/bye.js";
import { ControlFrame, RecordKind } from "../wire/control-frame.js";
import { Reader } from "../wire/cursor.js";
import { PacketType } from "../wire/flight.js";
import { decodeHello, emptyHello, type Hello } from "../wire/hello.js";
import { decodeMerge } from "../wire/merge.js";
import { decodePathChallenge } from "../wire/path-challenge.js";
import { RECORD_HEADER_BYTES, recordIndex } from "../wire/record.js";
import { decodeUnknown } from "../wire/unknown.js";
import { Hints } from "./hints.js";
import { Link, linksAmong } from "./link.js";
import { type HandshakeUser, LinkHandshakes, type LinkOwner } from "./link-handshakes.js";
import { LinkSender } from "./link-sender.js";
import { LinkTable } from "./link-table.js";
import { Places } from "./places.js";
import { type Plane, SessionIndex, type Timed, timed } from "./plane.js";
import { LINK_DOWN_REASONS, type LinkDownReason, type Load, type PeerStatus } from "./ports.js";
import { Succession, unroute } from "./succession.js";
import { Whereabouts } from "./whereabouts.js";

// Scratch of one call, shared by all stacks.
const frames = new Reader(new Uint8Array(0));
const hello = emptyHello();

/** Paths that are barred. Beyond: the one barred first is free again. */
const BANS_MAX = 256;
/** Paths whose drops are remembered. Beyond: the one that has been calm longest is forgotten. */
const FLAPPING_MAX = 256;

/** Ends of a link that speak against its path. Who took leave and comes back at once was restarted, which is no better. */
const DROPS: readonly LinkDownReason[] = ["dead", "stalled", "bye"];

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
 * A link is one session and ends with it, but follows its neighbour to another path (PathCheck). Two to the same router
 * stand side by side for a while: when both ends dialled, until each has proven to the other that both are with it (MERGE),
 * or when a session needed a successor.
 */
export class Links implements HandshakeUser {
  private readonly plane: Plane;
  private readonly routerId: Uint8Array;
  private readonly user: LinkUser;
  private readonly handshakes: LinkHandshakes;
  private readonly pool = new UnknownPool("linkUnknown");
  private readonly strangers: Timed;
  private readonly hints: Hints;
  private readonly index: SessionIndex<LinkOwner>;
  private readonly links = new LinkTable();
  private readonly sender: LinkSender;
  private readonly whereabouts: Whereabouts;
  private readonly succession: Succession;
  private readonly flapping = new Cap("flappingPaths", FLAPPING_MAX);
  private readonly damping = new FlapDamping(this.flapping);
  private readonly banned = new Cap("bans", BANS_MAX);
  private readonly bans = new Bans(this.banned);
  private readonly places: Places;
  private bansMade = 0;
  private readonly herd = new Herd();
  /** Links that were held back from routing because they had dropped too often. */
  private damped = 0;
  private readonly onTimeout = (nowUs: number, link: Link) => this.linkTimeout(nowUs, link);

  constructor(args: {
    plane: Plane;
    keys: KemKeys;
    routerId: Uint8Array;
    transit?: Transit | undefined;
    user: LinkUser;
  }) {
    this.plane = args.plane;
    this.routerId = args.routerId;
    this.user = args.user;
    const { pool, plane, links, routerId } = this;
    this.index = new SessionIndex(() => drawIndex(plane.session.entropy));
    this.sender = new LinkSender(plane, routerId, links);
    this.places = new Places(plane, links, args.transit);
    this.whereabouts = new Whereabouts(plane, this.sender);
    this.succession = new Succession({ plane, routerId, links, index: this.index, sender: this.sender });
    this.hints = new Hints(plane);
    this.handshakes = new LinkHandshakes({ plane, keys: args.keys, index: this.index, user: this });
    this.strangers = timed(plane, pool, (now) => pool.handleTimeout(now, (path, index) => this.hint(now, path, index)));
  }

  /** Keeps a link to whoever answers on `path`; `pin` is the 32-byte hash of the peer's link key, if known. */
  addPeer(nowUs: number, path: number, pin: Uint8Array | undefined): void {
    this.handshakes.addPeer(nowUs, path, pin);
  }

  get caps(): readonly Cap[] {
    return [
      this.pool.cap,
      this.links.incomingCap,
      this.sender.cap,
      this.flapping,
      this.banned,
      this.hints.cap,
      ...this.handshakes.caps,
    ];
  }

  /** Links that flapped, and neighbours that were sent away. */
  get storms(): Readonly<Record<string, number>> {
    return { dampedLinks: this.damped, bans: this.bansMade };
  }

  get upCount(): number {
    return this.links.upCount;
  }

  /** The paths that links and dialers hold, some of them twice: none of them may become another address's. */
  get pathsInUse(): number[] {
    return [...this.handshakes.pathsDialled, ...this.links.pathsInUse];
  }

  isSessionKnown(index: number): boolean {
    return this.index.get(index)?.kind === "link";
  }

  /** How busy this node is, as its next hellos tell. */
  setLoad(load: Load): void {
    this.sender.setLoad(load);
  }

  /** This node did nothing for the last `lagUs`: it doubts itself before it blames a neighbour. */
  handleLag(nowUs: number, lagUs: number): void {
    for (const link of this.links) {
      link.neighbour.excuse(nowUs, lagUs);
      this.plane.watch(link);
    }
  }

  handleDatagram(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number, crowd: number): void {
    switch (bytes[at]) {
      case PacketType.record:
        return this.handleRecord(nowUs, path, bytes, at, length);
      case PacketType.init:
        if (this.bans.has(nowUs, path)) return this.plane.drop("banned");
        return this.handshakes.handleInit(nowUs, path, bytes, at, length);
      case PacketType.resp:
        return this.handshakes.handleResp(nowUs, path, bytes, at, length);
      case PacketType.conf:
        return this.handshakes.handleConf(nowUs, path, bytes, at, length, crowd);
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
    const target = this.links.get(link);
    return target?.isUp === true && this.sender.sendForward(target, bytes, at);
  }

  /** Sends a key request or answer, which travel hop by hop. */
  sendKeyPacket(link: number, kind: number, hops: number, packet: Uint8Array): boolean {
    const target = this.links.get(link);
    return target?.isUp === true && this.sender.sendKeyPacket(target, kind, hops, packet);
  }

  /** Lets out what routing has ready for each link. */
  flushControl(nowUs: number): void {
    this.sender.flushRoutes(nowUs);
  }

  /** Says BYE on every link. */
  shutdown(nowUs: number): void {
    for (const link of this.links) this.close(nowUs, link, "shutdown", ByeReason.shutdown);
  }

  status(nowUs: number): PeerStatus[] {
    return this.links.status(nowUs);
  }

  digest(into: Digest): void {
    into.number(this.index.size);
    this.links.digest(into);
    this.handshakes.digest(into);
    this.hints.digest(into);
    this.damping.digest(into);
    this.bans.digest(into);
    this.herd.digest(into);
    this.places.digest(into);
    this.sender.digest(into);
    this.pool.digest(into);
  }

  private handleRecord(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const index = recordIndex(bytes, at, length);
    const link = this.linkOf(path, index);
    if (link === undefined) return this.handleStranger(nowUs, path, index, bytes, at, length);
    // Before both directions work there is nobody to follow: whoever shakes hands does so on one path.
    if (link.path !== path && !link.isUp) return this.plane.drop("unknownSession");
    const opened = link.session.open(nowUs, bytes, at, length);
    if (opened <= 0) {
      if (opened === SessionFault.replay) this.whereabouts.handleReplay(link, path);
      return this.refuse(opened);
    }
    if (!link.isUp && link.dialer?.state.kind === "shaking") this.handshakes.confirm(nowUs, link.dialer, link.session);
    if (link.session.owesRekey) this.sender.sendRekey(nowUs, link);
    this.whereabouts.handleRecord(nowUs, link, path, length);
    const body = at + RECORD_HEADER_BYTES;
    const kind = bytes[body]!;
    if (kind === RecordKind.control) {
      return this.handleControl(nowUs, link, path, length, frames.reset(bytes, body + 1, body + opened));
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

  /** Whose session number it is: mostly of the link that was heard on the path last, which is asked without a search. */
  private linkOf(path: number, index: number): Link | undefined {
    const last = this.links.lastHeard(path);
    if (last?.index === (index | 0)) return last;
    const owner = index === 0 ? undefined : this.index.get(index);
    if (owner?.kind !== "link") return undefined;
    this.links.noteHeard(path, owner.link);
    return owner.link;
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
    this.handshakes.hurry(nowUs, path);
    this.hints.send(nowUs, path, index);
  }

  private handleUnknown(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const unknown = decodeUnknown(new Reader(bytes, at, at + length));
    if (unknown === undefined) return this.plane.drop("malformed");
    const link = this.links.find((one) => one.path === path && one.session.peerIndex === unknown.index);
    if (link?.dialer === undefined || link.isSuperseded || nowUs - link.bornUs < SECOND_US) return;
    this.handshakes.redial(nowUs, link.dialer.path); // where it was told to dial: the link may have moved since
  }

  private handleControl(nowUs: number, link: Link, path: number, recordBytes: number, frames: Reader): void {
    let isAsked = false; // one answer for one record, whatever stands in it
    while (frames.remaining > 0) {
      const type = frames.u8();
      if (type === ControlFrame.padding) return;
      if (type === ControlFrame.hello) {
        if (!decodeHello(frames, hello)) return this.plane.drop("malformed");
        if (!this.handleHello(nowUs, link, hello)) return;
      } else if (type === ControlFrame.bye) {
        if (decodeBye(frames) === undefined) return this.plane.drop("malformed");
        return this.down(nowUs, link, "bye");
      } else if (type === ControlFrame.rekeyOffer || type === ControlFrame.rekeyAnswer) {
        if (!link.session.handleRekey(type === ControlFrame.rekeyOffer ? "offer" : "answer", frames)) {
          return this.plane.drop("malformed");
        }
        this.sender.sendRekey(nowUs, link);
      } else if (type === ControlFrame.pathChallenge || type === ControlFrame.pathResponse) {
        const said = decodePathChallenge(frames);
        if (said === undefined) return this.plane.drop("malformed");
        if (type === ControlFrame.pathResponse) this.whereabouts.handleResponse(nowUs, link, path, said.token);
        else if (!isAsked) this.whereabouts.handleChallenge(nowUs, link, path, recordBytes, said.token);
        if (type === ControlFrame.pathChallenge) isAsked = true;
      } else if (type === ControlFrame.merge) {
        const said = decodeMerge(frames);
        if (said === undefined) return this.plane.drop("malformed");
        this.succession.handleMerge(nowUs, link, said);
      } else if (!link.routed) {
        return; // routes before the first echo, which the neighbour repeats, or of a link that was given up
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
    link.isHeldThere = hello.held;
    if (link.isHosted !== hello.stub) {
      link.isHosted = hello.stub;
      if (link.routed) this.places.tellRouting(nowUs, link);
    }
    if (link.isUp) time.observe(nowUs, link.id, hello.networkTimeMs, neighbour.rttUs >> 1);
    if (cameUp) this.linkUp(nowUs, link);
    else if (link.isToBeRouted(nowUs)) this.admit(nowUs, link);
    else if (link.routed && neighbour.settleCost()) this.costChanged(nowUs, link);
    if (link.routed) {
      routing.linkRtt(link.id, neighbour.rttUs);
      routing.handleHello(nowUs, link.id, hello.controlSent, hello.controlProcessed, hello.tableDigest);
    }
    if (answer || cameUp) this.sender.sendHello(nowUs, link);
    if (cameUp) this.succession.handleUp(nowUs, link);
    this.plane.watch(link);
    return this.links.holds(link);
  }

  /**
   * False when a hello of `routerId` does not belong to the link. The first one names its neighbour: when that is
   * another router than before on this path, the process there was restarted, it seems, and its old links must answer.
   */
  private recognise(nowUs: number, link: Link, routerId: Uint8Array): boolean {
    if (link.hasName) return link.isNamed(routerId);
    if (sameBytes(this.routerId, routerId)) {
      this.down(nowUs, link, "dead"); // the address that we dialled is our own
      return false;
    }
    for (const other of this.links) {
      if (!other.hasName || other.path !== link.path) continue;
      if (!other.isNamed(routerId)) this.succession.supersede(nowUs, other);
    }
    link.name(routerId);
    this.places.assign(link);
    if (!this.damping.isOf(link.path, link.mark)) link.endHold();
    this.links.noteDouble(link);
    return true;
  }

  private linkUp(nowUs: number, link: Link): void {
    const { id, path, isPinned, isIncoming } = link;
    link.wasUp = true;
    link.beginHold(nowUs);
    if (link.isHeld(nowUs)) this.damped += 1;
    if (link.isToBeRouted(nowUs)) this.admit(nowUs, link);
    this.plane.ports.trace(Trace.linkUp, id, path, link.neighbour.cost);
    this.plane.ports.sink.event({ kind: "linkUp", link: id, path, pinned: isPinned, incoming: isIncoming });
    link.dialer?.handleUp();
    this.handshakes.entrust(nowUs, link);
  }

  private admit(nowUs: number, link: Link): void {
    link.routed = true;
    this.plane.routing.linkUp(nowUs, link.id, link.routerId, link.neighbour.cost);
    this.places.tellRouting(nowUs, link);
  }

  private costChanged(nowUs: number, link: Link): void {
    this.plane.routing.linkCost(nowUs, link.id, link.neighbour.cost);
    this.plane.ports.trace(Trace.linkCost, link.id, link.neighbour.cost, 0);
  }

  /** Takes the link down and tells the neighbour. */
  private close(nowUs: number, link: Link, reason: LinkDownReason, byeReason: number): void {
    this.sender.sendBye(link, byeReason);
    this.down(nowUs, link, reason);
  }

  private down(nowUs: number, link: Link, reason: LinkDownReason): void {
    if (!this.links.holds(link)) return;
    this.links.delete(link);
    this.plane.release(link);
    this.index.delete(link.session.localIndex);
    link.session.erase();
    this.plane.time.forget(link.id);
    unroute(this.plane, nowUs, link);
    if (DROPS.includes(reason)) this.noteDrop(nowUs, link);
    this.places.handleDown(nowUs, link);
    if (link.wasUp) {
      this.plane.ports.trace(Trace.linkDown, link.id, LINK_DOWN_REASONS.indexOf(reason), 0);
      this.plane.ports.sink.event({ kind: "linkDown", link: link.id, path: link.path, reason });
    }
    const { random32 } = this.plane.ports;
    const isLost = link.wasUp && DROPS.includes(reason);
    const spreadUs = isLost ? this.herd.handleLost(nowUs, this.links.upCount, random32) : 0;
    this.redial(nowUs, link, reason === "banned" ? BAN_US : spreadUs);
  }

  /** A link that has a successor was no drop. */
  private noteDrop(nowUs: number, link: Link): void {
    if (!link.wasUp || link.isSuperseded || link.isDraining) return;
    if (this.links.find((other) => other.isUp && other.isSameRouter(link)) !== undefined) return;
    this.damping.noteDrop(nowUs, link.path, link.mark);
  }

  private redial(nowUs: number, link: Link, leastUs: number): void {
    for (const dialer of [link.dialer, ...link.sated]) {
      if (dialer?.state.kind !== "linked") continue;
      const carer = this.links.find((one) => one.dialer === dialer || one.sated.includes(dialer));
      if (carer === undefined) this.handshakes.handleLost(nowUs, dialer, leastUs);
    }
  }

  /** When a hello is due those of other links that would be soon leave with it, and the node has the longer rest. */
  private linkTimeout(nowUs: number, link: Link): void {
    const step = link.neighbour.handleTimeout(nowUs);
    this.attend(nowUs, link, step);
    if (step !== "hello") return;
    // A link wants time when its hello is due, if not before: those that want none soon need not be looked at.
    for (const other of linksAmong(this.plane.dueBy(nowUs + TOGETHER_US))) {
      if (!this.links.holds(other) || !other.neighbour.isHelloNear(nowUs) || other.isDraining) continue;
      this.attend(nowUs, other, "hello");
    }
  }

  /** What a link needs from time to time, and with each hello: it is the only thing sure to come. */
  private attend(nowUs: number, link: Link, step: "hello" | "dead" | undefined): void {
    link.session.handleTimeout(nowUs);
    // It may be that we are heard all the same: then the neighbour need not wait for his own 4 s.
    if (step === "dead") return this.close(nowUs, link, link.isSuperseded ? "replaced" : "dead", ByeReason.unheard);
    if (nowUs >= link.drainedUs) return this.close(nowUs, link, "replaced", ByeReason.replaced);
    if (link.check.state.kind === "checking") this.whereabouts.poll(nowUs, link);
    if (link.routed && this.plane.routing.isStalled(nowUs, link.id)) {
      return this.close(nowUs, link, "stalled", ByeReason.unheard);
    }
    if (link.routed && this.plane.routing.isBanned(link.id)) {
      this.bans.add(nowUs, link.path);
      this.bansMade += 1;
      return this.close(nowUs, link, "banned", ByeReason.unheard);
    }
    if (nowUs >= link.retireAtUs && this.succession.isOver(link))
      return this.close(nowUs, link, "replaced", ByeReason.replaced);
    if (link.isToBeRouted(nowUs)) this.admit(nowUs, link);
    if (step === "hello") this.sender.sendHello(nowUs, link);
    else this.plane.watch(link);
    if (link.session.owesRekey) this.sender.sendRekey(nowUs, link);
    if (!link.isIncoming && link.dialer !== undefined && link.retireAtUs === NEVER && link.session.wantsSuccessor) {
      this.handshakes.redial(nowUs, link.dialer.path);
    }
  }

  // What handshakes come to.

  handleSession(nowUs: number, path: number, session: Session, from: Dialer | number): void {
    const isOurs = typeof from !== "number";
    if (!isOurs) {
      this.forgetGreeting(nowUs, path);
      if (!this.makeRoom(nowUs, from)) {
        session.erase();
        return this.plane.drop("linkLimit");
      }
    }
    const dialer = isOurs ? from : undefined;
    this.sender.sendHello(nowUs, this.link(nowUs, { path, session, dialer, crowd: isOurs ? path : from }));
    this.pool.take(session.localIndex, (pooledPath, pooled, pooledAt, pooledLength) => {
      this.handleRecord(nowUs, pooledPath, pooled, pooledAt, pooledLength);
    });
  }

  handleRepeat(nowUs: number, link: Link): void {
    this.sender.sendHello(nowUs, link);
  }

  handleUnconfirmed(nowUs: number, link: Link): void {
    this.down(nowUs, link, "dead");
  }

  incomingOn(path: number): Link | undefined {
    return this.links.find((one) => one.path === path && one.isUp && !one.isDraining && one.dialer === undefined);
  }

  /** A path holds one link of others that is not up yet: whoever shakes hands there anew gave up the one before. */
  private forgetGreeting(nowUs: number, path: number): void {
    for (const link of this.links) {
      if (link.path === path && link.isIncoming && !link.isUp) this.down(nowUs, link, "replaced");
    }
  }

  /** For one more link that somebody of `crowd` opens. False when there is none and nobody holds more than a share. */
  private makeRoom(nowUs: number, crowd: number): boolean {
    if (!this.links.isFull) return true;
    const link = this.links.surplusFor(crowd);
    if (link === undefined) return false;
    this.close(nowUs, link, "crowded", ByeReason.replaced);
    return true;
  }

  private link(
    nowUs: number,
    args: { path: number; session: Session; dialer: Dialer | undefined; crowd: number },
  ): Link {
    const { session } = args;
    const { plane, onTimeout } = this;
    const holdUs = this.damping.holdUs(nowUs, args.path);
    const link = new Link({ ...args, id: this.links.freeId, plane, nowUs, holdUs, onTimeout });
    this.links.set(link);
    this.index.set(session.localIndex, { kind: "link", link });
    this.plane.handshakes.done += 1;
    this.plane.ports.trace(Trace.handshakeDone, 0, session.localIndex, 0);
    this.plane.watch(link);
    return link;
  }
}
