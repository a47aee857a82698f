import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * TABLE_QUERY: "what did you announce to me in this bucket?" Asked when the digests of a HELLO disagree.
 *
 * Buckets are prefixes of a 32-bit hash of the NAC (routing/table-digest.ts), four bits a step: depth 0 is the whole table,
 * depth 8 one hash value.
 *
 *   offset  size  field
 *        0     1  type    0x0c
 *        1     1  depth   0 .. 8
 *        2     4  prefix  the first 4 * depth bits of the hash, the rest zero
 *        6     1  count   255: the sums of its parts are wanted (TABLE_SUMS)
 *                         0 .. 8: the entries themselves are wanted (ROUTES); so many NACs follow
 *        7    16  each: a NAC of the bucket that the asker has; it is retracted if it was not announced
 */
export const TABLE_DEPTH_MAX = 8;
/** NACs in one query, and entries of a bucket that are repeated in answer to it. */
export const TABLE_LEAF_MAX = 8;
export const TABLE_QUERY_BYTES = 135;
const SUMS_WANTED = 0xff;

export interface TableQuery {
  readonly depth: number;
  readonly prefix: number;
  /** Undefined when sums are wanted. */
  readonly nacs: readonly Uint8Array[] | undefined;
}

export function encodeTableQuery(out: Writer, query: TableQuery): void {
  out.u8(ControlFrame.tableQuery).u8(query.depth).u32(query.prefix);
  out.u8(query.nacs?.length ?? SUMS_WANTED);
  for (const nac of query.nacs ?? []) out.raw(nac);
}

/** The type byte is consumed already; the NACs are views of the input. */
export function decodeTableQuery(input: Reader): TableQuery | undefined {
  const depth = input.u8();
  const prefix = input.u32();
  const count = input.u8();
  if (!input.ok || !isPrefix(depth, prefix)) return undefined;
  if (count === SUMS_WANTED) return { depth, prefix, nacs: undefined };
  if (count > TABLE_LEAF_MAX) return undefined;
  const nacs: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) nacs.push(input.raw(16));
  return input.ok ? { depth, prefix, nacs } : undefined;
}

/** True when `prefix` has no bit beyond its depth. */
export function isPrefix(depth: number, prefix: number): boolean {
  return depth <= TABLE_DEPTH_MAX && (depth === TABLE_DEPTH_MAX || (prefix << (4 * depth)) >>> 0 === 0);
}
