/**
 * What to do when more arrives than can be dealt with: carry less, and keep hearing the neighbours.
 *
 * The system's receive buffer holds a few hundred datagrams and drops the newest, hellos and all. So it must be read
 * faster than it fills. Whatever is no full-size RECORD (hellos, routes, handshakes) goes to the core as it is read; full
 * ones, which are what others want carried, wait here for the end of the turn, and of those only so many are dealt with
 * that reading keeps up.
 */
import { LINK_DATAGRAM_BYTES } from "../core/wire/control-frame.js";
import { PacketType } from "../core/wire/flight.js";

/** Full-size records that wait. At the bound the newest is dropped and counted: a longer queue would only make all wait longer. */
export const WAITING_MAX = 256;
/** libuv reads so many datagrams of a socket in one turn; after as many, more may be waiting in the system. */
export const TURN_READS = 32;
/** Turns in a row that left something unread: fewer are a burst, which the system's buffer holds. */
const BURST_TURNS = 4;
/** At the least so many are dealt with in a turn: some traffic passes whatever comes. */
const QUOTA_MIN = 4;

interface Waiting {
  readonly path: number;
  readonly bytes: Uint8Array;
  readonly arrivedUs: number;
}

export class Backlog {
  dropped = 0;
  /** The longest wait since it was last asked for, microseconds. */
  private longestUs = 0;
  private waiting: Waiting[] = [];
  private next = 0;
  private reads = 0;
  private fullTurns = 0;
  private quota = WAITING_MAX;

  get size(): number {
    return this.waiting.length - this.next;
  }

  /** A datagram was read. True when it waits here (or was dropped); false when the core shall have it at once. */
  take(nowUs: number, path: number, bytes: Uint8Array): boolean {
    this.reads += 1;
    if (bytes.length !== LINK_DATAGRAM_BYTES || bytes[0] !== PacketType.record) return false;
    if (this.size >= WAITING_MAX) this.dropped += 1;
    else this.waiting.push({ path, bytes, arrivedUs: nowUs });
    return true;
  }

  /** The end of a turn: hands over as many as reading leaves time for, oldest first. */
  handleTurn(nowUs: number, handle: (path: number, bytes: Uint8Array) => void): void {
    this.settleQuota();
    const end = Math.min(this.waiting.length, this.next + this.quota);
    for (; this.next < end; this.next += 1) {
      const { path, bytes, arrivedUs } = this.waiting[this.next]!;
      this.longestUs = Math.max(this.longestUs, nowUs - arrivedUs);
      handle(path, bytes);
    }
    if (this.next === this.waiting.length) this.waiting = [];
    else if (this.next >= WAITING_MAX) this.waiting = this.waiting.slice(this.next);
    else return;
    this.next = 0;
  }

  /** The longest wait since the last call. */
  takeLongestUs(): number {
    const longestUs = this.longestUs;
    this.longestUs = 0;
    return longestUs;
  }

  /** Half as many while turns leave something unread, one more for each turn that does not: the next flood comes slowly. */
  private settleQuota(): void {
    const isFull = this.reads >= TURN_READS;
    this.reads = 0;
    this.fullTurns = isFull ? this.fullTurns + 1 : 0;
    if (!isFull) this.quota = Math.min(WAITING_MAX, this.quota + 1);
    else if (this.fullTurns > BURST_TURNS) this.quota = Math.max(QUOTA_MIN, Math.min(this.quota, TURN_READS) >> 1);
  }
}
