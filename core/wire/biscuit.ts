import { NAC_BYTES } from "../address/nac.js";
import type { Reader, Writer } from "./cursor.js";
import { BISCUIT_BYTES, TAG_BYTES } from "./flight.js";

/**
 * BISCUIT: the responder's state between RESP and CONF, sealed by the responder to itself and carried by the
 * initiator, so that an INIT costs the responder no memory.
 *
 *   offset  size  field
 *        0    12  nonce   random
 *       12   105  sealed  the state below
 *      117    16  tag
 *
 * The state, inside the seal:
 *
 *        0    32  chainingKey     after RESP (ck2)
 *       32    32  transcript      after RESP (th2)
 *       64     4  initiatorIndex  idx_I
 *       68     4  responderIndex  idx_R
 *       72    16  returnNac       from INIT; zero on links
 *       88     6  issuedMs        responder's clock, milliseconds
 *       94     8  pathTag         what the responder's owner tells paths apart by; zero end to end
 *      102     3  zero
 */
export interface BiscuitState {
  readonly chainingKey: Uint8Array;
  readonly transcript: Uint8Array;
  readonly initiatorIndex: number;
  readonly responderIndex: number;
  readonly returnNac: Uint8Array;
  readonly issuedMs: number;
  readonly pathTag: Uint8Array;
}

export const BISCUIT_NONCE_BYTES = 12;
export const BISCUIT_STATE_BYTES = BISCUIT_BYTES - BISCUIT_NONCE_BYTES - TAG_BYTES;
export const PATH_TAG_BYTES = 8;
const KEY_BYTES = 32;
const ZERO_BYTES = 3;

export function encodeBiscuitState(out: Writer, state: BiscuitState): void {
  out.raw(state.chainingKey).raw(state.transcript).u32(state.initiatorIndex).u32(state.responderIndex);
  out.raw(state.returnNac).u48(state.issuedMs).raw(state.pathTag).zeros(ZERO_BYTES);
}

/** Byte fields are views of the input. */
export function decodeBiscuitState(input: Reader): BiscuitState | undefined {
  const state = {
    chainingKey: input.raw(KEY_BYTES),
    transcript: input.raw(KEY_BYTES),
    initiatorIndex: input.u32(),
    responderIndex: input.u32(),
    returnNac: input.raw(NAC_BYTES),
    issuedMs: input.u48(),
    pathTag: input.raw(PATH_TAG_BYTES),
  };
  if (!input.zeros(ZERO_BYTES) || state.initiatorIndex === 0 || state.responderIndex === 0) return undefined;
  return state;
}
