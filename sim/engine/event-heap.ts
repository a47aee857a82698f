/** Events in their total order (time, key) on typed arrays: a binary heap. Steady state allocates nothing. */
export class EventHeap {
  private times: Float64Array;
  private keys: Float64Array;
  private ids: Int32Array;
  size = 0;

  constructor(capacity = 64) {
    this.times = new Float64Array(capacity);
    this.keys = new Float64Array(capacity);
    this.ids = new Int32Array(capacity);
  }

  /** Of the first event; nothing when `size` is 0. */
  get timeUs(): number {
    return this.times[0]!;
  }

  get key(): number {
    return this.keys[0]!;
  }

  get id(): number {
    return this.ids[0]!;
  }

  push(timeUs: number, key: number, id: number): void {
    if (this.size === this.times.length) this.grow();
    const { times, keys, ids } = this;
    let hole = this.size;
    this.size += 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = times[parent]!;
      if (above < timeUs || (above === timeUs && keys[parent]! <= key)) break;
      times[hole] = above;
      keys[hole] = keys[parent]!;
      ids[hole] = ids[parent]!;
      hole = parent;
    }
    times[hole] = timeUs;
    keys[hole] = key;
    ids[hole] = id;
  }

  /** Takes the first away. */
  shift(): void {
    this.size -= 1;
    const { times, keys, ids, size } = this;
    const timeUs = times[size]!;
    const key = keys[size]!;
    const id = ids[size]!;
    let hole = 0;
    for (;;) {
      let child = hole * 2 + 1;
      if (child >= size) break;
      const right = child + 1;
      if (
        right < size &&
        (times[right]! < times[child]! || (times[right] === times[child] && keys[right]! < keys[child]!))
      ) {
        child = right;
      }
      if (times[child]! > timeUs || (times[child] === timeUs && keys[child]! >= key)) break;
      times[hole] = times[child]!;
      keys[hole] = keys[child]!;
      ids[hole] = ids[child]!;
      hole = child;
    }
    times[hole] = timeUs;
    keys[hole] = key;
    ids[hole] = id;
  }

  private grow(): void {
    const length = this.times.length * 2;
    const times = new Float64Array(length);
    const keys = new Float64Array(length);
    const ids = new Int32Array(length);
    times.set(this.times);
    keys.set(this.keys);
    ids.set(this.ids);
    this.times = times;
    this.keys = keys;
    this.ids = ids;
  }
}
