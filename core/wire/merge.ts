import type { Reader, Writer } from "./cursor.js";

/**
 * MERGE: "the session under which I say this and the one that you call `index` are both with me." The proof can be made
 * by nobody but an end of both (stack/doubles.ts says how), so a neighbour who merely claims another's router id has none.
 *
 *   offset  size  field
 *        0     4  index  the receiver's number for the other session, never 0
 *        4    16  proof
 */
export interface Merge {
  readonly index: number;
  readonly proof: Uint8Array;
}

export const MERGE_PROOF_BYTES = 16;
export const MERGE_BYTES = 20;

export function encodeMerge(out: Writer, { index, proof }: Merge): void {
  out.u32(index).raw(proof);
}

/** Undefined when the bytes are none. `proof` is a view of the input. */
export function decodeMerge(input: Reader): Merge | undefined {
  const merge = { index: input.u32(), proof: input.raw(MERGE_PROOF_BYTES) };
  if (!input.ok || merge.index === 0) return undefined;
  return merge;
}
