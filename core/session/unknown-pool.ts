import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../wire/control-frame.js";

export const POOL_PACKETS = 256;
export const POOL_PER_INDEX = 16;
export const POOL_WAIT_US = 250 * MILLISECOND_US;

const PAGE_PACKETS = 16;
const FREE = 0;

/** Gets a packet that waited: a view, valid during the call, which may be changed. */
export type WaitingVisitor = (path: number, bytes: Uint8Array, at: number, length: number) => void;

/**
 * Records of sessions that are not known yet: data may overtake the CONF that it follows. 256 packets in all, 16 per
 * session number, 250 ms each; when there is no room the oldest packet goes. Memory comes in pages of 16 packets as it
 * is first needed and is used again for ever after, so that thousands of quiet nodes in one process cost nothing.
 */
export class UnknownPool {
  /** Packets that wait. */
  readonly cap: Cap;
  /** Packets thrown out for want of room. */
  crowdedOut = 0;
  /** Packets whose session never came. */
  expired = 0;

  private readonly pages: (Uint8Array | undefined)[] = new Array(POOL_PACKETS / PAGE_PACKETS).fill(undefined);
  private readonly indices = new Uint32Array(POOL_PACKETS); // FREE or the session number
  private readonly paths = new Float64Array(POOL_PACKETS);
  private readonly lengths = new Uint16Array(POOL_PACKETS);
  private readonly arrivedUs = new Float64Array(POOL_PACKETS);
  private readonly order = new Float64Array(POOL_PACKETS);
  private arrivals = 0;
  private waiting = 0;

  constructor(name = "unknownPool") {
    this.cap = new Cap(name, POOL_PACKETS);
  }

  /** When the oldest packet has waited long enough. */
  get nextTimeoutUs(): number {
    const oldest = this.oldest(FREE);
    return oldest < 0 ? NEVER : this.arrivedUs[oldest]! + POOL_WAIT_US;
  }

  /** Packets that wait. */
  get size(): number {
    return this.waiting;
  }

  /**
   * Copies one record of session `index` (not 0). `path` is any integer the owner wants back with it.
   * Longer than a datagram: ignored, since no session made it.
   */
  keep(nowUs: number, index: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    if (index === FREE || length > LINK_DATAGRAM_BYTES) return;
    const slot = this.slotFor(index);
    if (this.indices[slot] === FREE) this.waiting += 1;
    this.cap.note(this.waiting);
    this.indices[slot] = index;
    this.paths[slot] = path;
    this.lengths[slot] = length;
    this.arrivedUs[slot] = nowUs;
    this.order[slot] = this.arrivals;
    this.arrivals += 1;
    const page = this.pageOf(slot);
    const to = slotOffset(slot);
    for (let i = 0; i < length; i += 1) page[to + i] = bytes[at + i]!;
  }

  /** Hands over what waits for session `index`, in order of arrival, and forgets it. */
  take(index: number, visit: WaitingVisitor): void {
    for (let slot = this.oldest(index); slot >= 0; slot = this.oldest(index)) {
      this.free(slot);
      visit(this.paths[slot]!, this.pageOf(slot), slotOffset(slot), this.lengths[slot]!);
    }
  }

  /** Drops what waited too long. Each packet is reported, so that the owner can say that it knows no such session. */
  handleTimeout(nowUs: number, forgotten: (path: number, index: number) => void): void {
    for (let slot = this.oldest(FREE); slot >= 0; slot = this.oldest(FREE)) {
      if (nowUs < this.arrivedUs[slot]! + POOL_WAIT_US) return;
      const index = this.indices[slot]!;
      this.free(slot);
      this.expired += 1;
      forgotten(this.paths[slot]!, index);
    }
  }

  digest(into: Digest): void {
    into.number(this.arrivals).number(this.crowdedOut).number(this.expired);
    for (let slot = 0; slot < POOL_PACKETS; slot += 1) {
      if (this.indices[slot] === FREE) continue;
      into.number(slot).number(this.indices[slot]!).number(this.arrivedUs[slot]!).number(this.lengths[slot]!);
    }
  }

  /** A free slot, or else the one of the oldest packet: of this session when it has its share, of all otherwise. */
  private slotFor(index: number): number {
    let free = -1;
    let same = 0;
    for (let slot = POOL_PACKETS - 1; slot >= 0; slot -= 1) {
      const owner = this.indices[slot]!;
      if (owner === FREE) free = slot;
      else if (owner === index) same += 1;
    }
    if (same < POOL_PER_INDEX && free >= 0) return free;
    this.crowdedOut += 1;
    return this.oldest(same < POOL_PER_INDEX ? FREE : index);
  }

  /** The slot of the oldest packet of session `index`, of any session for FREE; -1 when there is none. */
  private oldest(index: number): number {
    let found = -1;
    if (this.waiting === 0) return found;
    for (let slot = 0; slot < POOL_PACKETS; slot += 1) {
      const owner = this.indices[slot]!;
      if (owner === FREE || (index !== FREE && owner !== index)) continue;
      if (found < 0 || this.order[slot]! < this.order[found]!) found = slot;
    }
    return found;
  }

  private free(slot: number): void {
    this.indices[slot] = FREE;
    this.waiting -= 1;
  }

  private pageOf(slot: number): Uint8Array {
    const number = Math.floor(slot / PAGE_PACKETS);
    const page = this.pages[number] ?? new Uint8Array(PAGE_PACKETS * LINK_DATAGRAM_BYTES);
    this.pages[number] = page;
    return page;
  }
}

function slotOffset(slot: number): number {
  return (slot % PAGE_PACKETS) * LINK_DATAGRAM_BYTES;
}
