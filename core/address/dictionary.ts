/**
 * NACs interned as small dense numbers, so that tables are columns of typed arrays and no packet needs a string.
 *
 * Open addressing on the four u32 words of a NAC. Injected: every simulated node of a worker shares one. Nothing may
 * depend on the interned number itself (ties are broken by ids), only on its being dense and stable.
 */
export class NacDictionary {
  private words: Uint32Array;
  private slots: Int32Array;
  private count = 0;

  constructor(capacity = 64) {
    this.words = new Uint32Array(capacity * 4);
    this.slots = new Int32Array(capacity * 4).fill(-1);
  }

  /** Numbers given so far: 0 .. size - 1. */
  get size(): number {
    return this.count;
  }

  /** The number of the NAC at `offset`; a new one when it was never seen. Copies the 16 bytes. */
  intern(bytes: Uint8Array, offset = 0): number {
    const known = this.find(bytes, offset);
    if (known >= 0) return known;
    if ((this.count + 1) * 4 > this.words.length) this.grow();
    const number = this.count;
    this.count += 1;
    for (let i = 0; i < 4; i += 1) this.words[number * 4 + i] = wordAt(bytes, offset + i * 4);
    this.slots[this.slotOf(number)] = number;
    return number;
  }

  /** The number of a NAC already interned, or -1. */
  find(bytes: Uint8Array, offset = 0): number {
    const a = wordAt(bytes, offset);
    const b = wordAt(bytes, offset + 4);
    const c = wordAt(bytes, offset + 8);
    const d = wordAt(bytes, offset + 12);
    const mask = this.slots.length - 1;
    let slot = hashOf(a, b, c, d) & mask;
    for (;;) {
      const number = this.slots[slot]!;
      if (number < 0) return -1;
      const at = number * 4;
      if (this.words[at] === a && this.words[at + 1] === b && this.words[at + 2] === c && this.words[at + 3] === d) {
        return number;
      }
      slot = (slot + 1) & mask;
    }
  }

  /** Writes the 16 bytes of NAC `number`. Throws RangeError for a number that was never given. */
  write(number: number, out: Uint8Array, offset = 0): void {
    if (number < 0 || number >= this.count) throw new RangeError(`NacDictionary: no NAC has the number ${number}`);
    for (let i = 0; i < 4; i += 1) {
      const word = this.words[number * 4 + i]!;
      out[offset + i * 4] = word >>> 24;
      out[offset + i * 4 + 1] = word >>> 16;
      out[offset + i * 4 + 2] = word >>> 8;
      out[offset + i * 4 + 3] = word;
    }
  }

  /** A fresh copy of the 16 bytes of NAC `number`. */
  bytesOf(number: number): Uint8Array {
    const out = new Uint8Array(16);
    this.write(number, out);
    return out;
  }

  private slotOf(number: number): number {
    const at = number * 4;
    const mask = this.slots.length - 1;
    let slot = hashOf(this.words[at]!, this.words[at + 1]!, this.words[at + 2]!, this.words[at + 3]!) & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const words = new Uint32Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    this.slots = new Int32Array(words.length).fill(-1);
    for (let number = 0; number < this.count; number += 1) this.slots[this.slotOf(number)] = number;
  }
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}

function hashOf(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77) ^ Math.imul(c, 0xc2b2ae3d) ^ Math.imul(d, 0x27d4eb2f);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 1;
}
