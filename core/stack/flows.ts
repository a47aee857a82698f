import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { DATAGRAM_BYTES_MAX, type DatagramFrame } from "../wire/datagram-frame.js";
import type { Plane, Timed } from "./plane.js";

/** A flow without a datagram in either direction for so long is forgotten. */
const FLOW_IDLE_US = 60 * SECOND_US;
/** Flows of one session; another takes the place of the one that was idle longest. */
const SESSION_FLOWS_MAX = 64;
/** At the called end each costs a socket: a session opens so many in a second, after a rest all of its own at once. */
const NEW_FLOWS_PER_SECOND = 32;
/** And takes no place of a flow that carried something so lately: it may still be waited for. */
const FLOW_BUSY_US = SECOND_US;
/** Flows that our applications hold at once; another is not opened. */
const FLOWS_MAX = 4_096;
/** Datagrams of a flow that wait for a session; another takes the place of the oldest. */
const WAITING_MAX = 16;
const FLOW_ID_LIMIT = 0x100_0000;

/** What a flow asks of a session. */
export interface FlowEnd {
  readonly session: { readonly localIndex: number };
  readonly wantsSuccessor: boolean;
  /** A flow is about to be placed here: a session that was idle is in use from now on. */
  beginUse(nowUs: number): void;
  /** Queues a datagram for the session's other end. */
  sendDatagram(nowUs: number, id: number, port: number, data: Uint8Array): void;
}

/** Where an application wants to go. */
export interface FlowTarget {
  readonly nac: Uint8Array;
  readonly nacHash: Uint8Array | undefined;
  readonly isolation: string;
}

/** Datagrams of one application to one overlay port, and those that come back: UDP, as far as a session carries it. */
interface Flow<End> {
  readonly handle: number;
  readonly port: number;
  /** At the caller, who outlives a session; at the called end a flow goes with it. */
  readonly target: FlowTarget | undefined;
  place: { readonly end: End; readonly id: number } | undefined;
  /** At the caller: a session was asked for. */
  isWished: boolean;
  /** The shell closed it: what still comes is dropped, and does not open it anew. */
  isDeaf: boolean;
  readonly waiting: Uint8Array[];
  usedUs: number;
}

/** The flows of one session, by the number that its initiator gave each. */
interface SessionFlows<End> {
  readonly flows: Map<number, Flow<End>>;
  nextId: number;
  /** Those that the peer may open. */
  readonly opening: RateLimit;
}

/** All flows of a stack. The shell knows each by one number, whatever session carries it. */
export class Flows<End extends FlowEnd> implements Timed {
  timer: number;
  readonly caps = [
    new Cap("flows.open", FLOWS_MAX),
    new Cap("flows.session", SESSION_FLOWS_MAX),
    new Cap("flows.waiting", WAITING_MAX),
  ] as const;
  /** Datagrams that came for a flow that nobody here has or that was one too many, or were given up before a session took them. */
  dropped = 0;
  private readonly plane: Plane;
  private readonly wish: (nowUs: number, flow: number, target: FlowTarget) => void;
  private readonly flows = new Map<number, Flow<End>>();
  private readonly sessions = new Map<End, SessionFlows<End>>();
  private last = 0;
  private calling = 0;
  /** No flow is idle long enough before. */
  private sweepUs: number = NEVER;

  /** @param wish asks for a session: `handleGranted` or `handleDenied` answers, at once or later */
  constructor(plane: Plane, wish: (nowUs: number, flow: number, target: FlowTarget) => void) {
    this.plane = plane;
    this.wish = wish;
    this.timer = plane.enrol(this);
  }

  get count(): number {
    return this.flows.size;
  }

  /** Flows that `end` carries. */
  countOf(end: End): number {
    return this.sessions.get(end)?.flows.size ?? 0;
  }

  /** A flow to `port` of a NAC; -1 when there are too many. No session is made before the first datagram. */
  open(nowUs: number, target: FlowTarget, port: number): number {
    if (this.calling >= FLOWS_MAX) return -1;
    this.calling += 1;
    this.caps[0].note(this.calling);
    return this.add(nowUs, port, target).handle;
  }

  /** False when the datagram is too large or the flow is gone. What happens to it on the way nobody learns. */
  send(nowUs: number, handle: number, data: Uint8Array): boolean {
    const flow = this.flows.get(handle);
    if (flow === undefined || flow.isDeaf || data.length > DATAGRAM_BYTES_MAX) return false;
    flow.usedUs = nowUs;
    const { place, target } = flow;
    if (place !== undefined && (target === undefined || !place.end.wantsSuccessor)) {
      place.end.sendDatagram(nowUs, place.id, flow.port, data);
      return true;
    }
    if (target === undefined) return false;
    if (flow.waiting.length >= WAITING_MAX) {
      flow.waiting.shift();
      this.dropped += 1;
    }
    const copy = new Uint8Array(data.length);
    copy.set(data);
    flow.waiting.push(copy);
    this.caps[2].note(flow.waiting.length);
    if (flow.isWished) return true;
    flow.isWished = true;
    this.wish(nowUs, handle, target);
    return true;
  }

  /** The shell wants no more of this flow. */
  close(handle: number): void {
    const flow = this.flows.get(handle);
    if (flow === undefined) return;
    // What the peer still sends must not open it anew; it is forgotten when it was idle for long enough.
    if (flow.target === undefined) flow.isDeaf = true;
    else this.remove(flow);
  }

  /** One datagram from `end`'s peer, at `bytes[frame.at]`. False when the peer broke a rule. */
  handleDatagram(nowUs: number, end: End, isCaller: boolean, frame: DatagramFrame, bytes: Uint8Array): boolean {
    const flow = this.sessions.get(end)?.flows.get(frame.flow) ?? this.welcome(nowUs, end, isCaller, frame);
    if (flow === undefined || flow.isDeaf) {
      if (flow !== undefined) flow.usedUs = nowUs;
      this.dropped += 1;
      return true;
    }
    if (flow.port !== frame.port) return false;
    flow.usedUs = nowUs;
    this.plane.ports.sink.deliverDatagram(flow.handle, bytes, frame.at, frame.length);
    return true;
  }

  /** The session that was asked for stands. */
  handleGranted(nowUs: number, handle: number, end: End): void {
    const flow = this.flows.get(handle);
    if (flow === undefined) return;
    flow.isWished = false;
    this.unplace(flow);
    end.beginUse(nowUs);
    const session = this.sessionOf(end);
    const oldest = oldestOf(session); // our own application's, who knows best what it still needs
    if (oldest !== undefined) this.remove(oldest);
    while (session.flows.has(session.nextId)) session.nextId = (session.nextId + 1) % FLOW_ID_LIMIT;
    this.place(flow, end, session.nextId);
    session.nextId = (session.nextId + 1) % FLOW_ID_LIMIT;
    for (const data of flow.waiting.splice(0)) end.sendDatagram(nowUs, flow.place!.id, flow.port, data);
  }

  /** There is no session to be had: what waited is gone, as it would be on any network. The next datagram tries again. */
  handleDenied(handle: number): void {
    const flow = this.flows.get(handle);
    if (flow === undefined) return;
    flow.isWished = false;
    this.dropped += flow.waiting.length;
    flow.waiting.length = 0;
  }

  /** The session is over. */
  handleOver(end: End): void {
    const session = this.sessions.get(end);
    if (session === undefined) return;
    for (const flow of [...session.flows.values()]) {
      if (flow.target === undefined) this.remove(flow);
      else this.unplace(flow);
    }
    this.sessions.delete(end);
  }

  get nextTimeoutUs(): number {
    return this.sweepUs;
  }

  handleTimeout(nowUs: number): void {
    this.sweepUs = NEVER;
    for (const flow of [...this.flows.values()]) {
      const dueUs = flow.usedUs + FLOW_IDLE_US;
      if (dueUs <= nowUs) this.remove(flow);
      else this.sweepUs = Math.min(this.sweepUs, dueUs);
    }
    this.plane.watch(this);
  }

  digest(into: Digest): void {
    into.number(this.flows.size).number(this.last).number(this.dropped).number(this.sweepUs);
    for (const flow of this.flows.values()) {
      into.number(flow.handle).number(flow.port).number(flow.usedUs).number(flow.waiting.length);
      into.number(flow.place === undefined ? 0 : flow.place.id + 1);
      into.number((flow.isWished ? 1 : 0) + (flow.isDeaf ? 2 : 0));
    }
    for (const { opening } of this.sessions.values()) opening.digest(into);
  }

  /** The first datagram of a flow opens it at the called end; a caller hears only of flows that it has. */
  private welcome(nowUs: number, end: End, isCaller: boolean, frame: DatagramFrame): Flow<End> | undefined {
    if (isCaller) return undefined;
    const session = this.sessionOf(end);
    if (!session.opening.take(nowUs)) return undefined;
    const oldest = oldestOf(session);
    if (oldest !== undefined && nowUs - oldest.usedUs < FLOW_BUSY_US) return undefined;
    if (oldest !== undefined) this.remove(oldest);
    const flow = this.add(nowUs, frame.port, undefined);
    this.place(flow, end, frame.flow);
    this.plane.ports.sink.event({
      kind: "flowOpened",
      flow: flow.handle,
      port: flow.port,
      session: end.session.localIndex,
    });
    return flow;
  }

  private add(nowUs: number, port: number, target: FlowTarget | undefined): Flow<End> {
    this.last += 1;
    const flow: Flow<End> = {
      handle: this.last,
      port,
      target,
      place: undefined,
      isWished: false,
      isDeaf: false,
      waiting: [],
      usedUs: nowUs,
    };
    this.flows.set(flow.handle, flow);
    if (this.sweepUs === NEVER) {
      this.sweepUs = nowUs + FLOW_IDLE_US;
      this.plane.watch(this);
    }
    return flow;
  }

  private remove(flow: Flow<End>): void {
    this.unplace(flow);
    if (!this.flows.delete(flow.handle)) return;
    if (flow.target !== undefined) this.calling -= 1;
    if (!flow.isDeaf) this.plane.ports.sink.event({ kind: "flowClosed", flow: flow.handle });
  }

  private sessionOf(end: End): SessionFlows<End> {
    let session = this.sessions.get(end);
    if (session === undefined) {
      session = { flows: new Map(), nextId: 0, opening: new RateLimit(NEW_FLOWS_PER_SECOND, SESSION_FLOWS_MAX) };
      this.sessions.set(end, session);
    }
    return session;
  }

  private place(flow: Flow<End>, end: End, id: number): void {
    const { flows } = this.sessionOf(end);
    flow.place = { end, id };
    flows.set(id, flow);
    this.caps[1].note(flows.size);
  }

  private unplace(flow: Flow<End>): void {
    if (flow.place === undefined) return;
    this.sessions.get(flow.place.end)?.flows.delete(flow.place.id);
    flow.place = undefined;
  }
}

/** The flow that was idle longest, when the session has no room for another. */
function oldestOf<End>(session: SessionFlows<End>): Flow<End> | undefined {
  if (session.flows.size < SESSION_FLOWS_MAX) return undefined;
  let oldest: Flow<End> | undefined;
  for (const flow of session.flows.values()) {
    if (oldest === undefined || flow.usedUs < oldest.usedUs) oldest = flow;
  }
  return oldest;
}
