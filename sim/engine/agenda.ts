import type { EventHeap } from "./event-heap.js";

const NONE = -1;

/** What is due in one window, by island. Kept from window to window, so that a steady state allocates nothing. */
export class Agenda {
  /** Islands that have something to do, in the order in which that was seen. */
  touched = 0;
  private readonly heads: Int32Array;
  private readonly islands: Int32Array;
  private ids = new Int32Array(1_024);
  private keys = new Float64Array(1_024);
  private times = new Float64Array(1_024);
  private nexts = new Int32Array(1_024);
  private count = 0;

  constructor(islands: number) {
    this.heads = new Int32Array(islands).fill(NONE);
    this.islands = new Int32Array(islands);
  }

  islandAt(place: number): number {
    return this.islands[place]!;
  }

  enter(island: number, atUs: number, key: number, id: number): void {
    if (this.count === this.ids.length) this.grow();
    const { count } = this;
    if (this.heads[island] === NONE) {
      this.islands[this.touched] = island;
      this.touched += 1;
    }
    this.nexts[count] = this.heads[island]!;
    this.ids[count] = id;
    this.keys[count] = key;
    this.times[count] = atUs;
    this.heads[island] = count;
    this.count = count + 1;
  }

  /** Moves all of an island into `heap`. */
  pour(island: number, heap: EventHeap): void {
    for (let entry = this.heads[island]!; entry !== NONE; entry = this.nexts[entry]!) {
      heap.push(this.times[entry]!, this.keys[entry]!, this.ids[entry]!);
    }
    this.heads[island] = NONE;
  }

  /** All islands were poured. */
  clear(): void {
    this.touched = 0;
    this.count = 0;
  }

  private grow(): void {
    const { ids, keys, times, nexts } = this;
    const room = ids.length * 2;
    this.ids = new Int32Array(room);
    this.ids.set(ids);
    this.keys = new Float64Array(room);
    this.keys.set(keys);
    this.times = new Float64Array(room);
    this.times.set(times);
    this.nexts = new Int32Array(room);
    this.nexts.set(nexts);
  }
}
