import { FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * OPEN   0x07: id u24, port u16, flags u8 (0)        a new stream to an overlay port
 * ACCEPT 0x08: id u24                                the port is served
 * RESET  0x09: id u24, code u16, finalOffset u48     I send no more of this stream; I had sent finalOffset bytes
 * STOP   0x0a: id u24, code u16                      I read no more of this stream; answer with RESET
 *
 * Encoders write the type byte, decoders read what follows it.
 */
export interface Open {
  readonly id: number;
  readonly port: number;
}

export interface Reset {
  readonly id: number;
  /** EndCode */
  readonly code: number;
  readonly finalOffset: number;
}

export interface Stop {
  readonly id: number;
  /** EndCode */
  readonly code: number;
}

export const OPEN_BYTES = 7;
export const ACCEPT_BYTES = 4;
export const RESET_BYTES = 12;
export const STOP_BYTES = 6;

export function encodeOpen(out: Writer, frame: Open): void {
  out.u8(FrameType.open).u24(frame.id).u16(frame.port).u8(0);
}

export function decodeOpen(input: Reader): Open | undefined {
  const frame = { id: input.u24(), port: input.u16() };
  const flags = input.u8();
  return input.ok && flags === 0 ? frame : undefined;
}

export function encodeAccept(out: Writer, id: number): void {
  out.u8(FrameType.accept).u24(id);
}

export function decodeAccept(input: Reader): number | undefined {
  const id = input.u24();
  return input.ok ? id : undefined;
}

export function encodeReset(out: Writer, frame: Reset): void {
  out.u8(FrameType.reset).u24(frame.id).u16(frame.code).u48(frame.finalOffset);
}

export function decodeReset(input: Reader): Reset | undefined {
  const frame = { id: input.u24(), code: input.u16(), finalOffset: input.u48() };
  return input.ok ? frame : undefined;
}

export function encodeStop(out: Writer, frame: Stop): void {
  out.u8(FrameType.stop).u24(frame.id).u16(frame.code);
}

export function decodeStop(input: Reader): Stop | undefined {
  const frame = { id: input.u24(), code: input.u16() };
  return input.ok ? frame : undefined;
}
