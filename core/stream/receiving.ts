import type { StreamFrame } from "../wire/stream-frame.js";
import type { StreamBounds } from "./bounds.js";
import type { ReceiveCredit } from "./credit.js";
import type { Sending } from "./sending.js";
import { Pending, type Stream } from "./stream.js";

export interface ReceivingEvents {
  /** The next bytes, in order: `bytes[at, at + length)`, valid until return. */
  data(id: number, bytes: Uint8Array, at: number, length: number): void;
  /** The peer has sent everything, and all of it was given to `data`. */
  finished(id: number): void;
}

/** What a RESET is: against the rules, old news, the answer to our STOP, or the peer's own wish. */
export type ResetKind = "violation" | "late" | "asked" | "unasked";

/** The receiving half of a session's streams: puts together what arrives, and gives credit for what was taken. */
export class Receiving {
  /** For all streams together. */
  private readonly credit: ReceiveCredit;
  private readonly sending: Sending;
  private readonly bounds: StreamBounds;
  private readonly events: ReceivingEvents;
  private readonly onArrival: (stream: Stream) => void;

  /** @param onArrival data came that keeps the rules; called before `events.data` */
  constructor(
    credit: ReceiveCredit,
    sending: Sending,
    bounds: StreamBounds,
    events: ReceivingEvents,
    onArrival: (stream: Stream) => void,
  ) {
    this.credit = credit;
    this.sending = sending;
    this.bounds = bounds;
    this.events = events;
    this.onArrival = onArrival;
  }

  /** False when the frame breaks a rule. Whether the stream is over now is the caller's to look. */
  handleData(stream: Stream, frame: StreamFrame, bytes: Uint8Array): boolean {
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
      if (isFin) stream.receive = { kind: "reset" };
      return true;
    }
    if (isFin) stream.receive = { kind: "ending", finalOffset: end };
    this.onArrival(stream);
    if (length > 0) {
      if (offset < stream.delivered) return false;
      if (offset > stream.delivered || stream.opening.kind === "unannounced") {
        if (!stream.reassembly.insert(offset, bytes, frame.at, length)) return false;
      } else {
        if (!stream.reassembly.isFree(offset, length)) return false;
        stream.delivered = end;
        this.events.data(stream.id, bytes, frame.at, length);
      }
    }
    this.deliver(stream);
    return true;
  }

  handleReset(stream: Stream, finalOffset: number): ResetKind {
    const { receive } = stream;
    if (finalOffset < stream.credit.received) return "violation";
    if (receive.kind === "finished" || receive.kind === "reset") {
      return finalOffset === stream.credit.received ? "late" : "violation";
    }
    if (receive.kind === "ending" && finalOffset !== receive.finalOffset) return "violation";
    if (!this.receive(stream, finalOffset)) return "violation";
    stream.receive = { kind: "reset" };
    stream.reassembly.clear();
    this.consumeRest(stream);
    stream.pending &= ~(Pending.stop | Pending.credit);
    return receive.kind === "discarding" ? "asked" : "unasked";
  }

  /** Gives what is in order to the application, which may end the stream meanwhile. */
  deliver(stream: Stream): void {
    if (stream.opening.kind === "unannounced") return;
    while (stream.receive.kind === "open" || stream.receive.kind === "ending") {
      const { reassembly } = stream;
      const length = reassembly.take(stream.delivered);
      if (length === 0) break;
      stream.delivered += length;
      this.events.data(stream.id, reassembly.taken, reassembly.takenAt, length);
    }
    if (stream.receive.kind !== "ending" || stream.delivered < stream.receive.finalOffset) return;
    stream.receive = { kind: "finished" };
    stream.pending &= ~Pending.credit;
    if (!stream.isSilent) this.events.finished(stream.id);
  }

  /** The application took so many delivered bytes. */
  consume(stream: Stream, bytes: number): void {
    const taken = Math.min(bytes, stream.delivered - stream.credit.consumed);
    if (taken <= 0) return;
    stream.credit.consume(taken);
    this.consumeSession(taken);
    this.raiseWhereDue(stream);
  }

  /** Nothing more of this stream is wanted: the peer is asked to stop, what still comes is dropped. */
  discard(stream: Stream, code: number): void {
    const { receive } = stream;
    stream.reassembly.clear();
    this.consumeRest(stream);
    stream.pending &= ~Pending.credit;
    if (receive.kind === "ending") stream.receive = { kind: "reset" };
    if (receive.kind !== "open") return;
    stream.receive = { kind: "discarding" };
    stream.stopCode = code;
    this.sending.queueControl(stream, Pending.stop);
  }

  /** Nothing of any stream is held any more. */
  handleSessionEnd(): void {
    this.bounds.release(this.credit.held);
    this.credit.consume(this.credit.held);
  }

  /** The highest byte of a stream moved to `end`. False when that breaks a limit. */
  private receive(stream: Stream, end: number): boolean {
    const grown = end - stream.credit.received;
    if (!stream.credit.mayReceive(grown) || !this.credit.mayReceive(grown)) return false;
    stream.credit.receive(grown);
    this.credit.receive(grown);
    this.bounds.hold(grown);
    this.bounds.sessionHeld.note(this.credit.held);
    this.raiseWhereDue(stream);
    return true;
  }

  /** Nobody wants the rest: as far as credit goes, it was taken. */
  private consumeRest(stream: Stream): void {
    const rest = stream.credit.held;
    stream.credit.consume(rest);
    this.consumeSession(rest);
  }

  private consumeSession(bytes: number): void {
    this.credit.consume(bytes);
    this.bounds.release(bytes);
    if (this.credit.needsRaise(this.bounds.strain)) this.sending.queueCredit();
  }

  private raiseWhereDue(stream: Stream): void {
    const { strain } = this.bounds;
    if (this.credit.needsRaise(strain)) this.sending.queueCredit();
    if (stream.receive.kind !== "open" || !stream.credit.needsRaise(strain)) return;
    this.sending.queueControl(stream, Pending.credit);
  }
}
