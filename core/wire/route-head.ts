import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * ROUTE_HEAD: "my newest control message has this number." Who misses any answers with a ROUTE_STATUS.
 *
 *   offset  size  field
 *        0     1  type  0x04
 *        1     4  sent
 */
export const ROUTE_HEAD_BYTES = 5;

export function encodeRouteHead(out: Writer, sent: number): void {
  out.u8(ControlFrame.routeHead).u32(sent);
}

/** The number; the type byte is consumed already. */
export function decodeRouteHead(input: Reader): number | undefined {
  const sent = input.u32();
  return input.ok ? sent : undefined;
}
