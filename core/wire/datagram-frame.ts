import { CELL_FRAMES_BYTES, FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * DATAGRAM: one datagram of a flow, whole. It is neither repaired nor put in order; it comes once or never.
 *
 *   offset  size  field
 *        0     1  type    0x20
 *        1     3  flow    chosen by the initiator of the session; the answer names the same
 *        4     2  port    the overlay port, in every frame: the first may be lost
 *        6     2  length  at most 1,004
 *        8     n  data
 */
export class DatagramFrame {
  flow = 0;
  port = 0;
  /** Where the data starts in the bytes that were read. */
  at = 0;
  length = 0;
}

export const DATAGRAM_HEADER_BYTES = 8;
/** The largest datagram: what one cell holds. */
export const DATAGRAM_BYTES_MAX = CELL_FRAMES_BYTES - DATAGRAM_HEADER_BYTES;

/** Writes the type byte too. */
export function encodeDatagram(out: Writer, flow: number, port: number, data: Uint8Array): void {
  out.u8(FrameType.datagram).u24(flow).u16(port).u16(data.length).raw(data);
}

/** Reads what follows the type byte into a reused object, and skips the data. False when it is cut short. */
export function decodeDatagram(input: Reader, into: DatagramFrame): boolean {
  into.flow = input.u24();
  into.port = input.u16();
  into.length = input.u16();
  into.at = input.offset;
  input.skip(into.length);
  return input.ok;
}
