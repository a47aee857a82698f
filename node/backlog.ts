/**
 * What to do when more arrives than can be dealt with: carry less, and keep hearing the neighbours.
 *
 * The system's receive buffer holds a few hundred datagrams and drops the newest, hellos and all. So it must be read
 * faster than it fills. Whatever is no full-size RECORD (hellos, routes, handshakes) goes to the core as it is read; full
 * ones, which are what others want carried, wait here for the end of the turn, and of those only so many are dealt with
 * that reading keeps up. Anybody can send records of sessions that there are not: of those, whatever their size, only so
 * many go on as the core could keep, and none takes the place of a neighbour's.
 */

import { SECOND_US } from "../core/time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../core/wire/control-frame.js";
import { PacketType } from "../core/wire/flight.js";
import { recordIndex } from "../core/wire/record.js";

/** Full-size records that wait. At the bound the newest is dropped and counted: a longer queue would only make all wait longer. */
export const WAITING_MAX = 256;
/** libuv reads so many datagrams of a socket in one turn; after as many, more may be waiting in the system. */
export const TURN_READS = 32;
/** Turns in a row that left something unread: fewer are a burst, which the system's buffer holds. */
const BURST_TURNS = 4;
/** At the least so many are dealt with in a turn: some traffic passes whatever comes. */
const QUOTA_MIN = 4;
/**
 * Records of unknown sessions that go on, at once and each second: such as overtook their CONF, or whose sender shall hear
 * that we were restarted. The core's pool holds 256 for a quarter of a second each, so more would only push each other out.
 * Beyond it they are dropped and counted.
 */
export const STRANGERS_BURST = 64;
export const STRANGERS_PER_SECOND = 512;

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
  private strangers = STRANGERS_BURST;
  private strangersUs = 0;
  private readonly isSessionKnown: (index: number) => boolean;

  /** `isSessionKnown` is asked of each record, by the session number in it. */
  constructor(isSessionKnown: (index: number) => boolean) {
    this.isSessionKnown = isSessionKnown;
  }

  get size(): number {
    return this.waiting.length - this.next;
  }

  /** A datagram was read. True when it waits here (or was dropped); false when the core shall have it at once. */
  take(nowUs: number, path: number, bytes: Uint8Array): boolean {
    this.reads += 1;
    if (bytes[0] !== PacketType.record) return false;
    if (!this.isWelcome(nowUs, bytes)) {
      this.dropped += 1;
      return true;
    }
    if (bytes.length !== LINK_DATAGRAM_BYTES) return false;
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

  private isWelcome(nowUs: number, bytes: Uint8Array): boolean {
    if (this.isSessionKnown(recordIndex(bytes, 0, bytes.length))) return true;
    const earned = ((nowUs - this.strangersUs) * STRANGERS_PER_SECOND) / SECOND_US;
    this.strangers = Math.min(STRANGERS_BURST, this.strangers + earned);
    this.strangersUs = nowUs;
    if (this.strangers < 1) return false;
    this.strangers -= 1;
    return true;
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
