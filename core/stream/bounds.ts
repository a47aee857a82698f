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

/** What the streams of all sessions of a stack hold, and how near it came to its bounds. */
export class StreamBounds {
  /** Bytes in the send buffers of all sessions. */
  sending = 0;
  readonly all = new Cap("streams.sendBytes", ALL_SEND_BYTES_MAX);
  readonly session = new Cap("streams.sessionSendBytes", SESSION_SEND_BYTES_MAX);
  readonly held = new Cap("streams.sessionHeldBytes", SESSION_CREDIT_MAX_BYTES);
  readonly streams = new Cap("streams.session", SESSION_STREAMS_MAX);

  get caps(): readonly Cap[] {
    return [this.all, this.session, this.held, this.streams];
  }

  get room(): number {
    return this.all.limit - this.sending;
  }

  add(bytes: number): void {
    this.sending += bytes;
    this.all.note(this.sending);
  }
}
