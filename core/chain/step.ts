/**
 * One step of a hash chain, H: the first 128 bits of SHA-256 over one block.
 *
 *   offset  size  field
 *        0    16  NAC
 *       16     4  epoch
 *       20     1  chain      1 metric, 2 life, 3 the epoch's tag, 4 one-time keys
 *       21     3  position   of the element that is hashed
 *       24     8  tag        in the metric chain the epoch's tag (epoch-proof.ts); elsewhere zero
 *       32    16  element
 *
 * 48 bytes, so one compression with its padding. Salted by all that names an element, so that one search serves one chain. The tag
 * makes every verified step of the metric chain also prove which life chain and which next key belong to it.
 *
 * What a receiver is not told is when the epoch began. So epochs begin in a slot divisible by START_GRID, and positions count
 * modulo what the grid tells: 64 * (slot % 16) + 63 - metric in the metric chain, slot % 16 in the life chain. Some thousand
 * elements of one epoch share a salt with each other, and none with those of another chain: 10 of 128 bits for a search.
 */
import type { NacDictionary } from "../address/dictionary.js";
import { BLOCK_WORDS } from "../crypto/sha256-block.js";
import type { CryptoSuite } from "../crypto/suite.js";

export const Chain = { metric: 1, life: 2, tag: 3, key: 4 } as const;

/** Metrics 0 .. 63 of one generation. */
export const METRICS = 64;
/** An epoch begins in a slot divisible by this. */
export const START_GRID = 16;
/** Slots of 5 s in a day: the longest epoch. */
export const EPOCH_SLOTS_MAX = 17_280;

const EPOCH_WORD = 4;
const POSITION_WORD = 5;
const TAG_WORD = 6;
/** Of the block: the element, four words. */
const ELEMENT_WORD = 8;
const MESSAGE_BYTES = 48;
const POSITION_MASK = 0xffffff;

const METRIC_MASK = METRICS * START_GRID - 1;
const LIFE_MASK = START_GRID - 1;

/** A block that walks down one chain after the other; the element in it is read and replaced by its words. */
export class Walker {
  private readonly block = new Int32Array(BLOCK_WORDS);
  private readonly suite: CryptoSuite;
  private chain = 0;
  private mask = POSITION_MASK;
  /** Steps walked since it was made. */
  hashes = 0;

  constructor(suite: CryptoSuite) {
    this.suite = suite;
    this.block[ELEMENT_WORD + 4] = 1 << 31; // the bit that ends the message
    this.block[BLOCK_WORDS - 1] = MESSAGE_BYTES * 8;
  }

  /** Which chain is walked from now on; `tagHigh` and `tagLow` are the words of the tag. */
  enter(
    chain: number,
    dictionary: NacDictionary,
    destination: number,
    epoch: number,
    tagHigh: number,
    tagLow: number,
  ): void {
    const { block } = this;
    for (let i = 0; i < 4; i += 1) block[i] = dictionary.word(destination, i);
    block[EPOCH_WORD] = epoch;
    block[TAG_WORD] = tagHigh;
    block[TAG_WORD + 1] = tagLow;
    this.chain = chain << 24;
    this.mask = chain === Chain.metric ? METRIC_MASK : chain === Chain.life ? LIFE_MASK : POSITION_MASK;
  }

  /** From the element at `position` down by so many steps. Positions may be of any size: they count modulo the grid. */
  walk(position: number, steps: number): void {
    const { block, suite, mask, chain } = this;
    this.hashes += steps;
    const from = position % (mask + 1); // so that the loop stays in small integers however large slots are
    for (let i = 0; i < steps; i += 1) {
      block[POSITION_WORD] = chain | ((from - i) & mask);
      suite.hashBlock(block, block, ELEMENT_WORD);
    }
  }

  /** First word of the tag that the chain was entered with. */
  get tag(): number {
    return this.block[TAG_WORD]!;
  }

  /** The word of the element, 0 to 3. */
  word(place: number): number {
    return this.block[ELEMENT_WORD + place]!;
  }

  load(bytes: Uint8Array, at: number): void {
    readWords(bytes, at, this.block, ELEMENT_WORD);
  }

  store(bytes: Uint8Array, at: number): void {
    writeWords(this.block, ELEMENT_WORD, bytes, at);
  }

  loadWords(words: Int32Array, at: number): void {
    for (let i = 0; i < 4; i += 1) this.block[ELEMENT_WORD + i] = words[at + i]!;
  }

  storeWords(words: Int32Array, at: number): void {
    for (let i = 0; i < 4; i += 1) words[at + i] = this.block[ELEMENT_WORD + i]!;
  }

  holds(words: Int32Array, at: number): boolean {
    const { block } = this;
    return (
      block[ELEMENT_WORD] === words[at] &&
      block[ELEMENT_WORD + 1] === words[at + 1] &&
      block[ELEMENT_WORD + 2] === words[at + 2] &&
      block[ELEMENT_WORD + 3] === words[at + 3]
    );
  }
}

/** In the order of the chain: the lower is made of the higher. */
export function metricPosition(generation: number, metric: number): number {
  return generation * METRICS + (METRICS - 1 - metric);
}

/** By how many slots `a` is later than `b`; slots are u32 and wrap. */
export function slotsBetween(a: number, b: number): number {
  return (a - b) | 0;
}

/** Four words (or so many) from big-endian bytes. */
export function readWords(bytes: Uint8Array, from: number, words: Int32Array, at: number, count = 4): void {
  for (let i = 0; i < count; i += 1) {
    const p = from + 4 * i;
    words[at + i] = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!;
  }
}

export function writeWords(words: Int32Array, from: number, bytes: Uint8Array, at: number, count = 4): void {
  for (let i = 0; i < count; i += 1) {
    const word = words[from + i]!;
    const p = at + 4 * i;
    bytes[p] = word >>> 24;
    bytes[p + 1] = word >>> 16;
    bytes[p + 2] = word >>> 8;
    bytes[p + 3] = word;
  }
}

/** `label` | NAC 16 | epoch 4: what a secret of one epoch of one NAC is derived under. */
export function epochInfo(
  label: Uint8Array,
  dictionary: NacDictionary,
  destination: number,
  epoch: number,
): Uint8Array {
  const info = new Uint8Array(label.length + 20);
  info.set(label);
  dictionary.write(destination, info, label.length);
  for (let i = 0; i < 4; i += 1) info[label.length + 16 + i] = epoch >>> (24 - 8 * i);
  return info;
}
