import type { NacDictionary } from "../address/dictionary.js";
import type { Digest } from "../collections/digest.js";
import type { NumberColumn } from "../collections/table-allocator.js";
import type { Writer } from "../wire/cursor.js";
import { METRIC_INFINITY } from "./feasible.js";

/** Starts of the two lanes. */
const HIGH = 0x9e3779b9;
const LOW = 0x7f4a7c15;
/** In place of a metric: the hash that puts a NAC into its bucket. */
const PLACE = 0xff;

/**
 * Sums of hashes of (NAC, metric): what one end of a link announced, or what the other learned of it. A sum does not
 * depend on the order and is kept up to date in passing. The key is of the link, so that nobody else can make two tables
 * look alike: each end's router id, the first words xored and the second words xored.
 */
export class TableHash {
  /** As signed 32-bit integers, which cost nothing to keep. */
  high = 0;
  low = 0;
  private nacHigh = 0;
  private nacLow = 0;
  private readonly dictionary: NacDictionary;
  private readonly keyHigh: number;
  private readonly keyLow: number;

  constructor(dictionary: NacDictionary, keyHigh: number, keyLow: number) {
    this.dictionary = dictionary;
    this.keyHigh = keyHigh | 0;
    this.keyLow = keyLow | 0;
  }

  /** The hash of (NAC, metric) into `high` and `low`. */
  of(destination: number, metric: number): void {
    this.begin(destination);
    this.finish(metric);
  }

  /** The part of the hash that the NAC alone decides: for one or more `finish`. */
  begin(destination: number): void {
    const { dictionary } = this;
    let high = HIGH ^ this.keyHigh;
    let low = LOW ^ this.keyLow;
    for (let place = 0; place < 4; place += 1) {
      const word = dictionary.word(destination, place);
      high = Math.imul(high ^ word, 0x85ebca6b);
      high ^= high >>> 15;
      low = Math.imul(low ^ word ^ high, 0xc2b2ae35);
      low ^= low >>> 13;
    }
    this.nacHigh = high;
    this.nacLow = low;
  }

  finish(metric: number): void {
    let high = Math.imul(this.nacHigh ^ metric, 0x85ebca6b);
    high ^= high >>> 15;
    let low = Math.imul(this.nacLow ^ metric ^ high, 0xc2b2ae35);
    low ^= low >>> 13;
    high = Math.imul(high ^ low, 0x27d4eb2f);
    this.high = (high ^ (high >>> 16)) | 0;
    this.low = low | 0;
  }

  /** Which bucket a NAC is in: its first bits. */
  placeOf(destination: number): number {
    this.of(destination, PLACE);
    return this.high >>> 0;
  }
}

/**
 * Entries that a hello pays to have counted anew: a table of 100 every two minutes, one of 5,000 every 80. More would be
 * most of what a hello costs: each is a load from memory and a hash, at both ends.
 */
const AUDIT_ENTRIES = 2;

/** The digest of one direction of a link. */
export class TableDigest {
  /** As signed 32-bit integers. */
  private high = 0;
  private low = 0;
  private readonly hash: TableHash;
  private paidFor = 0;

  constructor(hash: TableHash) {
    this.hash = hash;
  }

  /** What is held of a destination changes; METRIC_INFINITY and more: nothing. */
  change(destination: number, before: number, after: number): void {
    if (before === after) return;
    const { hash } = this;
    hash.begin(destination);
    if (before < METRIC_INFINITY) {
      hash.finish(before);
      this.high = (this.high - hash.high) | 0;
      this.low = (this.low - hash.low) | 0;
    }
    if (after < METRIC_INFINITY) {
      hash.finish(after);
      this.high = (this.high + hash.high) | 0;
      this.low = (this.low + hash.low) | 0;
    }
  }

  /**
   * Asked at each hello: now and then, when as many hellos came as pay for it, all is to be counted anew, so that a table
   * which changed by itself is found.
   */
  isAuditDue(entries: number): boolean {
    this.paidFor += AUDIT_ENTRIES;
    if (this.paidFor < entries) return false;
    this.paidFor = 0;
    return true;
  }

  /** Counts all anew. True when the sum kept in passing was wrong. */
  recount(destinations: NumberColumn, count: number, metricOf: (destination: number) => number): boolean {
    const { high, low } = this;
    this.high = 0;
    this.low = 0;
    for (let i = 0; i < count; i += 1) this.change(destinations[i]!, METRIC_INFINITY, metricOf(destinations[i]!));
    return this.high !== high || this.low !== low;
  }

  /** As a HELLO carries it. */
  write(out: Writer): void {
    out.u32(this.high).u32(this.low);
  }

  isEqual(high: number, low: number): boolean {
    return this.high === (high | 0) && this.low === (low | 0);
  }

  digest(into: Digest): void {
    into.number(this.high).number(this.low).number(this.paidFor);
  }
}

/** Whether a place is in the bucket. */
export function isInside(place: number, depth: number, prefix: number): boolean {
  return depth === 0 || (place ^ prefix) >>> (32 - 4 * depth) === 0;
}

/** Which of a bucket's sixteen parts a place is in. */
export function partOf(place: number, depth: number): number {
  return (place >>> (28 - 4 * depth)) & 15;
}

/** The prefix of a part. */
export function partPrefix(depth: number, prefix: number, part: number): number {
  return (prefix | (part << (28 - 4 * depth))) >>> 0;
}
