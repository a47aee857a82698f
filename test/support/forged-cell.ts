import { CELL_BYTES, encodeCellHeader } from "../../core/wire/cell.js";
import { Writer } from "../../core/wire/cursor.js";

/** A reliable cell of a peer that keeps no rules. */
export function forgedCell(seq: number, write: (out: Writer) => void): Uint8Array {
  const bytes = new Uint8Array(CELL_BYTES);
  const out = new Writer(bytes);
  encodeCellHeader(out, { isReliable: true, isPush: false, seq });
  write(out);
  return bytes;
}
