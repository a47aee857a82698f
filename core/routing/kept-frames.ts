import { heapAllocator, type NumberColumn, type TableAllocator } from "../collections/table-allocator.js";

/** Frames have room for so many bytes; a longer one, of which there are none in practice, has a sheet of its own. */
const ROOMS: readonly number[] = [160, 510, 1_228];
/** So many of them to a sheet, at most 32: a bit says which are free. Of long ones, those that fill three pages. */
const SHEET_FRAMES: readonly number[] = [12, 4, 10];
/** Objects of frames that were acknowledged, of one node. Beyond: given to the garbage collector. */
const SPARES_MAX = 32;

/** Memory cut into places for frames of one room. */
interface Sheet {
  readonly column: NumberColumn;
  readonly bytes: Uint8Array;
  readonly room: number;
  /** The place of its kind in ROOMS. */
  readonly kind: number;
  /** A bit for each place. */
  readonly all: number;
  free: number;
}

/** A control message that may have to be sent again: a copy. */
export class KeptFrame {
  sheet: Sheet;
  place = 0;
  length = 0;
  /** When a copy left last. */
  atUs = 0;
  /** When it left first. */
  firstUs = 0;
  /** The neighbour lists it as missing. */
  isMissing = false;

  constructor(sheet: Sheet) {
    this.sheet = sheet;
  }

  /** Valid until the frame is given back. */
  get bytes(): Uint8Array {
    const { bytes, room } = this.sheet;
    return bytes.subarray(this.place * room, this.place * room + this.length);
  }
}

/**
 * The frames that a node keeps until they are acknowledged, of all its neighbours. An object with a buffer of its own for
 * each would take half as much again as its bytes, and there are hundreds while a network begins.
 */
export class KeptFrames {
  private readonly allocate: TableAllocator;
  private readonly spares: KeptFrame[] = [];
  /** By kind: sheets with free places. */
  private readonly open: readonly Sheet[][] = ROOMS.map(() => []);

  constructor(allocate = heapAllocator) {
    this.allocate = allocate;
  }

  keep(nowUs: number, bytes: Uint8Array, start: number, end: number): KeptFrame {
    const length = end - start;
    let kind = 0;
    while (length > ROOMS[kind]!) kind += 1; // undefined ends it: compared with NaN
    const open = this.open[kind];
    const sheet = open?.at(-1) ?? this.newSheet(kind, length);
    const place = 31 - Math.clz32(sheet.free & -sheet.free);
    sheet.free &= ~(1 << place);
    if (sheet.free === 0) open?.pop(); // it was the last of them
    sheet.bytes.set(bytes.subarray(start, end), place * sheet.room);
    const frame = this.spares.pop() ?? new KeptFrame(sheet);
    frame.sheet = sheet;
    frame.place = place;
    frame.length = length;
    frame.atUs = nowUs;
    frame.firstUs = nowUs;
    frame.isMissing = false;
    return frame;
  }

  /** Its place serves others now. One empty sheet of each kind is kept for them. */
  giveBack(frame: KeptFrame): void {
    const { sheet } = frame;
    const open = this.open[sheet.kind];
    if (sheet.free === 0) open?.push(sheet);
    sheet.free |= 1 << frame.place;
    if (sheet.free === sheet.all && open?.length !== 1) this.drop(sheet);
    if (this.spares.length < SPARES_MAX) this.spares.push(frame);
  }

  /** Now and then: half of the spares go, and empty sheets, so that a quiet node has none. */
  trim(): void {
    if (this.spares.length > 0) this.spares.length >>= 1;
    for (const [sheet] of this.open) if (sheet !== undefined && sheet.free === sheet.all) this.drop(sheet);
  }

  private newSheet(kind: number, length: number): Sheet {
    const room = ROOMS[kind] ?? length;
    const frames = SHEET_FRAMES[kind] ?? 1;
    const column = this.allocate.u16(Math.ceil((room * frames) / 2));
    const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
    const all = (2 ** frames - 1) | 0;
    const sheet = { column, bytes, room, kind, all, free: all };
    this.open[kind]?.push(sheet);
    return sheet;
  }

  private drop(sheet: Sheet): void {
    const open = this.open[sheet.kind];
    open?.splice(open.indexOf(sheet), 1);
    this.allocate.release(sheet.column);
  }
}
