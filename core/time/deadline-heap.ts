import { NEVER } from "./instant.js";

// Rows of `timers`, by timer number: its deadline, and its place in the heap, -1 while it waits for nothing.
const DEADLINE = 0;
const PLACE = 1;
const TIMER_ROW = 2;

// Rows of `heap`: the deadline that a timer has its place by, which is not later than its own, and its number.
const PLACED = 0;
const ID = 1;
const HEAP_ROW = 2;

/**
 * Deadlines of many timers with one soonest: an indexed binary heap. Moving a deadline costs O(log n), reading the soonest
 * O(1); steady state allocates nothing. Equal deadlines come out in order of timer number, so that a run repeats exactly.
 *
 * Most deadlines are put off long before they come. Such a timer keeps its place, which is now too far to the front, and
 * is put right when its turn comes: so the first in the heap is always right, and the others are never too far behind.
 *
 * A simulator has one of these in each of thousands of nodes, none of which is in the processor's cache when its turn
 * comes: what is asked together lies together.
 */
export class DeadlineHeap {
  /** The soonest deadline, or NEVER. */
  soonestUs: number = NEVER;
  private readonly timers: number[] = [];
  /** The soonest first; rows from `size` on mean nothing. */
  private readonly heap: number[] = [];
  private size = 0;

  /** The timer that is due at or before `nowUs`, or -1. It stays in the heap until its deadline is moved. */
  due(nowUs: number): number {
    return this.soonestUs <= nowUs ? this.heap[ID]! : -1;
  }

  /** All timers that are due at or before `untilUs`, in no order that means anything. */
  dueBy(untilUs: number): number[] {
    const due: number[] = [];
    this.collect(0, untilUs, due);
    return due;
  }

  /** Sets, moves or (with NEVER) removes the deadline of timer `id`, a small dense integer. */
  set(id: number, deadlineUs: number): void {
    const { timers } = this;
    while (id * TIMER_ROW >= timers.length) timers.push(NEVER, -1);
    const row = id * TIMER_ROW;
    const beforeUs = timers[row + DEADLINE]!;
    if (beforeUs === deadlineUs) return;
    timers[row + DEADLINE] = deadlineUs;
    if (deadlineUs === NEVER) this.remove(timers[row + PLACE]!);
    else if (beforeUs === NEVER) this.add(id, deadlineUs);
    else if (deadlineUs > beforeUs && beforeUs > this.soonestUs)
      return; // put off, and not the first
    else this.hasten(timers[row + PLACE]!, deadlineUs);
    this.settleFirst();
  }

  private hasten(at: number, deadlineUs: number): void {
    if (deadlineUs >= this.heap[at * HEAP_ROW + PLACED]!) return;
    this.heap[at * HEAP_ROW + PLACED] = deadlineUs;
    this.up(at);
  }

  private add(id: number, deadlineUs: number): void {
    const at = this.size;
    this.size += 1;
    this.put(at, deadlineUs, id);
    this.up(at);
  }

  private remove(at: number): void {
    const { heap } = this;
    this.timers[heap[at * HEAP_ROW + ID]! * TIMER_ROW + PLACE] = -1;
    this.size -= 1;
    if (at === this.size) return;
    const last = this.size * HEAP_ROW;
    this.put(at, heap[last + PLACED]!, heap[last + ID]!);
    this.down(this.up(at));
  }

  /** Those at the front that were put off take their places, until one is there by right. */
  private settleFirst(): void {
    const { heap, timers } = this;
    while (this.size > 0) {
      const deadlineUs = timers[heap[ID]! * TIMER_ROW + DEADLINE]!;
      this.soonestUs = deadlineUs;
      if (heap[PLACED] === deadlineUs) return;
      heap[PLACED] = deadlineUs;
      this.down(0);
    }
    this.soonestUs = NEVER;
  }

  private collect(at: number, untilUs: number, into: number[]): void {
    if (at >= this.size || this.heap[at * HEAP_ROW + PLACED]! > untilUs) return;
    const id = this.heap[at * HEAP_ROW + ID]!;
    if (this.timers[id * TIMER_ROW + DEADLINE]! <= untilUs) into.push(id);
    this.collect(at * 2 + 1, untilUs, into);
    this.collect(at * 2 + 2, untilUs, into);
  }

  private up(start: number): number {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
    return at;
  }

  private down(start: number): void {
    let at = start;
    for (;;) {
      const left = at * 2 + 1;
      if (left >= this.size) return;
      const right = left + 1;
      const child = right < this.size && this.before(right, left) ? right : left;
      if (!this.before(child, at)) return;
      this.swap(at, child);
      at = child;
    }
  }

  private before(a: number, b: number): boolean {
    const { heap } = this;
    const difference = heap[a * HEAP_ROW + PLACED]! - heap[b * HEAP_ROW + PLACED]!;
    return difference < 0 || (difference === 0 && heap[a * HEAP_ROW + ID]! < heap[b * HEAP_ROW + ID]!);
  }

  private swap(a: number, b: number): void {
    const { heap } = this;
    const placedUs = heap[a * HEAP_ROW + PLACED]!;
    const id = heap[a * HEAP_ROW + ID]!;
    this.put(a, heap[b * HEAP_ROW + PLACED]!, heap[b * HEAP_ROW + ID]!);
    this.put(b, placedUs, id);
  }

  private put(at: number, placedUs: number, id: number): void {
    this.heap[at * HEAP_ROW + PLACED] = placedUs;
    this.heap[at * HEAP_ROW + ID] = id;
    this.timers[id * TIMER_ROW + PLACE] = at;
  }
}
