/**
 * What is held of the chains of others: one row for each destination, by its number, in one column of words.
 *
 *   word  field
 *      0  epoch
 *      1  generation  of the best metric element
 *      2  its metric, and 0x100 when the row is in use, 0x200 when a life element is held, 0x400 when a descriptor vouches for it
 *      3  voices      a bit for each link (its number modulo 32) that vouches for the chain
 *      4  since       second in which the chain was first heard of
 *      5  lifeSlot
 *      6  tag, 2 words
 *      8  metric element, 4 words
 *     12  life element, 4 words
 *     16  key of the next epoch, 3 words, with the life element
 */
export const ROW_WORDS = 19;
export const EPOCH = 0;
export const GENERATION = 1;
export const STATE = 2;
export const VOICES = 3;
export const SINCE = 4;
export const LIFE_SLOT = 5;
export const TAG = 6;
export const METRIC_ELEMENT = 8;
export const LIFE_ELEMENT = 12;
export const NEXT_KEY = 16;

const METRIC_MASK = 0xff;
export const HELD = 0x100;
export const LIFE_HELD = 0x200;
export const BOUND = 0x400;

const ROWS_MIN = 64;

export class HeldRows {
  words = new Int32Array(0);

  /** Rows in use. */
  get count(): number {
    let count = 0;
    for (let row = 0; row < this.words.length; row += ROW_WORDS)
      if ((this.words[row + STATE]! & HELD) !== 0) count += 1;
    return count;
  }

  /** Rows that a descriptor vouches for. */
  get bound(): number {
    let bound = 0;
    for (let row = 0; row < this.words.length; row += ROW_WORDS)
      if ((this.words[row + STATE]! & BOUND) !== 0) bound += 1;
    return bound;
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  /** Where the row of the destination starts; -1 when nothing is held. */
  find(destination: number): number {
    const row = destination * ROW_WORDS;
    return row < this.words.length && (this.words[row + STATE]! & HELD) !== 0 ? row : -1;
  }

  /** Where a row for it starts; makes room, by a quarter or what is needed. As many rows as the dictionary has numbers, which routing bounds. */
  make(destination: number): number {
    const row = destination * ROW_WORDS;
    if (row >= this.words.length) {
      const rows = this.words.length / ROW_WORDS;
      const larger = new Int32Array(Math.max(ROWS_MIN, rows + (rows >> 2), destination + 1) * ROW_WORDS);
      larger.set(this.words);
      this.words = larger;
    }
    return row;
  }

  forget(destination: number): void {
    const row = this.find(destination);
    if (row >= 0) this.words.fill(0, row, row + ROW_WORDS);
  }

  /** No row is vouched for by this link any more. */
  silence(link: number): void {
    const others = ~voiceOf(link);
    for (let row = 0; row < this.words.length; row += ROW_WORDS) this.words[row + VOICES]! &= others;
  }
}

export function epochOf(words: Int32Array, row: number): number {
  return words[row + EPOCH]! >>> 0;
}

export function generationOf(words: Int32Array, row: number): number {
  return words[row + GENERATION]! >>> 0;
}

export function metricOf(words: Int32Array, row: number): number {
  return words[row + STATE]! & METRIC_MASK;
}

/** Replaces what is held of the metric chain; the flags stay. */
export function putMetric(
  words: Int32Array,
  row: number,
  generation: number,
  metric: number,
  element: Int32Array,
): void {
  words[row + GENERATION] = generation;
  words[row + STATE] = (words[row + STATE]! & ~METRIC_MASK) | metric;
  for (let i = 0; i < 4; i += 1) words[row + METRIC_ELEMENT + i] = element[i]!;
}

export function voiceOf(link: number): number {
  return 1 << (link & 31);
}

export function countVoices(voices: number): number {
  let count = 0;
  for (let left = voices; left !== 0; left &= left - 1) count += 1;
  return count;
}
