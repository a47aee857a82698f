import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";
import { isPrefix, TABLE_DEPTH_MAX } from "./table-query.js";

/**
 * TABLE_SUMS: the sums of the sixteen parts of a bucket, as of the sender's control message `sent`.
 *
 *   offset  size  field
 *        0     1  type    0x0d
 *        1     1  depth   0 .. 7, as asked
 *        2     4  prefix
 *        6     4  sent    comparable when the receiver has processed just so much
 *       10    64  sums    16 times 4: the low words of the parts' digests
 */
export const TABLE_SUMS_BYTES = 74;
export const TABLE_PARTS = 16;

export interface TableSums {
  readonly depth: number;
  readonly prefix: number;
  readonly sent: number;
  readonly sums: Uint32Array;
}

export function encodeTableSums(out: Writer, { depth, prefix, sent, sums }: TableSums): void {
  out.u8(ControlFrame.tableSums).u8(depth).u32(prefix).u32(sent);
  for (let part = 0; part < TABLE_PARTS; part += 1) out.u32(sums[part]!);
}

/** The type byte is consumed already. */
export function decodeTableSums(input: Reader): TableSums | undefined {
  const sums = new Uint32Array(TABLE_PARTS);
  const head = { depth: input.u8(), prefix: input.u32(), sent: input.u32(), sums };
  for (let part = 0; part < TABLE_PARTS; part += 1) sums[part] = input.u32();
  if (!input.ok || head.depth >= TABLE_DEPTH_MAX) return undefined;
  return isPrefix(head.depth, head.prefix) ? head : undefined;
}
