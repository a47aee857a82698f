import { sameBytes } from "../collections/bytes.js";
import type { Digest } from "../collections/digest.js";
import { type Identity, identityFromSeeds, nacHashOf } from "../crypto/identity.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../crypto/suite.js";
import { Forwarder, takeHop } from "../forwarding/forwarder.js";
import { ASKED_BY_US, KeyRelay } from "../forwarding/key-relay.js";
import { LoopbackQueue } from "../forwarding/loopback-queue.js";
import { RouteWait } from "../forwarding/route-wait.js";
import { drawIndex } from "../session/context.js";
import { Initiator } from "../session/initiator.js";
import {
  answerKeyRequest,
  buildKeyRequest,
  type KeyMaterial,
  nacKeyMaterial,
  readKeyRequest,
  verifyKeyResponse,
} from "../session/key-fetch.js";
import { Responder } from "../session/responder.js";
import { type Session, SessionFault } from "../session/session.js";
import { UnknownPool } from "../session/unknown-pool.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { Trace } from "../trace/trace.js";
import { EndCode } from "../wire/cell.js";
import { LINK_DATAGRAM_BYTES, RecordKind } from "../wire/control-frame.js";
import { Reader } from "../wire/cursor.js";
import { PacketType } from "../wire/flight.js";
import { KEY_NONCE_BYTES, KeyKind } from "../wire/keyreq.js";
import {
  decodeNetworkHeader,
  END_PACKET_BYTES,
  encodeNetworkHeader,
  HOP_LIMIT,
  NAC_OFFSET,
  NETWORK_HEADER_BYTES,
  NetworkHeader,
} from "../wire/network-header.js";
import type { Params } from "../wire/params.js";
import { RECORD_HEADER_BYTES, recordIndex } from "../wire/record.js";
import { decodeResp, OBSERVED_NOTHING } from "../wire/resp.js";
import { CONTACT_WAIT_US, Contact, type ContactFault, type Wish } from "./contact.js";
import { EndSession, PACKET_OFFSET } from "./end-session.js";
import type { Links, LinkUser } from "./links.js";
import { type Plane, SessionIndex, type Timed, timed } from "./plane.js";
import { LocalCode } from "./ports.js";
import { StreamHandles } from "./stream-handles.js";

/** End-to-end sessions held at once; a handshake beyond is refused. */
const SESSIONS_MAX = 1024;
/** NACs looked for or talked to at once, and what may wait for one of them; beyond, a stream is reset with "overload". */
const CONTACTS_MAX = 4096;
const WISHES_MAX = 1024;
/** NACs that were wished for and of which nobody ever spoke, since start. Beyond, such a one is unreachable at once. */
const UNHEARD_MAX = 65_536;
/** The client NAC is withdrawn when nothing used it for so long. */
const CLIENT_IDLE_US = 600 * SECOND_US;

const END_PARAMS: Params = { creditKiB: 4096, streamsMax: 1024, flags: 0 };
const NO_PATH_TAG = new Uint8Array(8);

type IndexOwner =
  | { readonly kind: "end"; readonly end: EndSession }
  | { readonly kind: "contact"; readonly contact: Contact };

/** An address of our own, as the dictionary numbers it. */
interface LocalNac {
  readonly identity: Identity;
  readonly number: number;
  readonly epoch: number;
}

/**
 * The upper plane: packets between NACs. Forwards those of others, keeps end-to-end sessions for our own.
 *
 * We are called by the service NAC and call from the client NAC, which is announced when a request first needs it and
 * withdrawn when it was idle. No message names both.
 */
export class Ends implements LinkUser {
  readonly streams = new StreamHandles();
  private readonly plane: Plane;
  private readonly service: LocalNac;
  private readonly client: LocalNac;
  /** When the client NAC is withdrawn; NEVER while it is not announced. */
  private readonly clientRest = { nextTimeoutUs: NEVER };
  private readonly clientTimer: Timed;
  private readonly serviceKey: KeyMaterial;
  private readonly responder: Responder;
  private readonly responding: Timed;
  private readonly pool = new UnknownPool();
  private readonly pooling: Timed;
  private readonly forwarder = new Forwarder();
  private readonly keyRelay = new KeyRelay();
  private readonly routeWait = new RouteWait();
  private readonly waiting: Timed;
  private readonly loopback = new LoopbackQueue();
  private readonly looping: Timed;
  private readonly contacts = new Map<number, Contact>();
  private readonly seekers = new Set<Contact>();
  private readonly index: SessionIndex<IndexOwner>;
  private readonly ends = new Set<EndSession>();
  private unheard = 0;
  private readonly out = new Uint8Array(LINK_DATAGRAM_BYTES);
  private readonly header = new NetworkHeader();
  private links: Links | undefined;

  constructor(args: { plane: Plane; service: Identity; epoch: number }) {
    const { plane } = args;
    const { suite, entropy, dictionary, random32 } = plane.ports;
    this.plane = plane;
    this.service = { identity: args.service, number: dictionary.intern(args.service.nac), epoch: args.epoch };
    const fresh = identityFromSeeds(
      suite,
      plane.session.networkId,
      entropy(KEM_SEED_BYTES),
      entropy(SIGNATURE_SEED_BYTES),
    );
    // Drawn, not derived: the client's epoch must not remind anybody of the service's.
    this.client = { identity: fresh, number: dictionary.intern(fresh.nac), epoch: (random32() >>> 1) + 1 };
    this.serviceKey = nacKeyMaterial(suite, args.service.kem.publicKey, args.service.signature.publicKey);
    this.responder = new Responder(plane.session, { keys: args.service.kem, params: END_PARAMS });
    this.index = new SessionIndex(() => drawIndex(entropy));
    this.responding = timed(plane, this.responder, (now) => this.responder.handleTimeout(now));
    this.pooling = timed(plane, this.pool, (now) => this.pool.handleTimeout(now, () => undefined));
    this.waiting = timed(plane, this.routeWait, (now) => this.releaseWaiting(now));
    this.clientTimer = timed(plane, this.clientRest, (now) => this.rest(now));
    this.looping = timed(plane, this.loopback, (now) => this.drainLoopback(now));
  }

  /** Links and ends know each other; the stack joins them before the first input. */
  join(links: Links): void {
    this.links = links;
  }

  start(nowUs: number): void {
    this.plane.routing.originate(nowUs, this.service.number, this.service.epoch);
  }

  get sessionCount(): number {
    return this.ends.size;
  }

  /** Opens a stream once a session stands. `nacHash`, when given, must be the hash of the NAC's keys. */
  openStream(nowUs: number, nac: Uint8Array, port: number, nacHash: Uint8Array | undefined): number {
    const stream = this.streams.reserve();
    this.wish(nowUs, nac, { kind: "stream", stream, port }, nacHash);
    return stream;
  }

  ping(nowUs: number, nac: Uint8Array, id: number): void {
    this.wish(nowUs, nac, { kind: "ping", id }, undefined);
  }

  /** Lets an end send what a command made ready. */
  pump(nowUs: number, end: EndSession): void {
    end.pump(nowUs);
    this.plane.watch(end);
  }

  /** Forgets a stream that has no session yet. */
  cancelWish(stream: number): void {
    for (const contact of this.contacts.values()) {
      const at = contact.wishes.findIndex(({ wish }) => wish.kind === "stream" && wish.stream === stream);
      if (at < 0) continue;
      contact.wishes.splice(at, 1);
      if (contact.wishes.length === 0 && contact.state.kind !== "open") this.dismiss(contact);
      else this.plane.watch(contact);
      break;
    }
    this.streams.release(stream);
  }

  shutdown(nowUs: number): void {
    for (const end of [...this.ends]) end.close(nowUs, EndCode.noError);
    this.drainLoopback(nowUs);
  }

  /** After an input: what waited for a route goes out when there is one now. */
  settle(nowUs: number): void {
    for (const contact of this.seekers) {
      if (this.isReachable(contact.destination)) this.advance(nowUs, contact);
    }
    if (this.routeWait.waiting > 0) this.releaseWaiting(nowUs);
    this.drainLoopback(nowUs);
  }

  digest(into: Digest): void {
    const { dictionary } = this.plane.ports;
    into.bytes(this.client.identity.nac).number(this.clientRest.nextTimeoutUs);
    into.number(this.index.size).number(this.streams.count).number(this.unheard);
    for (const contact of this.contacts.values()) {
      into.bytes(dictionary.bytesOf(contact.destination));
      contact.digest(into);
    }
    for (const end of this.ends) end.digest(into);
    this.keyRelay.digest(into);
    this.routeWait.digest(into);
    this.loopback.digest(into);
    this.pool.digest(into);
    this.responder.digest(into);
  }

  // From the links.

  handleForward(nowUs: number, _link: number, bytes: Uint8Array, at: number, length: number): void {
    const { header } = this;
    if (!decodeNetworkHeader(bytes, at, length, header)) return this.plane.drop("malformed");
    const destination = this.plane.ports.dictionary.find(bytes, at + NAC_OFFSET);
    const nextHop = destination < 0 ? -1 : this.plane.routing.nextHop(destination);
    const decision = this.forwarder.decide(this.isLocal(destination), nextHop, header.hopsLeft);
    switch (decision.kind) {
      case "local":
        return this.handlePacket(nowUs, destination, bytes, at + NETWORK_HEADER_BYTES);
      case "relay":
        takeHop(bytes, at);
        this.plane.routing.want(nowUs, destination);
        if (!this.links!.forward(decision.link, bytes, at - RECORD_HEADER_BYTES)) this.plane.drop("linkDown");
        return;
      case "drop":
        if (decision.reason === "noRoute" && this.plane.routing.knows(destination)) {
          this.plane.routing.want(nowUs, destination);
        }
        return this.plane.drop(decision.reason);
    }
  }

  handleKeyRequest(nowUs: number, link: number, hops: number, bytes: Uint8Array, at: number, length: number): void {
    const request = readKeyRequest(this.plane.session.networkId, bytes, at, length);
    if (typeof request === "string" || request.kind !== KeyKind.nac) return this.plane.drop("malformed");
    const destination = this.plane.ports.dictionary.find(request.target);
    const known = destination === this.service.number ? this.serviceKey : this.keyRelay.cached(destination);
    if (known !== undefined) {
      const answer = answerKeyRequest(request, known);
      if (!this.links!.sendKeyPacket(link, RecordKind.keyResponse, 0, answer)) this.plane.drop("linkDown");
      return;
    }
    if (destination < 0 || this.isLocal(destination)) return this.plane.drop("noRoute");
    if (hops <= 1) return this.plane.drop("hopLimit");
    this.relayKeyRequest(nowUs, destination, link, request.nonce, Math.min(hops, HOP_LIMIT) - 1);
  }

  handleKeyResponse(nowUs: number, _link: number, bytes: Uint8Array, at: number, length: number): void {
    const { suite, networkId } = this.plane.session;
    const key = verifyKeyResponse(suite, networkId, bytes, at, length);
    if (typeof key === "string" || key.kind !== "nac") return this.plane.drop("badKey");
    const destination = this.plane.ports.dictionary.find(key.nac);
    if (destination < 0 || !this.keyRelay.isAsked(destination)) return this.plane.drop("handshake");
    this.keyRelay.store(destination, key.material);
    for (const asker of this.keyRelay.answer(destination)) {
      if (asker.link === ASKED_BY_US) {
        const contact = this.contacts.get(destination);
        if (contact?.state.kind === "asking") this.shake(nowUs, contact, key.material);
        continue;
      }
      const request = buildKeyRequest(networkId, key.nac, asker.nonce);
      const parsed = readKeyRequest(networkId, request, 0, request.length);
      if (typeof parsed === "string") continue;
      this.links!.sendKeyPacket(asker.link, RecordKind.keyResponse, 0, answerKeyRequest(parsed, key.material));
    }
  }

  // Packets of our own.

  /** Sends the packet that stands at `bytes[PACKET_OFFSET]`; the space before it is used for headers. */
  private send(nowUs: number, destination: number, bytes: Uint8Array): void {
    if (this.isLocal(destination)) {
      if (!this.loopback.add(destination, bytes, PACKET_OFFSET)) this.plane.drop("waitLimit");
      return;
    }
    this.plane.routing.want(nowUs, destination);
    const link = this.plane.routing.nextHop(destination);
    if (link < 0) {
      const nac = this.plane.ports.dictionary.bytesOf(destination);
      return this.waitForRoute(nowUs, nac, bytes, PACKET_OFFSET);
    }
    encodeNetworkHeader(bytes, RECORD_HEADER_BYTES, HOP_LIMIT, 0);
    this.plane.ports.dictionary.write(destination, bytes, RECORD_HEADER_BYTES + NAC_OFFSET);
    if (!this.links!.forward(link, bytes, 0)) this.plane.drop("linkDown");
  }

  private sendFlight(nowUs: number, destination: number, flight: Uint8Array): void {
    this.out.set(flight, PACKET_OFFSET);
    this.send(nowUs, destination, this.out);
  }

  private waitForRoute(nowUs: number, nac: Uint8Array, bytes: Uint8Array, at: number): void {
    if (!this.routeWait.add(nowUs, nac, bytes, at)) this.plane.drop("waitLimit");
    this.plane.watch(this.waiting);
  }

  private releaseWaiting(nowUs: number): void {
    const expired = this.routeWait.release(
      nowUs,
      (nacs, at) => {
        const destination = this.plane.ports.dictionary.find(nacs, at);
        return destination >= 0 && this.isReachable(destination) ? destination : -1;
      },
      (destination, packet) => this.sendFlight(nowUs, destination, packet),
    );
    for (let i = 0; i < expired; i += 1) this.plane.drop("noRoute");
    this.plane.watch(this.waiting);
  }

  private drainLoopback(nowUs: number): void {
    if (this.loopback.isEmpty) return;
    this.loopback.drain(nowUs, (destination, bytes) => this.handlePacket(nowUs, destination, bytes, 0));
    this.plane.watch(this.looping);
  }

  /** One end-to-end packet for a NAC of ours, at `bytes[at, at + END_PACKET_BYTES)`. */
  private handlePacket(nowUs: number, destination: number, bytes: Uint8Array, at: number): void {
    switch (bytes[at]) {
      case PacketType.record:
        return this.handleRecord(nowUs, bytes, at);
      case PacketType.init:
        return this.handleInit(nowUs, destination, bytes, at);
      case PacketType.resp:
        return this.handleResp(nowUs, bytes, at);
      case PacketType.conf:
        return this.handleConf(nowUs, destination, bytes, at);
      default:
        this.plane.drop("malformed");
    }
  }

  private handleRecord(nowUs: number, bytes: Uint8Array, at: number): void {
    const index = recordIndex(bytes, at, END_PACKET_BYTES);
    const owner = this.index.get(index);
    if (owner?.kind !== "end") {
      this.plane.drop("unknownSession");
      this.pool.keep(nowUs, index, 0, bytes, at, END_PACKET_BYTES);
      this.plane.watch(this.pooling);
      return;
    }
    const { end } = owner;
    const opened = end.session.open(bytes, at, END_PACKET_BYTES);
    if (opened < 0) {
      if (opened === SessionFault.replay) this.plane.replays += 1;
      return this.plane.drop(opened === SessionFault.replay ? "replayed" : "badTag");
    }
    if (end.initiator !== undefined) this.confirm(end);
    if (!end.handleCell(nowUs, bytes, at + RECORD_HEADER_BYTES, opened)) this.plane.drop("protocol");
    this.pump(nowUs, end);
  }

  private handleInit(nowUs: number, destination: number, bytes: Uint8Array, at: number): void {
    if (destination !== this.service.number) return this.plane.drop("notOurs");
    const answer = this.responder.handleInit(nowUs, bytes, at, END_PACKET_BYTES, NO_PATH_TAG, OBSERVED_NOTHING, () =>
      this.index.propose(),
    );
    this.plane.watch(this.responding);
    if (typeof answer === "string" || answer.returnNac === undefined) return this.plane.drop("handshake");
    // Not interned: anybody may name any NAC here. One that is announced is known, another waits as it is.
    const peer = this.plane.ports.dictionary.find(answer.returnNac);
    if (peer < 0) return this.waitForRoute(nowUs, answer.returnNac, answer.flight, 0);
    this.sendFlight(nowUs, peer, answer.flight);
  }

  private handleResp(nowUs: number, bytes: Uint8Array, at: number): void {
    const resp = decodeResp(new Reader(bytes, at, at + END_PACKET_BYTES));
    const owner = resp === undefined ? undefined : this.index.get(resp.index);
    if (owner?.kind !== "contact" || owner.contact.state.kind !== "shaking") return this.plane.drop("handshake");
    const { contact } = owner;
    const { initiator, sinceUs, isRepeated } = owner.contact.state;
    const flight = initiator.handleResp(nowUs, bytes, at, END_PACKET_BYTES);
    if (flight === undefined) return this.plane.drop("handshake");
    this.sendFlight(nowUs, contact.destination, flight);
    const { session, peerParams } = initiator;
    if (session === undefined || peerParams === undefined) return;
    const rttUs = isRepeated ? undefined : nowUs - sinceUs; // which of the flights did it answer? (RFC 6298 section 3)
    const end = this.establish(nowUs, session, peerParams, contact.destination, initiator, rttUs);
    contact.state = { kind: "open", end };
    this.grant(nowUs, contact, end);
  }

  private handleConf(nowUs: number, destination: number, bytes: Uint8Array, at: number): void {
    if (destination !== this.service.number) return this.plane.drop("notOurs");
    if (this.ends.size >= SESSIONS_MAX) return this.plane.drop("sessionLimit");
    const done = this.responder.handleConf(nowUs, bytes, at, END_PACKET_BYTES, NO_PATH_TAG, (index) =>
      this.index.isFree(index),
    );
    if (typeof done === "string") return this.plane.drop("handshake");
    if ("repeatOf" in done) {
      const owner = this.index.get(done.repeatOf);
      if (owner?.kind === "end") owner.end.answerConf(nowUs);
      return;
    }
    const { returnNac, localIndex } = done.session;
    // Our RESP went there, so the NAC is known.
    const peer = returnNac === undefined ? -1 : this.plane.ports.dictionary.find(returnNac);
    if (peer < 0) return this.plane.drop("handshake");
    const end = this.establish(nowUs, done.session, done.peerParams, peer, undefined, undefined);
    end.answerConf(nowUs);
    this.pool.take(localIndex, (_path, pooled, pooledAt) => this.handleRecord(nowUs, pooled, pooledAt));
  }

  private establish(
    nowUs: number,
    session: Session,
    peerParams: Params,
    peer: number,
    initiator: Initiator | undefined,
    rttUs: number | undefined,
  ): EndSession {
    const end = new EndSession({
      nowUs,
      plane: this.plane,
      session,
      initiator,
      peer,
      peerParams,
      localParams: END_PARAMS,
      rttUs,
      streams: this.streams,
      send: (now, bytes) => this.send(now, peer, bytes),
      onOver: (self) => this.forget(self),
    });
    this.ends.add(end);
    this.index.set(session.localIndex, { kind: "end", end });
    this.plane.handshakes.done += 1;
    this.plane.ports.trace(Trace.handshakeDone, 1, session.localIndex, 0);
    this.plane.watch(end);
    return end;
  }

  private confirm(end: EndSession): void {
    end.initiator?.confirm();
    end.initiator = undefined;
  }

  private forget(end: EndSession): void {
    this.plane.release(end);
    this.ends.delete(end);
    this.index.delete(end.session.localIndex);
    end.session.erase();
    const contact = this.contacts.get(end.peer);
    if (contact?.state.kind === "open" && contact.state.end === end) this.dismiss(contact);
  }

  // From a wish to a session.

  private wish(nowUs: number, nac: Uint8Array, wish: Wish, nacHash: Uint8Array | undefined): void {
    const { dictionary } = this.plane.ports;
    const known = dictionary.find(nac);
    let contact = this.contacts.get(known);
    if ((contact?.wishes.length ?? 0) >= WISHES_MAX) return this.deny(wish, "busy");
    if (contact === undefined) {
      if (this.contacts.size >= CONTACTS_MAX) return this.deny(wish, "busy");
      if (known < 0 && this.unheard >= UNHEARD_MAX) return this.deny(wish, "noRoute");
      if (known < 0) this.unheard += 1;
      const destination = known < 0 ? dictionary.intern(nac) : known;
      contact = new Contact(this.plane, destination, (now, self) => this.contactTimeout(now, self));
      this.contacts.set(destination, contact);
    }
    contact.wishes.push({ wish, untilUs: nowUs + CONTACT_WAIT_US, nacHash });
    if (contact.state.kind === "open" && contact.state.end.wantsSuccessor) contact.state = { kind: "idle" };
    this.advance(nowUs, contact);
  }

  /** Takes the next step towards a session, if the way is free. */
  private advance(nowUs: number, contact: Contact): void {
    const { state } = contact;
    if (state.kind === "open") this.grant(nowUs, contact, state.end);
    else if (state.kind === "idle" || state.kind === "routing") {
      this.plane.routing.want(nowUs, contact.destination);
      if (this.isReachable(contact.destination)) this.fetchKey(nowUs, contact);
      else {
        contact.state = { kind: "routing" };
        this.seekers.add(contact);
      }
    }
    this.plane.watch(contact);
  }

  private fetchKey(nowUs: number, contact: Contact): void {
    this.seekers.delete(contact);
    const { destination } = contact;
    if (!this.isLocal(destination)) this.announceClient(nowUs); // it takes a while to get there: begin early
    const known = destination === this.service.number ? this.serviceKey : this.keyRelay.cached(destination);
    if (known !== undefined) return this.shake(nowUs, contact, known);
    contact.ask(nowUs, this.plane.ports.entropy(KEY_NONCE_BYTES));
    this.askAgain(nowUs, contact);
  }

  private askAgain(nowUs: number, contact: Contact): void {
    if (contact.state.kind !== "asking") return;
    this.relayKeyRequest(nowUs, contact.destination, ASKED_BY_US, contact.state.nonce, HOP_LIMIT);
  }

  /** Passes a key request on: the best route first, a repeat to the next backup. */
  private relayKeyRequest(nowUs: number, destination: number, from: number, nonce: Uint8Array, hops: number): void {
    const route = this.plane.routing.route(destination);
    const ways =
      route === undefined ? [] : [route.nextHop, ...route.backups].filter((link) => link >= 0 && link !== from);
    if (ways.length === 0) return this.plane.drop("noRoute");
    const attempt = this.keyRelay.ask(nowUs, destination, from, nonce);
    if (attempt === "wait") return;
    if (attempt === "full") return this.plane.drop("keyLimit");
    const link = ways[attempt % ways.length]!;
    const target = this.plane.ports.dictionary.bytesOf(destination);
    const request = buildKeyRequest(this.plane.session.networkId, target, nonce);
    if (!this.links!.sendKeyPacket(link, RecordKind.keyRequest, hops, request)) this.plane.drop("linkDown");
  }

  private shake(nowUs: number, contact: Contact, key: KeyMaterial): void {
    if (!this.isLocal(contact.destination)) this.announceClient(nowUs);
    const { suite, networkId } = this.plane.session;
    const localIndex = this.index.propose();
    const initiator = new Initiator(this.plane.session, {
      peerPublicKey: key.publicKey,
      returnNac: this.client.identity.nac,
      params: END_PARAMS,
      flightBytes: END_PACKET_BYTES,
      localIndex,
    });
    const flight = initiator.start(nowUs);
    if (flight === undefined) return this.refuse(contact, "noKey");
    this.plane.handshakes.started += 1;
    this.plane.ports.trace(Trace.handshakeStarted, 1, localIndex, 0);
    contact.nacHash = nacHashOf(suite, networkId, key.suiteFloor, key.publicKey, key.signatureHash);
    contact.state = { kind: "shaking", initiator, sinceUs: nowUs, isRepeated: false };
    this.index.set(localIndex, { kind: "contact", contact });
    this.sendFlight(nowUs, contact.destination, flight);
    this.plane.watch(contact);
  }

  private contactTimeout(nowUs: number, contact: Contact): void {
    const { state } = contact;
    if (state.kind === "asking" && nowUs >= state.untilUs) {
      contact.ask(nowUs, state.nonce);
      this.askAgain(nowUs, contact);
    } else if (state.kind === "shaking") {
      const step = state.initiator.handleTimeout(nowUs);
      if (step === "failed") this.retry(nowUs, contact, state.initiator);
      else if (step !== undefined) {
        state.isRepeated = true;
        this.sendFlight(nowUs, contact.destination, step);
      }
    }
    const expired = contact.wishes.filter((one) => one.untilUs <= nowUs);
    if (expired.length > 0) this.disappoint(contact, expired, contact.fault);
    if (contact.wishes.length === 0 && contact.state.kind !== "open") this.dismiss(contact);
    else this.plane.watch(contact);
  }

  /** The flights came to nothing; while anybody waits, try once more from the start. */
  private retry(nowUs: number, contact: Contact, initiator: Initiator): void {
    this.plane.handshakes.failed += 1;
    this.plane.ports.trace(Trace.handshakeFailed, 1, initiator.localIndex, 0);
    this.index.delete(initiator.localIndex);
    contact.state = { kind: "idle" };
    if (contact.wishes.some((one) => one.untilUs > nowUs)) this.advance(nowUs, contact);
  }

  private refuse(contact: Contact, fault: ContactFault): void {
    this.disappoint(contact, [...contact.wishes], fault);
    this.dismiss(contact);
  }

  /** A session stands: whoever waited gets what it wished for. */
  private grant(nowUs: number, contact: Contact, end: EndSession): void {
    if (!this.isLocal(contact.destination)) this.announceClient(nowUs);
    const granted = contact.wishes.splice(0);
    const wrong = granted.filter(({ nacHash }) => nacHash !== undefined && !sameBytes(nacHash, contact.nacHash));
    this.disappoint(contact, wrong, "noKey");
    for (const one of granted) {
      if (wrong.includes(one)) continue;
      if (one.wish.kind === "ping") end.ping(nowUs, one.wish.id);
      else end.openStream(nowUs, one.wish.stream, one.wish.port);
    }
    this.pump(nowUs, end);
    this.plane.watch(contact);
  }

  private disappoint(contact: Contact, wishes: readonly Contact["wishes"][number][], fault: ContactFault): void {
    for (const one of wishes) {
      const at = contact.wishes.indexOf(one);
      if (at >= 0) contact.wishes.splice(at, 1);
      this.deny(one.wish, fault);
    }
  }

  private deny(wish: Wish, fault: ContactFault): void {
    const { sink } = this.plane.ports;
    if (wish.kind === "ping") sink.event({ kind: "pingFailed", id: wish.id, reason: fault });
    else {
      this.streams.release(wish.stream);
      sink.event({ kind: "streamReset", stream: wish.stream, code: CODE_OF[fault] });
    }
  }

  private dismiss(contact: Contact): void {
    if (contact.state.kind === "shaking") {
      this.index.delete(contact.state.initiator.localIndex);
      contact.state.initiator.abandon();
    }
    contact.state = { kind: "idle" };
    this.seekers.delete(contact);
    if (contact.wishes.length > 0) return;
    this.plane.release(contact);
    this.contacts.delete(contact.destination);
  }

  // Our own addresses.

  private isLocal(destination: number): boolean {
    return destination === this.service.number || destination === this.client.number;
  }

  private isReachable(destination: number): boolean {
    return this.isLocal(destination) || this.plane.routing.nextHop(destination) >= 0;
  }

  private announceClient(nowUs: number): void {
    if (this.clientRest.nextTimeoutUs === NEVER)
      this.plane.routing.originate(nowUs, this.client.number, this.client.epoch);
    this.touchClient(nowUs);
  }

  private touchClient(nowUs: number): void {
    this.clientRest.nextTimeoutUs = nowUs + CLIENT_IDLE_US;
    this.plane.watch(this.clientTimer);
  }

  /** Nothing used the client NAC for ten minutes: withdrawn, unless a session still stands. */
  private rest(nowUs: number): void {
    for (const end of this.ends) if (end.isCaller) return this.touchClient(nowUs);
    this.clientRest.nextTimeoutUs = NEVER;
    this.plane.routing.withdraw(nowUs, this.client.number);
  }
}

const CODE_OF: Record<ContactFault, number> = {
  noRoute: LocalCode.unreachable,
  noKey: LocalCode.noKey,
  handshake: LocalCode.handshakeFailed,
  busy: EndCode.overload,
};
