import { sameBytes } from "../collections/bytes.js";
import type { Digest } from "../collections/digest.js";
import { nacHashOf } from "../crypto/identity.js";
import { Initiator } from "../session/initiator.js";
import type { KeyMaterial } from "../session/key-fetch.js";
import { Trace } from "../trace/trace.js";
import { EndCode } from "../wire/cell.js";
import { Reader } from "../wire/cursor.js";
import { KEY_NONCE_BYTES } from "../wire/keyreq.js";
import { END_PACKET_BYTES } from "../wire/network-header.js";
import type { Params } from "../wire/params.js";
import { decodeResp } from "../wire/resp.js";
import type { Addresses } from "./addresses.js";
import { CONTACT_WAIT_US, Contact, type ContactFault, type Wish } from "./contact.js";
import type { EndSession, NewSession } from "./end-session.js";
import type { Flows } from "./flows.js";
import type { KeyDesk } from "./key-desk.js";
import type { Plane, SessionIndex } from "./plane.js";
import { LocalCode } from "./ports.js";
import type { StreamHandles } from "./stream-handles.js";

/** NACs looked for or talked to at once, and what may wait for one of them; beyond, a stream is reset with "overload". */
const CONTACTS_MAX = 4096;
const WISHES_MAX = 1024;

/** Who owns an end-to-end session number. */
export type EndOwner =
  | { readonly kind: "end"; readonly end: EndSession }
  | { readonly kind: "contact"; readonly contact: Contact };

/** From the wish to reach a NAC to a session with it: a route, its key, a handshake (contact.ts draws the steps). */
export class Contacts {
  private readonly plane: Plane;
  private readonly addresses: Addresses;
  private readonly keys: KeyDesk;
  private readonly streams: StreamHandles<EndSession>;
  private readonly flows: () => Flows<EndSession>;
  private readonly index: SessionIndex<EndOwner>;
  private readonly sendFlight: (nowUs: number, destination: number, flight: Uint8Array) => void;
  private readonly params: () => Params;
  private readonly establish: (session: NewSession) => EndSession;
  /** By NAC, then by isolation tag: a stream is never given a session of another tag. */
  private readonly all = new Map<number, Map<string, Contact>>();
  private count = 0;
  /** Contacts that wait for a route. */
  private readonly seekers = new Set<Contact>();

  constructor(args: {
    plane: Plane;
    addresses: Addresses;
    keys: KeyDesk;
    streams: StreamHandles<EndSession>;
    flows: () => Flows<EndSession>;
    index: SessionIndex<EndOwner>;
    sendFlight: (nowUs: number, destination: number, flight: Uint8Array) => void;
    params: () => Params;
    establish: (session: NewSession) => EndSession;
  }) {
    this.plane = args.plane;
    this.addresses = args.addresses;
    this.keys = args.keys;
    this.streams = args.streams;
    this.flows = args.flows;
    this.index = args.index;
    this.sendFlight = args.sendFlight;
    this.params = args.params;
    this.establish = args.establish;
  }

  /** Somebody here wants `nac`. `nacHash`, when given, must be the hash of the NAC's keys. */
  wish(nowUs: number, nac: Uint8Array, wish: Wish, nacHash: Uint8Array | undefined, isolation = ""): void {
    const { dictionary } = this.plane.ports;
    const known = dictionary.find(nac);
    let contact = this.all.get(known)?.get(isolation);
    if ((contact?.wishes.length ?? 0) >= WISHES_MAX) return this.deny(wish, "busy");
    if (contact === undefined) {
      if (this.count >= CONTACTS_MAX) return this.deny(wish, "busy");
      const destination = dictionary.intern(nac); // held until it is dismissed
      contact = new Contact(this.plane, destination, isolation, (now, self) => this.contactTimeout(now, self));
      this.add(contact);
    }
    contact.wishes.push({ wish, untilUs: nowUs + CONTACT_WAIT_US, nacHash });
    if (contact.state.kind === "open" && contact.state.end.wantsSuccessor) contact.state = { kind: "idle" };
    this.advance(nowUs, contact);
  }

  /** Forgets a stream that has no session yet. */
  cancel(stream: number): void {
    for (const contact of this.each()) {
      const at = contact.wishes.findIndex(({ wish }) => wish.kind === "stream" && wish.stream === stream);
      if (at < 0) continue;
      contact.wishes.splice(at, 1);
      if (contact.wishes.length === 0 && contact.state.kind !== "open") this.dismiss(contact);
      else this.plane.watch(contact);
      break;
    }
    this.streams.release(stream);
  }

  /** Somebody waits for a route. */
  get isSeeking(): boolean {
    return this.seekers.size > 0;
  }

  /** After an input: contacts go on when there is a route now. */
  settle(nowUs: number): void {
    for (const contact of this.seekers) {
      if (this.addresses.isReachable(contact.destination)) this.advance(nowUs, contact);
    }
  }

  handleKey(nowUs: number, destination: number, key: KeyMaterial): void {
    for (const contact of this.all.get(destination)?.values() ?? []) {
      if (contact.state.kind === "asking") this.shake(nowUs, contact, key);
    }
  }

  /** RESP to one of our INITs, at `bytes[at]`. */
  handleResp(nowUs: number, bytes: Uint8Array, at: number): void {
    const resp = decodeResp(new Reader(bytes, at, at + END_PACKET_BYTES));
    if (resp === undefined) return this.plane.refuse("malformed");
    const owner = this.index.get(resp.index);
    if (owner?.kind !== "contact" || owner.contact.state.kind !== "shaking") return this.plane.refuse("stray");
    const { contact } = owner;
    const { initiator, sinceUs, isRepeated } = owner.contact.state;
    const flight = initiator.handleResp(nowUs, bytes, at, END_PACKET_BYTES);
    if (flight === undefined) return this.plane.refuse(initiator.lastFault ?? "stray");
    this.sendFlight(nowUs, contact.destination, flight);
    const { session, peerParams } = initiator;
    if (session === undefined || peerParams === undefined) return;
    const rttUs = isRepeated ? undefined : nowUs - sinceUs; // which of the flights did it answer? (RFC 6298 section 3)
    const { destination: peer, isolation } = contact;
    const end = this.establish({ nowUs, session, peerParams, peer, isolation, initiator, rttUs });
    contact.state = { kind: "open", end };
    this.grant(nowUs, contact, end);
  }

  /** The session is over: the next wish starts anew. */
  handleOver(end: EndSession): void {
    const contact = this.all.get(end.peer)?.get(end.isolation);
    if (contact?.state.kind === "open" && contact.state.end === end) this.dismiss(contact);
  }

  digest(into: Digest): void {
    for (const contact of this.each()) {
      into.bytes(this.plane.ports.dictionary.bytesOf(contact.destination));
      contact.digest(into);
    }
  }

  /** Takes the next step towards a session, if the way is free. */
  private advance(nowUs: number, contact: Contact): void {
    const { state } = contact;
    if (state.kind === "open") this.grant(nowUs, contact, state.end);
    else if (state.kind === "idle" || state.kind === "routing") {
      this.plane.routing.want(nowUs, contact.destination);
      if (this.addresses.isReachable(contact.destination)) this.fetchKey(nowUs, contact);
      else {
        contact.state = { kind: "routing" };
        this.seekers.add(contact);
        this.plane.isWaiting = true;
      }
    }
    this.plane.watch(contact);
  }

  private fetchKey(nowUs: number, contact: Contact): void {
    this.seekers.delete(contact);
    const { destination } = contact;
    if (!this.addresses.isLocal(destination)) this.addresses.announceClient(nowUs); // it takes a while to get there: begin early
    const known = this.keys.keyOf(destination);
    if (known !== undefined) return this.shake(nowUs, contact, known);
    const nonce = this.plane.ports.entropy(KEY_NONCE_BYTES);
    contact.ask(nowUs, nonce);
    this.keys.ask(nowUs, destination, nonce);
  }

  private shake(nowUs: number, contact: Contact, key: KeyMaterial): void {
    if (!this.addresses.isLocal(contact.destination)) this.addresses.announceClient(nowUs);
    const { suite, networkId } = this.plane.session;
    const localIndex = this.index.propose();
    const initiator = new Initiator(this.plane.session, {
      peerPublicKey: key.publicKey,
      returnNac: this.addresses.client.identity.nac,
      params: this.params(),
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
      this.keys.ask(nowUs, contact.destination, state.nonce);
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
    if (!this.addresses.isLocal(contact.destination)) this.addresses.announceClient(nowUs);
    const granted = contact.wishes.splice(0);
    const wrong = granted.filter(({ nacHash }) => nacHash !== undefined && !sameBytes(nacHash, contact.nacHash));
    this.disappoint(contact, wrong, "noKey");
    for (const one of granted) {
      if (wrong.includes(one)) continue;
      if (one.wish.kind === "ping") end.ping(nowUs, one.wish.id);
      else if (one.wish.kind === "flow") this.flows().handleGranted(nowUs, one.wish.flow, end);
      else end.openStream(nowUs, one.wish.stream, one.wish.port);
    }
    end.pump(nowUs);
    if (contact.state.kind === "open") this.plane.watch(contact);
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
    else if (wish.kind === "flow") this.flows().handleDenied(wish.flow);
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
    this.remove(contact);
  }

  private add(contact: Contact): void {
    const { destination, isolation } = contact;
    const tags = this.all.get(destination) ?? new Map<string, Contact>();
    this.all.set(destination, tags.set(isolation, contact));
    this.count += 1;
  }

  private remove({ destination, isolation }: Contact): void {
    const tags = this.all.get(destination);
    if (tags?.delete(isolation) !== true) return;
    this.plane.ports.dictionary.release(destination);
    this.count -= 1;
    if (tags.size === 0) this.all.delete(destination);
  }

  private *each(): Iterable<Contact> {
    for (const tags of this.all.values()) yield* tags.values();
  }
}

const CODE_OF: Record<ContactFault, number> = {
  noRoute: LocalCode.unreachable,
  noKey: LocalCode.noKey,
  handshake: LocalCode.handshakeFailed,
  busy: EndCode.overload,
};
