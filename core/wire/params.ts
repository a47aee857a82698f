import type { Reader, Writer } from "./cursor.js";

/**
 * PARAMS: what one end grants the other for the life of the session. Sealed inside each flight of the handshake.
 *
 *   offset  size  field
 *        0     3  creditKiB   session bytes the peer may send before the first MAX_SESSION, in KiB
 *        3     2  streamsMax  streams the peer may hold open at once
 *        5     2  flags       zero
 */
export interface Params {
  readonly creditKiB: number;
  readonly streamsMax: number;
  readonly flags: number;
}

export const PARAMS_BYTES = 7;

export function encodeParams(out: Writer, params: Params): void {
  out.u24(params.creditKiB).u16(params.streamsMax).u16(params.flags);
}

export function decodeParams(input: Reader): Params | undefined {
  const params = { creditKiB: input.u24(), streamsMax: input.u16(), flags: input.u16() };
  return input.ok ? params : undefined;
}
