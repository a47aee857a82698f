const SLAB_BYTES = 2_048;
const SLAB_MASK = SLAB_BYTES - 1;
const NOTHING: Uint8Array = new Uint8Array(0);

/** The bytes of one part of a stream, and behind them a bit for each that has come. */
interface Slab {
  readonly bytes: Uint8Array;
  readonly marks: Uint8Array;
  /** Bytes that have come and were not taken: never 0, or the slab is gone. */
  held: number;
}

/**
 * Bytes that arrived before their turn, copied into slabs of 2 KiB with a bit for each byte. However small the pieces are
 * in which they came, they cost no more than the part of the stream they lie in: the stream's credit, an eighth of it, and
 * one slab.
 */
export class Reassembly {
  /** Bytes held. */
  length = 0;
  /** By offset / SLAB_BYTES. */
  private readonly slabs = new Map<number, Slab>();
  /** Where the bytes lie that `take` found. */
  taken = NOTHING;
  takenAt = 0;

  /** Keeps a copy of `from[at, at + length)`. False when it overlaps what is held. */
  insert(offset: number, from: Uint8Array, at: number, length: number): boolean {
    if (!this.isFree(offset, length)) return false;
    for (let done = 0; done < length; ) {
      const start = (offset + done) & SLAB_MASK;
      const count = Math.min(length - done, SLAB_BYTES - start);
      const slab = this.slabFor(slabIndex(offset + done));
      slab.bytes.set(from.subarray(at + done, at + done + count), start);
      mark(slab.marks, start, start + count);
      slab.held += count;
      done += count;
    }
    this.length += length;
    return true;
  }

  /** True when none of these bytes is held. */
  isFree(offset: number, length: number): boolean {
    if (this.length === 0) return true;
    for (let done = 0; done < length; ) {
      const start = (offset + done) & SLAB_MASK;
      const count = Math.min(length - done, SLAB_BYTES - start);
      const slab = this.slabs.get(slabIndex(offset + done));
      if (slab !== undefined && !isUnmarked(slab.marks, start, start + count)) return false;
      done += count;
    }
    return true;
  }

  /**
   * Takes what is held from `offset` on without a gap, up to the end of a slab, and returns how many bytes that is; 0 when
   * the next one is still missing. They lie in `taken` at `takenAt` until the next call.
   */
  take(offset: number): number {
    this.taken = NOTHING;
    if (this.length === 0) return 0;
    const index = slabIndex(offset);
    const slab = this.slabs.get(index);
    if (slab === undefined) return 0;
    const start = offset & SLAB_MASK;
    const count = runLength(slab.marks, start);
    if (count === 0) return 0;
    this.taken = slab.bytes;
    this.takenAt = start;
    slab.held -= count;
    this.length -= count;
    if (slab.held === 0) this.slabs.delete(index);
    return count;
  }

  clear(): void {
    this.slabs.clear();
    this.taken = NOTHING;
    this.length = 0;
  }

  private slabFor(index: number): Slab {
    let slab = this.slabs.get(index);
    if (slab === undefined) {
      const all = new Uint8Array(SLAB_BYTES + SLAB_BYTES / 8);
      slab = { bytes: all.subarray(0, SLAB_BYTES), marks: all.subarray(SLAB_BYTES), held: 0 };
      this.slabs.set(index, slab);
    }
    return slab;
  }
}

/** Offsets may be beyond 32 bits. */
function slabIndex(offset: number): number {
  return Math.floor(offset / SLAB_BYTES);
}

/** The bits of `marks[at]` that stand for bytes in [start, end). */
function bitsOf(at: number, start: number, end: number): number {
  const from = Math.max(0, start - at * 8);
  const to = Math.min(8, end - at * 8);
  return (0xff << from) & (0xff >>> (8 - to));
}

function mark(marks: Uint8Array, start: number, end: number): void {
  for (let at = start >>> 3; at * 8 < end; at += 1) marks[at]! |= bitsOf(at, start, end);
}

function isUnmarked(marks: Uint8Array, start: number, end: number): boolean {
  for (let at = start >>> 3; at * 8 < end; at += 1) if ((marks[at]! & bitsOf(at, start, end)) !== 0) return false;
  return true;
}

/** How many bytes from `start` on are there without a gap. */
function runLength(marks: Uint8Array, start: number): number {
  let end = start;
  while (end < SLAB_BYTES) {
    const byte = marks[end >>> 3]!;
    if (byte === 0xff) end = ((end >>> 3) + 1) * 8;
    else if ((byte & (1 << (end & 7))) !== 0) end += 1;
    else break;
  }
  return end - start;
}
