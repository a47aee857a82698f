/**
 * Host names under `.mariana`, which nobody registers because each is made of its owner's keys.
 *
 *   <uuid>.mariana        36 characters, the NAC; binds 122 bits of the keys
 *   <base32>.mariana      52 characters (RFC 4648 section 6, lower case, no padding) of the whole NAC hash; binds all 256
 *
 * Host names ignore case; we print lower case.
 */
import { nacFromHash, parseNac, printNac } from "./nac.js";
import { joinDigits } from "./text.js";

export const NAME_SUFFIX = ".mariana";

const HASH_BYTES = 32;
const BASE32_CHARACTERS = 52;
const BASE32_DIGITS = "abcdefghijklmnopqrstuvwxyz234567";

/** `hash` is there only when the long name was used; whoever connects must then check the owner's keys against all of it. */
export interface ParsedName {
  readonly nac: Uint8Array;
  readonly hash?: Uint8Array;
}

export function printName(nac: Uint8Array): string {
  return printNac(nac) + NAME_SUFFIX;
}

/** `nacHash` is 32 bytes. */
export function printLongName(nacHash: Uint8Array): string {
  if (nacHash.length !== HASH_BYTES) throw new RangeError(`printLongName: hash has ${nacHash.length} bytes, not 32`);
  let out = "";
  let pending = 0;
  let bits = 0;
  for (const byte of nacHash) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += BASE32_DIGITS[(pending >> bits) & 31]!;
    }
    pending &= (1 << bits) - 1;
  }
  return out + BASE32_DIGITS[(pending << (5 - bits)) & 31]! + NAME_SUFFIX;
}

/** Undefined when `host` (without a port) is no name of ours. */
export function parseName(host: string): ParsedName | undefined {
  const end = host.length - NAME_SUFFIX.length;
  if (end < 0 || host.slice(end).toLowerCase() !== NAME_SUFFIX) return undefined;
  const label = host.slice(0, end);
  if (label.length === BASE32_CHARACTERS) {
    const hash = parseBase32(label);
    return hash === undefined ? undefined : { nac: nacFromHash(hash), hash };
  }
  const nac = parseNac(label);
  return nac === undefined ? undefined : { nac };
}

function parseBase32(label: string): Uint8Array | undefined {
  const out = new Uint8Array(HASH_BYTES);
  return joinDigits(label.length, 5, (i) => base32Digit(label.charCodeAt(i)), out) ? out : undefined;
}

function base32Digit(code: number): number {
  if (code >= 0x32 && code <= 0x37) return code - 0x32 + 26;
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  return code >= 0x61 && code <= 0x7a ? code - 0x61 : -1;
}
