/**
 * Key files: PKCS#8 PEM blocks (RFC 5958, RFC 7468) that hold seeds, so that OpenSSL 3.5 and later reads them.
 *
 *   privatekey.pem   ML-KEM-512 (RFC 9935), then ML-DSA-44 (RFC 9881)
 *   linkkey.pem      ML-KEM-512
 *
 * A block in seed form is one fixed shape:
 *
 *   SEQUENCE { INTEGER 0, SEQUENCE { OID }, OCTET STRING { [0] seed } }
 *
 * A file may be damaged, so decoding answers with a reason and never throws. A reason never holds key material.
 */
import { joinDigits } from "../address/text.js";
import { Reader, Writer } from "../wire/cursor.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "./suite.js";

export interface IdentitySeeds {
  readonly kind: "seeds";
  /** 64 bytes. */
  readonly kemSeed: Uint8Array;
  /** 32 bytes. */
  readonly signatureSeed: Uint8Array;
}

export interface LinkSeed {
  readonly kind: "seed";
  /** 64 bytes. */
  readonly kemSeed: Uint8Array;
}

/** `reason` is a clause for people: "line 3 holds a character that is not base64". */
export interface PemRefusal {
  readonly kind: "refused";
  readonly reason: string;
}

/** The text of `privatekey.pem`. */
export function encodeIdentityPem(kemSeed: Uint8Array, signatureSeed: Uint8Array): string {
  return encodeBlock(ML_KEM_512, kemSeed) + encodeBlock(ML_DSA_44, signatureSeed);
}

export function decodeIdentityPem(text: string): IdentitySeeds | PemRefusal {
  const seeds = decodeSeeds(text, [ML_KEM_512, ML_DSA_44]);
  return "kind" in seeds ? seeds : { kind: "seeds", kemSeed: seeds[0]!, signatureSeed: seeds[1]! };
}

/** The text of `linkkey.pem`. */
export function encodeLinkKeyPem(kemSeed: Uint8Array): string {
  return encodeBlock(ML_KEM_512, kemSeed);
}

export function decodeLinkKeyPem(text: string): LinkSeed | PemRefusal {
  const seeds = decodeSeeds(text, [ML_KEM_512]);
  return "kind" in seeds ? seeds : { kind: "seed", kemSeed: seeds[0]! };
}

interface Algorithm {
  readonly name: string;
  /** The OID as DER, tag and length included. */
  readonly oid: Uint8Array;
  readonly seedBytes: number;
}

/** 2.16.840.1.101.3.4.4.1 */
const ML_KEM_512: Algorithm = {
  name: "ML-KEM-512",
  oid: Uint8Array.of(0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, 0x01),
  seedBytes: KEM_SEED_BYTES,
};

/** 2.16.840.1.101.3.4.3.17 */
const ML_DSA_44: Algorithm = {
  name: "ML-DSA-44",
  oid: Uint8Array.of(0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11),
  seedBytes: SIGNATURE_SEED_BYTES,
};

const BEGIN = "-----BEGIN PRIVATE KEY-----";
const END = "-----END PRIVATE KEY-----";
const LINE_CHARACTERS = 64;
/** Two blocks in seed form take 300 characters; the expanded form, which we name in a refusal, about 6,000. */
const FILE_CHARACTERS_MAX = 65_536;

const TAG_INTEGER = 0x02;
const TAG_OCTETS = 0x04;
const TAG_SEQUENCE = 0x30;
const TAG_SEED = 0x80;

// Encoding

function encodeBlock(algorithm: Algorithm, seed: Uint8Array): string {
  if (seed.length !== algorithm.seedBytes) {
    throw new RangeError(`encode PEM: ${algorithm.name} seed has ${seed.length} bytes, not ${algorithm.seedBytes}`);
  }
  const base64 = printBase64(encodeKey(algorithm, seed));
  let out = `${BEGIN}\n`;
  for (let at = 0; at < base64.length; at += LINE_CHARACTERS) out += `${base64.slice(at, at + LINE_CHARACTERS)}\n`;
  return `${out}${END}\n`;
}

/** All lengths are below 128, so each takes one byte. */
function encodeKey(algorithm: Algorithm, seed: Uint8Array): Uint8Array {
  const oidBytes = algorithm.oid.length;
  const body = 3 + 2 + oidBytes + 4 + seed.length;
  const out = new Writer(new Uint8Array(2 + body));
  out.u8(TAG_SEQUENCE).u8(body);
  out.u8(TAG_INTEGER).u8(1).u8(0);
  out.u8(TAG_SEQUENCE).u8(oidBytes).raw(algorithm.oid);
  out.u8(TAG_OCTETS).u8(2 + seed.length);
  out.u8(TAG_SEED).u8(seed.length).raw(seed);
  return out.bytes;
}

// Decoding

/** One seed per expected algorithm, in order. */
function decodeSeeds(text: string, expected: readonly Algorithm[]): Uint8Array[] | PemRefusal {
  const blocks = splitBlocks(text);
  if ("kind" in blocks) return blocks;
  if (blocks.length !== expected.length) {
    return refuse(
      `it holds ${countOf(blocks.length)}, not ${expected.length} (${expected.map((a) => a.name).join(", ")})`,
    );
  }
  const seeds: Uint8Array[] = [];
  for (let i = 0; i < expected.length; i += 1) {
    const seed = decodeKey(blocks[i]!, expected[i]!);
    if (typeof seed === "string") return refuse(`block ${i + 1} of ${expected.length} ${seed}`);
    seeds.push(seed);
  }
  return seeds;
}

/** The bytes of each block. Only blank lines may stand outside a block; LF and CRLF both end a line. */
function splitBlocks(text: string): Uint8Array[] | PemRefusal {
  if (text.length > FILE_CHARACTERS_MAX) return refuse(`it is longer than ${FILE_CHARACTERS_MAX} characters`);
  const blocks: Uint8Array[] = [];
  let base64: string | undefined;
  let number = 0;
  for (const raw of text.split("\n")) {
    const line = raw.trimEnd();
    number += 1;
    if (base64 === undefined) {
      if (line === BEGIN) base64 = "";
      else if (line !== "") return refuse(`line ${number} is not "${BEGIN}"`);
    } else if (line === END) {
      const bytes = parseBase64(base64);
      if (bytes === undefined)
        return refuse(`the base64 that ends before line ${number} is cut short or padded wrongly`);
      blocks.push(bytes);
      base64 = undefined;
    } else if (!isBase64Line(line)) {
      return refuse(`line ${number} holds a character that is not base64`);
    } else {
      base64 += line;
    }
  }
  return base64 === undefined ? blocks : refuse(`the last block has no "${END}"`);
}

/** The seed, or what is wrong with the block. */
function decodeKey(bytes: Uint8Array, algorithm: Algorithm): Uint8Array | string {
  const key = readElement(new Reader(bytes), TAG_SEQUENCE, true);
  if (key === undefined) return "is not one whole PKCS#8 structure";
  const version = readElement(key, TAG_INTEGER, false);
  if (version === undefined || version.remaining !== 1 || version.u8() !== 0) return "is not PKCS#8 of version 0";
  const identifier = readElement(key, TAG_SEQUENCE, false);
  if (identifier === undefined || !isAlgorithm(identifier, algorithm)) return `is not ${algorithm.name}`;
  const privateKey = readElement(key, TAG_OCTETS, true);
  if (privateKey === undefined) return "has no private key, or something after it";
  const form = privateKey.bytes[privateKey.offset];
  if (form === TAG_OCTETS || form === TAG_SEQUENCE) return "holds the expanded key; only the seed form is read";
  const seed = readElement(privateKey, TAG_SEED, true);
  if (seed === undefined) return "holds no seed";
  if (seed.remaining !== algorithm.seedBytes)
    return `has a seed of ${seed.remaining} bytes, not ${algorithm.seedBytes}`;
  return seed.raw(algorithm.seedBytes).slice();
}

function isAlgorithm(identifier: Reader, algorithm: Algorithm): boolean {
  if (identifier.remaining !== algorithm.oid.length) return false; // the parameters must be absent (RFC 9935, RFC 9881)
  return algorithm.oid.every((byte) => identifier.u8() === byte);
}

/** The content of the next DER element; undefined when it has another tag, is cut short or, with `last`, does not fill its parent. */
function readElement(parent: Reader, tag: number, last: boolean): Reader | undefined {
  if (parent.u8() !== tag) return undefined;
  const first = parent.u8();
  let length = first;
  if (first === 0x81) length = parent.u8();
  else if (first === 0x82) length = parent.u16();
  else if (first >= 0x80) return undefined;
  if ((first === 0x81 && length < 0x80) || (first === 0x82 && length < 0x100)) return undefined; // DER: shortest form
  const start = parent.offset;
  parent.skip(length);
  if (!parent.ok || (last && parent.remaining !== 0)) return undefined;
  return new Reader(parent.bytes, start, start + length);
}

function refuse(reason: string): PemRefusal {
  return { kind: "refused", reason };
}

function countOf(blocks: number): string {
  if (blocks === 0) return "no key";
  return blocks === 1 ? "1 key" : `${blocks} keys`;
}

// Base64 (RFC 4648 section 4)

const BASE64_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function printBase64(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += BASE64_DIGITS[group >> 18]! + BASE64_DIGITS[(group >> 12) & 63]!;
    out += left > 1 ? BASE64_DIGITS[(group >> 6) & 63]! : "=";
    out += left > 2 ? BASE64_DIGITS[group & 63]! : "=";
  }
  return out;
}

function isBase64Line(line: string): boolean {
  for (const character of line) if (character !== "=" && !BASE64_DIGITS.includes(character)) return false;
  return true;
}

/** Undefined for a broken group, a misplaced "=" or trailing bits that are not zero. */
function parseBase64(text: string): Uint8Array | undefined {
  if (text.length === 0 || text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const out = new Uint8Array((text.length / 4) * 3 - padding);
  const isWhole = joinDigits(text.length - padding, 6, (i) => BASE64_DIGITS.indexOf(text[i]!), out);
  return isWhole ? out : undefined;
}
