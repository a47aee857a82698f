const CAPACITY_MIN = 4_096;
export const SEND_BUFFER_BYTES = 512 * 1_024;

/** Bytes written and not yet in a cell: a ring that grows by doubling to 512 KiB. What does not fit is not taken. */
export class SendBuffer {
  length = 0;
  private bytes = new Uint8Array(0);
  private head = 0;

  get room(): number {
    return SEND_BUFFER_BYTES - this.length;
  }

  /** Copies as much of `from[at, at + length)` as fits and returns how much that was. */
  write(from: Uint8Array, at: number, length: number): number {
    const taken = Math.min(length, this.room);
    if (this.length + taken > this.bytes.length) this.grow(this.length + taken);
    const tail = (this.head + this.length) % Math.max(1, this.bytes.length);
    const first = Math.min(taken, this.bytes.length - tail);
    this.bytes.set(from.subarray(at, at + first), tail);
    if (taken > first) this.bytes.set(from.subarray(at + first, at + taken), 0);
    this.length += taken;
    return taken;
  }

  /** Moves the oldest `length` bytes to out[at ...]. There must be as many. */
  read(out: Uint8Array, at: number, length: number): void {
    const first = Math.min(length, this.bytes.length - this.head);
    out.set(this.bytes.subarray(this.head, this.head + first), at);
    if (length > first) out.set(this.bytes.subarray(0, length - first), at + first);
    this.length -= length;
    this.head = this.length === 0 ? 0 : (this.head + length) % this.bytes.length;
  }

  clear(): void {
    this.bytes = new Uint8Array(0);
    this.head = 0;
    this.length = 0;
  }

  private grow(needed: number): void {
    let size = Math.max(CAPACITY_MIN, this.bytes.length);
    while (size < needed) size *= 2;
    const bytes = new Uint8Array(size);
    const { length } = this;
    if (length > 0) this.read(bytes, 0, length);
    this.bytes = bytes;
    this.head = 0;
    this.length = length;
  }
}
