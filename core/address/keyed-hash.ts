/**
 * HalfSipHash-1-3 of the four words of a NAC (Aumasson, Bernstein): who does not know the key cannot aim NACs at one
 * place of a hash table. A mere multiplication by odd constants would collide alike under every key.
 */
export class KeyedHash {
  private readonly key0: number;
  private readonly key1: number;

  /** @param key two u32 */
  constructor(key: readonly [number, number]) {
    this.key0 = key[0];
    this.key1 = key[1];
  }

  /** 32 bits, signed. */
  of(a: number, b: number, c: number, d: number): number {
    let v0 = this.key0;
    let v1 = this.key1;
    let v2 = 0x6c796765 ^ this.key0;
    let v3 = 0x74656462 ^ this.key1;
    // The last round but three takes in the length, 16 bytes, as the original does.
    for (let i = 0; i < 8; i += 1) {
      const word = i === 0 ? a : i === 1 ? b : i === 2 ? c : i === 3 ? d : i === 4 ? 0x10000000 : 0;
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      if (i === 4) v2 ^= 0xff;
    }
    return v1 ^ v3;
  }
}
