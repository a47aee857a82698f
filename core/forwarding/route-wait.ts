import type { Digest } from "../collections/digest.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { END_PACKET_BYTES } from "../wire/network-header.js";

/**
 * Packets of our own that wait for a route: an answer may be ready a moment before its destination is announced.
 * Bounded: the oldest is dropped when the queue is full, and each after one second.
 */
const WAITING_MAX = 64;
const WAIT_US = SECOND_US;

export class RouteWait {
  private readonly packets: Uint8Array[] = [];
  private readonly destinations = new Int32Array(WAITING_MAX);
  private readonly expiresUs = new Float64Array(WAITING_MAX);
  private first = 0;
  private size = 0;
  dropped = 0;

  /** Copies the packet at `bytes[at, at + END_PACKET_BYTES)`. */
  add(nowUs: number, destination: number, bytes: Uint8Array, at: number): void {
    if (this.size === WAITING_MAX) this.dropOldest();
    const slot = (this.first + this.size) % WAITING_MAX;
    this.packets[slot] ??= new Uint8Array(END_PACKET_BYTES);
    this.packets[slot]!.set(bytes.subarray(at, at + END_PACKET_BYTES));
    this.destinations[slot] = destination;
    this.expiresUs[slot] = nowUs + WAIT_US;
    this.size += 1;
  }

  get nextTimeoutUs(): number {
    return this.size === 0 ? NEVER : this.expiresUs[this.first]!;
  }

  get waiting(): number {
    return this.size;
  }

  /** Hands out, in order, each packet whose destination has a route now; drops the expired. */
  release(
    nowUs: number,
    hasRoute: (destination: number) => boolean,
    send: (destination: number, packet: Uint8Array) => void,
  ): void {
    const count = this.size;
    for (let i = 0; i < count; i += 1) {
      const slot = this.first;
      this.first = (slot + 1) % WAITING_MAX;
      this.size -= 1;
      if (this.expiresUs[slot]! <= nowUs) this.dropped += 1;
      else if (hasRoute(this.destinations[slot]!)) send(this.destinations[slot]!, this.packets[slot]!);
      else this.keep(slot);
    }
  }

  digest(into: Digest): void {
    into.number(this.size).number(this.dropped);
  }

  private keep(from: number): void {
    const to = (this.first + this.size) % WAITING_MAX;
    const packet = this.packets[from]!;
    this.packets[from] = this.packets[to] ?? new Uint8Array(END_PACKET_BYTES);
    this.packets[to] = packet;
    this.destinations[to] = this.destinations[from]!;
    this.expiresUs[to] = this.expiresUs[from]!;
    this.size += 1;
  }

  private dropOldest(): void {
    this.first = (this.first + 1) % WAITING_MAX;
    this.size -= 1;
    this.dropped += 1;
  }
}
