import type { Reader, Writer } from "./cursor.js";

/**
 * BYE: "I leave; take my routes out at once." The receiver drops the link without waiting for its death.
 *
 *   offset  size  field
 *        0     1  reason   1 shutdown, 2 replaced by another session, 3 the sender hears nothing that it can use
 */
export interface Bye {
  readonly reason: number;
}

export const ByeReason = { shutdown: 1, replaced: 2, unheard: 3 } as const;

export function encodeBye(out: Writer, bye: Bye): void {
  out.u8(bye.reason);
}

export function decodeBye(input: Reader): Bye | undefined {
  const bye = { reason: input.u8() };
  return input.ok ? bye : undefined;
}
