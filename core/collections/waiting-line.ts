import { NEVER } from "../time/instant.js";
import type { Digest } from "./digest.js";

/** Places at the front that were served are given back when there are so many. */
const SERVED_MAX = 1_024;

/** Distinct numbers that all wait equally long, first in, first out. The owner bounds how many there are. */
export class WaitingLine {
  private readonly waitUs: number;
  private readonly dueUs = new Map<number, number>();
  /** In order. Who was removed leaves a place behind, which is passed over when its time comes. */
  private values: number[] = [];
  private dues: number[] = [];
  private served = 0;

  constructor(waitUs: number) {
    this.waitUs = waitUs;
  }

  get length(): number {
    return this.dueUs.size;
  }

  /** When the first is due, or somebody who waits no more would have been; NEVER when nobody waits. */
  get nextUs(): number {
    return this.dueUs.size === 0 ? NEVER : this.dues[this.served]!;
  }

  has(value: number): boolean {
    return this.dueUs.has(value);
  }

  /** Whoever waits already goes on waiting. */
  add(nowUs: number, value: number): void {
    if (this.dueUs.has(value)) return;
    if (this.dueUs.size === 0) this.clear();
    const dueUs = nowUs + this.waitUs;
    this.dueUs.set(value, dueUs);
    this.values.push(value);
    this.dues.push(dueUs);
  }

  /** It waits no more. */
  remove(value: number): void {
    this.dueUs.delete(value);
  }

  /** The first, if it is due; else -1. */
  take(nowUs: number): number {
    while (this.nextUs <= nowUs) {
      const value = this.values[this.served]!;
      const dueUs = this.dues[this.served]!;
      this.served += 1;
      if (this.served === SERVED_MAX) this.giveBack();
      if (this.dueUs.get(value) !== dueUs) continue;
      this.dueUs.delete(value);
      return value;
    }
    return -1;
  }

  digest(into: Digest): void {
    into.number(this.dueUs.size);
    for (const dueUs of this.dueUs.values()) into.number(dueUs);
  }

  private giveBack(): void {
    this.values.splice(0, this.served);
    this.dues.splice(0, this.served);
    this.served = 0;
  }

  private clear(): void {
    this.values = [];
    this.dues = [];
    this.served = 0;
  }
}
