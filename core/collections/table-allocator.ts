/**
 * Where the columns of the big tables come from. A daemon takes them from the heap; a simulator with thousands of tables
 * lays them out itself. Columns arrive filled with zeros.
 */
export interface TableAllocator {
  u16(length: number): Uint16Array;
  u32(length: number): Uint32Array;
  /** A column of this allocator that nobody reads or writes any more: its memory may serve another. */
  release(column: NumberColumn): void;
}

/** Two bytes per number, or four. */
export type NumberColumn = Uint16Array | Uint32Array;

export const heapAllocator: TableAllocator = {
  u16: (length) => new Uint16Array(length),
  u32: (length) => new Uint32Array(length),
  release: () => undefined, // the garbage collector sees it by itself
};

const WIDE_FROM = 0x10000;
const ROOM_MIN = 32;
/** A page of two-byte numbers. */
const PAGE_ROOM = 2_048;

/**
 * A column with room for `value` at `place`: this one, or a larger or wider one that holds the same, and this one is
 * released.
 */
export function withRoom(
  column: NumberColumn,
  place: number,
  value: number,
  lengthMax: number,
  allocate: TableAllocator,
): NumberColumn {
  const isWide = column instanceof Uint32Array || value >= WIDE_FROM;
  const isLongEnough = place < column.length;
  if (isLongEnough && isWide === column instanceof Uint32Array) return column;
  const wanted = Math.max(place + 1, nextRoom(column.length));
  const length = isLongEnough ? column.length : Math.min(lengthMax, wanted);
  const larger = isWide ? allocate.u32(length) : allocate.u16(length);
  larger.set(column);
  allocate.release(column);
  return larger;
}

/**
 * Small columns grow by a quarter, those of a page or more by pages or by an eighth: room that nobody uses costs memory
 * for each destination, and there are thousands of such columns.
 */
function nextRoom(room: number): number {
  if (room >= PAGE_ROOM) return room + Math.max(PAGE_ROOM, room >> 3);
  return Math.min(PAGE_ROOM, room + Math.max(ROOM_MIN, room >> 2));
}
