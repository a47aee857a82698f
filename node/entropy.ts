import { randomFillSync } from "node:crypto";
import type { Entropy } from "../core/crypto/suite.js";

/** One system call fills this many bytes; a handshake takes about a hundred of them. */
const POOL_BYTES = 4096;

const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** Fresh bytes of the system's generator. What was given out is wiped from the pool at once. */
export const systemEntropy: Entropy = (length) => {
  if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
  if (used + length > POOL_BYTES) refill();
  const out = pool.slice(used, used + length);
  pool.fill(0, used, used + length);
  used += length;
  return out;
};

/** A random u32 for jitter: unpredictable, without the cost of an array. */
export function systemRandom32(): number {
  if (used + 4 > POOL_BYTES) refill();
  const value = ((pool[used]! << 24) | (pool[used + 1]! << 16) | (pool[used + 2]! << 8) | pool[used + 3]!) >>> 0;
  pool.fill(0, used, used + 4);
  used += 4;
  return value;
}

function refill(): void {
  randomFillSync(pool);
  used = 0;
}
