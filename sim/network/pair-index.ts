const SLOTS_MIN = 16;

/**
 * (a, b) -> value: two integers of 32 bits to one of 31. Open addressing with linear probing, at most half full; a removal closes the
 * gap it leaves, so nothing wears out. Grows by doubling: its users bound what they put in.
 */
export class PairIndex {
  private a: Int32Array;
  private b: Int32Array;
  /** -1: a free slot. */
  private values: Int32Array;
  private mask: number;
  private count = 0;

  constructor(room = SLOTS_MIN) {
    let slots = SLOTS_MIN;
    while (slots < room * 2) slots *= 2;
    this.a = new Int32Array(slots);
    this.b = new Int32Array(slots);
    this.values = new Int32Array(slots).fill(-1);
    this.mask = slots - 1;
  }

  get size(): number {
    return this.count;
  }

  /** -1 when there is none. */
  get(a: number, b: number): number {
    for (let slot = this.homeOf(a, b); ; slot = (slot + 1) & this.mask) {
      const value = this.values[slot]!;
      if (value < 0 || (this.a[slot] === a && this.b[slot] === b)) return value;
    }
  }

  has(a: number, b: number): boolean {
    return this.get(a, b) >= 0;
  }

  /** `value` is not negative. */
  set(a: number, b: number, value: number): void {
    if ((this.count + 1) * 2 > this.values.length) this.double();
    let slot = this.homeOf(a, b);
    while (this.values[slot]! >= 0) {
      if (this.a[slot] === a && this.b[slot] === b) {
        this.values[slot] = value;
        return;
      }
      slot = (slot + 1) & this.mask;
    }
    this.a[slot] = a;
    this.b[slot] = b;
    this.values[slot] = value;
    this.count += 1;
  }

  delete(a: number, b: number): void {
    let gap = this.homeOf(a, b);
    while (this.values[gap]! >= 0 && !(this.a[gap] === a && this.b[gap] === b)) gap = (gap + 1) & this.mask;
    if (this.values[gap]! < 0) return;
    this.count -= 1;
    // Knuth, The Art of Computer Programming vol. 3, 6.4, algorithm R.
    for (let slot = (gap + 1) & this.mask; this.values[slot]! >= 0; slot = (slot + 1) & this.mask) {
      const home = this.homeOf(this.a[slot]!, this.b[slot]!);
      if (((slot - home) & this.mask) < ((slot - gap) & this.mask)) continue;
      this.a[gap] = this.a[slot]!;
      this.b[gap] = this.b[slot]!;
      this.values[gap] = this.values[slot]!;
      gap = slot;
    }
    this.values[gap] = -1;
  }

  private homeOf(a: number, b: number): number {
    let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 16)) & this.mask;
  }

  private double(): void {
    const { a, b, values } = this;
    const slots = values.length * 2;
    this.a = new Int32Array(slots);
    this.b = new Int32Array(slots);
    this.values = new Int32Array(slots).fill(-1);
    this.mask = slots - 1;
    this.count = 0;
    for (let i = 0; i < values.length; i += 1) {
      if (values[i]! >= 0) this.set(a[i]!, b[i]!, values[i]!);
    }
  }
}
