import type { Packets } from "./packets.js";

/** due, key, from, to as doubles; source node, island, length as words; then the bytes, up to a multiple of 8. */
const HEAD_BYTES = 48;
const ROOM_MIN = 65_536;

/** Bytes that a datagram takes in a mailbox. */
export function mailBytes(length: number): number {
  return HEAD_BYTES + ((length + 7) & ~7);
}

/**
 * Datagrams for another shard, in a row:
 *
 *   offset  size  field
 *        0     8  due
 *        8     8  key
 *       16    16  from, to
 *       32    12  source node, island, length
 *       48        the bytes, up to a multiple of 8
 *
 * Over shared memory where the other shard is to read it. Whoever writes says with `publish` how far it may be read.
 */
export class Mailbox {
  private doubles: Float64Array;
  private words: Int32Array;
  private octets: Uint8Array;
  /** Where the next datagram goes; the first 8 bytes say how far may be read. */
  private end = 8;

  constructor(buffer: ArrayBufferLike) {
    this.doubles = new Float64Array(buffer);
    this.words = new Int32Array(buffer);
    this.octets = new Uint8Array(buffer);
  }

  get isEmpty(): boolean {
    return this.end === 8;
  }

  /** Is there room for `length` bytes of a datagram? */
  fits(length: number): boolean {
    return this.end + mailBytes(length) <= this.octets.length;
  }

  write(slot: number, packets: Packets, island: number): void {
    const { end, doubles, words, octets } = this;
    const length = packets.length[slot]!;
    doubles[end >> 3] = packets.dueUs[slot]!;
    doubles[(end >> 3) + 1] = packets.key[slot]!;
    doubles[(end >> 3) + 2] = packets.from[slot]!;
    doubles[(end >> 3) + 3] = packets.to[slot]!;
    words[(end >> 2) + 8] = packets.fromNode[slot]!;
    words[(end >> 2) + 9] = island;
    words[(end >> 2) + 10] = length;
    const bytes = packets.chunk[slot]!;
    const from = packets.at[slot]!;
    const into = end + HEAD_BYTES;
    if (length <= 192) for (let i = 0; i < length; i += 1) octets[into + i] = bytes[from + i]!;
    else octets.set(bytes.subarray(from, from + length), into);
    this.end = end + mailBytes(length);
  }

  publish(): void {
    this.words[0] = this.end;
  }

  /** For whoever writes: the next datagram is the first. What was published stays until then. */
  clear(): void {
    this.end = 8;
  }

  /** Makes a slot of each datagram that was published. */
  read(packets: Packets, accept: (slot: number) => void): void {
    const { doubles, words, octets } = this;
    const end = words[0]!;
    for (let at = 8; at < end; ) {
      const word = at >> 2;
      const double = at >> 3;
      const length = words[word + 10]!;
      const slot = packets.make(octets, at + HEAD_BYTES, length);
      packets.dueUs[slot] = doubles[double]!;
      packets.key[slot] = doubles[double + 1]!;
      packets.from[slot] = doubles[double + 2]!;
      packets.to[slot] = doubles[double + 3]!;
      packets.fromNode[slot] = words[word + 8]!;
      packets.island[slot] = words[word + 9]!;
      accept(slot);
      at += mailBytes(length);
    }
  }

  /** Makes room for `length` more bytes of a datagram, in memory of its own. */
  grow(length: number): void {
    if (this.fits(length)) return;
    const wide = new Uint8Array(Math.max(ROOM_MIN, this.octets.length * 2, this.end + mailBytes(length)));
    wide.set(this.octets.subarray(0, this.end));
    this.octets = wide;
    this.doubles = new Float64Array(wide.buffer);
    this.words = new Int32Array(wide.buffer);
  }

  /** Moves what fits into `box`, which is empty, from `from` on; answers where the rest begins, or 0 when there is none. */
  pour(from: number, box: Mailbox): number {
    let to = Math.max(8, from);
    const begin = to;
    const room = box.octets.length - 8;
    while (to < this.end) {
      const bytes = mailBytes(this.words[(to >> 2) + 10]!);
      if (to + bytes - begin > room) break;
      to += bytes;
    }
    box.octets.set(this.octets.subarray(begin, to), 8);
    box.end = 8 + to - begin;
    if (to < this.end) return to;
    this.clear();
    return 0;
  }
}
