import type { Digest } from "../collections/digest.js";
import { GapRegister } from "../collections/gap-register.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import type { CellSink, CellSource } from "../transport/cell-user.js";
import { EndCode, FrameType } from "../wire/cell.js";
import { decodeMaxSession, decodeMaxStream } from "../wire/credit-frames.js";
import type { Reader, Writer } from "../wire/cursor.js";
import { decodeAccept, decodeOpen, decodeReset, decodeStop } from "../wire/stream-control-frames.js";
import { decodeStreamFrame, isStreamType, StreamFrame } from "../wire/stream-frame.js";
import { CRAMPED_CREDIT_BYTES, SESSION_CREDIT_MAX_BYTES, STREAM_HELD_BYTES, StreamBounds } from "./bounds.js";
import { ReceiveCredit } from "./credit.js";
import { Receiving, type ReceivingEvents } from "./receiving.js";
import { Sending, type SendingEvents } from "./sending.js";
import { Pending, Stream } from "./stream.js";

export interface StreamsConfig {
  /** Only the initiator of the session opens streams. */
  readonly initiator: boolean;
  /** Names the session in traces. */
  readonly session: number;
  readonly trace: TraceSink;
  /** Session bytes the peer may send at first, as our PARAMS told it. */
  readonly localCreditBytes: number;
  /** Our PARAMS told CRAMPED_CREDIT_BYTES instead, perhaps. */
  readonly mayBeCramped?: boolean;
  /** Session bytes we may send at first, as the peer's PARAMS told. */
  readonly peerCreditBytes: number;
  /** Streams that may be open at once: our own grant for a responder, the peer's for an initiator. */
  readonly streamsMax: number;
  /** Shared with the other sessions of a stack. */
  readonly bounds?: StreamBounds | undefined;
}

/** What happens to streams. An id is valid from `open` or `opened` to `closed`, which is always the last. */
export interface StreamEvents extends ReceivingEvents, Pick<SendingEvents, "writable"> {
  /** The peer wants `port`: answer with `accept` or `reset`. */
  opened(id: number, port: number): void;
  /** The peer serves the port. Comes before any data. */
  accepted(id: number): void;
  /** Both directions are over, by the peer or with the session. `code` is an EndCode. */
  reset(id: number, code: number): void;
  /** The peer reads no more; what it sends still comes. */
  stopped(id: number, code: number): void;
  /** The id is forgotten. */
  closed(id: number): void;
}

const STREAM_ID_MAX = 0xff_fffe;
/** A stream whose OPEN does not come for so long is reset: a peer whose cells get lost that long is lost itself. */
const OPEN_WAIT_US = 30 * SECOND_US;

/**
 * All streams of one session: which there are, how they open and end. What they send and what they receive is in the two
 * halves.
 *
 * Credit bounds memory on both sides: the receiver holds at most what it granted, the sender at most a send buffer per
 * stream. No stream waits for another's missing cell. A peer that breaks a limit ends the session.
 */
export class Streams implements CellSource, CellSink {
  private readonly config: StreamsConfig;
  private readonly events: StreamEvents;
  private readonly streams = new Map<number, Stream>();
  /** Ids that were ever used, halved: ids grow, so this is a floor and few bits. Responder only. */
  private readonly used = new GapRegister(0);
  private nextId = 0;
  private isOver = false;
  /** Streams that wait for their OPEN, by when their first bytes came. */
  private readonly unannounced = new Set<Stream>();
  private nowUs = 0;

  private readonly frame = new StreamFrame();
  private readonly credit: ReceiveCredit;
  private readonly bounds: StreamBounds;
  private readonly sending: Sending;
  private readonly receiving: Receiving;

  constructor(config: StreamsConfig, events: StreamEvents) {
    this.config = config;
    this.events = events;
    const told = config.mayBeCramped === true ? CRAMPED_CREDIT_BYTES : config.localCreditBytes;
    this.credit = new ReceiveCredit(config.localCreditBytes, SESSION_CREDIT_MAX_BYTES, told);
    this.bounds = config.bounds ?? new StreamBounds();
    this.sending = new Sending(config.peerCreditBytes, this.credit, this.bounds, {
      writable: (id, bytes) => events.writable(id, bytes),
      sent: (stream) => this.closeIfOver(stream),
    });
    this.receiving = new Receiving(this.credit, this.sending, this.bounds, events, (stream) => {
      if (config.initiator) this.markAccepted(stream);
    });
  }

  /** Streams that are not closed. */
  get count(): number {
    return this.streams.size;
  }

  /** Bytes held here: waiting to be sent, and arrived out of order. */
  get bufferedBytes(): number {
    let bytes = 0;
    for (const stream of this.streams.values()) bytes += stream.buffer.length + stream.reassembly.length;
    return bytes;
  }

  /** What the peer makes us hold, as StreamBounds counts it. */
  get heldBytes(): number {
    return this.credit.held + this.streams.size * STREAM_HELD_BYTES;
  }

  /** When the oldest stream that waits for its OPEN has waited long enough. */
  get nextTimeoutUs(): number {
    const { opening } = this.unannounced.values().next().value ?? {};
    return opening?.kind === "unannounced" ? opening.sinceUs + OPEN_WAIT_US : NEVER;
  }

  handleTimeout(nowUs: number): void {
    this.nowUs = nowUs;
    for (const stream of this.unannounced) {
      if (stream.opening.kind === "unannounced" && nowUs < stream.opening.sinceUs + OPEN_WAIT_US) return;
      this.unannounced.delete(stream);
      this.reset(stream.id, EndCode.overload);
    }
  }

  /**
   * Memory is short: resets the streams that hold the most until half of what the session holds is free. False when that
   * did not do, because it is the streams themselves: then the session has to end.
   */
  shed(): boolean {
    const goal = this.heldBytes / 2;
    const streams = [...this.streams.values()].sort((a, b) => b.credit.held - a.credit.held || a.id - b.id);
    for (const stream of streams) {
      if (this.heldBytes <= goal || stream.credit.held === 0) break;
      if (stream.isKnown && !stream.isSilent) this.events.reset(stream.id, EndCode.overload);
      this.reset(stream.id, EndCode.overload);
    }
    return this.heldBytes <= goal;
  }

  /** Opens a stream to an overlay port; data may be written at once. -1: too many are open, or the session is over. */
  open(port: number): number {
    if (!this.config.initiator) throw new Error("Streams: only the initiator of a session opens streams");
    if (this.isOver || this.streams.size >= this.config.streamsMax || this.nextId > STREAM_ID_MAX) return -1;
    const stream = new Stream(this.nextId, { kind: "offered", port });
    this.nextId += 2;
    stream.isKnown = true;
    this.add(stream);
    this.config.trace(Trace.streamOpened, this.config.session, stream.id, port);
    this.sending.queueControl(stream, Pending.open);
    return stream.id;
  }

  accept(id: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.opening.kind !== "offered" || this.config.initiator) return;
    stream.opening = { kind: "accepted", port: stream.opening.port };
    if (!stream.isSendOver) this.sending.queueControl(stream, Pending.accept);
  }

  /** Copies bytes to be sent. Returns how many were taken: fewer than given when the buffer is full; `writable` follows. */
  write(id: number, bytes: Uint8Array, at = 0, length = bytes.length - at): number {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.send.kind !== "open") return 0;
    if (!this.config.initiator && stream.opening.kind !== "accepted") return 0;
    return this.sending.take(stream, bytes, at, length);
  }

  /** No more will be written: FIN follows the last byte. */
  finish(id: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.send.kind !== "open") return;
    stream.send = { kind: "finishing" };
    if (stream.buffer.length === 0) this.sending.queueControl(stream, Pending.fin);
  }

  /** Ends both directions at once; nothing more is told of the stream but `closed`. */
  reset(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.config.trace(Trace.streamReset, this.config.session, id, code);
    stream.isSilent = true;
    this.sending.end(stream, code);
    this.receiving.discard(stream, code);
    this.closeIfOver(stream);
  }

  /** Nothing more will be read: the peer is asked to stop, what still comes is dropped. */
  stop(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.receiving.discard(stream, code);
    this.closeIfOver(stream);
  }

  /** The application took so many delivered bytes: the peer may send as many more. */
  consume(id: number, bytes: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.receiving.consume(stream, bytes);
    this.closeIfOver(stream);
  }

  // CellSource

  get isReady(): boolean {
    return this.sending.isReady;
  }

  fillCell(nowUs: number, rttUs: number, out: Writer): void {
    this.sending.fillCell(nowUs, rttUs, out);
  }

  // CellSink

  handleFrame(nowUs: number, type: number, input: Reader): boolean {
    this.nowUs = nowUs;
    if (isStreamType(type)) {
      if (!decodeStreamFrame(input, type, this.frame)) return false;
      return this.handleData(this.frame, input.bytes);
    }
    switch (type) {
      case FrameType.maxSession: {
        const limit = decodeMaxSession(input);
        if (limit === undefined) return false;
        this.sending.raiseLimit(limit);
        return true;
      }
      case FrameType.maxStream: {
        const frame = decodeMaxStream(input);
        return frame !== undefined && this.handleMaxStream(frame.id, frame.limit);
      }
      case FrameType.open: {
        const frame = decodeOpen(input);
        return frame !== undefined && !this.config.initiator && this.handleOpen(frame.id, frame.port);
      }
      case FrameType.accept: {
        const id = decodeAccept(input);
        return id !== undefined && this.config.initiator && this.handleAccept(id);
      }
      case FrameType.reset: {
        const frame = decodeReset(input);
        return frame !== undefined && this.handleReset(frame.id, frame.code, frame.finalOffset);
      }
      case FrameType.stop: {
        const frame = decodeStop(input);
        return frame !== undefined && this.handleStop(frame.id, frame.code);
      }
      default:
        return false;
    }
  }

  handleSessionEnd(code: number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.sending.handleSessionEnd();
    this.unannounced.clear();
    for (const stream of [...this.streams.values()]) {
      this.forget(stream);
      if (!stream.isKnown) continue;
      if (!stream.isSilent) this.events.reset(stream.id, code === EndCode.noError ? EndCode.sessionLost : code);
      this.events.closed(stream.id);
    }
    this.receiving.handleSessionEnd();
  }

  digest(into: Digest): void {
    this.used.digest(into);
    this.credit.digest(into);
    this.sending.digest(into);
    into
      .number(this.nextId)
      .number(this.unannounced.size)
      .number(this.streams.size)
      .number(this.isOver ? 1 : 0);
    for (const stream of this.streams.values()) stream.digest(into);
  }

  // Frames in

  private handleMaxStream(id: number, limit: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    this.sending.raiseStreamLimit(stream, limit);
    return true;
  }

  private handleOpen(id: number, port: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    if (stream.opening.kind !== "unannounced") return false;
    stream.opening = { kind: "offered", port };
    this.unannounced.delete(stream);
    // Reset before its OPEN came, or one too many: nobody needs to know.
    if (stream.isSilent) return true;
    stream.isKnown = true;
    this.config.trace(Trace.streamOpened, this.config.session, id, port);
    this.events.opened(id, port);
    this.receiving.deliver(stream);
    this.closeIfOver(stream);
    return true;
  }

  private handleAccept(id: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    this.markAccepted(stream);
    return true;
  }

  private handleData(frame: StreamFrame, bytes: Uint8Array): boolean {
    const stream = this.find(frame.id);
    if (!(stream instanceof Stream)) return stream === "closed";
    const isGood = this.receiving.handleData(stream, frame, bytes);
    if (isGood) this.closeIfOver(stream);
    return isGood;
  }

  private handleReset(id: number, code: number, finalOffset: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    const kind = this.receiving.handleReset(stream, finalOffset);
    if (kind === "violation" || kind === "late") return kind === "late";
    // The answer to our STOP ends one direction; a RESET that the peer sent by itself ends the stream.
    if (kind === "unasked") {
      this.sending.end(stream, code);
      const isTold = stream.isKnown && !stream.isSilent;
      stream.isSilent = true;
      this.config.trace(Trace.streamReset, this.config.session, id, code);
      if (isTold) this.events.reset(id, code);
    }
    this.closeIfOver(stream);
    return true;
  }

  private handleStop(id: number, code: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    const wasOver = stream.isSendOver;
    this.sending.end(stream, code);
    if (!wasOver && stream.isKnown && !stream.isSilent) this.events.stopped(id, code);
    this.closeIfOver(stream);
    return true;
  }

  /** The stream; "closed" when its frame is late news; "invalid" when the peer may not name it. */
  private find(id: number): Stream | "closed" | "invalid" {
    const known = this.streams.get(id);
    if (known !== undefined) return known;
    if ((id & 1) !== 0) return "invalid";
    if (this.config.initiator) return id < this.nextId ? "closed" : "invalid";
    const { streamsMax } = this.config;
    const arrival = this.used.insert(id >>> 1, 0);
    if (arrival === "duplicate") return "closed";
    // An initiator may think a stream closed before its last frame came here: some more than the limit are served.
    // Beyond, streams are refused; beyond twice the limit the peer does not care for limits.
    const served = streamsMax + (streamsMax >>> 2) + 8;
    if (arrival === "beyond" || this.streams.size >= 2 * served) return "invalid";
    const stream = new Stream(id, { kind: "unannounced", sinceUs: this.nowUs });
    const isRefused = this.streams.size >= served || this.unannounced.size >= streamsMax;
    if (!isRefused) this.unannounced.add(stream);
    this.add(stream);
    this.bounds.streams.note(this.streams.size);
    if (isRefused) this.reset(id, EndCode.overload);
    return stream;
  }

  private markAccepted(stream: Stream): void {
    if (stream.opening.kind !== "offered") return;
    stream.opening = { kind: "accepted", port: stream.opening.port };
    if (!stream.isSilent) this.events.accepted(stream.id);
  }

  private add(stream: Stream): void {
    this.streams.set(stream.id, stream);
    this.bounds.hold(STREAM_HELD_BYTES);
  }

  private forget(stream: Stream): boolean {
    if (!this.streams.delete(stream.id)) return false;
    this.unannounced.delete(stream);
    this.bounds.release(STREAM_HELD_BYTES);
    return true;
  }

  private closeIfOver(stream: Stream): void {
    if (!stream.isSendOver || !stream.isReceiveOver || stream.pending !== 0) return;
    if (!this.forget(stream)) return;
    this.config.trace(Trace.streamClosed, this.config.session, stream.id, 0);
    if (stream.isKnown) this.events.closed(stream.id);
  }
}
