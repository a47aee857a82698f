/**
 * The NAC (Network Address Code): 16 bytes that look like a UUID of version 8 (RFC 9562 section 5.8) and are the first
 * half of a hash over the owner's keys. 122 bits are bound; four version bits and two variant bits are fixed.
 *
 *   offset  size  field
 *        0     6  hash
 *        6     2  version nibble 8, hash
 *        8     8  variant bits 10, hash
 */
import { parseHex, printHex } from "./text.js";

export const NAC_BYTES = 16;

const UUID_CHARACTERS = 36;
const HYPHENS = [8, 13, 18, 23];

/** The NAC within a NAC hash: its first 16 bytes with the version and variant of a UUID. A fresh copy. */
export function nacFromHash(hash: Uint8Array): Uint8Array {
  if (hash.length !== 32) throw new RangeError(`nacFromHash: hash has ${hash.length} bytes, not 32`);
  const nac = new Uint8Array(hash.subarray(0, NAC_BYTES));
  nac[6] = (nac[6]! & 0x0f) | 0x80;
  nac[8] = (nac[8]! & 0x3f) | 0x80;
  return nac;
}

/** True when the 16 bytes at `offset` carry the version and the variant that every NAC has. */
export function isNac(bytes: Uint8Array, offset = 0): boolean {
  return offset + NAC_BYTES <= bytes.length && bytes[offset + 6]! >> 4 === 8 && bytes[offset + 8]! >> 6 === 2;
}

/** The 16 bytes at `offset` as a lower-case UUID. */
export function printNac(bytes: Uint8Array, offset = 0): string {
  if (offset + NAC_BYTES > bytes.length) throw new RangeError(`printNac: no 16 bytes at ${offset} of ${bytes.length}`);
  const hex = printHex(bytes.subarray(offset, offset + NAC_BYTES));
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Undefined unless `text` is a UUID, in any case, of version 8: one of another version is nobody's NAC. */
export function parseNac(text: string): Uint8Array | undefined {
  if (text.length !== UUID_CHARACTERS) return undefined;
  for (const at of HYPHENS) if (text[at] !== "-") return undefined;
  const digits = text.slice(0, 8) + text.slice(9, 13) + text.slice(14, 18) + text.slice(19, 23) + text.slice(24);
  const nac = parseHex(digits, NAC_BYTES);
  return nac !== undefined && isNac(nac) ? nac : undefined;
}

/** Negative, zero or positive, in byte order: the order that breaks ties, the same everywhere. */
export function compareNac(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < NAC_BYTES; i += 1) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
