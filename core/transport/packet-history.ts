import type { Digest } from "../collections/digest.js";

const CAPACITY_MIN = 64;
const CAPACITY_MAX = 16_384;

/**
 * The packets sent lately, by packet number: when, and how many cells had been sent by then. A ring that grows by
 * doubling to 16,384; what falls out of it can no longer be measured, only be told of as arrived or missing.
 */
export class PacketHistory {
  /** Largest packet number sent; -1 before the first. */
  newest = -1;
  /** Of the numbers from here on it is known which were used. */
  private oldest = 0;
  private packets = new Float64Array(CAPACITY_MIN).fill(-1);
  private times = new Float64Array(CAPACITY_MIN);
  private paced = new Float64Array(CAPACITY_MIN);
  private all = new Float64Array(CAPACITY_MIN);
  private mask = CAPACITY_MIN - 1;

  /**
   * @param packet its number; grows, with holes where other packets of the session went
   * @param unreported packets below this one need not be kept
   */
  record(packet: number, nowUs: number, pacedSent: number, allSent: number, unreported: number): void {
    if (packet - unreported > this.mask && this.mask + 1 < CAPACITY_MAX) this.grow();
    const slot = packet & this.mask;
    const replaced = this.packets[slot]!;
    if (replaced >= this.oldest) this.oldest = replaced + 1;
    this.packets[slot] = packet;
    this.times[slot] = nowUs;
    this.paced[slot] = pacedSent;
    this.all[slot] = allSent;
    this.newest = packet;
  }

  /** True when no packet of this number can have been received: it is too high, or was left out. */
  isUnsent(packet: number): boolean {
    return packet > this.newest || (packet >= this.oldest && this.find(packet) < 0);
  }

  /** The slot of a packet for the getters below, or -1 when it is not known (any more). */
  find(packet: number): number {
    const slot = packet & this.mask;
    return this.packets[slot] === packet ? slot : -1;
  }

  sentUs(slot: number): number {
    return this.times[slot]!;
  }

  /** Cells under the window, sent up to and with this packet. */
  pacedSent(slot: number): number {
    return this.paced[slot]!;
  }

  /** Cells sent up to and with this packet. */
  allSent(slot: number): number {
    return this.all[slot]!;
  }

  digest(into: Digest): void {
    into.number(this.newest + 1).number(this.oldest);
  }

  private grow(): void {
    const { packets, times, paced, all } = this;
    const size = packets.length * 2;
    this.mask = size - 1;
    this.packets = new Float64Array(size).fill(-1);
    this.times = new Float64Array(size);
    this.paced = new Float64Array(size);
    this.all = new Float64Array(size);
    for (let old = 0; old < packets.length; old += 1) {
      if (packets[old]! < 0) continue;
      const slot = packets[old]! & this.mask;
      this.packets[slot] = packets[old]!;
      this.times[slot] = times[old]!;
      this.paced[slot] = paced[old]!;
      this.all[slot] = all[old]!;
    }
  }
}
