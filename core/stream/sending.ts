import type { Digest } from "../collections/digest.js";
import { Ring } from "../collections/ring.js";
import { CELL_BODY } from "../wire/cell.js";
import { encodeMaxSession, encodeMaxStream, MAX_SESSION_BYTES, MAX_STREAM_BYTES } from "../wire/credit-frames.js";
import type { Writer } from "../wire/cursor.js";
import {
  ACCEPT_BYTES,
  encodeAccept,
  encodeOpen,
  encodeReset,
  encodeStop,
  OPEN_BYTES,
  RESET_BYTES,
  STOP_BYTES,
} from "../wire/stream-control-frames.js";
import { encodeStreamHeader, STREAM_HEADER_BYTES, STREAM_HEADER_LEN_BYTES } from "../wire/stream-frame.js";
import { SESSION_SEND_BYTES_MAX, STREAM_SEND_BYTES_MIN, type StreamBounds } from "./bounds.js";
import type { ReceiveCredit } from "./credit.js";
import { SEND_BUFFER_BYTES } from "./send-buffer.js";
import { Pending, type Stream } from "./stream.js";

/** Further small frames are put into a cell while at least this much room is left. */
const ROOM_MIN = 64;
/** All control frames of one stream together, at most; the end of it without data is one of them. */
const CONTROL_ROOM = OPEN_BYTES + ACCEPT_BYTES + MAX_STREAM_BYTES + STREAM_HEADER_LEN_BYTES + RESET_BYTES + STOP_BYTES;

export interface SendingEvents {
  /** A write was cut short before; now so many bytes fit. */
  writable(id: number, bytes: number): void;
  /** Something of the stream went into a cell, perhaps the last that there was. */
  sent(stream: Stream): void;
}

/** The sending half of a session's streams: cuts what is written into cells, fairly in turn, within the peer's credit. */
export class Sending {
  /** What the peer may send in all: told in cells of this half, kept by the other. */
  private readonly credit: ReceiveCredit;
  private readonly events: SendingEvents;
  private readonly controls = new Ring<Stream>();
  private readonly ready = new Ring<Stream>();
  private readonly roomy: Stream[] = [];
  private readonly bounds: StreamBounds;
  /** Bytes in the send buffers of all streams. */
  private buffered = 0;
  private isCreditDue = false;
  private isOver = false;
  private sent = 0;
  private sendLimit: number;
  private rttUs = 0;

  /** @param sendLimit stream bytes that the peer takes in all at first */
  constructor(sendLimit: number, credit: ReceiveCredit, bounds: StreamBounds, events: SendingEvents) {
    this.sendLimit = sendLimit;
    this.bounds = bounds;
    this.credit = credit;
    this.events = events;
  }

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
      encodeMaxSession(out, this.credit.raise(nowUs, rttUs, this.bounds.strain));
    }
    while (this.controls.length > 0 && out.room >= CONTROL_ROOM) this.writeControls(nowUs, out, this.controls.shift()!);
    while (this.ready.length > 0 && this.sent < this.sendLimit && out.room >= ROOM_MIN) {
      const stream = this.ready.shift()!;
      stream.inReady = false;
      if (stream.sendable > 0) this.writeData(out, stream);
    }
    while (this.roomy.length > 0) {
      const stream = this.roomy.pop()!;
      if (!stream.isSendOver) this.events.writable(stream.id, this.roomOf(stream));
    }
  }

  /** Copies bytes to be sent. Returns how many were taken. */
  take(stream: Stream, bytes: Uint8Array, at: number, length: number): number {
    const taken = stream.buffer.write(bytes, at, Math.min(length, this.roomOf(stream)));
    if (taken < length) stream.wantsRoom = true;
    this.buffered += taken;
    this.bounds.session.note(this.buffered);
    this.bounds.add(taken);
    this.queueData(stream);
    return taken;
  }

  /** The peer takes so many bytes in all. A smaller limit is old news. */
  raiseLimit(limit: number): void {
    this.sendLimit = Math.max(this.sendLimit, limit);
  }

  /** The same for one stream. */
  raiseStreamLimit(stream: Stream, limit: number): void {
    stream.sendLimit = Math.max(stream.sendLimit, limit);
    this.queueData(stream);
  }

  /** The peer is to be told how much it may send in all. */
  queueCredit(): void {
    if (!this.isOver) this.isCreditDue = true;
  }

  queueControl(stream: Stream, pending: number): void {
    if (this.isOver) return;
    stream.pending |= pending;
    if (stream.inControl) return;
    stream.inControl = true;
    this.controls.push(stream);
  }

  queueData(stream: Stream): void {
    if (this.isOver || stream.inReady || stream.sendable <= 0) return;
    stream.inReady = true;
    this.ready.push(stream);
  }

  /** Nothing more of this stream is sent but RESET. */
  end(stream: Stream, code: number): void {
    if (stream.isSendOver) return;
    this.release(stream.buffer.length);
    stream.buffer.clear();
    stream.send = { kind: "reset", code };
    // RESET alone tells the peer of the stream; what it would have been for no longer matters.
    stream.pending &= ~(Pending.open | Pending.accept | Pending.fin);
    this.queueControl(stream, Pending.reset);
  }

  handleSessionEnd(): void {
    this.release(this.buffered);
    this.isOver = true;
    this.isCreditDue = false;
    this.controls.clear();
    this.ready.clear();
    this.roomy.length = 0;
  }

  digest(into: Digest): void {
    into.number(this.buffered);
    into
      .number(this.sent)
      .number(this.sendLimit)
      .number(this.isCreditDue ? 1 : 0);
    into.number(this.controls.length).number(this.ready.length);
  }

  /** What one stream may add to its buffer: its own bound, and what is left of those for all. */
  private roomOf({ buffer }: Stream): number {
    const left = Math.min(SESSION_SEND_BYTES_MAX - this.buffered, this.bounds.room);
    return Math.max(0, Math.min(buffer.room, Math.max(left, STREAM_SEND_BYTES_MIN - buffer.length)));
  }

  /** Half of the buffer is free, or of what it may hold in hard times. */
  private isRoomy(stream: Stream): boolean {
    if (stream.buffer.length <= STREAM_SEND_BYTES_MIN / 2) return true;
    return this.roomOf(stream) >= SEND_BUFFER_BYTES / 2;
  }

  private release(bytes: number): void {
    this.buffered -= bytes;
    this.bounds.sending -= bytes;
  }

  private writeControls(nowUs: number, out: Writer, stream: Stream): void {
    const { id, pending, opening, send } = stream;
    stream.inControl = false;
    stream.pending = 0;
    if ((pending & Pending.open) !== 0 && opening.kind !== "unannounced") encodeOpen(out, { id, port: opening.port });
    if ((pending & Pending.accept) !== 0) encodeAccept(out, id);
    if ((pending & Pending.credit) !== 0) {
      encodeMaxStream(out, { id, limit: stream.credit.raise(nowUs, this.rttUs, this.bounds.strain) });
    }
    if ((pending & Pending.fin) !== 0) {
      stream.send = { kind: "finished" };
      encodeStreamHeader(out, id, stream.sent, 0, true);
    }
    if ((pending & Pending.reset) !== 0 && send.kind === "reset") {
      encodeReset(out, { id, code: send.code, finalOffset: stream.sent });
    }
    if ((pending & Pending.stop) !== 0) encodeStop(out, { id, code: stream.stopCode });
    this.events.sent(stream);
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
    this.release(length);
    if (isFin) stream.send = { kind: "finished" };
    if (stream.wantsRoom && this.isRoomy(stream)) {
      stream.wantsRoom = false;
      this.roomy.push(stream);
    }
    this.queueData(stream);
    this.events.sent(stream);
  }
}
