import type { NumberColumn, TableAllocator } from "../../core/collections/table-allocator.js";

/** From now on, counts what is taken from `allocator` and not given back. Columns taken before count when they are given back, too. */
export function countTables(allocator: TableAllocator): { readonly bytes: number } {
  const count = { bytes: 0 };
  const { u16, u32, release } = allocator;
  const taken = <Column extends NumberColumn>(column: Column): Column => {
    count.bytes += column.byteLength;
    return column;
  };
  allocator.u16 = (length) => taken(u16(length));
  allocator.u32 = (length) => taken(u32(length));
  allocator.release = (column) => {
    count.bytes -= column.byteLength;
    release(column);
  };
  return count;
}
