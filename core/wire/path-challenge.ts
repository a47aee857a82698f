import type { Reader, Writer } from "./cursor.js";

/**
 * PATH_CHALLENGE: "are you on this path?" PATH_RESPONSE returns the token, on the path on which the challenge came, and
 * also on the link's own path if that is another one.
 *
 *   offset  size  field
 *        0     8  token  random, another one for each path that is asked
 */
export interface PathChallenge {
  readonly token: Uint8Array;
}

export const PATH_TOKEN_BYTES = 8;

export function encodePathChallenge(out: Writer, { token }: PathChallenge): void {
  out.raw(token);
}

/** Undefined when the bytes are none. `token` is a view of the input. */
export function decodePathChallenge(input: Reader): PathChallenge | undefined {
  const challenge = { token: input.raw(PATH_TOKEN_BYTES) };
  return input.ok ? challenge : undefined;
}
