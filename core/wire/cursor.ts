/**
 * The two ends of every codec: a Writer that appends and a Reader that consumes, big-endian throughout.
 *
 * A stranger's bytes never throw: a Reader that runs past its end sets `ok` to false and answers zeros from then on,
 * so a decoder reads all its fields and asks once. A Writer that runs past its end is our own bug and throws.
 */

const U48_HIGH = 0x1_0000_0000;
/** Up to so many bytes a loop is quicker than what the language brings for copying and filling. */
const FEW_BYTES = 32;

/** Appends big-endian fields to a caller's buffer. Throws RangeError when the buffer is full: the caller sized it wrong. */
export class Writer {
  bytes: Uint8Array;
  end: number;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** As if it were new: whoever writes one packet after the other keeps one Writer. */
  reset(bytes: Uint8Array, offset: number, end: number): this {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
    return this;
  }

  /** Bytes that still fit. */
  get room(): number {
    return this.end - this.offset;
  }

  u8(value: number): this {
    const at = this.advance(1);
    this.bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.advance(2);
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value;
    return this;
  }

  u24(value: number): this {
    const at = this.advance(3);
    this.bytes[at] = value >>> 16;
    this.bytes[at + 1] = value >>> 8;
    this.bytes[at + 2] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.advance(4);
    this.bytes[at] = value >>> 24;
    this.bytes[at + 1] = value >>> 16;
    this.bytes[at + 2] = value >>> 8;
    this.bytes[at + 3] = value;
    return this;
  }

  /** An integer below 2^48. */
  u48(value: number): this {
    const high = Math.floor(value / U48_HIGH);
    return this.u16(high).u32(value >>> 0);
  }

  /** An integer below 2^53 in eight bytes. */
  u64(value: number): this {
    const high = Math.floor(value / U48_HIGH);
    return this.u32(high).u32(value >>> 0);
  }

  raw(source: Uint8Array): this {
    const { length } = source;
    const at = this.advance(length);
    if (length > FEW_BYTES) this.bytes.set(source, at);
    else for (let i = 0; i < length; i += 1) this.bytes[at + i] = source[i]!;
    return this;
  }

  zeros(count: number): this {
    const at = this.advance(count);
    if (count > FEW_BYTES) this.bytes.fill(0, at, at + count);
    else for (let i = at; i < at + count; i += 1) this.bytes[i] = 0;
    return this;
  }

  private advance(count: number): number {
    const at = this.offset;
    if (at + count > this.end) throw new RangeError(`Writer: ${count} bytes do not fit at ${at} of ${this.end}`);
    this.offset = at + count;
    return at;
  }
}

/** Consumes big-endian fields. Never throws; after the first overrun `ok` is false and every field reads as zero. */
export class Reader {
  bytes: Uint8Array;
  offset: number;
  end: number;
  ok = true;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** As if it were new: whoever reads one packet after the other keeps one Reader. */
  reset(bytes: Uint8Array, offset: number, end: number): this {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
    this.ok = true;
    return this;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  u8(): number {
    const at = this.advance(1);
    return at < 0 ? 0 : this.bytes[at]!;
  }

  u16(): number {
    const at = this.advance(2);
    return at < 0 ? 0 : (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  u24(): number {
    const at = this.advance(3);
    return at < 0 ? 0 : (this.bytes[at]! << 16) | (this.bytes[at + 1]! << 8) | this.bytes[at + 2]!;
  }

  u32(): number {
    const at = this.advance(4);
    if (at < 0) return 0;
    const b = this.bytes;
    return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
  }

  u48(): number {
    if (!this.holds(6)) return 0;
    const high = this.u16();
    return high * U48_HIGH + this.u32();
  }

  /** Eight bytes as a number; a value of 2^53 or more is not one of ours and sets `ok` to false. */
  u64(): number {
    if (!this.holds(8)) return 0;
    const high = this.u32();
    const low = this.u32();
    if (high > 0x1f_ffff) {
      this.ok = false;
      return 0;
    }
    return high * U48_HIGH + low;
  }

  /** A view, not a copy: valid as long as the buffer underneath is. */
  raw(count: number): Uint8Array {
    const at = this.advance(count);
    return at < 0 ? new Uint8Array(0) : this.bytes.subarray(at, at + count);
  }

  /** Fills `out`; leaves it as it was when the input is too short. */
  copy(out: Uint8Array): void {
    const { length } = out;
    const at = this.advance(length);
    if (at >= 0) for (let i = 0; i < length; i += 1) out[i] = this.bytes[at + i]!;
  }

  skip(count: number): void {
    this.advance(count);
  }

  /** True when the next `count` bytes are all zero; consumes them. */
  zeros(count: number): boolean {
    const at = this.advance(count);
    if (at < 0) return false;
    for (let i = at; i < at + count; i += 1) if (this.bytes[i] !== 0) return false;
    return true;
  }

  /** Asked before a field that is read in two halves, so that it is read whole or not at all. */
  private holds(count: number): boolean {
    if (this.offset + count > this.end) this.ok = false;
    return this.ok;
  }

  private advance(count: number): number {
    const at = this.offset;
    if (!this.ok || count < 0 || at + count > this.end) {
      this.ok = false;
      return -1;
    }
    this.offset = at + count;
    return at;
  }
}
