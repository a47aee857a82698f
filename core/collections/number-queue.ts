import type { Digest } from "./digest.js";

const CAPACITY_MIN = 16;
const NO_RING = new Uint32Array(0);

/**
 * First in, first out, of u32 numbers. Grows by doubling, and gives its memory back when it is empty; the owner bounds how
 * many it pushes.
 */
export class NumberQueue {
  private ring = NO_RING;
  private head = 0;
  length = 0;

  push(value: number): void {
    if (this.length === this.ring.length) this.grow();
    this.ring[(this.head + this.length) & (this.ring.length - 1)] = value;
    this.length += 1;
  }

  /** The oldest number, or -1 when the queue is empty. */
  shift(): number {
    if (this.length === 0) return -1;
    const value = this.ring[this.head]!;
    this.head = (this.head + 1) & (this.ring.length - 1);
    this.length -= 1;
    if (this.length === 0) this.clear();
    return value;
  }

  /** The oldest number without taking it, or -1. */
  peek(): number {
    return this.length === 0 ? -1 : this.ring[this.head]!;
  }

  /** The number `place` steps behind the oldest. */
  at(place: number): number {
    return this.ring[(this.head + place) & (this.ring.length - 1)]!;
  }

  clear(): void {
    this.ring = NO_RING;
    this.head = 0;
    this.length = 0;
  }

  digest(into: Digest): void {
    into.number(this.length);
    for (let i = 0; i < this.length; i += 1) into.number(this.at(i));
  }

  private grow(): void {
    const ring = new Uint32Array(Math.max(CAPACITY_MIN, this.ring.length * 2));
    for (let i = 0; i < this.length; i += 1) ring[i] = this.at(i);
    this.ring = ring;
    this.head = 0;
  }
}
