/**
 * A running 64-bit hash of state, kept as two u32 lanes (Murmur3-style mixing). Not cryptographic: it tells whether
 * two runs of the same inputs hold the same state, and is never compared with anything a stranger sent.
 */
export class Digest {
  private a = 0x9e3779b9;
  private b = 0x85ebca6b;

  /** Any safe integer. */
  number(value: number): this {
    this.word(value >>> 0);
    this.word(Math.floor(value / 0x1_0000_0000) >>> 0);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.word(value.length);
    let word = 0;
    for (let i = 0; i < value.length; i += 1) {
      word = ((word << 8) | value[i]!) >>> 0;
      if ((i & 3) === 3) {
        this.word(word);
        word = 0;
      }
    }
    if ((value.length & 3) !== 0) this.word(word);
    return this;
  }

  /** Sixteen hexadecimal digits. */
  hex(): string {
    return this.a.toString(16).padStart(8, "0") + this.b.toString(16).padStart(8, "0");
  }

  private word(value: number): void {
    const mixed = Math.imul(value ^ (value >>> 15), 0xcc9e2d51);
    this.a = (Math.imul(this.a ^ mixed, 0x1b873593) + this.b) >>> 0;
    this.b = (Math.imul(this.b ^ (mixed >>> 13) ^ (this.a >>> 7), 0xc2b2ae35) + 0xe6546b64) >>> 0;
  }
}
