const CAPACITY_MIN = 4096;

/** Bytes written one after the other into a buffer that grows by doubling. Little-endian. */
export class Scribe {
  /** Bytes written so far. */
  length = 0;
  private buffer: Buffer;

  constructor(buffer: Buffer = Buffer.allocUnsafeSlow(CAPACITY_MIN)) {
    this.buffer = buffer;
  }

  /** What is written. A view: valid until the next write or `restart`. */
  get written(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** Begins anew, behind `length` bytes that somebody fills in later; in `buffer`, if the old one was given away. */
  restart(length = 0, buffer: Buffer = this.buffer): void {
    this.buffer = buffer;
    this.length = length;
    this.reserve(0);
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length] = value;
    this.length += 1;
  }

  u32(value: number): void {
    this.reserve(4);
    this.length = this.buffer.writeUInt32LE(value, this.length);
  }

  /** A whole number from 0 to 2^53 - 1, in eight bytes. */
  u53(value: number): void {
    this.reserve(8);
    const high = Math.floor(value / 0x1_0000_0000);
    this.buffer.writeUInt32LE(value - high * 0x1_0000_0000, this.length);
    this.length = this.buffer.writeUInt32LE(high, this.length + 4);
  }

  f64(value: number): void {
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }

  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  text(text: string): void {
    const bytes = Buffer.from(text);
    this.u32(bytes.length);
    this.bytes(bytes);
  }

  /** Writes `value` over the four bytes at `at`. */
  patchU32(at: number, value: number): void {
    this.buffer.writeUInt32LE(value, at);
  }

  /** Takes `count` bytes at `at` out again. */
  remove(at: number, count: number): void {
    this.buffer.copyWithin(at, at + count, this.length);
    this.length -= count;
  }

  private reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.buffer.length) return;
    const { buffer } = this;
    this.buffer = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2, CAPACITY_MIN));
    buffer.copy(this.buffer, 0, 0, this.length);
  }
}
