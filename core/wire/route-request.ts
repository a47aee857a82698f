import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * ROUTE_REQUEST: "I want a route to this NAC whose index is at least this one." Travels towards the origin, which
 * answers with a ROUTES entry that comes back the same way.
 *
 *   offset  size  field
 *        0     1  type    0x05
 *        1     1  hops    how many more links it may cross, at least 1
 *        2    16  NAC
 *       18     4  epoch
 *       22     4  slot
 *       26     1  repair
 *       27     4  life    and a proof that the origin lived in this slot or later; 0: none is wanted
 */
export const ROUTE_REQUEST_BYTES = 31;

export interface RouteRequest {
  readonly hops: number;
  readonly nac: Uint8Array;
  readonly epoch: number;
  readonly slot: number;
  readonly repair: number;
  readonly life: number;
}

export function encodeRouteRequest(out: Writer, request: RouteRequest): void {
  out.u8(ControlFrame.routeRequest).u8(request.hops).raw(request.nac);
  out.u32(request.epoch).u32(request.slot).u8(request.repair).u32(request.life);
}

/** The type byte is consumed already; `nac` is a view of the input. */
export function decodeRouteRequest(input: Reader): RouteRequest | undefined {
  const request = {
    hops: input.u8(),
    nac: input.raw(16),
    epoch: input.u32(),
    slot: input.u32(),
    repair: input.u8(),
    life: input.u32(),
  };
  return input.ok && request.hops > 0 ? request : undefined;
}
