const SLOTS_MIN = 4;
/** Columns of `numbers`. */
const A = 0;
const B = 1;
const USED = 2;
const C = 3;
const D = 4;
const NUMBERS = 5;
/** Columns of `links`. */
const CHAIN = 0;
const BEFORE = 1;
const AFTER = 2;
const LINKS = 3;

/**
 * What a NAT remembers for a time: keys (a, b), with two numbers c and d each, in the order of their last use, so that the
 * one idle for longest is at hand both when times are up and when there is no room. A slot keeps its number while the
 * lease lasts. Thousands of NATs do not fit into a processor's cache: what is asked together lies together.
 *
 * At the bound a new lease takes the place of the one idle for longest.
 */
export class Leases {
  /** Told of every lease that ends, before its slot is used again. */
  onEnd: (slot: number) => void = () => undefined;

  private readonly max: number;
  private readonly timeoutUs: number;
  private numbers = new Float64Array(SLOTS_MIN * NUMBERS);
  private links = new Int32Array(SLOTS_MIN * LINKS);
  /** Heads of the hash chains: one for each slot there is room for. */
  private heads = new Int32Array(SLOTS_MIN).fill(-1);
  private room = SLOTS_MIN;
  private used = 0;
  private held = 0;
  private free = -1;
  private first = -1;
  private last = -1;

  constructor(max: number, timeoutUs: number) {
    this.max = max;
    this.timeoutUs = timeoutUs;
  }

  get size(): number {
    return this.held;
  }

  /** Idle for longest; -1 for none. Go on with `after`. */
  get oldest(): number {
    return this.first;
  }

  /** Used last; -1 for none. */
  get newest(): number {
    return this.last;
  }

  after(slot: number): number {
    return this.links[slot * LINKS + AFTER]!;
  }

  a(slot: number): number {
    return this.numbers[slot * NUMBERS + A]!;
  }

  c(slot: number): number {
    return this.numbers[slot * NUMBERS + C]!;
  }

  d(slot: number): number {
    return this.numbers[slot * NUMBERS + D]!;
  }

  put(slot: number, c: number, d: number): void {
    this.numbers[slot * NUMBERS + C] = c;
    this.numbers[slot * NUMBERS + D] = d;
  }

  /** Ends all that were idle for the timeout. The order of use is also the order of ending. */
  expire(nowUs: number): void {
    while (this.first >= 0 && nowUs - this.numbers[this.first * NUMBERS + USED]! >= this.timeoutUs)
      this.end(this.first);
  }

  /** -1 when there is none. */
  find(a: number, b: number): number {
    if (this.last >= 0 && this.isKey(this.last, a, b)) return this.last;
    let slot = this.heads[this.chainOf(a, b)]!;
    while (slot >= 0 && !this.isKey(slot, a, b)) slot = this.links[slot * LINKS + CHAIN]!;
    return slot;
  }

  /** Times of use never go back. */
  use(slot: number, nowUs: number): void {
    this.numbers[slot * NUMBERS + USED] = nowUs;
    if (slot === this.last) return;
    this.unorder(slot);
    this.order(slot);
  }

  /** (a, b) is not held yet. */
  add(a: number, b: number, nowUs: number): number {
    if (this.held === this.max) this.end(this.first);
    const slot = this.takeSlot();
    this.numbers[slot * NUMBERS + A] = a;
    this.numbers[slot * NUMBERS + B] = b;
    this.numbers[slot * NUMBERS + USED] = nowUs;
    this.chain(slot);
    this.order(slot);
    this.held += 1;
    return slot;
  }

  end(slot: number): void {
    this.onEnd(slot);
    this.unorder(slot);
    this.unchain(slot);
    this.links[slot * LINKS + CHAIN] = this.free;
    this.free = slot;
    this.held -= 1;
  }

  clear(): void {
    while (this.first >= 0) this.end(this.first);
  }

  private isKey(slot: number, a: number, b: number): boolean {
    return this.numbers[slot * NUMBERS + A] === a && this.numbers[slot * NUMBERS + B] === b;
  }

  private takeSlot(): number {
    if (this.free >= 0) {
      const slot = this.free;
      this.free = this.links[slot * LINKS + CHAIN]!;
      return slot;
    }
    if (this.used === this.room) this.double();
    this.used += 1;
    return this.used - 1;
  }

  private order(slot: number): void {
    this.links[slot * LINKS + BEFORE] = this.last;
    this.links[slot * LINKS + AFTER] = -1;
    if (this.last < 0) this.first = slot;
    else this.links[this.last * LINKS + AFTER] = slot;
    this.last = slot;
  }

  private unorder(slot: number): void {
    const before = this.links[slot * LINKS + BEFORE]!;
    const after = this.links[slot * LINKS + AFTER]!;
    if (before < 0) this.first = after;
    else this.links[before * LINKS + AFTER] = after;
    if (after < 0) this.last = before;
    else this.links[after * LINKS + BEFORE] = before;
  }

  private chain(slot: number): void {
    const chain = this.chainOf(this.numbers[slot * NUMBERS + A]!, this.numbers[slot * NUMBERS + B]!);
    this.links[slot * LINKS + CHAIN] = this.heads[chain]!;
    this.heads[chain] = slot;
  }

  private unchain(slot: number): void {
    const chain = this.chainOf(this.numbers[slot * NUMBERS + A]!, this.numbers[slot * NUMBERS + B]!);
    const next = this.links[slot * LINKS + CHAIN]!;
    if (this.heads[chain] === slot) {
      this.heads[chain] = next;
      return;
    }
    let before = this.heads[chain]!;
    while (this.links[before * LINKS + CHAIN] !== slot) before = this.links[before * LINKS + CHAIN]!;
    this.links[before * LINKS + CHAIN] = next;
  }

  private chainOf(a: number, b: number): number {
    let h = Math.imul(a | 0, 0x9e3779b1) ^ Math.imul(b | 0, 0x85ebca6b);
    h ^= Math.imul(Math.floor(a / 4_294_967_296) + Math.floor(b / 4_294_967_296) * 31, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 16)) & (this.room - 1);
  }

  private double(): void {
    const { numbers, links } = this;
    this.room *= 2;
    this.numbers = new Float64Array(this.room * NUMBERS);
    this.numbers.set(numbers);
    this.links = new Int32Array(this.room * LINKS);
    this.links.set(links);
    this.heads = new Int32Array(this.room).fill(-1);
    for (let slot = this.first; slot >= 0; slot = this.after(slot)) this.chain(slot);
  }
}
