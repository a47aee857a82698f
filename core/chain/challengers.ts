import { countVoices, EPOCH, epochOf, ROW_WORDS, TAG, VOICES } from "./held-rows.js";

/** Disputes at a time; one more is not recorded, and what is held stays. */
const CHALLENGERS_MAX = 4_096;

/**
 * The chains that contradict what is held of a destination that is new here: one for each, as a row of its own. Neighbours vote
 * while a chain is new: whoever came first may be a liar. Of three chains two share this place in turn; the descriptor
 * ends what votes do not.
 */
export class Challengers {
  private readonly rows = new Map<number, Int32Array>();

  get size(): number {
    return this.rows.size;
  }

  /** Of this epoch and tag, if there is one. */
  find(destination: number, epoch: number, tag: Int32Array | undefined): Int32Array | undefined {
    const row = this.rows.get(destination);
    if (row === undefined || epochOf(row, 0) !== epoch) return undefined;
    if (tag !== undefined && (row[TAG] !== tag[0] || row[TAG + 1] !== tag[1])) return undefined;
    return row;
  }

  /** A place for a new one, cleared; undefined when the one that is there has two voices or more, or there are too many. */
  open(destination: number, epoch: number): Int32Array | undefined {
    let row = this.rows.get(destination);
    if (row !== undefined && countVoices(row[VOICES]!) > 1) return undefined;
    if (row === undefined) {
      if (this.rows.size >= CHALLENGERS_MAX) return undefined;
      row = new Int32Array(ROW_WORDS);
      this.rows.set(destination, row);
    }
    row.fill(0);
    row[EPOCH] = epoch;
    return row;
  }

  silence(destination: number, voice: number): void {
    const row = this.rows.get(destination);
    if (row !== undefined) row[VOICES]! &= ~voice;
  }

  forget(destination: number): void {
    this.rows.delete(destination);
  }
}
