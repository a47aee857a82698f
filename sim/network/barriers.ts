import { PairIndex } from "./pair-index.js";

const SLOTS_PER_WORD = 31;

/**
 * What keeps two nodes apart: partitions (every node of one set from every node of another) and cut links. A partition is
 * a bit in a mask for each node, so that asking costs the same for two nodes and for thousands.
 */
export class Barriers {
  private readonly nodes: number;
  /** Slot of each partition in force, by its id. Bounded by the partitions of the plan. */
  private readonly slots = new Map<number, number>();
  private words = 1;
  /** By word, then node. */
  private from: Int32Array;
  private to: Int32Array;
  /** Partitions that work the other way as well, by word. */
  private bothWays: Int32Array;
  private readonly cuts = new PairIndex();

  constructor(nodes: number) {
    this.nodes = nodes;
    this.from = new Int32Array(nodes);
    this.to = new Int32Array(nodes);
    this.bothWays = new Int32Array(1);
  }

  get isOpen(): boolean {
    return this.slots.size === 0 && this.cuts.size === 0;
  }

  isPartitioned(a: number, b: number): boolean {
    if (this.slots.size === 0) return false;
    for (let word = 0; word < this.words; word += 1) {
      const atA = word * this.nodes + a;
      const atB = word * this.nodes + b;
      if ((this.from[atA]! & this.to[atB]!) !== 0) return true;
      if ((this.to[atA]! & this.from[atB]! & this.bothWays[word]!) !== 0) return true;
    }
    return false;
  }

  isCut(a: number, b: number): boolean {
    return this.cuts.size !== 0 && this.cuts.has(a, b);
  }

  /** One with the same id takes the place of the one before. */
  partition(id: number, from: readonly number[], to: readonly number[], oneWay: boolean): void {
    this.heal(id);
    const slot = this.freeSlot();
    this.slots.set(id, slot);
    const word = Math.floor(slot / SLOTS_PER_WORD);
    const bit = 1 << (slot % SLOTS_PER_WORD);
    for (const node of from) this.from[word * this.nodes + node]! |= bit;
    for (const node of to) this.to[word * this.nodes + node]! |= bit;
    if (!oneWay) this.bothWays[word]! |= bit;
  }

  heal(id: number): void {
    const slot = this.slots.get(id);
    if (slot === undefined) return;
    this.slots.delete(id);
    const word = Math.floor(slot / SLOTS_PER_WORD);
    const rest = ~(1 << (slot % SLOTS_PER_WORD));
    for (let at = word * this.nodes; at < (word + 1) * this.nodes; at += 1) {
      this.from[at]! &= rest;
      this.to[at]! &= rest;
    }
    this.bothWays[word]! &= rest;
  }

  cut(a: number, b: number, oneWay: boolean): void {
    this.cuts.set(a, b, 1);
    if (!oneWay) this.cuts.set(b, a, 1);
  }

  /** Both ways. */
  mend(a: number, b: number): void {
    this.cuts.delete(a, b);
    this.cuts.delete(b, a);
  }

  private freeSlot(): number {
    const taken = new Set(this.slots.values());
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    if (slot >= this.words * SLOTS_PER_WORD) {
      this.words += 1;
      this.from = longer(this.from, this.words * this.nodes);
      this.to = longer(this.to, this.words * this.nodes);
      this.bothWays = longer(this.bothWays, this.words);
    }
    return slot;
  }
}

function longer(from: Int32Array, length: number): Int32Array {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}
