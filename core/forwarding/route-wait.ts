import { NAC_BYTES } from "../address/nac.js";
import type { Digest } from "../collections/digest.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { END_PACKET_BYTES } from "../wire/network-header.js";

/**
 * Packets of our own that wait for a route: an answer may be ready a moment before its destination is announced. They
 * wait by NAC, not by its number: a stranger's INIT may ask for an answer to any NAC, and such a one must not be
 * interned. Bounded: the oldest is dropped when the queue is full, and each after one second.
 */
const WAITING_MAX = 64;
const WAIT_US = SECOND_US;
const NO_NACS = new Uint8Array(0);

export class RouteWait {
  private readonly packets: Uint8Array[] = [];
  /** Grows to its size when the first packet comes. */
  private nacs = NO_NACS;
  private readonly expiresUs: number[] = [];
  private first = 0;
  private size = 0;

  /** Copies `nac` and the packet at `bytes[at, at + END_PACKET_BYTES)`. False when the oldest packet had to make room. */
  add(nowUs: number, nac: Uint8Array, bytes: Uint8Array, at: number): boolean {
    if (this.nacs.length === 0) this.nacs = new Uint8Array(WAITING_MAX * NAC_BYTES);
    const isFull = this.size === WAITING_MAX;
    if (isFull) {
      this.first = (this.first + 1) % WAITING_MAX;
      this.size -= 1;
    }
    const slot = (this.first + this.size) % WAITING_MAX;
    this.packets[slot] ??= new Uint8Array(END_PACKET_BYTES);
    this.packets[slot]!.set(bytes.subarray(at, at + END_PACKET_BYTES));
    for (let i = 0; i < NAC_BYTES; i += 1) this.nacs[slot * NAC_BYTES + i] = nac[i]!;
    this.expiresUs[slot] = nowUs + WAIT_US;
    this.size += 1;
    return !isFull;
  }

  get nextTimeoutUs(): number {
    return this.size === 0 ? NEVER : this.expiresUs[this.first]!;
  }

  get waiting(): number {
    return this.size;
  }

  /**
   * Hands out, in order, each packet whose destination has a route now, and drops the expired. Answers how many expired.
   *
   * @param reach  the number of the NAC at `nacs[at]` if there is a way to it now, else -1
   */
  release(
    nowUs: number,
    reach: (nacs: Uint8Array, at: number) => number,
    send: (destination: number, packet: Uint8Array) => void,
  ): number {
    let expired = 0;
    const count = this.size;
    for (let i = 0; i < count; i += 1) {
      const slot = this.first;
      this.first = (slot + 1) % WAITING_MAX;
      this.size -= 1;
      if (this.expiresUs[slot]! <= nowUs) {
        expired += 1;
        continue;
      }
      const destination = reach(this.nacs, slot * NAC_BYTES);
      if (destination >= 0) send(destination, this.packets[slot]!);
      else this.keep(slot);
    }
    return expired;
  }

  digest(into: Digest): void {
    into.number(this.size);
    for (let i = 0; i < this.size; i += 1) {
      const slot = (this.first + i) % WAITING_MAX;
      into.number(this.expiresUs[slot]!).bytes(this.nacs.subarray(slot * NAC_BYTES, (slot + 1) * NAC_BYTES));
      into.bytes(this.packets[slot]!);
    }
  }

  /** Back to the end, behind those that were looked at before: after a whole round the order is as it was. */
  private keep(from: number): void {
    const to = (this.first + this.size) % WAITING_MAX;
    if (to !== from) {
      const packet = this.packets[from]!;
      this.packets[from] = this.packets[to] ?? new Uint8Array(END_PACKET_BYTES);
      this.packets[to] = packet;
      this.nacs.copyWithin(to * NAC_BYTES, from * NAC_BYTES, (from + 1) * NAC_BYTES);
      this.expiresUs[to] = this.expiresUs[from]!;
    }
    this.size += 1;
  }
}
