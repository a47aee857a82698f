import { sameBytes } from "../collections/bytes.js";
import { Cap } from "../collections/cap.js";
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
import {
  CONTROL_LEAST_BYTES,
  ControlFrame,
  LINK_DATAGRAM_BYTES,
  paddedControlBytes,
  RecordKind,
} from "../wire/control-frame.js";
import { Reader, Writer } from "../wire/cursor.js";
import { PacketType } from "../wire/flight.js";
import { decodeHello, encodeHello, type Hello, ROUTER_ID_BYTES } from "../wire/hello.js";
import { decodeMerge, encodeMerge, type Merge } from "../wire/merge.js";
import { END_PACKET_BYTES, NETWORK_HEADER_BYTES } from "../wire/network-header.js";
import { decodePathChallenge, encodePathChallenge, PATH_TOKEN_BYTES } from "../wire/path-challenge.js";
import { RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, recordIndex } from "../wire/record.js";
import { decodeUnknown, encodeUnknown, UNKNOWN_BYTES } from "../wire/unknown.js";
import { isCounterpart, isMergeProof, isOursKept, isSuccessor, MERGES_MAX, mergeProof } from "./doubles.js";
import { Link } from "./link.js";
import { type HandshakeUser, LinkHandshakes, type LinkOwner } from "./link-handshakes.js";
import { type Plane, SessionIndex, type Timed, timed } from "./plane.js";
import { LINK_DOWN_REASONS, type LinkDownReason, type Load, type PeerStatus } from "./ports.js";

/**
 * More links opened by others than this are refused: an ordinary node holds 8, a public relay 64, and each may be
 * replaced once. Links to configured peers always find room: there are two per peer at most.
 */
const INCOMING_MAX = 128;
/** A link whose successor is up stays for this long, so that routes move over before it goes. */
const OVERLAP_US = 5 * SECOND_US;
/** A link that was merged into another one still takes what is on its way. */
const DRAIN_US = SECOND_US;
const LOAD_MAX = 255;
const QUEUE_DELAY_MS_MAX = 0xffff;
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
  private readonly index: SessionIndex<LinkOwner>;
  private readonly links: (Link | undefined)[] = [];
  private readonly out = new Uint8Array(LINK_DATAGRAM_BYTES);
  private readonly small = new Uint8Array(UNKNOWN_BYTES);
  private hints = 0;
  private hintsSinceUs: number = -NEVER;
  private load: Load = { queueDelayUs: 0, busy: 0 };
  private readonly incomingCap = new Cap("linksIncoming", INCOMING_MAX);
  private readonly hintCap = new Cap("linkHints", HINTS_MAX);

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

  get caps(): readonly Cap[] {
    return [this.pool.cap, this.incomingCap, this.hintCap, ...this.handshakes.caps];
  }

  get upCount(): number {
    let count = 0;
    for (const link of this.links) if (link?.isUp && !link.isDraining) count += 1;
    return count;
  }

  /** The paths that links and dialers hold, some of them twice: none of them may become another address's. */
  get pathsInUse(): number[] {
    const paths = this.handshakes.pathsDialled;
    for (const link of this.links) {
      if (link === undefined) continue;
      paths.push(link.path);
      if (link.check.state.kind === "checking") paths.push(link.check.state.path);
    }
    return paths;
  }

  /** How busy this node is, as its next hellos tell. */
  setLoad(load: Load): void {
    this.load = load;
  }

  /** This node did nothing for the last `lagUs`: it doubts itself before it blames a neighbour. */
  handleLag(nowUs: number, lagUs: number): void {
    for (const link of this.links) {
      if (link === undefined) continue;
      link.neighbour.excuse(nowUs, lagUs);
      this.plane.watch(link);
    }
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
      if (link === undefined || link.neighbour.state.kind !== "up" || link.isDraining) continue;
      all.push({
        link: link.id,
        path: link.path,
        pinned: link.isPinned,
        incoming: link.isIncoming,
        found: link.dialer === undefined ? "incoming" : "config",
        rttUs: link.neighbour.rttUs,
        lossPerMille: link.neighbour.lossPerMille,
        cost: link.neighbour.cost,
        queueDelayMs: link.neighbour.queueDelayMs,
        load: link.neighbour.load,
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
      into
        .number(link.newest)
        .number(link.drainedUs)
        .number(link.isPinned ? 1 : 0)
        .number(link.isSuperseded ? 1 : 0);
      into.number(link.sated.length);
      link.session.digest(into);
      link.neighbour.digest(into);
      link.check.digest(into);
    }
    this.handshakes.digest(into);
    into.number(this.hints).number(this.hintsSinceUs).number(this.load.queueDelayUs).number(this.load.busy);
    this.pool.digest(into);
  }

  private handleRecord(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const index = recordIndex(bytes, at, length);
    const owner = index === 0 ? undefined : this.index.get(index);
    if (owner === undefined || owner.kind !== "link") return this.handleStranger(nowUs, path, index, bytes, at, length);
    const { link } = owner;
    // Before both directions work there is nobody to follow: whoever shakes hands does so on one path.
    if (link.path !== path && !link.isUp) return this.plane.drop("unknownSession");
    const opened = link.session.open(nowUs, bytes, at, length);
    if (opened <= 0) {
      // A copy was quicker than the original, but this is where the original came from.
      if (opened === SessionFault.replay && path === link.path) this.stay(link);
      return this.refuse(opened);
    }
    if (link.dialer?.state.kind === "shaking") this.handshakes.confirm(nowUs, link.dialer, link.session);
    if (link.session.owesRekey) this.sendRekey(nowUs, link);
    this.locate(nowUs, link, path, length);
    const body = at + RECORD_HEADER_BYTES;
    const kind = bytes[body]!;
    if (kind === RecordKind.control) {
      return this.handleControl(nowUs, link, path, new Reader(bytes, body + 1, body + opened));
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

  /**
   * An authentic record came on `path`. The newest one tells where the neighbour is: if that is elsewhere, both places are
   * asked, and the link stays where it is until answer and silence have shown that it moved.
   */
  private locate(nowUs: number, link: Link, path: number, bytes: number): void {
    const number = link.session.openedCounter;
    const isNewest = number > link.newest;
    if (isNewest) link.newest = number;
    if (path === link.path) {
      if (isNewest) this.stay(link);
      return;
    }
    const { rttUs } = link.neighbour;
    const newToken = () => this.newToken();
    if (link.check.handleElsewhere(nowUs, { path, bytes, isNewest, rttUs, newToken })) this.pollCheck(nowUs, link);
  }

  private newToken(): Uint8Array {
    return this.plane.session.entropy(PATH_TOKEN_BYTES);
  }

  /** The neighbour is still where it was. */
  private stay(link: Link): void {
    if (link.check.state.kind === "settled") return;
    link.check.handleHere();
    this.plane.watch(link);
  }

  private pollCheck(nowUs: number, link: Link): void {
    const { check } = link;
    const { state } = check;
    const step = check.handleTimeout(nowUs, CONTROL_LEAST_BYTES);
    if (step !== undefined && state.kind === "checking") {
      if (step.kind === "moved") this.move(nowUs, link, state.path);
      else {
        // Whatever comes back on the old path counts, so its token is nobody's concern, but must not be the other's.
        this.sendToken(link, link.path, ControlFrame.pathChallenge, this.newToken());
        if (step.isNewToo) this.sendToken(link, state.path, ControlFrame.pathChallenge, state.token);
      }
    }
    this.plane.watch(link);
  }

  private sendToken(link: Link, path: number, type: number, token: Uint8Array): void {
    const out = this.controlWriter();
    encodePathChallenge(out.u8(type), { token });
    this.sendControl(link, out, path);
  }

  private move(nowUs: number, link: Link, path: number): void {
    const from = link.path;
    link.path = path;
    link.neighbour.handleMoved();
    this.plane.ports.trace(Trace.linkMoved, link.id, path, from);
    this.plane.ports.sink.event({ kind: "linkMoved", link: link.id, path });
    this.sendHello(nowUs, link);
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
    if (nowUs - this.hintsSinceUs >= SECOND_US) {
      this.hintsSinceUs = nowUs;
      this.hints = 0;
    }
    if (this.hints >= HINTS_MAX) return;
    this.hints += 1;
    this.hintCap.note(this.hints);
    encodeUnknown(new Writer(this.small), { index });
    this.plane.ports.sink.transmit(path, this.small, 0, UNKNOWN_BYTES);
  }

  private handleUnknown(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    const unknown = decodeUnknown(new Reader(bytes, at, at + length));
    if (unknown === undefined) return this.plane.drop("malformed");
    const link = this.links.find((one) => one?.path === path && one.session.peerIndex === unknown.index);
    if (link?.dialer === undefined || link.isSuperseded || nowUs - link.bornUs < SECOND_US) return;
    this.handshakes.redial(nowUs, link.dialer.path); // where it was told to dial: the link may have moved since
  }

  private handleControl(nowUs: number, link: Link, path: number, frames: Reader): void {
    let isAsked = false; // one answer for one record, whatever stands in it
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
      } else if (type === ControlFrame.pathChallenge || type === ControlFrame.pathResponse) {
        const said = decodePathChallenge(frames);
        if (said === undefined) return this.plane.drop("malformed");
        if (type === ControlFrame.pathResponse) {
          link.check.handleResponse(path, said.token);
          this.pollCheck(nowUs, link);
        } else if (!isAsked) {
          isAsked = true;
          this.sendToken(link, path, ControlFrame.pathResponse, said.token);
          // The question for this path may have been copied to another one: whoever asked shall see that we are here too.
          if (path !== link.path) this.sendToken(link, link.path, ControlFrame.pathResponse, said.token);
        }
      } else if (type === ControlFrame.merge) {
        const said = decodeMerge(frames);
        if (said === undefined) return this.plane.drop("malformed");
        this.handleMerge(nowUs, link, said);
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
    if (link.isUp) time.observe(nowUs, link.id, hello.networkTimeMs, neighbour.rttUs >> 1);
    if (cameUp) this.linkUp(nowUs, link);
    else if (link.routed && neighbour.settleCost()) this.costChanged(nowUs, link);
    if (link.routed) {
      routing.linkRtt(link.id, neighbour.rttUs);
      routing.handleHello(nowUs, link.id, hello.controlSent, hello.controlProcessed, hello.tableDigest);
    }
    if (answer || cameUp) this.sendHello(nowUs, link);
    if (cameUp) this.settleDoubles(nowUs, link);
    this.plane.watch(link);
    return this.links[link.id] === link;
  }

  /**
   * False when a hello of `routerId` does not belong to the link. The first one names its neighbour: when that is
   * another router than before on this path, the process there was restarted, it seems, and its old links must answer.
   */
  private recognise(nowUs: number, link: Link, routerId: Uint8Array): boolean {
    if (link.routerId !== undefined) return sameBytes(link.routerId, routerId);
    if (sameBytes(this.routerId, routerId)) {
      this.down(nowUs, link, "dead"); // the address that we dialled is our own
      return false;
    }
    for (const other of this.links) {
      if (other?.routerId === undefined || other.path !== link.path) continue;
      if (!sameBytes(other.routerId, routerId)) this.supersede(nowUs, other);
    }
    link.routerId = routerId.slice();
    return true;
  }

  private linkUp(nowUs: number, link: Link): void {
    const { id, path, isPinned, isIncoming } = link;
    link.routed = true;
    link.wasUp = true;
    this.plane.routing.linkUp(nowUs, id, link.routerId!, link.neighbour.cost);
    this.plane.ports.trace(Trace.linkUp, id, path, 0);
    this.plane.ports.sink.event({ kind: "linkUp", link: id, path, pinned: isPinned, incoming: isIncoming });
    link.dialer?.handleUp();
    this.handshakes.entrust(nowUs, link);
  }

  /** `link` came up beside others to the same router. */
  private settleDoubles(nowUs: number, link: Link): void {
    for (const other of this.links) {
      if (other === undefined) continue;
      if (isSuccessor(link, other)) this.succeed(nowUs, other);
      else if (isCounterpart(link, other)) this.sendHello(nowUs, other); // with the proof that both are with us
    }
  }

  /**
   * The opener has a younger link: as successor of a session that is used up, or because he lost this one.
   */
  private succeed(nowUs: number, older: Link): void {
    if (!older.isIncoming) older.retireAtUs = nowUs + OVERLAP_US;
    this.supersede(nowUs, older);
  }

  /** The hello that is due now tells whether anybody still holds the link: without an answer it is dead in a moment. */
  private supersede(nowUs: number, older: Link): void {
    older.isSuperseded = true;
    older.neighbour.doubt(nowUs);
    this.plane.watch(older);
  }

  /** Says under `link` which other links to the same neighbour are with us as well. */
  private writeMerges(link: Link, out: Writer): void {
    if (!link.isUp || link.isDraining) return;
    let count = 0;
    for (const other of this.links) {
      if (other === undefined || !isCounterpart(link, other)) continue;
      const proof = mergeProof(this.plane.session.suite, link, other, true);
      encodeMerge(out.u8(ControlFrame.merge), { index: other.session.peerIndex, proof });
      count += 1;
      if (count >= MERGES_MAX) return;
    }
  }

  /** The neighbour on `carrier` says that one more link is with it. If it proves that, one of the two is enough. */
  private handleMerge(nowUs: number, carrier: Link, said: Merge): void {
    const owner = this.index.get(said.index);
    if (owner?.kind !== "link" || !carrier.isUp || carrier.isDraining || !isCounterpart(carrier, owner.link)) return;
    const other = owner.link;
    if (!isMergeProof(this.plane.session.suite, carrier, other, said.proof)) return this.plane.drop("protocol");
    const [ours, theirs] = carrier.isIncoming ? [other, carrier] : [carrier, other];
    const isOurs = isOursKept(this.routerId, theirs.routerId!);
    this.sendHello(nowUs, carrier); // our proof, while both still stand
    this.merge(nowUs, isOurs ? ours : theirs, isOurs ? theirs : ours);
  }

  /** `spare` ends in favour of `kept`, which inherits what was proven about it and whoever looks after it. */
  private merge(nowUs: number, kept: Link, spare: Link): void {
    kept.isPinned ||= spare.isPinned;
    for (const dialer of [spare.dialer, ...spare.sated.splice(0)]) {
      if (dialer === undefined) continue;
      if (kept.dialer === undefined) kept.dialer = dialer;
      else kept.sated.push(dialer);
    }
    spare.dialer = undefined;
    spare.drainedUs = nowUs + DRAIN_US;
    this.unroute(nowUs, spare);
    this.plane.watch(spare);
  }

  /** Nothing more goes over the link, and what it taught is dropped. */
  private unroute(nowUs: number, link: Link): void {
    if (!link.routed) return;
    link.routed = false;
    this.plane.time.forget(link.id);
    this.plane.routing.linkDown(nowUs, link.id);
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
    this.unroute(nowUs, link);
    if (link.wasUp) {
      this.plane.ports.trace(Trace.linkDown, link.id, LINK_DOWN_REASONS.indexOf(reason), 0);
      this.plane.ports.sink.event({ kind: "linkDown", link: link.id, path: link.path, reason });
    }
    this.redial(nowUs, link);
  }

  private redial(nowUs: number, link: Link): void {
    for (const dialer of [link.dialer, ...link.sated]) {
      if (dialer?.state.kind !== "linked") continue;
      const isCared = this.links.some((one) => one?.dialer === dialer || one?.sated.includes(dialer));
      if (!isCared) this.handshakes.handleLost(nowUs, dialer);
    }
  }

  private linkTimeout(nowUs: number, link: Link): void {
    const step = link.neighbour.handleTimeout(nowUs);
    link.session.handleTimeout(nowUs);
    // It may be that we are heard all the same: then the neighbour need not wait for his own six seconds.
    if (step === "dead") return this.close(nowUs, link, link.isSuperseded ? "replaced" : "dead", ByeReason.unheard);
    if (nowUs >= link.drainedUs) return this.close(nowUs, link, "replaced", ByeReason.replaced);
    this.pollCheck(nowUs, link);
    if (link.routed && this.plane.routing.isStalled(nowUs, link.id)) {
      return this.close(nowUs, link, "stalled", ByeReason.unheard);
    }
    if (nowUs >= link.retireAtUs) {
      link.retireAtUs = NEVER;
      const isSucceeded = this.links.some((other) => other !== undefined && isSuccessor(link, other));
      if (isSucceeded) return this.close(nowUs, link, "replaced", ByeReason.replaced);
    }
    if (step === "hello") this.sendHello(nowUs, link);
    this.sendRekey(nowUs, link);
    if (link.session.wantsSuccessor && !link.isIncoming && link.retireAtUs === NEVER && link.dialer !== undefined) {
      this.handshakes.redial(nowUs, link.dialer.path);
    }
    this.plane.watch(link);
  }

  /** What the session has to say about its own keys. Hellos keep it in use, so it is never too late. */
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
      controlSent: link.routed ? routing.controlSent(link.id) : 0,
      controlProcessed: link.routed ? routing.controlProcessed(link.id) : 0,
      tableDigest: routing.tableDigest(link.id),
      queueDelayMs: Math.min(QUEUE_DELAY_MS_MAX, Math.ceil(this.load.queueDelayUs / 1000)),
      load: Math.min(LOAD_MAX, this.load.busy),
    });
    encodeHello(out.u8(ControlFrame.hello), hello);
    this.writeMerges(link, out);
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

  private sendControl(link: Link, out: Writer, path = link.path): void {
    const bare = out.offset - RECORD_HEADER_BYTES + RECORD_OVERHEAD_BYTES;
    out.zeros(paddedControlBytes(bare) - bare);
    this.send(link, this.out, 0, out.offset - RECORD_HEADER_BYTES, path);
  }

  private send(link: Link, bytes: Uint8Array, at: number, length: number, path = link.path): boolean {
    const total = link.session.seal(bytes, at, length);
    if (total === 0) return false;
    this.plane.ports.sink.transmit(path, bytes, at, total);
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
    return this.links.find((one) => one?.path === path && one.isUp && !one.isDraining && one.dialer === undefined);
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
    this.incomingCap.note(this.incomingCount);
    this.index.set(session.localIndex, { kind: "link", link });
    this.plane.handshakes.done += 1;
    this.plane.ports.trace(Trace.handshakeDone, 0, session.localIndex, 0);
    this.plane.watch(link);
    return link;
  }
}
