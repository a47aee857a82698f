import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";

/** As many as there are destinations: each is marked here once at most. */
const MARKED_MAX = 262_144;
/** Slots that a suspicion may name, from the last to the one after the next. */
const SLOTS_MAX = 4;
/** So long after the beginning of its slot an unrefuted suspicion is believed. */
const REFUTE_SLOTS = 4;

interface Mark {
  /** What the origin must prove, one by one: a later suspicion neither extends nor replaces an earlier one. */
  slots: number[];
  /** Links that want the proof. */
  readonly askers: Set<number>;
}

/**
 * Destinations under suspicion: unless the origin proves that it lived in a slot which had not begun when the suspicion was
 * voiced, it is dropped. All nodes drop it at the same slot, whenever the suspicion reached them.
 */
export class Marks {
  readonly cap = new Cap("suspected", MARKED_MAX);
  private readonly marks = new Map<number, Mark>();

  get isEmpty(): boolean {
    return this.marks.size === 0;
  }

  has(destination: number): boolean {
    return this.marks.has(destination);
  }

  /** True when this suspicion is new here. */
  add(destination: number, slot: number): boolean {
    const mark = this.obtain(destination);
    if (mark === undefined || mark.slots.includes(slot) || mark.slots.length >= SLOTS_MAX) return false;
    mark.slots.push(slot);
    return true;
  }

  /** The neighbour on `link` wants the proof as well. */
  addAsker(destination: number, link: number): void {
    this.marks.get(destination)?.askers.add(link);
  }

  /** The origin proved that it lived in `slot`. Calls `answer` with each link that wants to know, once all is refuted that is. */
  refute(destination: number, slot: number, answer: (link: number) => void): void {
    const mark = this.marks.get(destination);
    if (mark === undefined) return;
    const open = mark.slots.filter((wanted) => wanted > slot);
    if (open.length < mark.slots.length) for (const link of mark.askers) answer(link);
    if (open.length === 0) this.marks.delete(destination);
    else mark.slots = open;
  }

  /**
   * Calls `drop` for each destination whose time is over, with the newest slot that it has to prove: whoever suspected it later
   * is not to be answered by less.
   */
  handleSlot(slot: number, drop: (destination: number, unproven: number) => void): void {
    for (const [destination, mark] of this.marks) {
      if (slot < Math.min(...mark.slots) + REFUTE_SLOTS) continue;
      this.marks.delete(destination);
      drop(destination, Math.max(...mark.slots));
    }
  }

  forgetLink(link: number): void {
    for (const mark of this.marks.values()) mark.askers.delete(link);
  }

  forget(destination: number): void {
    this.marks.delete(destination);
  }

  digest(into: Digest): void {
    into.number(this.marks.size);
    for (const { slots, askers } of this.marks.values()) {
      for (const slot of slots) into.number(slot);
      for (const link of askers) into.number(link);
    }
  }

  private obtain(destination: number): Mark | undefined {
    const known = this.marks.get(destination);
    if (known !== undefined) return known;
    if (this.marks.size >= MARKED_MAX) return undefined;
    const mark: Mark = { slots: [], askers: new Set() };
    this.marks.set(destination, mark);
    this.cap.note(this.marks.size);
    return mark;
  }
}
