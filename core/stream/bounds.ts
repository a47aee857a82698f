import { Cap } from "../collections/cap.js";

/** Bytes that wait in the send buffers of one session: what a peer that reads nothing can make us hold of our own. */
export const SESSION_SEND_BYTES_MAX = 16 << 20;
/** The same of all sessions together. */
const ALL_SEND_BYTES_MAX = 256 << 20;
/** A stream may keep so much in its buffer even when the others have used up all of that: none stops for another. */
export const STREAM_SEND_BYTES_MIN = 16 << 10;
/** A session's window of credit grows no further. */
export const SESSION_CREDIT_MAX_BYTES = 16 << 20;
/** Streams of one session, those included that are about to be refused. */
export const SESSION_STREAMS_MAX = 2_576;
/** What peers made us hold, all sessions together: beyond, the session that holds the most gives half of it up. */
export const ALL_HELD_BYTES_MAX = 256 << 20;
/** A stream counts for so much besides its bytes: what is kept of it, and a slab that holds one byte. */
export const STREAM_HELD_BYTES = 4 << 10;
/** A new session is granted so much while little is left: at first, and as its window. */
export const CRAMPED_CREDIT_BYTES = 256 << 10;

/** How near the bytes held for all peers are to their bound: from half on no window grows, from three quarters on they are small. */
export type Strain = "none" | "tight" | "cramped";

/** What the streams of all sessions of a stack hold, and how near it came to its bounds. */
export class StreamBounds {
  /** Bytes in the send buffers of all sessions. */
  sending = 0;
  /** Bytes that peers used of their credit and that nobody took yet, and the cost of their streams. */
  held = 0;
  readonly all = new Cap("streams.sendBytes", ALL_SEND_BYTES_MAX);
  readonly session = new Cap("streams.sessionSendBytes", SESSION_SEND_BYTES_MAX);
  readonly sessionHeld = new Cap("streams.sessionHeldBytes", SESSION_CREDIT_MAX_BYTES);
  readonly allHeld: Cap;
  readonly streams = new Cap("streams.session", SESSION_STREAMS_MAX);

  constructor(heldBytesMax = ALL_HELD_BYTES_MAX) {
    this.allHeld = new Cap("streams.heldBytes", heldBytesMax);
  }

  get caps(): readonly Cap[] {
    return [this.all, this.session, this.allHeld, this.sessionHeld, this.streams];
  }

  get strain(): Strain {
    const { limit } = this.allHeld;
    if (this.held * 2 < limit) return "none";
    return this.held * 4 < limit * 3 ? "tight" : "cramped";
  }

  get isFull(): boolean {
    return this.held > this.allHeld.limit;
  }

  hold(bytes: number): void {
    this.held += bytes;
    this.allHeld.note(this.held);
  }

  release(bytes: number): void {
    this.held -= bytes;
  }

  get room(): number {
    return this.all.limit - this.sending;
  }

  add(bytes: number): void {
    this.sending += bytes;
    this.all.note(this.sending);
  }
}
