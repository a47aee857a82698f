/** Pieces one stream may hold out of order; a peer whose cells are full never needs more for its credit. */
const PIECES_MAX = 8_192;

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes that arrived before their turn, copied, in order of offset. Bounded by the credit of the stream. */
export class Reassembly {
  /** Bytes held. */
  length = 0;
  private pieces: Piece[] = [];
  /** Pieces before this index have been taken. */
  private head = 0;

  /** The offset of the first piece; Infinity when there is none. */
  get firstOffset(): number {
    return this.pieces[this.head]?.offset ?? Number.POSITIVE_INFINITY;
  }

  /** Keeps a copy of `from[at, at + length)`. False when it overlaps what is held, or when there are too many pieces. */
  insert(offset: number, from: Uint8Array, at: number, length: number): boolean {
    if (this.pieces.length - this.head >= PIECES_MAX) return false;
    let low = this.head;
    let high = this.pieces.length;
    // Mostly it belongs at the end.
    if (high > low && this.pieces[high - 1]!.offset < offset) low = high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.pieces[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    const before = low > this.head ? this.pieces[low - 1] : undefined;
    if (before !== undefined && before.offset + before.bytes.length > offset) return false;
    const after = this.pieces[low];
    if (after !== undefined && offset + length > after.offset) return false;
    // Not slice: of a node Buffer that would be a view of bytes that are soon others.
    const bytes = new Uint8Array(length);
    bytes.set(from.subarray(at, at + length));
    const piece = { offset, bytes };
    if (low === this.pieces.length) this.pieces.push(piece);
    else this.pieces.splice(low, 0, piece);
    this.length += length;
    return true;
  }

  /** Takes the piece that starts at `offset`; undefined when that is still missing. */
  take(offset: number): Uint8Array | undefined {
    const piece = this.pieces[this.head];
    if (piece === undefined || piece.offset !== offset) return undefined;
    this.head += 1;
    this.length -= piece.bytes.length;
    if (this.head === this.pieces.length) this.clear();
    else if (this.head >= 1_024) {
      this.pieces.splice(0, this.head);
      this.head = 0;
    }
    return piece.bytes;
  }

  clear(): void {
    this.pieces = [];
    this.head = 0;
    this.length = 0;
  }
}
