import type { Digest } from "../collections/digest.js";
import { CELL_FRAMES_BYTES } from "../wire/cell.js";
import type { StoreBounds } from "./store-bounds.js";

const CAPACITY_MIN = 64;
export const STORE_CELLS_MAX = 8_192;
const SLAB_BYTES = 1_024;
const UNSENT = Number.MAX_SAFE_INTEGER;
/** Times that a peer may ask for one cell: half of all packets lost would take it so far once in 10^75 cells. */
const ASKED_MAX = 250;

/**
 * Reliable cells that the peer has not reported yet, by seq: a ring of 1,024-byte slabs that grows by doubling from 64
 * to 8,192 cells while the bound of all stores allows it. When it is full nothing new is sent until the peer reports.
 */
export class CellStore {
  /** Every cell below this seq has been released. */
  floor = 1;
  /** The seq of the next new cell. */
  next = 1;
  /** Cells waiting to be sent again. */
  repairs = 0;
  private readonly bounds: StoreBounds;
  private slabs = new Uint8Array(CAPACITY_MIN * SLAB_BYTES);
  private packets = new Float64Array(CAPACITY_MIN);
  private firsts = new Float64Array(CAPACITY_MIN);
  private times = new Float64Array(CAPACITY_MIN);
  private repairing = new Uint8Array(CAPACITY_MIN);
  private repaired = new Uint8Array(CAPACITY_MIN);
  private asked = new Uint8Array(CAPACITY_MIN);
  private mask = CAPACITY_MIN - 1;

  constructor(bounds: StoreBounds) {
    this.bounds = bounds;
    bounds.add(this.slabs.length);
  }

  /** All places are taken, and there will be no more: the store is as large as it may be, or as all stores may be. */
  get isFull(): boolean {
    if (this.next - this.floor <= this.mask) return false;
    return this.mask + 1 >= STORE_CELLS_MAX || !this.bounds.mayGrow(this.slabs.length);
  }

  get isEmpty(): boolean {
    return this.next === this.floor;
  }

  get bytes(): number {
    return this.slabs.length;
  }

  /** Keeps the frames of the next cell, CELL_FRAMES_BYTES of them, and returns its seq. Copies. */
  push(frames: Uint8Array): number {
    if (this.next - this.floor > this.mask) this.grow();
    const seq = this.next;
    const slot = seq & this.mask;
    this.slabs.set(frames, slot * SLAB_BYTES);
    this.repaired[slot] = 0;
    this.asked[slot] = 0;
    this.next = seq + 1;
    return seq;
  }

  /** The frames of cell `seq`: a view, valid until the next push. */
  frames(seq: number): Uint8Array {
    const at = (seq & this.mask) * SLAB_BYTES;
    return this.slabs.subarray(at, at + CELL_FRAMES_BYTES);
  }

  handleSentNew(seq: number, packet: number, nowUs: number): void {
    this.firsts[seq & this.mask] = packet;
    this.handleSent(seq, packet, nowUs);
  }

  /** Cell `seq` is kept back: to the peer it looks lost. */
  withhold(seq: number, nowUs: number): void {
    const slot = seq & this.mask;
    this.firsts[slot] = UNSENT;
    this.packets[slot] = -1;
    this.times[slot] = nowUs;
  }

  private handleSent(seq: number, packet: number, nowUs: number): void {
    const slot = seq & this.mask;
    if (this.firsts[slot] === UNSENT) this.firsts[slot] = packet;
    this.packets[slot] = packet;
    this.times[slot] = nowUs;
    if (this.repairing[slot] === 1) {
      this.repairing[slot] = 0;
      this.repairs -= 1;
    }
  }

  handleSentAgain(seq: number, packet: number, nowUs: number): void {
    this.handleSent(seq, packet, nowUs);
    this.repaired[seq & this.mask] = 1;
  }

  wasSentAgain(seq: number): boolean {
    return this.repaired[seq & this.mask] === 1;
  }

  /** The packet that last carried cell `seq`. */
  packetOf(seq: number): number {
    return this.packets[seq & this.mask]!;
  }

  /** The packet that first carried cell `seq`: later cells have later ones. UNSENT when it was kept back so far. */
  firstPacketOf(seq: number): number {
    return this.firsts[seq & this.mask]!;
  }

  sentUsOf(seq: number): number {
    return this.times[seq & this.mask]!;
  }

  /** The peer asks for this cell. False when it has asked for it too often to be believed. */
  markRepair(seq: number): boolean {
    const slot = seq & this.mask;
    if (this.repairing[slot] === 1) return true;
    if (this.asked[slot] === ASKED_MAX) return false;
    this.asked[slot]! += 1;
    this.repairing[slot] = 1;
    this.repairs += 1;
    return true;
  }

  /** The oldest cell waiting to be sent again. Only when `repairs` > 0. */
  nextRepair(): number {
    const start = this.floor & this.mask;
    let slot = this.repairing.indexOf(1, start);
    if (slot < 0) slot = this.repairing.indexOf(1);
    return this.floor + ((slot - start) & this.mask);
  }

  /** Frees every cell below `floor`. */
  release(floor: number): void {
    for (let seq = this.floor; seq < floor && this.repairs > 0; seq += 1) {
      const slot = seq & this.mask;
      if (this.repairing[slot] === 0) continue;
      this.repairing[slot] = 0;
      this.repairs -= 1;
    }
    this.floor = floor;
    if (this.isEmpty && this.mask >= CAPACITY_MIN && this.bounds.isTight) {
      this.bounds.release(this.slabs.length - CAPACITY_MIN * SLAB_BYTES);
      this.resize(CAPACITY_MIN);
    }
  }

  digest(into: Digest): void {
    into.number(this.floor).number(this.next).number(this.repairs);
  }

  /** Nothing is kept any more. */
  close(): void {
    this.bounds.release(this.slabs.length);
    this.slabs = new Uint8Array(0);
  }

  private grow(): void {
    this.bounds.add(this.slabs.length);
    this.resize((this.mask + 1) * 2);
  }

  /** Makes room for `size` cells, a power of two, and no fewer than there are. */
  private resize(size: number): void {
    const { slabs, packets, firsts, times, repairing, repaired, asked, mask } = this;
    this.slabs = new Uint8Array(size * SLAB_BYTES);
    this.packets = new Float64Array(size);
    this.firsts = new Float64Array(size);
    this.times = new Float64Array(size);
    this.repairing = new Uint8Array(size);
    this.repaired = new Uint8Array(size);
    this.asked = new Uint8Array(size);
    this.mask = size - 1;
    for (let seq = this.floor; seq < this.next; seq += 1) {
      const old = seq & mask;
      const slot = seq & this.mask;
      this.slabs.set(slabs.subarray(old * SLAB_BYTES, old * SLAB_BYTES + CELL_FRAMES_BYTES), slot * SLAB_BYTES);
      this.packets[slot] = packets[old]!;
      this.firsts[slot] = firsts[old]!;
      this.times[slot] = times[old]!;
      this.repairing[slot] = repairing[old]!;
      this.repaired[slot] = repaired[old]!;
      this.asked[slot] = asked[old]!;
    }
  }
}
