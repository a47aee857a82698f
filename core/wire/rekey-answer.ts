import type { Reader, Writer } from "./cursor.js";
import { KEM_CIPHERTEXT_BYTES } from "./flight.js";

/**
 * REKEY_ANSWER: the secret of the new round, sealed to the key of the REKEY_OFFER that it answers. Repeated as it was
 * when the offer is.
 *
 *   offset  size  field
 *        0     2  round       as offered
 *        2   768  ciphertext  ML-KEM-512
 */
export interface RekeyAnswer {
  readonly round: number;
  readonly ciphertext: Uint8Array;
}
export const REKEY_ANSWER_BYTES = 2 + KEM_CIPHERTEXT_BYTES;

export function encodeRekeyAnswer(out: Writer, answer: RekeyAnswer): void {
  out.u16(answer.round).raw(answer.ciphertext);
}

/** Undefined when the bytes are no REKEY_ANSWER; `ciphertext` is a view. */
export function decodeRekeyAnswer(input: Reader): RekeyAnswer | undefined {
  const answer = { round: input.u16(), ciphertext: input.raw(KEM_CIPHERTEXT_BYTES) };
  if (!input.ok) return undefined;
  if (answer.round === 0) return undefined;
  return answer;
}
