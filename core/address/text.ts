/**
 * Text as bytes and back: ASCII labels, UTF-8, hexadecimal. The core has no TextEncoder and no Buffer.
 */

const HEX_DIGITS = "0123456789abcdef";
const REPLACEMENT = 0xfffd;

/** The bytes of a label we wrote ourselves. Throws RangeError for anything but ASCII: that is our own mistake. */
export function ascii(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) throw new RangeError(`ascii: character ${i} of ${JSON.stringify(text)} is not ASCII`);
    out[i] = code;
  }
  return out;
}

/** UTF-8 (RFC 3629). A lone surrogate becomes U+FFFD, as TextEncoder does it. */
export function utf8(text: string): Uint8Array {
  const out: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0)!;
    const code = point >= 0xd800 && point <= 0xdfff ? REPLACEMENT : point;
    if (code < 0x80) {
      out.push(code);
    } else if (code < 0x800) {
      out.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    } else if (code < 0x1_0000) {
      out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    } else {
      out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    }
  }
  return Uint8Array.from(out);
}

/** Two lower-case hexadecimal digits per byte. */
export function printHex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += HEX_DIGITS[byte >> 4]! + HEX_DIGITS[byte & 15]!;
  return out;
}

/** Undefined unless `text` is exactly `length` bytes of hexadecimal digits, in any case. */
export function parseHex(text: string, length: number): Uint8Array | undefined {
  if (text.length !== length * 2) return undefined;
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) {
    const high = hexDigit(text.charCodeAt(i * 2));
    const low = hexDigit(text.charCodeAt(i * 2 + 1));
    if (high < 0 || low < 0) return undefined;
    out[i] = (high << 4) | low;
  }
  return out;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * Fills `out` from `count` digits of `bits` bits each (RFC 4648: 5 for base32, 6 for base64). False for a digit below 0,
 * which stands for a foreign character, and for bits left over that are not zero: one value has one spelling.
 */
export function joinDigits(count: number, bits: number, digitAt: (i: number) => number, out: Uint8Array): boolean {
  let pending = 0;
  let pendingBits = 0;
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    const digit = digitAt(i);
    if (digit < 0) return false;
    pending = (pending << bits) | digit;
    pendingBits += bits;
    if (pendingBits < 8) continue;
    pendingBits -= 8;
    out[at] = pending >> pendingBits;
    at += 1;
    pending &= (1 << pendingBits) - 1;
  }
  return pending === 0;
}
