const SLOTS_MIN = 16;
/** Columns: the three of a slot lie together, since the index is larger than a processor's cache. */
const A = 0;
const B = 1;
/** -1: a free slot. */
const VALUE = 2;
const COLUMNS = 3;

/**
 * (a, b) -> value: two integers of 32 bits to one of 31. Open addressing with linear probing, at most half full; a removal
 * closes the gap it leaves, so nothing wears out. Grows by doubling: its users bound what they put in.
 */
export class PairIndex {
  private cells: Int32Array;
  private mask: number;
  private count = 0;

  constructor(room = SLOTS_MIN) {
    let slots = SLOTS_MIN;
    while (slots < room * 2) slots *= 2;
    this.cells = new Int32Array(slots * COLUMNS).fill(-1);
    this.mask = slots - 1;
  }

  get size(): number {
    return this.count;
  }

  /** -1 when there is none. */
  get(a: number, b: number): number {
    return this.cells[this.find(a, b) * COLUMNS + VALUE]!;
  }

  has(a: number, b: number): boolean {
    return this.get(a, b) >= 0;
  }

  /** `value` is not negative. */
  set(a: number, b: number, value: number): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.double();
    const slot = this.find(a, b);
    if (this.cells[slot * COLUMNS + VALUE]! < 0) this.count += 1;
    this.put(slot, a, b, value);
  }

  delete(a: number, b: number): void {
    const { cells, mask } = this;
    let gap = this.find(a, b);
    if (cells[gap * COLUMNS + VALUE]! < 0) return;
    this.count -= 1;
    // Knuth, The Art of Computer Programming vol. 3, 6.4, algorithm R.
    for (let slot = (gap + 1) & mask; cells[slot * COLUMNS + VALUE]! >= 0; slot = (slot + 1) & mask) {
      const [heldA, heldB] = [cells[slot * COLUMNS + A]!, cells[slot * COLUMNS + B]!];
      const home = this.homeOf(heldA, heldB);
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      this.put(gap, heldA, heldB, cells[slot * COLUMNS + VALUE]!);
      gap = slot;
    }
    cells[gap * COLUMNS + VALUE] = -1;
  }

  /** Where (a, b) is, or the free slot where it would be. */
  private find(a: number, b: number): number {
    const { cells, mask } = this;
    let slot = this.homeOf(a, b);
    while (
      cells[slot * COLUMNS + VALUE]! >= 0 &&
      (cells[slot * COLUMNS + A] !== a || cells[slot * COLUMNS + B] !== b)
    ) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private put(slot: number, a: number, b: number, value: number): void {
    this.cells[slot * COLUMNS + A] = a;
    this.cells[slot * COLUMNS + B] = b;
    this.cells[slot * COLUMNS + VALUE] = value;
  }

  private homeOf(a: number, b: number): number {
    let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 16)) & this.mask;
  }

  private double(): void {
    const { cells } = this;
    const slots = (this.mask + 1) * 2;
    this.cells = new Int32Array(slots * COLUMNS).fill(-1);
    this.mask = slots - 1;
    for (let at = 0; at < cells.length; at += COLUMNS) {
      if (cells[at + VALUE]! < 0) continue;
      this.put(this.find(cells[at + A]!, cells[at + B]!), cells[at + A]!, cells[at + B]!, cells[at + VALUE]!);
    }
  }
}
