import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../wire/control-frame.js";

export const POOL_PACKETS = 256;
export const POOL_PER_INDEX = 16;
export const POOL_WAIT_US = 250 * MILLISECOND_US;

const NO_SESSION = 0;

/** Gets a packet that waited: valid during the call, and the visitor's to change. */
export type WaitingVisitor = (path: number, bytes: Uint8Array, at: number, length: number) => void;

interface WaitingPacket {
  readonly index: number;
  readonly path: number;
  readonly arrivedUs: number;
  readonly bytes: Uint8Array;
}

/**
 * Records of sessions that are not known yet: data may overtake the CONF that it follows. 256 packets in all, 16 per
 * session number, 250 ms each; when there is no room the oldest packet goes. An empty pool holds no memory, so thousands
 * of quiet nodes in one process cost nothing.
 */
export class UnknownPool {
  /** Packets that wait. */
  readonly cap: Cap;
  /** Packets thrown out for want of room. */
  crowdedOut = 0;
  /** Packets whose session never came. */
  expired = 0;

  /** In order of arrival. */
  private readonly waiting: WaitingPacket[] = [];
  private arrivals = 0;

  constructor(name = "unknownPool") {
    this.cap = new Cap(name, POOL_PACKETS);
  }

  /** When the oldest packet has waited long enough. */
  get nextTimeoutUs(): number {
    const oldest = this.waiting[0];
    return oldest === undefined ? NEVER : oldest.arrivedUs + POOL_WAIT_US;
  }

  /** Packets that wait. */
  get size(): number {
    return this.waiting.length;
  }

  /**
   * Copies one record of session `index` (not 0). `path` is any integer the owner wants back with it.
   * Longer than a datagram: ignored, since no session made it.
   */
  keep(nowUs: number, index: number, path: number, bytes: Uint8Array, at: number, length: number): void {
    if (index === NO_SESSION || length > LINK_DATAGRAM_BYTES) return;
    this.makeRoom(index);
    this.waiting.push({ index, path, arrivedUs: nowUs, bytes: bytes.slice(at, at + length) });
    this.arrivals += 1;
    this.cap.note(this.waiting.length);
  }

  /** Hands over what waits for session `index`, in order of arrival, and forgets it. */
  take(index: number, visit: WaitingVisitor): void {
    for (let at = this.placeOf(index); at >= 0; at = this.placeOf(index)) {
      const { path, bytes } = this.waiting.splice(at, 1)[0]!;
      visit(path, bytes, 0, bytes.length);
    }
  }

  /** Drops what waited too long. Each packet is reported, so that the owner can say that it knows no such session. */
  handleTimeout(nowUs: number, forgotten: (path: number, index: number) => void): void {
    for (let oldest = this.waiting[0]; oldest !== undefined; oldest = this.waiting[0]) {
      if (nowUs < oldest.arrivedUs + POOL_WAIT_US) return;
      this.waiting.shift();
      this.expired += 1;
      forgotten(oldest.path, oldest.index);
    }
  }

  digest(into: Digest): void {
    into.number(this.arrivals).number(this.crowdedOut).number(this.expired);
    for (const { index, arrivedUs, bytes } of this.waiting) into.number(index).number(arrivedUs).number(bytes.length);
  }

  /** For one more of session `index`: the oldest goes, of this session when it has its share, of all when there is no room. */
  private makeRoom(index: number): void {
    let same = 0;
    for (const one of this.waiting) if (one.index === index) same += 1;
    if (same < POOL_PER_INDEX && this.waiting.length < POOL_PACKETS) return;
    this.waiting.splice(same < POOL_PER_INDEX ? 0 : this.placeOf(index), 1);
    this.crowdedOut += 1;
  }

  /** Of the oldest packet of a session; -1 when there is none. */
  private placeOf(index: number): number {
    for (let at = 0; at < this.waiting.length; at += 1) if (this.waiting[at]!.index === index) return at;
    return -1;
  }
}
