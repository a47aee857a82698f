import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import type { Identity } from "../crypto/identity.js";
import { USED_BISCUITS_MAX } from "../session/biscuit-keys.js";
import { drawIndex } from "../session/context.js";
import { InitQueue } from "../session/init-queue.js";
import { Responder } from "../session/responder.js";
import { SessionFault } from "../session/session.js";
import { UnknownPool } from "../session/unknown-pool.js";
import { StreamBounds } from "../stream/bounds.js";
import { SECOND_US } from "../time/instant.js";
import { Trace } from "../trace/trace.js";
import { StoreBounds } from "../transport/store-bounds.js";
import { EndCode } from "../wire/cell.js";
import { PacketType } from "../wire/flight.js";
import { END_PACKET_BYTES } from "../wire/network-header.js";
import { RECORD_HEADER_BYTES, recordIndex } from "../wire/record.js";
import { OBSERVED_NOTHING } from "../wire/resp.js";
import { Addresses } from "./addresses.js";
import { Contacts, type EndOwner } from "./contacts.js";
import { type DescribedChains, DescriptorDesk } from "./descriptor-desk.js";
import { Dispatch, OWN_LINK } from "./dispatch.js";
import { EndSession, endParams, type NewSession } from "./end-session.js";
import { Flows } from "./flows.js";
import { KeyDesk } from "./key-desk.js";
import type { Links, LinkUser } from "./links.js";
import { type Plane, SessionIndex, type Timed, timed } from "./plane.js";
import type { FormerIdentity } from "./ports.js";
import { SessionRoom } from "./session-room.js";
import { StreamHandles } from "./stream-handles.js";

/** Of one return NAC that called us; a handshake beyond is refused. */
const PEER_SESSIONS_MAX = 128;
/** A peer asks after 10 s of silence, and gives a session up after 30 s. */
const DOUBTFUL_LAG_US = 10 * SECOND_US;
const NO_PATH_TAG = new Uint8Array(8);
/** The upper plane: packets between NACs. Forwards those of others, keeps end-to-end sessions for our own. */
export class Ends implements LinkUser {
  readonly streams = new StreamHandles<EndSession>();
  readonly flows: Flows<EndSession>;
  readonly contacts: Contacts;
  private readonly plane: Plane;
  private readonly addresses: Addresses;
  private readonly keys: KeyDesk;
  private readonly descriptors: DescriptorDesk | undefined;
  /** One for each NAC that we are called by. */
  private readonly responders = new Map<number, { readonly responder: Responder; readonly timer: Timed }>();
  private readonly used = new Cap("endBiscuits", USED_BISCUITS_MAX);
  private readonly inits = new InitQueue();
  private readonly queueing: Timed;
  private readonly pool = new UnknownPool("endUnknown");
  private readonly pooling: Timed;
  private readonly dispatch: Dispatch;
  private readonly index: SessionIndex<EndOwner>;
  private readonly ends = new Set<EndSession>();
  private readonly bounds = new StreamBounds();
  private readonly stores = new StoreBounds();
  private readonly room = new SessionRoom();
  private readonly peerCap = new Cap("sessions.peer", PEER_SESSIONS_MAX);
  private links: Links | undefined;

  constructor(args: {
    plane: Plane;
    service: Identity;
    epoch: number;
    isFresh: boolean;
    former: readonly FormerIdentity[];
    wallClockSeconds: number;
    /** Undefined where adverts are believed, or proven otherwise. */
    chains: DescribedChains | undefined;
  }) {
    const { plane } = args;
    this.plane = plane;
    this.addresses = new Addresses({
      ...args,
      isCalling: () => [...this.ends].some((end) => end.isCaller),
      onWithdrawn: (now, destination) => this.closeCalled(now, destination),
    });
    this.descriptors = args.chains && new DescriptorDesk(plane, this.addresses, args.chains);
    this.keys = new KeyDesk({
      plane,
      addresses: this.addresses,
      links: () => this.links!,
      onKey: (now, destination, key) => this.contacts.handleKey(now, destination, key),
    });
    this.index = new SessionIndex(() => drawIndex(plane.ports.entropy));
    this.contacts = new Contacts({
      plane,
      addresses: this.addresses,
      keys: this.keys,
      streams: this.streams,
      flows: () => this.flows,
      index: this.index,
      sendFlight: (now, destination, flight) => this.dispatch.sendFlight(now, destination, flight),
      params: () => endParams(this.bounds),
      establish: (session) => this.establish(session),
    });
    this.flows = new Flows(plane, (now, flow, { nac, nacHash, isolation }) =>
      this.contacts.wish(now, nac, { kind: "flow", flow }, nacHash, isolation),
    );
    for (const { number, identity } of this.addresses.called) {
      const responder = new Responder(plane.session, {
        keys: identity.kem,
        params: () => endParams(this.bounds),
        used: this.used,
      });
      const timer = timed(plane, responder, (now) => responder.handleTimeout(now));
      this.responders.set(number, { responder, timer });
    }
    this.queueing = timed(plane, this.inits, (now) => this.serveInits(now));
    this.pooling = timed(plane, this.pool, (now) => this.pool.handleTimeout(now, () => undefined));
    this.dispatch = new Dispatch({
      plane,
      addresses: this.addresses,
      links: () => this.links!,
      onPacket: (now, link, destination, bytes, at) => this.handlePacket(now, link, destination, bytes, at),
    });
  }

  /** Links and ends know each other; the stack joins them before the first input. */
  join(links: Links): void {
    this.links = links;
  }

  start(nowUs: number): void {
    this.addresses.start(nowUs);
  }

  /** Whether others reach us by this NAC. */
  isCalled(destination: number): boolean {
    return this.addresses.isCalled(destination);
  }

  get caps(): readonly Cap[] {
    return [
      this.used,
      this.inits.cap,
      this.pool.cap,
      ...this.flows.caps,
      this.room.cap,
      this.peerCap,
      ...this.bounds.caps,
      this.stores.cap,
    ];
  }

  get queues(): Readonly<Record<string, number>> {
    return { inits: this.inits.size, unknownRecords: this.pool.size, routeWait: this.dispatch.waitingCount };
  }

  get sessionCount(): number {
    return this.ends.size;
  }

  /** Opens a stream once a session stands. `nacHash`, when given, must be the hash of the NAC's keys. */
  openStream(nowUs: number, nac: Uint8Array, port: number, nacHash: Uint8Array | undefined, isolation: string): number {
    const stream = this.streams.reserve();
    this.contacts.wish(nowUs, nac, { kind: "stream", stream, port }, nacHash, isolation);
    return stream;
  }

  ping(nowUs: number, nac: Uint8Array, id: number, nacHash: Uint8Array | undefined): void {
    this.contacts.wish(nowUs, nac, { kind: "ping", id }, nacHash);
  }

  /** Every session takes its leave. */
  depart(nowUs: number): void {
    for (const end of [...this.ends]) end.depart(nowUs);
  }

  /** This node did nothing for the last `lagUs`: long enough, and peers may have given up their sessions with it. */
  handleLag(nowUs: number, lagUs: number): void {
    if (lagUs < DOUBTFUL_LAG_US) return;
    for (const end of [...this.ends]) end.doubt(nowUs);
  }

  shutdown(nowUs: number): void {
    for (const end of [...this.ends]) end.close(nowUs, EndCode.noError);
    this.dispatch.drainLoopback(nowUs);
  }

  /** After an input, while anything waits for a route: it goes out when there is one now. */
  settle(nowUs: number): void {
    this.contacts.settle(nowUs);
    this.dispatch.settle(nowUs);
    this.plane.isWaiting = this.contacts.isSeeking || this.dispatch.isWaiting;
  }

  digest(into: Digest): void {
    into.number(this.index.size).number(this.streams.count);
    this.addresses.digest(into);
    this.contacts.digest(into);
    for (const end of this.ends) end.digest(into);
    this.flows.digest(into);
    this.keys.digest(into);
    this.descriptors?.digest(into);
    this.dispatch.digest(into);
    this.pool.digest(into);
    this.inits.digest(into);
    for (const { responder } of this.responders.values()) responder.digest(into);
  }

  // From the links.

  handleForward(nowUs: number, link: number, bytes: Uint8Array, at: number, length: number): void {
    this.dispatch.handleForward(nowUs, link, bytes, at, length);
  }

  handleKeyRequest(nowUs: number, link: number, hops: number, bytes: Uint8Array, at: number, length: number): void {
    this.keys.handleRequest(nowUs, link, hops, bytes, at, length);
  }

  handleKeyResponse(nowUs: number, _link: number, bytes: Uint8Array, at: number, length: number): void {
    this.keys.handleResponse(nowUs, bytes, at, length);
  }

  // Packets of our own.

  /** One end-to-end packet for a NAC of ours, at `bytes[at, at + END_PACKET_BYTES)`, that came by `link`. */
  private handlePacket(nowUs: number, link: number, destination: number, bytes: Uint8Array, at: number): void {
    switch (bytes[at]) {
      case PacketType.record:
        return this.handleRecord(nowUs, link, bytes, at);
      case PacketType.init:
        return this.handleInit(nowUs, link, destination, bytes, at);
      case PacketType.resp:
        return this.contacts.handleResp(nowUs, bytes, at);
      case PacketType.conf:
        return this.handleConf(nowUs, link, destination, bytes, at);
      default:
        this.plane.drop("malformed");
    }
  }

  private handleRecord(nowUs: number, link: number, bytes: Uint8Array, at: number): void {
    const index = recordIndex(bytes, at, END_PACKET_BYTES);
    const owner = this.index.get(index);
    if (owner?.kind !== "end") {
      this.plane.drop("unknownSession");
      this.pool.keep(nowUs, index, 0, bytes, at, END_PACKET_BYTES);
      this.plane.watch(this.pooling);
      return;
    }
    const { end } = owner;
    const opened = end.session.open(nowUs, bytes, at, END_PACKET_BYTES);
    if (opened < 0) {
      if (opened === SessionFault.replay) this.plane.replays += 1;
      return this.plane.drop(opened === SessionFault.replay ? "replayed" : "badTag");
    }
    end.ingress = link;
    if (!end.handleCell(nowUs, bytes, at + RECORD_HEADER_BYTES, opened)) this.plane.drop("protocol");
    end.pump(nowUs);
    if (this.bounds.isFull) this.shed(nowUs);
  }

  /** Peers made us hold more than there is room for: those who hold the most lose it. */
  private shed(nowUs: number): void {
    while (this.bounds.isFull && this.ends.size > 0) {
      let largest: EndSession | undefined;
      for (const end of this.ends) if (end.heldBytes > (largest?.heldBytes ?? 0)) largest = end;
      if (largest === undefined) return;
      this.plane.drop("heldLimit");
      largest.shed(nowUs);
    }
  }

  private handleInit(nowUs: number, link: number, destination: number, bytes: Uint8Array, at: number): void {
    const called = this.responderOf(destination);
    if (called === undefined) return this.plane.drop("notOurs");
    const junk = called.responder.screenInit(bytes, at, END_PACKET_BYTES);
    if (junk !== undefined) return this.plane.refuse(junk);
    if (link === OWN_LINK) return this.answerInit(nowUs, destination, bytes, at);
    const verdict = this.inits.offer(nowUs, link, destination, bytes, at, END_PACKET_BYTES);
    if (verdict === "now") return this.answerInit(nowUs, destination, bytes, at);
    if (verdict !== "kept") return this.plane.refuse(verdict);
    this.plane.watch(this.queueing);
  }

  private serveInits(nowUs: number): void {
    this.inits.handleTimeout(
      nowUs,
      (destination, init) => this.answerInit(nowUs, destination, init, 0),
      () => this.plane.refuse("crowded"),
    );
  }

  /** Spends a key agreement on an INIT whose mac1 is right. */
  private answerInit(nowUs: number, destination: number, bytes: Uint8Array, at: number): void {
    const called = this.responderOf(destination);
    if (called === undefined) return this.plane.drop("notOurs"); // withdrawn while it waited
    const { responder, timer } = called;
    const answer = responder.answerInit(nowUs, bytes, at, END_PACKET_BYTES, NO_PATH_TAG, OBSERVED_NOTHING, () =>
      this.index.propose(),
    );
    this.plane.watch(timer);
    if (typeof answer === "string") return this.plane.refuse(answer);
    if (answer.returnNac === undefined) return this.plane.refuse("malformed"); // nowhere to answer to
    // Not interned: anybody may name any NAC here. One that is announced is known, another waits as it is.
    const { dictionary } = this.plane.ports;
    const known = dictionary.find(answer.returnNac);
    if (known < 0 && this.plane.routing.hostLink < 0) {
      return this.dispatch.waitForRoute(nowUs, answer.returnNac, answer.flight, 0);
    }
    // A stub is told of nobody. The number is held for a minute by the traffic that goes there.
    const peer = known < 0 ? dictionary.intern(answer.returnNac) : known;
    this.dispatch.sendFlight(nowUs, peer, answer.flight);
    if (known < 0) dictionary.release(peer);
  }

  private handleConf(nowUs: number, link: number, destination: number, bytes: Uint8Array, at: number): void {
    const called = this.responderOf(destination);
    if (called === undefined) return this.plane.drop("notOurs");
    const done = called.responder.handleConf(nowUs, bytes, at, END_PACKET_BYTES, NO_PATH_TAG, (index) =>
      this.index.isFree(index),
    );
    if (typeof done === "string") return this.plane.refuse(done);
    if ("repeatOf" in done) {
      const owner = this.index.get(done.repeatOf);
      if (owner?.kind === "end") owner.end.answerConf(nowUs);
      return;
    }
    const { returnNac, localIndex } = done.session;
    // Our RESP went there, so the NAC is known.
    const peer = returnNac === undefined ? -1 : this.plane.ports.dictionary.find(returnNac);
    if (peer < 0) return this.plane.drop("handshake");
    const held = this.sessionsOf(peer);
    if (held >= PEER_SESSIONS_MAX || !this.makeRoom(nowUs, link, peer)) {
      done.session.erase();
      return this.plane.drop("sessionLimit");
    }
    this.peerCap.note(held + 1);
    const end = this.establish({ nowUs, ...done, peer, called: destination, initiator: undefined, rttUs: undefined });
    end.ingress = link;
    end.answerConf(nowUs);
    this.pool.take(localIndex, (_path, pooled, pooledAt) => this.handleRecord(nowUs, link, pooled, pooledAt));
  }

  /** Whether there is room for one more session with `peer`, which came by `link`. */
  private makeRoom(nowUs: number, link: number, peer: number): boolean {
    if (!this.room.isFull(this.ends.size)) return true;
    const left = this.room.choose(nowUs, this.ends, link, peer);
    left?.close(nowUs, left.isInUse ? EndCode.overload : EndCode.noError);
    return !this.room.isFull(this.ends.size);
  }

  /** Sessions with `peer` that it opened. */
  private sessionsOf(peer: number): number {
    let count = 0;
    for (const end of this.ends) if (!end.isCaller && end.peer === peer) count += 1;
    return count;
  }

  private responderOf(destination: number): { readonly responder: Responder; readonly timer: Timed } | undefined {
    return this.addresses.isCalled(destination) ? this.responders.get(destination) : undefined;
  }

  /** The NAC is withdrawn: what called it hears so at once instead of waiting for answers. */
  private closeCalled(nowUs: number, destination: number): void {
    for (const end of [...this.ends]) if (end.called === destination) end.close(nowUs, EndCode.noError);
  }

  private establish(session: NewSession): EndSession {
    const { peer } = session;
    const end = new EndSession({
      ...session,
      plane: this.plane,
      streams: this.streams,
      flows: this.flows,
      bounds: this.bounds,
      stores: this.stores,
      descriptors: this.descriptors,
      send: (now, bytes) => this.dispatch.send(now, peer, bytes),
      onOver: (self) => this.forget(self),
    });
    const { localIndex } = end.session;
    this.plane.ports.dictionary.hold(peer);
    this.ends.add(end);
    this.room.cap.note(this.ends.size);
    this.index.set(localIndex, { kind: "end", end });
    this.plane.handshakes.done += 1;
    this.plane.ports.trace(Trace.handshakeDone, 1, localIndex, 0);
    this.plane.watch(end);
    return end;
  }

  private forget(end: EndSession): void {
    this.plane.release(end);
    this.flows.handleOver(end);
    const wasHeld = this.ends.delete(end);
    this.index.delete(end.session.localIndex);
    end.session.erase();
    this.contacts.handleOver(end);
    if (wasHeld) this.plane.ports.dictionary.release(end.peer);
  }
}
