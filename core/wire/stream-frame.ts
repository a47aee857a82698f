import { CELL_BODY, FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * STREAM: bytes of one stream. No byte of a stream is ever put into two cells, so overlapping frames are a fault.
 *
 *   offset  size  field
 *        0     1  type    0x10, bit 0 FIN (the stream ends after these bytes), bit 1 LEN
 *        1     3  id
 *        4     6  offset  of the first data byte in the stream
 *       10   0|2  length  with LEN only; without it the data is exactly CELL_BODY bytes
 *     10|12     n  data
 */
export class StreamFrame {
  id = 0;
  offset = 0;
  isFin = false;
  /** Where the data starts in the bytes that were read. */
  at = 0;
  length = 0;
}

export const STREAM_HEADER_BYTES = 10;
export const STREAM_HEADER_LEN_BYTES = 12;

const FIN = 1;
const LEN = 2;

export function isStreamType(type: number): boolean {
  return (type & ~(FIN | LEN)) === FrameType.stream;
}

/** Writes type, id, offset and, when `length` is not CELL_BODY, the length. The caller writes the data behind it. */
export function encodeStreamHeader(out: Writer, id: number, offset: number, length: number, isFin: boolean): void {
  const hasLength = length !== CELL_BODY;
  out.u8(FrameType.stream | (isFin ? FIN : 0) | (hasLength ? LEN : 0));
  out.u24(id).u48(offset);
  if (hasLength) out.u16(length);
}

/** Reads what follows the type byte into a reused object, and skips the data. False when the data is cut short. */
export function decodeStreamFrame(input: Reader, type: number, into: StreamFrame): boolean {
  into.id = input.u24();
  into.offset = input.u48();
  into.isFin = (type & FIN) !== 0;
  into.length = (type & LEN) !== 0 ? input.u16() : CELL_BODY;
  into.at = input.offset;
  input.skip(into.length);
  return input.ok && (into.length > 0 || into.isFin);
}
