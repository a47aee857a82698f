/**
 * Weather: chance that belongs to a packet and not to a moment. What befalls packet `n` of a pair is a hash of (key of
 * the pair, n, purpose), so no other packet's coming, going or order changes it, shards need not share a state, and two
 * versions of the protocol meet the same losses. Streams that are drawn from in order (who joins when) are alea's.
 *
 * Two rounds of the finaliser of MurmurHash3 (Appleby, public domain), in 32-bit integers: the same in every engine.
 */
export function weather(key: number, n: number, purpose: number): number {
  let h = key ^ Math.imul(n, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= (h >>> 16) ^ Math.imul(purpose + key, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 16), 0x846ca68b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A key from a text, such as a scenario's seed. FNV-1a, then mixed. */
export function weatherSeed(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return weather(h, text.length, 0);
}

/** A key for (a, b) under another key; the order of `a` and `b` matters. */
export function weatherKey(key: number, a: number, b: number): number {
  return weather(weather(key, a, 1), b, 2);
}

/** One uniform 32-bit value hit a share of so many parts per million? Exact: both sides stay below 2^53. */
export function isHit(value: number, ppm: number): boolean {
  return value * 1_000_000 < ppm * 4_294_967_296;
}

/** A uniform 32-bit value as a whole number in [0, bound); bound at most 2^21. */
export function scaled(value: number, bound: number): number {
  return Math.floor((value * bound) / 4_294_967_296);
}
