import type { Reader, Writer } from "../wire/cursor.js";

/**
 * What rides on a transport: it fills the reliable cells of one end and takes the frames at the other. The transport
 * knows nothing of streams; whoever implements this knows nothing of loss.
 */
export interface CellSource {
  /** True when a frame waits to be sent. */
  readonly isReady: boolean;
  /** Writes the frames of the next new cell, at least one when `isReady`. */
  fillCell(nowUs: number, rttUs: number, out: Writer): void;
}

export interface CellSink {
  /**
   * Takes one frame of a reliable cell, its type already read. Each cell comes once, in any order.
   * False: a violation of the protocol, which ends the session.
   */
  handleFrame(nowUs: number, type: number, input: Reader): boolean;
  /** The session is over: nothing more will be sent or received. `code` is an EndCode. */
  handleSessionEnd(code: number): void;
}

export interface UnreliableSink {
  /**
   * Takes one frame of an unreliable cell, its type already read: REKEY_OFFER, REKEY_ANSWER or DATAGRAM. It may come in
   * any order or never, but not twice. False: a violation of the protocol, which ends the session.
   */
  handleUnreliableFrame(nowUs: number, type: number, input: Reader): boolean;
}

/** What the transport tells its owner by itself. */
export interface TransportEvents extends UnreliableSink {
  /** The peer answered `ping(id)`. */
  pong(id: number, rttUs: number): void;
}
