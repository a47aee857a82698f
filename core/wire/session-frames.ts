import { FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * PING  0x01: id u32. Answered at once by PONG with the same id.
 * PONG  0x02: id u32.
 * CLOSE 0x03: code u16 (EndCode). The session is over; nothing else is sent.
 *
 * All in unreliable cells. Encoders write the type byte, decoders read what follows it.
 */
export const PING_FRAME_BYTES = 5;

export function encodePing(out: Writer, id: number): void {
  out.u8(FrameType.ping).u32(id);
}

export function encodePong(out: Writer, id: number): void {
  out.u8(FrameType.pong).u32(id);
}

/** The id of a PING or a PONG; undefined when cut short. */
export function decodePing(input: Reader): number | undefined {
  const id = input.u32();
  return input.ok ? id : undefined;
}

export function encodeClose(out: Writer, code: number): void {
  out.u8(FrameType.close).u16(code);
}

export function decodeClose(input: Reader): number | undefined {
  const code = input.u16();
  return input.ok ? code : undefined;
}
