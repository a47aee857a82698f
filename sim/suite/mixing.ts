/**
 * A keyed checksum over bytes: 64 bits in two lanes, each word multiplied and rotated into one lane and folded into the
 * other (after MurmurHash3, Appleby). Whoever does not try will not find a collision; whoever tries will: it stands for
 * cryptography in a simulation and nowhere else. 32-bit integers only, so it is the same in every engine.
 */

const M1 = 0xcc9e2d51;
const M2 = 0x85ebca6b;
const M3 = 0xc2b2ae35;

/** The lanes, read after the calls below. Module state: one simulation thread, and no call between absorb and reading. */
export const lanes = { a: 0, b: 0 };

export function begin(a: number, b: number): void {
  lanes.a = a;
  lanes.b = b;
}

/** Absorbs `bytes[at, at + length)` and the length. */
export function absorb(bytes: Uint8Array, at: number, length: number): void {
  let { a, b } = lanes;
  a ^= length;
  let i = at;
  const end = at + length;
  for (const whole = at + (length & ~7); i < whole; i += 8) {
    const v = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    const w = bytes[i + 4]! | (bytes[i + 5]! << 8) | (bytes[i + 6]! << 16) | (bytes[i + 7]! << 24);
    a = Math.imul(a ^ v, M1);
    b = Math.imul(b ^ w, M2);
    a = ((a << 13) | (a >>> 19)) + b;
    b = ((b << 17) | (b >>> 15)) ^ a;
  }
  for (; i < end; i += 1) {
    a = Math.imul(a ^ bytes[i]!, M1);
    a = ((a << 13) | (a >>> 19)) + b;
    b = ((b << 17) | (b >>> 15)) ^ a;
  }
  lanes.a = a;
  lanes.b = b;
}

/** Spreads every bit of the lanes over both. */
export function settle(): void {
  let { a, b } = lanes;
  a = Math.imul(a ^ (a >>> 16) ^ b, M2);
  b = Math.imul(b ^ (b >>> 15) ^ a, M3);
  a = Math.imul(a ^ (a >>> 13) ^ b, M3);
  b = Math.imul(b ^ (b >>> 16) ^ a, M1);
  lanes.a = a ^ (a >>> 16);
  lanes.b = b ^ (b >>> 15);
}

/** Writes `length` bytes that follow from the lanes. */
export function squeeze(out: Uint8Array, at: number, length: number): void {
  let { a, b } = lanes;
  for (let i = 0; i < length; i += 4) {
    a = (Math.imul(a ^ (a >>> 15) ^ b, M2) + 0x9e3779b9) | 0;
    b = Math.imul(((b << 11) | (b >>> 21)) ^ a, M3);
    const word = b ^ (b >>> 16);
    const rest = Math.min(4, length - i);
    for (let k = 0; k < rest; k += 1) out[at + i + k] = word >>> (8 * k);
  }
}
