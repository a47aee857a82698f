import type { Digest } from "../collections/digest.js";
import { GapRegister } from "../collections/gap-register.js";
import { Ring } from "../collections/ring.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import type { CellSink, CellSource } from "../transport/cell-user.js";
import { CELL_BODY, EndCode, FrameType } from "../wire/cell.js";
import {
  decodeMaxSession,
  decodeMaxStream,
  encodeMaxSession,
  encodeMaxStream,
  MAX_SESSION_BYTES,
} from "../wire/credit-frames.js";
import type { Reader, Writer } from "../wire/cursor.js";
import {
  decodeAccept,
  decodeOpen,
  decodeReset,
  decodeStop,
  encodeAccept,
  encodeOpen,
  encodeReset,
  encodeStop,
} from "../wire/stream-control-frames.js";
import {
  decodeStreamFrame,
  encodeStreamHeader,
  isStreamType,
  STREAM_HEADER_BYTES,
  STREAM_HEADER_LEN_BYTES,
  StreamFrame,
} from "../wire/stream-frame.js";
import { ReceiveCredit } from "./credit.js";
import { SEND_BUFFER_BYTES } from "./send-buffer.js";
import { Pending, Stream } from "./stream.js";

export interface StreamsConfig {
  /** Only the initiator of the session opens streams. */
  readonly initiator: boolean;
  /** Names the session in traces. */
  readonly session: number;
  readonly trace: TraceSink;
  /** Session bytes the peer may send at first, as our PARAMS told it. */
  readonly localCreditBytes: number;
  /** Session bytes we may send at first, as the peer's PARAMS told. */
  readonly peerCreditBytes: number;
  /** Streams that may be open at once: our own grant for a responder, the peer's for an initiator. */
  readonly streamsMax: number;
}

/** What happens to streams. An id is valid from `open` or `opened` to `closed`, which is always the last. */
export interface StreamEvents {
  /** The peer wants `port`: answer with `accept` or `reset`. */
  opened(id: number, port: number): void;
  /** The peer serves the port. Comes before any data. */
  accepted(id: number): void;
  /** The next bytes, in order: `bytes[at, at + length)`, valid until return. Call `consume` when they were taken. */
  data(id: number, bytes: Uint8Array, at: number, length: number): void;
  /** A write was cut short before; now so many bytes fit. */
  writable(id: number, bytes: number): void;
  /** The peer has sent everything, and all of it was given to `data`. */
  finished(id: number): void;
  /** Both directions are over, by the peer or with the session. `code` is an EndCode. */
  reset(id: number, code: number): void;
  /** The peer reads no more; what it sends still comes. */
  stopped(id: number, code: number): void;
  /** The id is forgotten. */
  closed(id: number): void;
}

const SESSION_CREDIT_MAX_BYTES = 16 << 20;
const STREAM_ID_MAX = 0xff_fffe;
/** Further small frames are put into a cell while at least this much room is left. */
const ROOM_MIN = 64;
/** All control frames of one stream together, at most. */
const CONTROL_ROOM = 51;

/**
 * All streams of one session: cuts what is written into cells, fairly in turn, and puts together what arrives.
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

  private readonly controls = new Ring<Stream>();
  private readonly ready = new Ring<Stream>();
  private readonly roomy: Stream[] = [];
  private readonly frame = new StreamFrame();

  private readonly credit: ReceiveCredit;
  private isCreditDue = false;
  private sent = 0;
  private sendLimit: number;
  private rttUs = 0;

  constructor(config: StreamsConfig, events: StreamEvents) {
    this.config = config;
    this.events = events;
    this.credit = new ReceiveCredit(config.localCreditBytes, SESSION_CREDIT_MAX_BYTES);
    this.sendLimit = config.peerCreditBytes;
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

  /** Opens a stream to an overlay port; data may be written at once. -1: too many are open, or the session is over. */
  open(port: number): number {
    if (!this.config.initiator) throw new Error("Streams: only the initiator of a session opens streams");
    if (this.isOver || this.streams.size >= this.config.streamsMax || this.nextId > STREAM_ID_MAX) return -1;
    const stream = new Stream(this.nextId, { kind: "offered", port });
    this.nextId += 2;
    stream.isKnown = true;
    this.streams.set(stream.id, stream);
    this.config.trace(Trace.streamOpened, this.config.session, stream.id, port);
    this.queueControl(stream, Pending.open);
    return stream.id;
  }

  accept(id: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.opening.kind !== "offered" || this.config.initiator) return;
    stream.opening = { kind: "accepted", port: stream.opening.port };
    if (!stream.isSendOver) this.queueControl(stream, Pending.accept);
  }

  /** Copies bytes to be sent. Returns how many were taken: fewer than given when the buffer is full; `writable` follows. */
  write(id: number, bytes: Uint8Array, at = 0, length = bytes.length - at): number {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.send.kind !== "open") return 0;
    if (!this.config.initiator && stream.opening.kind !== "accepted") return 0;
    const taken = stream.buffer.write(bytes, at, length);
    if (taken < length) stream.wantsRoom = true;
    this.queueData(stream);
    return taken;
  }

  /** No more will be written: FIN follows the last byte. */
  finish(id: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.send.kind !== "open") return;
    stream.send = { kind: "finishing" };
    if (stream.buffer.length === 0) this.queueControl(stream, Pending.fin);
  }

  /** Ends both directions at once; nothing more is told of the stream but `closed`. */
  reset(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.config.trace(Trace.streamReset, this.config.session, id, code);
    stream.isSilent = true;
    this.endSend(stream, code);
    this.discard(stream, code);
    this.closeIfOver(stream);
  }

  /** Nothing more will be read: the peer is asked to stop, what still comes is dropped. */
  stop(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    this.discard(stream, code);
    this.closeIfOver(stream);
  }

  /** The application took so many delivered bytes: the peer may send as many more. */
  consume(id: number, bytes: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    const taken = Math.min(bytes, stream.delivered - stream.credit.consumed);
    if (taken <= 0) return;
    stream.credit.consume(taken);
    this.consumeSession(taken);
    this.raiseWhereDue(stream);
    this.closeIfOver(stream);
  }

  // CellSource

  get isReady(): boolean {
    return (
      this.isCreditDue ||
      this.controls.length > 0 ||
      (this.ready.length > 0 && this.sent < this.sendLimit && !this.isOver)
    );
  }

  fillCell(nowUs: number, rttUs: number, out: Writer): void {
    this.rttUs = rttUs;
    if (this.isCreditDue && out.room >= MAX_SESSION_BYTES) {
      this.isCreditDue = false;
      encodeMaxSession(out, this.credit.raise(nowUs, rttUs));
    }
    while (this.controls.length > 0 && out.room >= CONTROL_ROOM) this.writeControls(nowUs, out, this.controls.shift()!);
    while (this.ready.length > 0 && this.sent < this.sendLimit && out.room >= ROOM_MIN) {
      const stream = this.ready.shift()!;
      stream.inReady = false;
      if (stream.sendable > 0) this.writeData(out, stream);
    }
    while (this.roomy.length > 0) {
      const stream = this.roomy.pop()!;
      if (!stream.isSendOver) this.events.writable(stream.id, stream.buffer.room);
    }
  }

  // CellSink

  handleFrame(_nowUs: number, type: number, input: Reader): boolean {
    if (isStreamType(type)) {
      if (!decodeStreamFrame(input, type, this.frame)) return false;
      return this.handleData(this.frame, input.bytes);
    }
    switch (type) {
      case FrameType.maxSession: {
        const limit = decodeMaxSession(input);
        if (limit === undefined) return false;
        this.sendLimit = Math.max(this.sendLimit, limit);
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
    this.isCreditDue = false;
    this.controls.clear();
    this.ready.clear();
    this.roomy.length = 0;
    for (const stream of [...this.streams.values()]) {
      this.streams.delete(stream.id);
      if (!stream.isKnown) continue;
      if (!stream.isSilent) this.events.reset(stream.id, code === EndCode.noError ? EndCode.sessionLost : code);
      this.events.closed(stream.id);
    }
  }

  digest(into: Digest): void {
    this.used.digest(into);
    this.credit.digest(into);
    into.number(this.nextId).number(this.sent).number(this.sendLimit).number(this.streams.size);
    into
      .number(this.controls.length)
      .number(this.ready.length)
      .number(this.isOver ? 1 : 0);
    for (const stream of this.streams.values()) stream.digest(into);
  }

  // Frames in

  private handleMaxStream(id: number, limit: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    stream.sendLimit = Math.max(stream.sendLimit, limit);
    this.queueData(stream);
    return true;
  }

  private handleOpen(id: number, port: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    if (stream.opening.kind !== "unannounced") return false;
    stream.opening = { kind: "offered", port };
    // Reset before its OPEN came, or one too many: nobody needs to know.
    if (stream.isSilent) return true;
    stream.isKnown = true;
    this.config.trace(Trace.streamOpened, this.config.session, id, port);
    this.events.opened(id, port);
    this.deliver(stream);
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
    const { offset, length, isFin } = frame;
    const end = offset + length;
    const { receive } = stream;
    const isPast = end <= stream.credit.received;
    if (receive.kind === "finished") return false;
    if (receive.kind === "reset") return isPast;
    if (receive.kind === "ending" && (isFin || end > receive.finalOffset)) return false;
    if (isFin && end < stream.credit.received) return false;
    if (!isPast && !this.receive(stream, end)) return false;
    if (receive.kind === "discarding") {
      this.consumeRest(stream);
      if (isFin) {
        stream.receive = { kind: "reset" };
        this.closeIfOver(stream);
      }
      return true;
    }
    if (isFin) stream.receive = { kind: "ending", finalOffset: end };
    if (this.config.initiator) this.markAccepted(stream);
    if (length > 0) {
      if (offset < stream.delivered) return false;
      if (offset > stream.delivered || stream.opening.kind === "unannounced") {
        if (!stream.reassembly.insert(offset, bytes, frame.at, length)) return false;
      } else {
        if (end > stream.reassembly.firstOffset) return false;
        stream.delivered = end;
        this.events.data(stream.id, bytes, frame.at, length);
      }
    }
    this.deliver(stream);
    return true;
  }

  private handleReset(id: number, code: number, finalOffset: number): boolean {
    const stream = this.find(id);
    if (!(stream instanceof Stream)) return stream === "closed";
    const { receive } = stream;
    if (finalOffset < stream.credit.received) return false;
    if (receive.kind === "finished" || receive.kind === "reset") return finalOffset === stream.credit.received;
    if (receive.kind === "ending" && finalOffset !== receive.finalOffset) return false;
    if (!this.receive(stream, finalOffset)) return false;
    stream.receive = { kind: "reset" };
    stream.reassembly.clear();
    this.consumeRest(stream);
    stream.pending &= ~(Pending.stop | Pending.credit);
    // The answer to our STOP ends one direction; a RESET that the peer sent by itself ends the stream.
    if (receive.kind !== "discarding") {
      this.endSend(stream, code);
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
    this.endSend(stream, code);
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
    const stream = new Stream(id, { kind: "unannounced" });
    const isRefused = this.streams.size >= served;
    this.streams.set(id, stream);
    if (isRefused) this.reset(id, EndCode.overload);
    return stream;
  }

  /** The highest byte of a stream moved to `end`. False when that breaks a limit. */
  private receive(stream: Stream, end: number): boolean {
    const grown = end - stream.credit.received;
    if (!stream.credit.receive(grown) || !this.credit.receive(grown)) return false;
    this.raiseWhereDue(stream);
    return true;
  }

  /** Gives what is in order to the application, which may end the stream meanwhile. */
  private deliver(stream: Stream): void {
    if (stream.opening.kind === "unannounced") return;
    while (stream.receive.kind === "open" || stream.receive.kind === "ending") {
      const bytes = stream.reassembly.take(stream.delivered);
      if (bytes === undefined) break;
      stream.delivered += bytes.length;
      this.events.data(stream.id, bytes, 0, bytes.length);
    }
    if (stream.receive.kind !== "ending" || stream.delivered < stream.receive.finalOffset) return;
    stream.receive = { kind: "finished" };
    stream.pending &= ~Pending.credit;
    if (!stream.isSilent) this.events.finished(stream.id);
    this.closeIfOver(stream);
  }

  private markAccepted(stream: Stream): void {
    if (stream.opening.kind !== "offered") return;
    stream.opening = { kind: "accepted", port: stream.opening.port };
    if (!stream.isSilent) this.events.accepted(stream.id);
  }

  // Ends

  private endSend(stream: Stream, code: number): void {
    if (stream.isSendOver) return;
    stream.buffer.clear();
    stream.send = { kind: "reset", code };
    // RESET alone tells the peer of the stream; what it would have been for no longer matters.
    stream.pending &= ~(Pending.open | Pending.accept | Pending.fin);
    this.queueControl(stream, Pending.reset);
  }

  private discard(stream: Stream, code: number): void {
    const { receive } = stream;
    stream.reassembly.clear();
    this.consumeRest(stream);
    stream.pending &= ~Pending.credit;
    if (receive.kind === "ending") stream.receive = { kind: "reset" };
    if (receive.kind !== "open") return;
    stream.receive = { kind: "discarding" };
    stream.stopCode = code;
    this.queueControl(stream, Pending.stop);
  }

  /** Nobody wants the rest: as far as credit goes, it was taken. */
  private consumeRest(stream: Stream): void {
    const rest = stream.credit.received - stream.credit.consumed;
    stream.credit.consume(rest);
    this.consumeSession(rest);
  }

  private consumeSession(bytes: number): void {
    this.credit.consume(bytes);
    if (this.credit.needsRaise && !this.isOver) this.isCreditDue = true;
  }

  private raiseWhereDue(stream: Stream): void {
    if (this.isOver) return;
    if (this.credit.needsRaise) this.isCreditDue = true;
    if (stream.receive.kind === "open" && stream.credit.needsRaise) this.queueControl(stream, Pending.credit);
  }

  private closeIfOver(stream: Stream): void {
    if (!stream.isSendOver || !stream.isReceiveOver || stream.pending !== 0) return;
    if (!this.streams.delete(stream.id)) return;
    this.config.trace(Trace.streamClosed, this.config.session, stream.id, 0);
    if (stream.isKnown) this.events.closed(stream.id);
  }

  // Frames out

  private queueControl(stream: Stream, pending: number): void {
    if (this.isOver) return;
    stream.pending |= pending;
    if (stream.inControl) return;
    stream.inControl = true;
    this.controls.push(stream);
  }

  private queueData(stream: Stream): void {
    if (this.isOver || stream.inReady || stream.sendable <= 0) return;
    stream.inReady = true;
    this.ready.push(stream);
  }

  private writeControls(nowUs: number, out: Writer, stream: Stream): void {
    const { id, pending, opening, send } = stream;
    stream.inControl = false;
    stream.pending = 0;
    if ((pending & Pending.open) !== 0 && opening.kind !== "unannounced") encodeOpen(out, { id, port: opening.port });
    if ((pending & Pending.accept) !== 0) encodeAccept(out, id);
    if ((pending & Pending.credit) !== 0) encodeMaxStream(out, { id, limit: stream.credit.raise(nowUs, this.rttUs) });
    if ((pending & Pending.fin) !== 0) {
      stream.send = { kind: "finished" };
      encodeStreamHeader(out, id, stream.sent, 0, true);
    }
    if ((pending & Pending.reset) !== 0 && send.kind === "reset") {
      encodeReset(out, { id, code: send.code, finalOffset: stream.sent });
    }
    if ((pending & Pending.stop) !== 0) encodeStop(out, { id, code: stream.stopCode });
    this.closeIfOver(stream);
  }

  private writeData(out: Writer, stream: Stream): void {
    const wanted = Math.min(stream.sendable, this.sendLimit - this.sent);
    const isFull = wanted >= CELL_BODY && out.room >= STREAM_HEADER_BYTES + CELL_BODY;
    const length = isFull ? CELL_BODY : Math.min(wanted, out.room - STREAM_HEADER_LEN_BYTES);
    const isFin = stream.send.kind === "finishing" && length === stream.buffer.length;
    encodeStreamHeader(out, stream.id, stream.sent, length, isFin);
    stream.buffer.read(out.bytes, out.offset, length);
    out.offset += length;
    stream.sent += length;
    this.sent += length;
    if (isFin) stream.send = { kind: "finished" };
    if (stream.wantsRoom && stream.buffer.room >= SEND_BUFFER_BYTES / 2) {
      stream.wantsRoom = false;
      this.roomy.push(stream);
    }
    this.queueData(stream);
    this.closeIfOver(stream);
  }
}
