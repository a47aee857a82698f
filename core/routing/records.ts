import type { TableAllocator } from "../collections/table-allocator.js";
import { AGE_OLD, METRIC_INFINITY, METRIC_NONE } from "./feasible.js";

/**
 * One record per destination, 24 bytes in one piece, so that whatever asks about a destination meets one cache line: a
 * simulator's thousands of tables do not fit into any cache, and misses are what they cost.
 *
 *   offset  size  field
 *        0     4  epoch           newest heard of
 *        4     4  slot
 *        8     2  next            link, plus one
 *       10     2  distanceAge     from AGE_OLD downwards
 *       12     2  id              short id, plus one
 *       14     1  repair
 *       15     1  metric          XOR METRIC_INFINITY
 *       16     1  distanceMetric  XOR METRIC_NONE
 *       17     1  state
 *       18     1  settling        SETTLING, SETTLING_FORCED, and a place of its ring below them
 *       19     1  life            NOTED and the other flags of liveness.ts, and the gear in its top two bits
 *       20     2  generation      low bits of the newest slot that the origin proved to all
 *       22     2  proof           low bits of a slot: see liveness.ts
 *
 * Zeros mean "nothing known": fresh memory needs no filling, and what is never used is never touched. The order of bytes is
 * the machine's and shows nowhere: each field is always read through the view that it was written through.
 */
const RECORD_WORDS = 6;
const RECORD_HALVES = 2 * RECORD_WORDS;
const RECORD_BYTES = 4 * RECORD_WORDS;

const SLOT_WORD = 1;
const NEXT_HALF = 4;
const DISTANCE_AGE_HALF = 5;
const ID_HALF = 6;
const REPAIR_BYTE = 14;
const METRIC_BYTE = 15;
const DISTANCE_METRIC_BYTE = 16;
const STATE_BYTE = 17;
const SETTLING_BYTE = 18;
const LIFE_BYTE = 19;
const GENERATION_HALF = 10;
const PROOF_HALF = 11;

/** The route changed, and is told later; see settling.ts. */
export const SETTLING = 0x40;
/** Then, even to those who know its metric. */
export const SETTLING_FORCED = 0x80;

const REPAIRS = 256;

/** What a node knows of each destination, by the destination's number in the dictionary. */
export class RouteRecords {
  capacity: number;
  private readonly allocate: TableAllocator;
  private words: Uint32Array;
  private halves: Uint16Array;
  private bytes: Uint8Array;

  constructor(capacity: number, allocate: TableAllocator) {
    this.capacity = capacity;
    this.allocate = allocate;
    this.words = allocate.u32(capacity * RECORD_WORDS);
    this.halves = halvesOf(this.words);
    this.bytes = bytesOf(this.words);
  }

  grow(capacity: number): void {
    const words = this.allocate.u32(capacity * RECORD_WORDS);
    words.set(this.words);
    this.allocate.release(this.words);
    this.capacity = capacity;
    this.words = words;
    this.halves = halvesOf(words);
    this.bytes = bytesOf(words);
  }

  epoch(destination: number): number {
    return this.words[destination * RECORD_WORDS]!;
  }

  /** The newest index heard of: slot * 256 + repair. */
  index(destination: number): number {
    return (
      this.words[destination * RECORD_WORDS + SLOT_WORD]! * REPAIRS +
      this.bytes[destination * RECORD_BYTES + REPAIR_BYTE]!
    );
  }

  setNewest(destination: number, epoch: number, index: number): void {
    this.words[destination * RECORD_WORDS] = epoch;
    this.words[destination * RECORD_WORDS + SLOT_WORD] = Math.floor(index / REPAIRS);
    this.bytes[destination * RECORD_BYTES + REPAIR_BYTE] = index % REPAIRS;
  }

  /** Link of the chosen route, or -1. Any destination may be asked for. */
  next(destination: number): number {
    return destination < this.capacity ? this.halves[destination * RECORD_HALVES + NEXT_HALF]! - 1 : -1;
  }

  setNext(destination: number, link: number): void {
    this.halves[destination * RECORD_HALVES + NEXT_HALF] = link + 1;
  }

  /** Of the chosen route, link cost included; METRIC_INFINITY without one; 0 at the origin. */
  metric(destination: number): number {
    return this.bytes[destination * RECORD_BYTES + METRIC_BYTE]! ^ METRIC_INFINITY;
  }

  setMetric(destination: number, metric: number): void {
    this.bytes[destination * RECORD_BYTES + METRIC_BYTE] = metric ^ METRIC_INFINITY;
  }

  distanceAge(destination: number): number {
    return AGE_OLD - this.halves[destination * RECORD_HALVES + DISTANCE_AGE_HALF]!;
  }

  distanceMetric(destination: number): number {
    return this.bytes[destination * RECORD_BYTES + DISTANCE_METRIC_BYTE]! ^ METRIC_NONE;
  }

  setDistance(destination: number, age: number, metric: number): void {
    this.halves[destination * RECORD_HALVES + DISTANCE_AGE_HALF] = AGE_OLD - age;
    this.bytes[destination * RECORD_BYTES + DISTANCE_METRIC_BYTE] = metric ^ METRIC_NONE;
  }

  /** A newer index came, by `step`: the distance is so much farther behind it. */
  growDistanceAge(destination: number, step: number): void {
    const at = destination * RECORD_HALVES + DISTANCE_AGE_HALF;
    this.halves[at] = Math.max(0, this.halves[at]! - step);
  }

  /** The short id that this node calls it by, to whomever; -1 for none. */
  id(destination: number): number {
    return this.halves[destination * RECORD_HALVES + ID_HALF]! - 1;
  }

  setId(destination: number, id: number): void {
    this.halves[destination * RECORD_HALVES + ID_HALF] = id + 1;
  }

  state(destination: number): number {
    return this.bytes[destination * RECORD_BYTES + STATE_BYTE]!;
  }

  setState(destination: number, state: number): void {
    this.bytes[destination * RECORD_BYTES + STATE_BYTE] = state;
  }

  settling(destination: number): number {
    return this.bytes[destination * RECORD_BYTES + SETTLING_BYTE]!;
  }

  setSettling(destination: number, settling: number): void {
    this.bytes[destination * RECORD_BYTES + SETTLING_BYTE] = settling;
  }

  life(destination: number): number {
    return this.bytes[destination * RECORD_BYTES + LIFE_BYTE]!;
  }

  setLife(destination: number, life: number): void {
    this.bytes[destination * RECORD_BYTES + LIFE_BYTE] = life;
  }

  /** Low 16 bits of a slot. */
  generation(destination: number): number {
    return this.halves[destination * RECORD_HALVES + GENERATION_HALF]!;
  }

  setGeneration(destination: number, slot: number): void {
    this.halves[destination * RECORD_HALVES + GENERATION_HALF] = slot;
  }

  /** Low 16 bits of a slot. */
  proof(destination: number): number {
    return this.halves[destination * RECORD_HALVES + PROOF_HALF]!;
  }

  setProof(destination: number, slot: number): void {
    this.halves[destination * RECORD_HALVES + PROOF_HALF] = slot;
  }
}

function halvesOf(words: Uint32Array): Uint16Array {
  return new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.length * 4);
}
