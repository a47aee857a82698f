import { NEVER } from "./instant.js";

/**
 * Deadlines of many timers with one soonest: an indexed binary heap. Moving a deadline costs O(log n), reading the soonest
 * O(1); steady state allocates nothing. Equal deadlines come out in order of timer number, so that a run repeats exactly.
 *
 * Most deadlines are put off long before they come. Such a timer keeps its place, which is now too far to the front, and
 * is put right when its turn comes: so the first in the heap is always right, and the others are never too far behind.
 */
export class DeadlineHeap {
  /** The soonest deadline, or NEVER. */
  soonestUs: number = NEVER;
  /** By timer number. */
  private readonly deadlines: number[] = [];
  /** The deadline that a timer in `heap` has its place by: not later than its own. */
  private readonly placedUs: number[] = [];
  /** Of each timer in `heap`; -1 when it waits for nothing. */
  private readonly place: number[] = [];
  /** Timer numbers, the soonest first; places beyond `size` mean nothing. */
  private readonly heap: number[] = [];
  private size = 0;

  /** The timer that is due at or before `nowUs`, or -1. It stays in the heap until its deadline is moved. */
  due(nowUs: number): number {
    return this.soonestUs <= nowUs ? this.heap[0]! : -1;
  }

  /** Sets, moves or (with NEVER) removes the deadline of timer `id`, a small dense integer. */
  set(id: number, deadlineUs: number): void {
    while (id >= this.place.length) {
      this.place.push(-1);
      this.deadlines.push(NEVER);
      this.placedUs.push(NEVER);
    }
    const beforeUs = this.deadlines[id]!;
    if (beforeUs === deadlineUs) return;
    this.deadlines[id] = deadlineUs;
    if (deadlineUs === NEVER) this.remove(this.place[id]!);
    else if (beforeUs === NEVER) this.add(id, deadlineUs);
    else if (deadlineUs > beforeUs && beforeUs > this.soonestUs)
      return; // put off, and not the first
    else if (deadlineUs < this.placedUs[id]!) {
      this.placedUs[id] = deadlineUs;
      this.up(this.place[id]!);
    }
    this.settleFirst();
  }

  private add(id: number, deadlineUs: number): void {
    this.placedUs[id] = deadlineUs;
    this.heap[this.size] = id;
    this.place[id] = this.size;
    this.size += 1;
    this.up(this.size - 1);
  }

  private remove(at: number): void {
    this.place[this.heap[at]!] = -1;
    this.size -= 1;
    if (at === this.size) return;
    const moved = this.heap[this.size]!;
    this.heap[at] = moved;
    this.place[moved] = at;
    this.down(this.up(at));
  }

  /** Those at the front that were put off take their places, until one is there by right. */
  private settleFirst(): void {
    while (this.size > 0) {
      const first = this.heap[0]!;
      const deadlineUs = this.deadlines[first]!;
      this.soonestUs = deadlineUs;
      if (this.placedUs[first] === deadlineUs) return;
      this.placedUs[first] = deadlineUs;
      this.down(0);
    }
    this.soonestUs = NEVER;
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
    const x = this.heap[a]!;
    const y = this.heap[b]!;
    const difference = this.placedUs[x]! - this.placedUs[y]!;
    return difference < 0 || (difference === 0 && x < y);
  }

  private swap(a: number, b: number): void {
    const x = this.heap[a]!;
    const y = this.heap[b]!;
    this.heap[a] = y;
    this.heap[b] = x;
    this.place[y] = a;
    this.place[x] = b;
  }
}
