import type { Digest } from "../collections/digest.js";
import { NEVER } from "../time/instant.js";
import { END_PACKET_BYTES } from "../wire/network-header.js";

/**
 * Packets from one of our own NACs to another: they never see a link, yet take their turn like all others. Bounded;
 * when it is full a packet is refused, and whoever sent it repairs the loss.
 */
const PACKETS_MAX = 256;
/** Packets of one drain; the rest wait for the next input, so that one call stays short. */
const DRAIN_MAX = 256;

export class LoopbackQueue {
  private readonly packets: Uint8Array[] = [];
  private readonly destinations: number[] = [];
  private first = 0;
  private size = 0;
  private drainedUs = 0;

  get isEmpty(): boolean {
    return this.size === 0;
  }

  /** Due in the next call while anything is left. */
  get nextTimeoutUs(): number {
    return this.size === 0 ? NEVER : this.drainedUs + 1;
  }

  /** Copies the packet at `bytes[at]`; false when the queue is full. */
  add(destination: number, bytes: Uint8Array, at: number): boolean {
    if (this.size === PACKETS_MAX) return false;
    const slot = (this.first + this.size) % PACKETS_MAX;
    this.packets[slot] ??= new Uint8Array(END_PACKET_BYTES);
    this.packets[slot]!.set(bytes.subarray(at, at + END_PACKET_BYTES));
    this.destinations[slot] = destination;
    this.size += 1;
    return true;
  }

  /** Hands out packets in order, also those that the visits add. A packet is the visitor's to change. */
  drain(nowUs: number, visit: (destination: number, packet: Uint8Array) => void): void {
    this.drainedUs = nowUs;
    for (let i = 0; i < DRAIN_MAX && this.size > 0; i += 1) {
      const slot = this.first;
      visit(this.destinations[slot]!, this.packets[slot]!);
      this.first = (slot + 1) % PACKETS_MAX;
      this.size -= 1;
    }
  }

  digest(into: Digest): void {
    into.number(this.size).number(this.drainedUs);
    for (let i = 0; i < this.size; i += 1) into.bytes(this.packets[(this.first + i) % PACKETS_MAX]!);
  }
}
