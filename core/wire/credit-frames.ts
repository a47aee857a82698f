import { FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * MAX_SESSION 0x05: limit u48           the peer may send this many stream bytes in all, over all streams
 * MAX_STREAM  0x06: id u24, limit u48   the peer may send this many bytes of stream `id` in all
 *
 * Limits are absolute and only grow; a smaller one is old news. Encoders write the type byte, decoders read what
 * follows it.
 */
export interface MaxStream {
  readonly id: number;
  readonly limit: number;
}

export const MAX_SESSION_BYTES = 7;
export const MAX_STREAM_BYTES = 10;

export function encodeMaxSession(out: Writer, limit: number): void {
  out.u8(FrameType.maxSession).u48(limit);
}

export function decodeMaxSession(input: Reader): number | undefined {
  const limit = input.u48();
  return input.ok ? limit : undefined;
}

export function encodeMaxStream(out: Writer, frame: MaxStream): void {
  out.u8(FrameType.maxStream).u24(frame.id).u48(frame.limit);
}

export function decodeMaxStream(input: Reader): MaxStream | undefined {
  const frame = { id: input.u24(), limit: input.u48() };
  return input.ok ? frame : undefined;
}
