import { NEVER } from "./instant.js";

/**
 * Deadlines of many timers with one soonest: an indexed binary heap on typed arrays. Moving a deadline costs O(log n),
 * reading the soonest O(1); steady state allocates nothing. Equal deadlines come out in order of timer number, so that
 * a run repeats exactly.
 */
export class DeadlineHeap {
  private heap = new Int32Array(16);
  private place = new Int32Array(16).fill(-1);
  private deadlines = new Float64Array(16).fill(NEVER);
  private size = 0;

  /** The soonest deadline, or NEVER. */
  get soonestUs(): number {
    return this.size === 0 ? NEVER : this.deadlines[this.heap[0]!]!;
  }

  /** The timer that is due at or before `nowUs`, or -1. It stays in the heap until its deadline is moved. */
  due(nowUs: number): number {
    return this.soonestUs <= nowUs ? this.heap[0]! : -1;
  }

  /** Sets, moves or (with NEVER) removes the deadline of timer `id`, a small dense integer. */
  set(id: number, deadlineUs: number): void {
    if (id >= this.place.length) this.grow(id);
    const at = this.place[id]!;
    if (deadlineUs === NEVER) {
      if (at >= 0) this.remove(at);
      return;
    }
    if (at >= 0 && this.deadlines[id] === deadlineUs) return;
    this.deadlines[id] = deadlineUs;
    if (at >= 0) {
      this.settle(at);
      return;
    }
    this.heap[this.size] = id;
    this.place[id] = this.size;
    this.size += 1;
    this.up(this.size - 1);
  }

  private remove(at: number): void {
    const id = this.heap[at]!;
    this.size -= 1;
    this.place[id] = -1;
    this.deadlines[id] = NEVER;
    if (at === this.size) return;
    const moved = this.heap[this.size]!;
    this.heap[at] = moved;
    this.place[moved] = at;
    this.settle(at);
  }

  private settle(at: number): void {
    this.down(this.up(at));
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
    const difference = this.deadlines[x]! - this.deadlines[y]!;
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

  private grow(id: number): void {
    const capacity = Math.max(this.place.length * 2, id + 1);
    const heap = new Int32Array(capacity);
    heap.set(this.heap);
    this.heap = heap;
    const place = new Int32Array(capacity).fill(-1);
    place.set(this.place);
    this.place = place;
    const deadlines = new Float64Array(capacity).fill(NEVER);
    deadlines.set(this.deadlines);
    this.deadlines = deadlines;
  }
}
