import type { NacDictionary } from "../address/dictionary.js";
import { ascii } from "../address/text.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { TAG_BYTES } from "../routing/elements.js";
import { ELEMENT_BYTES } from "../wire/routes.js";
import { END_BYTES, walkToTag } from "./epoch-proof.js";
import { Chain, epochInfo, METRICS, readWords, START_GRID, slotsBetween, type Walker, writeWords } from "./step.js";

/** Positions between two checkpoints of the metric chain: a grid's slots, so at most 1,023 hashes to any element. */
const METRIC_SPACING = METRICS * START_GRID;
const LIFE_SPACING = 128;

const TOP = ascii("mq chain top");

/**
 * Both chains of one epoch of an own NAC: made from the top down in pieces, kept as checkpoints (a day: 1,080 and 135 of 16
 * bytes, 19 KB), so that any element is at most 1,023 hashes away. The tops follow from the secret, the NAC and the epoch: nothing needs
 * to be stored but the epoch's number. The metric chain also depends on the slot it starts in, by its tag.
 *
 * One epoch must not start twice, or one key signs two things and strangers can sign a third, and life elements of the one serve
 * in the other: the epoch's number is on disk before anything is sent. Whoever restores an old disk, or clones a machine, makes two origins
 * of one epoch. If both began in one grid's slots, others accept the elements of both; else the first heard of. Which is followed
 * is decided when one of the two hears of the other and takes the next epoch (routing/origins.ts): the newer epoch is.
 */
export class OwnChain {
  readonly epoch: number;
  /** Of the metric chain, and so of the epoch. */
  readonly slots: number;
  /** Divisible by START_GRID. */
  readonly startSlot: number;
  /** 8 bytes and 16, valid when ready. */
  readonly tag = new Uint8Array(TAG_BYTES);
  readonly metricEnd = new Uint8Array(END_BYTES);
  /** The key that signs the next epoch, 12 bytes. */
  readonly nextKey: Uint8Array;

  private readonly dictionary: NacDictionary;
  private readonly destination: number;
  private readonly metric: Int32Array;
  private readonly life: Int32Array;
  private readonly tagWords = new Int32Array(2);
  /** The metric element that was found last: one generation is told to many neighbours. */
  private readonly last = new Int32Array(4);
  private lastPosition = -1;
  /** Stretches between checkpoints still to be walked, of each chain. */
  private metricLeft: number;
  private lifeLeft: number;

  /**
   * @param slots      of the epoch, a multiple of 128
   * @param lifeSlots  of its life chain, likewise, no fewer: the same in all epochs, so that the next one knows where it ends
   * @param nextKey    12 bytes
   */
  constructor(
    suite: CryptoSuite,
    dictionary: NacDictionary,
    destination: number,
    epoch: number,
    startSlot: number,
    slots: number,
    lifeSlots: number,
    secret: Uint8Array,
    nextKey: Uint8Array,
  ) {
    this.dictionary = dictionary;
    this.destination = destination;
    this.epoch = epoch;
    this.startSlot = gridSlot(startSlot);
    this.slots = slots;
    this.nextKey = nextKey;
    this.metricLeft = (slots * METRICS) / METRIC_SPACING;
    this.lifeLeft = lifeSlots / LIFE_SPACING;
    this.metric = new Int32Array(this.metricLeft * 4);
    this.life = new Int32Array(this.lifeLeft * 4);
    const tops = suite.expand(secret, epochInfo(TOP, dictionary, destination, epoch), 2 * ELEMENT_BYTES);
    readWords(tops, 0, this.metric, (this.metricLeft - 1) * 4);
    readWords(tops, ELEMENT_BYTES, this.life, (this.lifeLeft - 1) * 4);
  }

  get isReady(): boolean {
    return this.metricLeft === 0;
  }

  get lastSlot(): number {
    return this.startSlot + this.slots - 1;
  }

  /** Whether the epoch can prove the slot. */
  covers(slot: number): boolean {
    const position = slotsBetween(slot, this.startSlot);
    return position >= 0 && position < this.slots;
  }

  get bytes(): number {
    return this.metric.byteLength + this.life.byteLength;
  }

  /** Walks down, at most so many hashes but one stretch at least. Returns how many it were; 0 when it is made. */
  work(walker: Walker, hashesMax: number): number {
    let done = 0;
    while (this.lifeLeft > 0 && (done === 0 || done + LIFE_SPACING <= hashesMax)) {
      this.lifeLeft -= 1;
      done += LIFE_SPACING;
      walker.enter(Chain.life, this.dictionary, this.destination, this.epoch, 0, 0);
      this.descend(walker, this.life, this.lifeLeft, LIFE_SPACING);
      if (this.lifeLeft === 0) this.setTag(walker);
    }
    if (this.lifeLeft > 0) return done;
    while (this.metricLeft > 0 && (done === 0 || done + METRIC_SPACING <= hashesMax)) {
      this.metricLeft -= 1;
      done += METRIC_SPACING;
      this.enterMetric(walker);
      this.descend(walker, this.metric, this.metricLeft, METRIC_SPACING);
      if (this.metricLeft > 0) continue;
      walker.walk(0, 1);
      walker.store(this.metricEnd, 0);
    }
    return done;
  }

  /** Leaves the element in the walker. False when the epoch does not reach so far, or the chain is not ready. */
  findMetric(walker: Walker, generation: number, metric: number): boolean {
    const slot = slotsBetween(generation, this.startSlot);
    if (!this.isReady || slot < 0 || slot >= this.slots || metric < 0 || metric >= METRICS) return false;
    const position = slot * METRICS + (METRICS - 1 - metric);
    if (position === this.lastPosition) {
      walker.loadWords(this.last, 0);
      return true;
    }
    this.enterMetric(walker);
    fetch(walker, this.metric, position, METRIC_SPACING);
    this.lastPosition = position;
    walker.storeWords(this.last, 0);
    return true;
  }

  findLife(walker: Walker, slot: number): boolean {
    const position = slotsBetween(slot, this.startSlot);
    if (!this.isReady || position < 0 || position >= this.slots) return false;
    walker.enter(Chain.life, this.dictionary, this.destination, this.epoch, 0, 0);
    fetch(walker, this.life, position, LIFE_SPACING);
    return true;
  }

  private enterMetric(walker: Walker): void {
    walker.enter(Chain.metric, this.dictionary, this.destination, this.epoch, this.tagWords[0]!, this.tagWords[1]!);
  }

  /** From checkpoint `at` to the one below it; from the lowest to position 0. */
  private descend(walker: Walker, checkpoints: Int32Array, at: number, spacing: number): void {
    walker.loadWords(checkpoints, at * 4);
    walker.walk((at + 1) * spacing - 1, at > 0 ? spacing : spacing - 1);
    if (at > 0) walker.storeWords(checkpoints, (at - 1) * 4);
  }

  private setTag(walker: Walker): void {
    walkToTag(walker, this.dictionary, this.destination, this.epoch, this.nextKey, 0, this.startSlot);
    this.tagWords[0] = walker.word(0);
    this.tagWords[1] = walker.word(1);
    writeWords(this.tagWords, 0, this.tag, 0, 2);
  }
}

/** The lowest element of the life chain of another epoch, of `slots`. All its hashes, 17,279 for a day. */
export function lowestLife(
  walker: Walker,
  suite: CryptoSuite,
  dictionary: NacDictionary,
  destination: number,
  epoch: number,
  slots: number,
  secret: Uint8Array,
): Uint8Array {
  const tops = suite.expand(secret, epochInfo(TOP, dictionary, destination, epoch), 2 * ELEMENT_BYTES);
  walker.load(tops, ELEMENT_BYTES);
  walker.enter(Chain.life, dictionary, destination, epoch, 0, 0);
  walker.walk(slots - 1, slots - 1);
  const lowest = new Uint8Array(ELEMENT_BYTES);
  walker.store(lowest, 0);
  return lowest;
}

/** The slot that an epoch begins in which is to prove `slot`. */
export function gridSlot(slot: number): number {
  return slot - (slot % START_GRID);
}

function fetch(walker: Walker, checkpoints: Int32Array, position: number, spacing: number): void {
  const at = Math.floor(position / spacing);
  const top = (at + 1) * spacing - 1;
  walker.loadWords(checkpoints, at * 4);
  walker.walk(top, top - position);
}
