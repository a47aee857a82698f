import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * EPOCH_REQUEST: "You told me a route in this epoch, and I know the destination in an older one." The neighbour answers with
 * an EPOCH entry, if the proof is wanted, and tells the route again, both in its control stream (routes.ts).
 *
 *   offset  size  field
 *        0     1  type   0x0e
 *        1     1  want   1 the proof and the route, 2 the route alone
 *        2    16  NAC
 *       18     4  epoch
 *       22     4  known  the epoch that the asker knows: what the proof must follow from
 */
export const EPOCH_REQUEST_BYTES = 26;

export const EpochWant = { proof: 1, route: 2 } as const;

export interface EpochRequest {
  /** An EpochWant. */
  readonly want: number;
  readonly nac: Uint8Array;
  readonly epoch: number;
  readonly known: number;
}

export function encodeEpochRequest(out: Writer, request: EpochRequest): void {
  out.u8(ControlFrame.epochRequest).u8(request.want).raw(request.nac).u32(request.epoch).u32(request.known);
}

/** The type byte is consumed already; `nac` is a view of the input. */
export function decodeEpochRequest(input: Reader): EpochRequest | undefined {
  const request = { want: input.u8(), nac: input.raw(16), epoch: input.u32(), known: input.u32() };
  const isKnown = request.want === EpochWant.proof || request.want === EpochWant.route;
  return input.ok && isKnown ? request : undefined;
}
