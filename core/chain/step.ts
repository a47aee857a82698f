/**
 * One step of a hash chain, H: the first 128 bits of SHA-256 over one block.
 *
 *   offset  size  field
 *        0     4  domain     "mqcm" metric chain, "mqcl" life chain, "mqck" one-time keys
 *        4    16  NAC
 *       20     4  epoch
 *       24     4  position   of the element that is hashed
 *       28    16  element
 *
 * 44 bytes, so one compression with its padding. Salted by all that names an element, so that one search serves one chain.
 *
 * What a receiver is not told is when the epoch began. So epochs begin in a slot divisible by START_GRID, and positions count
 * modulo what the grid tells: 64 * (slot % 16) + 63 - metric in the metric chain, slot % 16 in the life chain. Some thousand
 * elements of one epoch share a salt with each other, and none with those of another chain: 10 of 128 bits for a search.
 */
import type { NacDictionary } from "../address/dictionary.js";
import { BLOCK_WORDS } from "../crypto/sha256-block.js";
import type { CryptoSuite } from "../crypto/suite.js";

export const Chain = { metric: 0x6d71636d, life: 0x6d71636c, key: 0x6d71636b } as const;

/** Metrics 0 .. 63 of one generation. */
export const METRICS = 64;
/** An epoch begins in a slot divisible by this. */
export const START_GRID = 16;
/** Slots of 5 s in a day: the longest epoch. */
export const EPOCH_SLOTS_MAX = 17_280;

const NAC_WORD = 1;
const EPOCH_WORD = 5;
const POSITION_WORD = 6;
/** Of the block: the element, four words. */
export const ELEMENT_WORD = 7;
const MESSAGE_BYTES = 44;

const METRIC_MASK = METRICS * START_GRID - 1;
const LIFE_MASK = START_GRID - 1;
const NO_MASK = -1;

/** A block that walks down one chain after the other; the element in it is read and replaced by its words. */
export class Walker {
  readonly block = new Int32Array(BLOCK_WORDS);
  private readonly suite: CryptoSuite;
  private mask = NO_MASK;

  constructor(suite: CryptoSuite) {
    this.suite = suite;
    this.block[ELEMENT_WORD + 4] = 1 << 31; // the bit that ends the message
    this.block[BLOCK_WORDS - 1] = MESSAGE_BYTES * 8;
  }

  /** Which chain is walked from now on. */
  enter(chain: number, dictionary: NacDictionary, destination: number, epoch: number): void {
    const { block } = this;
    block[0] = chain;
    for (let i = 0; i < 4; i += 1) block[NAC_WORD + i] = dictionary.word(destination, i);
    block[EPOCH_WORD] = epoch;
    this.mask = chain === Chain.metric ? METRIC_MASK : chain === Chain.life ? LIFE_MASK : NO_MASK;
  }

  /** From the element at `position` down by so many steps. Positions may be of any size: they count modulo the grid. */
  walk(position: number, steps: number): void {
    const { block, suite, mask } = this;
    // A start by the grid, so that the loop stays in small integers however large slots are.
    const from = mask === NO_MASK ? position : position - Math.floor(position / (mask + 1)) * (mask + 1);
    for (let i = 0; i < steps; i += 1) {
      block[POSITION_WORD] = (from - i) & mask;
      suite.hashBlock(block, block, ELEMENT_WORD);
    }
  }

  load(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < 4; i += 1) {
      const p = at + 4 * i;
      this.block[ELEMENT_WORD + i] = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!;
    }
  }

  store(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < 4; i += 1) {
      const word = this.block[ELEMENT_WORD + i]!;
      const p = at + 4 * i;
      bytes[p] = word >>> 24;
      bytes[p + 1] = word >>> 16;
      bytes[p + 2] = word >>> 8;
      bytes[p + 3] = word;
    }
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

  /** In the order of the chain: the higher is the one that the lower is made of. */
  static metricPosition(generation: number, metric: number): number {
    return generation * METRICS + (METRICS - 1 - metric);
  }
}

/** By how many slots `a` is later than `b`; slots are u32 and wrap. */
export function slotsBetween(a: number, b: number): number {
  return (a - b) | 0;
}
