import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * ROUTE_STATUS: how far the receiver of a control stream got, and which messages it misses. It is the stream's NACK, and
 * the answer to a ROUTE_HEAD.
 *
 *   offset  size  field
 *        0     1  type       0x03
 *        1     4  processed  all messages up to this number were processed
 *        5     1  count      ranges that follow
 *        6     6  each range: start u32, length u16 (at least 1)
 */
export const ROUTE_STATUS_HEAD_BYTES = 6;
export const ROUTE_STATUS_RANGE_BYTES = 6;

export interface MissingRange {
  readonly start: number;
  readonly length: number;
}

export interface RouteStatus {
  readonly processed: number;
  readonly missing: readonly MissingRange[];
}

export function encodeRouteStatus(out: Writer, status: RouteStatus): void {
  out.u8(ControlFrame.routeStatus).u32(status.processed).u8(status.missing.length);
  for (const range of status.missing) out.u32(range.start).u16(range.length);
}

/** The type byte is consumed already. */
export function decodeRouteStatus(input: Reader): RouteStatus | undefined {
  const processed = input.u32();
  const count = input.u8();
  const missing: MissingRange[] = [];
  for (let i = 0; i < count && input.ok; i += 1) {
    const range = { start: input.u32(), length: input.u16() };
    if (range.length === 0 || range.start <= processed) return undefined;
    missing.push(range);
  }
  return input.ok ? { processed, missing } : undefined;
}
