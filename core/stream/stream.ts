import type { Digest } from "../collections/digest.js";
import { ReceiveCredit } from "./credit.js";
import { Reassembly } from "./reassembly.js";
import { SendBuffer } from "./send-buffer.js";

/** What each end may send on a new stream before the first MAX_STREAM. Fixed by the protocol. */
export const STREAM_CREDIT_BYTES = 1 << 20;
const STREAM_CREDIT_MAX_BYTES = 4 << 20;

/** How far the two ends agree that the stream exists. */
export type Opening =
  /** Bytes came before their OPEN: they are kept, nobody was told. */
  | { readonly kind: "unannounced"; readonly sinceUs: number }
  /** OPEN went or came; the responder has not decided. */
  | { readonly kind: "offered"; readonly port: number }
  | { readonly kind: "accepted"; readonly port: number };

export type SendState =
  | { readonly kind: "open" }
  /** The last byte is in the buffer. */
  | { readonly kind: "finishing" }
  | { readonly kind: "finished" }
  | { readonly kind: "reset"; readonly code: number };

export type ReceiveState =
  | { readonly kind: "open" }
  /** FIN came, bytes before it are missing. */
  | { readonly kind: "ending"; readonly finalOffset: number }
  | { readonly kind: "finished" }
  /** STOP was sent: what still comes is counted and dropped. */
  | { readonly kind: "discarding" }
  | { readonly kind: "reset" };

/** Control frames that wait to be sent, as bits. */
export const Pending = { open: 1, accept: 2, credit: 4, fin: 8, reset: 16, stop: 32 } as const;

/** One stream: two directions that end separately. Streams moves it; this holds what belongs to it. */
export class Stream {
  readonly id: number;
  opening: Opening;
  send: SendState = { kind: "open" };
  receive: ReceiveState = { kind: "open" };
  /** For the STOP that waits. */
  stopCode = 0;
  pending = 0;
  /** Standing in the queue of control frames, of data. */
  inControl = false;
  inReady = false;
  /** The application has the id. */
  isKnown = false;
  /** The application hears nothing more but `closed`. */
  isSilent = false;
  /** A write was cut short: tell when there is room. */
  wantsRoom = false;

  readonly buffer = new SendBuffer();
  /** Bytes put into cells. */
  sent = 0;
  sendLimit = STREAM_CREDIT_BYTES;

  readonly reassembly = new Reassembly();
  readonly credit = new ReceiveCredit(STREAM_CREDIT_BYTES, STREAM_CREDIT_MAX_BYTES);
  /** Bytes given to the application, in order. */
  delivered = 0;

  constructor(id: number, opening: Opening) {
    this.id = id;
    this.opening = opening;
  }

  get isSendOver(): boolean {
    return this.send.kind === "finished" || this.send.kind === "reset";
  }

  get isReceiveOver(): boolean {
    return (
      this.receive.kind === "reset" || (this.receive.kind === "finished" && this.credit.consumed >= this.delivered)
    );
  }

  /** Bytes that could go into a cell now, the session's credit aside. */
  get sendable(): number {
    if (this.send.kind !== "open" && this.send.kind !== "finishing") return 0;
    return Math.min(this.buffer.length, this.sendLimit - this.sent);
  }

  digest(into: Digest): void {
    into.number(this.id).number(this.sent).number(this.sendLimit).number(this.delivered).number(this.pending);
    into.number(this.buffer.length).number(this.reassembly.length);
    into.number(OPENINGS.indexOf(this.opening.kind)).number(SENDS.indexOf(this.send.kind));
    into.number(RECEIVES.indexOf(this.receive.kind));
    this.credit.digest(into);
  }
}

// The numbers that stand for states in a digest.
const OPENINGS: readonly Opening["kind"][] = ["unannounced", "offered", "accepted"];
const SENDS: readonly SendState["kind"][] = ["open", "finishing", "finished", "reset"];
const RECEIVES: readonly ReceiveState["kind"][] = ["open", "ending", "finished", "discarding", "reset"];
