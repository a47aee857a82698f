/**
 * Datagrams under way: numbers into columns and into large buffers, so that none is an object. A slot's place for bytes is
 * its own for ever; freed slots are used again first, so memory is that of the most datagrams at once.
 */

/** Payloads up to each of these have slots of their own; no stack sends a larger one. */
const SIZES = [128, 256, 640, 1_280, 2_048] as const;
const CHUNK_SLOTS = 512;
const NONE = -1;

export class Packets {
  dueUs = new Float64Array(1_024);
  /** Kind, source and sequence, as the total order has them. */
  key = new Float64Array(1_024);
  from = new Float64Array(1_024);
  to = new Float64Array(1_024);
  fromNode = new Int32Array(1_024);
  /** Of the receiver, once the network has said it; -1 before. */
  node = new Int32Array(1_024);
  interface = new Uint8Array(1_024);
  island = new Int32Array(1_024);
  length = new Int32Array(1_024);
  /** The next of a list that the owner of the slot keeps. */
  next = new Int32Array(1_024);
  at = new Int32Array(1_024);
  readonly chunk: Uint8Array[] = [];
  private sizeOf = new Uint8Array(1_024);
  private count = 0;
  private readonly free = SIZES.map(() => NONE);

  /** A slot for `bytes[at, at + length)`, copied. */
  make(bytes: Uint8Array, at: number, length: number): number {
    let size = 0;
    while (length > SIZES[size]!) size += 1; // undefined ends it: compared with NaN
    if (size === SIZES.length) throw new RangeError(`Packets: no stack sends ${length} B`);
    if (this.free[size] === NONE) this.extend(size);
    const slot = this.free[size]!;
    this.free[size] = this.next[slot]!;
    const into = this.chunk[slot]!;
    const start = this.at[slot]!;
    if (length <= 192) for (let i = 0; i < length; i += 1) into[start + i] = bytes[at + i]!;
    else into.set(bytes.subarray(at, at + length), start);
    this.length[slot] = length;
    this.node[slot] = NONE;
    return slot;
  }

  /** A slot like this one, but for its place in a list. */
  copy(slot: number): number {
    const copy = this.make(this.chunk[slot]!, this.at[slot]!, this.length[slot]!);
    this.dueUs[copy] = this.dueUs[slot]!;
    this.key[copy] = this.key[slot]!;
    this.from[copy] = this.from[slot]!;
    this.to[copy] = this.to[slot]!;
    this.fromNode[copy] = this.fromNode[slot]!;
    this.island[copy] = this.island[slot]!;
    this.node[copy] = this.node[slot]!;
    this.interface[copy] = this.interface[slot]!;
    return copy;
  }

  /** Turns one bit of the payload round. */
  flip(slot: number, bit: number): void {
    this.chunk[slot]![this.at[slot]! + (bit >> 3)]! ^= 1 << (bit & 7);
  }

  release(slot: number): void {
    const size = this.sizeOf[slot]!;
    this.next[slot] = this.free[size]!;
    this.free[size] = slot;
  }

  private extend(size: number): void {
    const bytes = SIZES[size]!;
    const chunk = new Uint8Array(bytes * CHUNK_SLOTS);
    while (this.count + CHUNK_SLOTS > this.dueUs.length) this.grow();
    for (let i = CHUNK_SLOTS - 1; i >= 0; i -= 1) {
      const slot = this.count + i;
      this.chunk[slot] = chunk;
      this.at[slot] = i * bytes;
      this.sizeOf[slot] = size;
      this.next[slot] = this.free[size]!;
      this.free[size] = slot;
    }
    this.count += CHUNK_SLOTS;
  }

  private grow(): void {
    const length = this.dueUs.length * 2;
    const f64 = (old: Float64Array) => {
      const wide = new Float64Array(length);
      wide.set(old);
      return wide;
    };
    const i32 = (old: Int32Array) => {
      const wide = new Int32Array(length);
      wide.set(old);
      return wide;
    };
    const u8 = (old: Uint8Array) => {
      const wide = new Uint8Array(length);
      wide.set(old);
      return wide;
    };
    this.dueUs = f64(this.dueUs);
    this.key = f64(this.key);
    this.from = f64(this.from);
    this.to = f64(this.to);
    this.fromNode = i32(this.fromNode);
    this.node = i32(this.node);
    this.interface = u8(this.interface);
    this.island = i32(this.island);
    this.length = i32(this.length);
    this.next = i32(this.next);
    this.at = i32(this.at);
    this.sizeOf = u8(this.sizeOf);
  }
}
