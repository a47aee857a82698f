import { NEVER } from "./instant.js";

/**
 * Deadlines of many timers with one soonest: an indexed binary heap. Moving a deadline costs O(log n), reading the soonest
 * O(1); steady state allocates nothing. Equal deadlines come out in order of timer number, so that a run repeats exactly.
 */
export class DeadlineHeap {
  /** The soonest deadline, or NEVER. */
  soonestUs: number = NEVER;
  /** Timer numbers, the soonest first; places beyond `size` mean nothing. */
  private readonly heap: number[] = [];
  /** Of each timer in `heap`; -1 when it waits for nothing. */
  private readonly place: number[] = [];
  private readonly deadlines: number[] = [];
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
    }
    if (this.deadlines[id] === deadlineUs) return;
    this.deadlines[id] = deadlineUs;
    const at = this.place[id]!;
    if (deadlineUs === NEVER) this.remove(at);
    else if (at >= 0) this.settle(at);
    else {
      this.heap[this.size] = id;
      this.place[id] = this.size;
      this.size += 1;
      this.up(this.size - 1);
    }
    this.soonestUs = this.size === 0 ? NEVER : this.deadlines[this.heap[0]!]!;
  }

  private remove(at: number): void {
    this.place[this.heap[at]!] = -1;
    this.size -= 1;
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
}
