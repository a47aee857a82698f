/**
 * Where the columns of the big tables come from. A daemon takes them from the heap; a simulator with thousands of tables
 * may lay them out itself. Columns arrive filled with zeros.
 */
export interface TableAllocator {
  u8(length: number): Uint8Array;
  u16(length: number): Uint16Array;
  u32(length: number): Uint32Array;
  i16(length: number): Int16Array;
}

export const heapAllocator: TableAllocator = {
  u8: (length) => new Uint8Array(length),
  u16: (length) => new Uint16Array(length),
  u32: (length) => new Uint32Array(length),
  i16: (length) => new Int16Array(length),
};
