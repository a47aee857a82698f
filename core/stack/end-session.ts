import type { Digest } from "../collections/digest.js";
import type { Initiator } from "../session/initiator.js";
import { RateLimit } from "../session/rate-limit.js";
import type { RekeyTypes } from "../session/rekey.js";
import type { Session } from "../session/session.js";
import { CRAMPED_CREDIT_BYTES, type StreamBounds } from "../stream/bounds.js";
import { SEND_BUFFER_BYTES } from "../stream/send-buffer.js";
import { Streams } from "../stream/streams.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import type { StoreBounds } from "../transport/store-bounds.js";
import { Transport } from "../transport/transport.js";
import { CELL_BYTES, EndCode, FrameType } from "../wire/cell.js";
import { LINK_DATAGRAM_BYTES } from "../wire/control-frame.js";
import { type Reader, Writer } from "../wire/cursor.js";
import { DatagramFrame, decodeDatagram } from "../wire/datagram-frame.js";
import {
  DESCRIPTOR_PART_FRAME_BYTES,
  decodeDescriptorPart,
  decodeDescriptorRequest,
} from "../wire/descriptor-frames.js";
import { NETWORK_HEADER_BYTES } from "../wire/network-header.js";
import type { Params } from "../wire/params.js";
import { RECORD_HEADER_BYTES } from "../wire/record.js";
import { REKEY_OFFER_BYTES } from "../wire/rekey-offer.js";
import type { DescriptorDesk } from "./descriptor-desk.js";
import { DescriptorFetch } from "./descriptor-fetch.js";
import { Farewell } from "./farewell.js";
import type { Flows } from "./flows.js";
import type { Plane, Timed } from "./plane.js";
import type { StreamHandles } from "./stream-handles.js";

/** Where an end-to-end packet stands in a buffer that leaves room for the link's and the network's header before it. */
export const PACKET_OFFSET = RECORD_HEADER_BYTES + NETWORK_HEADER_BYTES;
const CELL_OFFSET = PACKET_OFFSET + RECORD_HEADER_BYTES;

/** Cells of one call: the rest waits for the next, so that a fast sender cannot starve the links. */
const PUMP_CELLS_MAX = 64;
/** A session without streams is kept for the next request. The caller closes it; the called waits a little longer. */
const IDLE_CALLER_US = 120 * SECOND_US;
const IDLE_CALLED_US = 150 * SECOND_US;
const PING_WAIT_US = 10 * SECOND_US;
/** With streams open and nothing heard for so long, the peer is asked for a sign of life. */
const ALIVE_ASK_US = 10 * SECOND_US;
/** After a sleep of our own the peer must be heard within this time: links take half of it to come back. */
const DOUBT_US = 6 * SECOND_US;
/** Nothing heard for so long: the session is lost. As long as the transport waits for a report. */
const SILENCE_US = 30 * SECOND_US;
/** The same for a peer of whom a newer epoch says that it was restarted, with cells outstanding and without. */
const OUTLIVED_BUSY_US = SECOND_US;
const OUTLIVED_US = 12 * SECOND_US;
/** Parts of our descriptor that one session may have, in a second and at once. */
const DESCRIPTOR_PARTS_PER_SECOND = 1;
const DESCRIPTOR_PARTS_BURST = 2;
/** No shell gives this number to a ping of its own: nobody is told of the answer. */
const QUIET_PING = -2;

/** What we grant the other end. */
export const END_PARAMS: Params = { creditKiB: 4096, streamsMax: 1024, flags: 0 };
/** The same while little memory is left for what peers send. A session takes what END_PARAMS grant all the same. */
const CRAMPED_PARAMS: Params = { ...END_PARAMS, creditKiB: CRAMPED_CREDIT_BYTES / 1024 };

export function endParams(bounds: StreamBounds): Params {
  return bounds.strain === "cramped" ? CRAMPED_PARAMS : END_PARAMS;
}

/** A session as its handshake left it. */
export interface NewSession {
  readonly nowUs: number;
  readonly session: Session;
  /** The handshake, at the caller; undefined at the called. */
  readonly initiator: Initiator | undefined;
  /** The other end's NAC, as the dictionary numbers it. */
  readonly peer: number;
  /** The NAC of ours that the peer called; undefined at the caller. */
  readonly called?: number | undefined;
  /** At the caller: whose streams it is for. */
  readonly isolation?: string;
  readonly peerParams: Params;
  /** The round trip as the handshake showed it, microseconds. */
  readonly rttUs: number | undefined;
}

const REKEY_TYPES: RekeyTypes = { offer: FrameType.rekeyOffer, answer: FrameType.rekeyAnswer };

// Filled and sent within one call; shared by all sessions of a process.
const out = new Uint8Array(LINK_DATAGRAM_BYTES);
const frame = new Writer(new Uint8Array(Math.max(1 + REKEY_OFFER_BYTES, DESCRIPTOR_PART_FRAME_BYTES)));

/** An end-to-end session: keys, transport and streams, between one of our NACs and another. */
export class EndSession implements Timed {
  readonly session: Session;
  readonly peer: number;
  readonly called: number | undefined;
  readonly isolation: string;
  timer: number;
  readonly isCaller: boolean;
  /** The handshake, until its CONF is confirmed by the first packet of the other end. */
  private initiator: Initiator | undefined;
  private readonly plane: Plane;
  private readonly streams: Streams;
  private readonly transport: Transport;
  private readonly handles: StreamHandles<EndSession>;
  private readonly flows: Flows<EndSession>;
  private readonly datagram = new DatagramFrame();
  private readonly handleOf = new Map<number, number>();
  private readonly send: (nowUs: number, bytes: Uint8Array) => void;
  private readonly onOver: (self: EndSession) => void;
  private readonly pings = new Map<number, number>();
  /** The peer's epoch when the session was made. */
  private readonly peerEpoch: number;
  /** The link by which the peer was last heard. */
  ingress = -1;
  /** When the peer was last heard, or the first stream opened. */
  usedUs: number;
  private askedUs: number;
  /** When we woke from a sleep in which the peer may have given us up; NEVER once it was heard again. */
  private doubtedUs: number = NEVER;
  private isOver = false;
  private readonly farewell = new Farewell();
  private readonly descriptors: DescriptorDesk | undefined;
  /** Of the called end's descriptor, at the caller. */
  private readonly fetch: DescriptorFetch | undefined;
  private readonly partLimit = new RateLimit(DESCRIPTOR_PARTS_PER_SECOND, DESCRIPTOR_PARTS_BURST);
  /** When more cells are sent than one call may send; NEVER when all were. */
  private backlogUs: number = NEVER;

  constructor(
    args: NewSession & {
      plane: Plane;
      streams: StreamHandles<EndSession>;
      flows: Flows<EndSession>;
      bounds: StreamBounds;
      stores: StoreBounds;
      /** Undefined where no chains are held. */
      descriptors: DescriptorDesk | undefined;
      send: (nowUs: number, bytes: Uint8Array) => void;
      onOver: (self: EndSession) => void;
    },
  ) {
    this.session = args.session;
    this.peer = args.peer;
    this.called = args.called;
    this.isolation = args.isolation ?? "";
    this.initiator = args.initiator;
    this.isCaller = args.initiator !== undefined;
    this.timer = args.plane.enrol(this);
    this.plane = args.plane;
    this.handles = args.streams;
    this.flows = args.flows;
    this.send = args.send;
    this.onOver = args.onOver;
    this.usedUs = args.nowUs;
    this.askedUs = args.nowUs;
    this.peerEpoch = args.plane.routing.epochOf(args.peer);
    this.descriptors = args.descriptors;
    if (this.isCaller && args.descriptors !== undefined) this.fetch = new DescriptorFetch(args.descriptors, args.peer);
    const { sink, trace, random32 } = args.plane.ports;
    const session = args.session.localIndex;
    this.streams = new Streams(
      {
        initiator: this.isCaller,
        peerCreditBytes: args.peerParams.creditKiB * 1024,
        localCreditBytes: END_PARAMS.creditKiB * 1024,
        mayBeCramped: true,
        streamsMax: (this.isCaller ? args.peerParams : END_PARAMS).streamsMax,
        session,
        trace,
        bounds: args.bounds,
      },
      {
        opened: (id, port) => {
          const stream = this.handles.reserve();
          this.bind(stream, id);
          sink.event({ kind: "streamOpened", stream, port, session });
        },
        accepted: (id) => this.tell(id, (stream) => sink.event({ kind: "streamAccepted", stream })),
        data: (id, bytes, at, length) => this.tell(id, (stream) => sink.deliver(stream, bytes, at, length)),
        writable: (id, bytes) => this.tell(id, (stream) => sink.event({ kind: "streamWritable", stream, bytes })),
        finished: (id) => this.tell(id, (stream) => sink.event({ kind: "streamFinished", stream })),
        stopped: (id, code) => this.tell(id, (stream) => sink.event({ kind: "streamStopped", stream, code })),
        reset: (id, code) => this.tell(id, (stream) => sink.event({ kind: "streamReset", stream, code })),
        closed: (id) => this.unbind(id),
      },
    );
    const { rttUs } = args;
    this.transport = new Transport(
      { session, trace, random32, stores: args.stores, ...(rttUs === undefined ? {} : { rttUs }) },
      this.streams,
      {
        pong: (id, rttUs) => {
          if (this.pings.delete(id)) sink.event({ kind: "pong", id, rttUs });
        },
        handleUnreliableFrame: (now, type, input) => this.handleUnreliableFrame(now, type, input),
      },
    );
  }

  get wantsSuccessor(): boolean {
    const isDoubted = this.isCaller && this.doubtedUs !== NEVER;
    return this.session.wantsSuccessor || !this.transport.isOpen || this.isOutlived || isDoubted;
  }

  /** The called node was restarted since: it knows nothing of this session. */
  private get isOutlived(): boolean {
    return this.isCaller && this.plane.routing.epochOf(this.peer) > this.peerEpoch;
  }

  get nextTimeoutUs(): number {
    const handshakeUs = this.initiator?.nextTimeoutUs ?? NEVER;
    const lifeUs = Math.min(this.idleUs, this.aliveUs, this.silentUs, this.farewell.nextUs);
    const { transport, session, streams } = this;
    const cellsUs = Math.min(this.backlogUs, transport.nextTimeoutUs, streams.nextTimeoutUs);
    const fetchUs = this.fetch?.nextTimeoutUs ?? NEVER;
    return Math.min(handshakeUs, cellsUs, session.nextTimeoutUs, lifeUs, fetchUs, this.pingUs);
  }

  handleTimeout(nowUs: number): void {
    if (this.initiator !== undefined) {
      const step = this.initiator.handleTimeout(nowUs);
      if (step === "failed") return this.lose(nowUs);
      if (step !== undefined) this.sendFlight(nowUs, step);
    }
    this.session.handleTimeout(nowUs);
    this.streams.handleTimeout(nowUs);
    if (this.transport.nextTimeoutUs <= nowUs) {
      this.transport.handleTimeout(nowUs);
      const isSilent = nowUs - this.usedUs >= OUTLIVED_BUSY_US;
      if (isSilent && this.isOutlived && !this.transport.isIdle) return this.lose(nowUs);
    }
    if (nowUs >= this.silentUs) return this.lose(nowUs);
    if (nowUs >= this.aliveUs) {
      this.askedUs = nowUs;
      this.transport.ping(nowUs, QUIET_PING);
    }
    this.expirePings(nowUs);
    const { fetch } = this;
    if (fetch !== undefined && fetch.nextTimeoutUs <= nowUs) this.queue((out) => fetch.poll(nowUs, out));
    if (nowUs >= this.idleUs) this.transport.close(nowUs, EndCode.noError);
    this.pump(nowUs);
  }

  /** An opened record: the cell stands at `bytes[at, at + length)`. False when it broke the protocol. */
  handleCell(nowUs: number, bytes: Uint8Array, at: number, length: number): boolean {
    this.usedUs = nowUs;
    this.doubtedUs = NEVER;
    if (this.initiator !== undefined) this.fetch?.begin(nowUs);
    this.initiator?.confirm();
    this.initiator = undefined;
    return this.transport.handleCell(nowUs, this.session.openedCounter, bytes, at, length) === undefined;
  }

  /** This node did nothing for a while: until the peer is heard, nothing new is entrusted to the session. */
  doubt(nowUs: number): void {
    if (!this.transport.isOpen) return;
    this.doubtedUs = nowUs;
    this.transport.ping(nowUs, QUIET_PING);
    this.pump(nowUs);
  }

  /** What the peer makes us hold: see StreamBounds. */
  get heldBytes(): number {
    return this.streams.heldBytes;
  }

  /** Gives up half of that at least, of all sessions the most. */
  shed(nowUs: number): void {
    if (!this.streams.shed()) this.transport.close(nowUs, EndCode.overload);
    this.pump(nowUs);
  }

  /** Sends what is due, up to a bound. */
  pump(nowUs: number): void {
    if (this.session.owesRekey) this.queueRekey(nowUs);
    if (this.farewell.takeClose(nowUs, this.transport.isOpen && this.transport.isHeard))
      this.transport.close(nowUs, EndCode.noError);
    let cells = 0;
    while (cells < PUMP_CELLS_MAX && this.transport.pollCell(nowUs, this.session.sealed, out, CELL_OFFSET)) {
      if (this.session.seal(out, PACKET_OFFSET, CELL_BYTES) === 0) return this.lose(nowUs);
      this.send(nowUs, out);
      if (this.transport.takeSkip()) this.session.skip();
      cells += 1;
    }
    const isBacklogged = cells === PUMP_CELLS_MAX;
    this.backlogUs = isBacklogged ? nowUs + 1 : NEVER; // others have their turn first
    if (this.isSpoken && !isBacklogged) this.leave();
    else this.plane.watch(this);
  }

  /** Asks for a sign of life; the first packet of the called end also confirms the handshake. */
  ping(nowUs: number, id: number): void {
    this.pings.set(id, nowUs);
    this.transport.ping(nowUs, id);
  }

  /** One packet under the traffic keys, which shows the caller that its CONF arrived. */
  answerConf(nowUs: number): void {
    this.transport.ping(nowUs, QUIET_PING);
    this.pump(nowUs);
  }

  openStream(nowUs: number, stream: number, port: number): void {
    this.beginUse(nowUs);
    const id = this.streams.open(port);
    if (id < 0) {
      this.handles.release(stream);
      this.plane.ports.sink.event({ kind: "streamReset", stream, code: EndCode.overload });
      return;
    }
    this.bind(stream, id);
    this.plane.ports.sink.event({ kind: "streamWritable", stream, bytes: SEND_BUFFER_BYTES });
  }

  /** A stream or a flow is about to go through it: silence counts from now on. */
  beginUse(nowUs: number): void {
    if (!this.isInUse) this.usedUs = nowUs;
  }

  sendDatagram(nowUs: number, id: number, port: number, data: Uint8Array): void {
    this.transport.sendDatagram(id, port, data);
    this.pump(nowUs);
  }

  acceptStream(id: number): void {
    this.streams.accept(id);
  }

  write(id: number, bytes: Uint8Array): number {
    return this.streams.write(id, bytes);
  }

  finish(id: number): void {
    this.streams.finish(id);
  }

  reset(id: number, code: number): void {
    this.streams.reset(id, code);
    this.unbind(id);
  }

  consume(id: number, count: number): void {
    this.streams.consume(id, count);
  }

  /** Ends it once the peer has reported what was said, or a moment later. */
  depart(nowUs: number): void {
    this.farewell.begin(nowUs);
    this.pump(nowUs);
  }

  close(nowUs: number, code: number): void {
    this.transport.close(nowUs, code);
    this.pump(nowUs);
  }

  digest(into: Digest): void {
    into
      .bytes(this.plane.ports.dictionary.bytesOf(this.peer))
      .number(this.peerEpoch)
      .number(this.usedUs)
      .number(this.ingress);
    into
      .number(this.askedUs)
      .number(this.doubtedUs)
      .number(this.backlogUs)
      .number(this.handleOf.size)
      .number(this.pings.size);
    this.initiator?.digest(into);
    this.farewell.digest(into);
    this.fetch?.digest(into);
    this.partLimit.digest(into);
    this.session.digest(into);
    this.transport.digest(into);
    this.streams.digest(into);
  }

  /** Nothing more will be said. */
  private get isSpoken(): boolean {
    const { kind } = this.transport.state;
    return kind === "closed" || (kind === "closing" && !this.farewell.isUnderWay);
  }

  /** Streams or flows go through it. */
  get isInUse(): boolean {
    return this.handleOf.size > 0 || this.flows.countOf(this) > 0;
  }

  private get idleUs(): number {
    if (this.isInUse || !this.transport.isOpen) return NEVER;
    return this.usedUs + (this.isCaller ? IDLE_CALLER_US : IDLE_CALLED_US);
  }

  /** When to ask for a sign of life: a peer that vanished must not keep its streams for ever. */
  private get aliveUs(): number {
    if (!this.isInUse || !this.transport.isOpen) return NEVER;
    return Math.max(this.usedUs, this.askedUs) + ALIVE_ASK_US;
  }

  /** When the peer's silence means that the session is lost. */
  private get silentUs(): number {
    if (!this.isInUse || !this.transport.isOpen) return NEVER;
    const silentUs = this.usedUs + (this.isOutlived ? OUTLIVED_US : SILENCE_US);
    return this.doubtedUs === NEVER ? silentUs : Math.min(silentUs, this.doubtedUs + DOUBT_US);
  }

  /** When the oldest ping has waited long enough. */
  private get pingUs(): number {
    const oldest = this.pings.values().next();
    return oldest.done ? NEVER : oldest.value + PING_WAIT_US;
  }

  private expirePings(nowUs: number): void {
    for (const [id, sentUs] of this.pings) {
      if (nowUs < sentUs + PING_WAIT_US) return;
      this.pings.delete(id);
      this.plane.ports.sink.event({ kind: "pingFailed", id, reason: "timeout" });
    }
  }

  /** A flight of the handshake, sent again. */
  private sendFlight(nowUs: number, flight: Uint8Array): void {
    out.set(flight, PACKET_OFFSET);
    this.send(nowUs, out);
  }

  /** The peer may be there all the same, asleep or behind a lost link: it is told once. */
  private lose(nowUs: number): void {
    this.transport.close(nowUs, EndCode.sessionLost);
    if (this.transport.pollCell(nowUs, this.session.sealed, out, CELL_OFFSET)) {
      if (this.session.seal(out, PACKET_OFFSET, CELL_BYTES) !== 0) this.send(nowUs, out);
    }
    this.leave();
  }

  private leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    const { sink } = this.plane.ports;
    for (const id of this.pings.keys()) sink.event({ kind: "pingFailed", id, reason: "timeout" });
    this.pings.clear();
    for (const id of [...this.handleOf.keys()]) this.unbind(id);
    this.onOver(this);
  }

  private bind(stream: number, id: number): void {
    this.handleOf.set(id, stream);
    this.handles.bind(stream, { end: this, id });
  }

  private unbind(id: number): void {
    const stream = this.handleOf.get(id);
    if (stream === undefined) return;
    this.handleOf.delete(id);
    this.handles.release(stream);
  }

  /** A frame that came in an unreliable cell. False when no such frame may come. */
  private handleUnreliableFrame(nowUs: number, type: number, input: Reader): boolean {
    switch (type) {
      case FrameType.rekeyOffer:
        return this.session.handleRekey("offer", input);
      case FrameType.rekeyAnswer:
        return this.session.handleRekey("answer", input);
      case FrameType.descriptorRequest:
        return this.handleDescriptorRequest(nowUs, decodeDescriptorRequest(input));
      case FrameType.descriptorPart: {
        const part = decodeDescriptorPart(input);
        if (part === undefined || !this.isCaller) return false;
        this.fetch?.handlePart(nowUs, part);
        return true;
      }
      case FrameType.datagram:
        if (!decodeDatagram(input, this.datagram)) return false;
        return this.flows.handleDatagram(nowUs, this, this.isCaller, this.datagram, input.bytes);
      default:
        return false;
    }
  }

  /** What the session has to say about its own keys. No room for it counts as lost, and lost ones are repeated. */
  private queueRekey(nowUs: number): void {
    this.queue((out) => this.session.pollRekey(nowUs, out, REKEY_TYPES));
  }

  /** A part of the descriptor of the NAC that the peer called; whoever asks too often, or too early, asks again. */
  private handleDescriptorRequest(nowUs: number, part: number | undefined): boolean {
    const { called, descriptors } = this;
    if (part === undefined || called === undefined) return false;
    if (descriptors === undefined || !this.partLimit.take(nowUs)) return true;
    this.queue((out) => descriptors.write(nowUs, called, part, out));
    return true;
  }

  /** A frame for the next unreliable cell, if anything is written. */
  private queue(write: (out: Writer) => void): void {
    frame.offset = 0;
    write(frame);
    if (frame.offset > 0) this.transport.queueFrame(frame.bytes.subarray(0, frame.offset));
  }

  private tell(id: number, say: (stream: number) => void): void {
    const stream = this.handleOf.get(id);
    if (stream !== undefined) say(stream);
  }
}
