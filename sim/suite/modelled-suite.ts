import {
  AEAD_TAG_BYTES,
  type Aead,
  type CryptoSuite,
  HASH_BYTES,
  type HeaderMask,
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  SIGNATURE_BYTES,
  SIGNATURE_PUBLIC_BYTES,
  X25519_BYTES,
} from "../../core/crypto/suite.js";
import { absorb, begin, lanes, settle, squeeze } from "./mixing.js";

const EXTRACT_BYTES = 64;

/** What each function starts from, so that none gives what another does. */
const Domain = {
  hash: 1,
  extract: 2,
  expand: 3,
  aead: 4,
  mask: 5,
  kemPublic: 6,
  kemHolder: 7,
  kemCiphertext: 8,
  kemSecret: 9,
  point: 10,
  shared: 11,
  signaturePublic: 12,
  signer: 13,
  signature: 14,
  block: 15,
} as const;

/**
 * The crypto suite of the simulator. Sizes are those of suite 1, and so is what fails: a changed byte, another key, another
 * nonce or other associated data open nothing. What it leaves out is secrecy (a sealed packet shows its plaintext, which
 * the oracles read) and cost. Whoever knows the public keys of a KEM or of X25519 can compute what it shares.
 */
export const modelledSuite: CryptoSuite = {
  name: "modelled",

  hash: (...parts) => digestOf(Domain.hash, HASH_BYTES, ...parts),
  hashBlock(block, out, at) {
    let a: number = Domain.block;
    let b = 0x3c6ef372;
    for (let i = 0; i < block.length; i += 1) {
      a = Math.imul(a ^ block[i]!, 0xcc9e2d51);
      a = ((a << 13) | (a >>> 19)) + b;
      b = Math.imul(((b << 17) | (b >>> 15)) ^ a, 0x85ebca6b);
    }
    begin(a, b);
    settle();
    out[at] = lanes.a;
    out[at + 1] = lanes.b;
    out[at + 2] = lanes.a ^ 0x5bd1e995;
    out[at + 3] = lanes.b ^ 0x27d4eb2f;
  },
  extract: (salt, inputKey) => digestOf(Domain.extract, EXTRACT_BYTES, salt, inputKey),
  expand: (key, info, length) => digestOf(Domain.expand + (length << 8), length, key, info),

  aead: (key) => new ModelledAead(key),
  headerMask: (key) => new ModelledMask(key),

  kemKeys(seed) {
    const publicKey = digestOf(Domain.kemPublic, KEM_PUBLIC_BYTES, seed);
    return { publicKey, secretKey: digestOf(Domain.kemHolder, HASH_BYTES, publicKey) };
  },
  kemEncapsulate(publicKey, randomness) {
    if (publicKey.length !== KEM_PUBLIC_BYTES) return undefined;
    const holder = digestOf(Domain.kemHolder, HASH_BYTES, publicKey);
    const ciphertext = digestOf(Domain.kemCiphertext, KEM_CIPHERTEXT_BYTES, holder, randomness);
    return { ciphertext, secret: digestOf(Domain.kemSecret, HASH_BYTES, holder, ciphertext) };
  },
  kemDecapsulate: (ciphertext, secretKey) => digestOf(Domain.kemSecret, HASH_BYTES, secretKey, ciphertext),

  x25519Public: (secret) => digestOf(Domain.point, X25519_BYTES, secret),
  x25519Shared(secret, peerPublic) {
    if (peerPublic.length !== X25519_BYTES || peerPublic.every((byte) => byte === 0)) return undefined;
    const own = digestOf(Domain.point, X25519_BYTES, secret);
    const both = new Uint8Array(X25519_BYTES * 2);
    for (let i = 0; i < X25519_BYTES; i += 1) {
      both[i] = own[i]! ^ peerPublic[i]!;
      both[X25519_BYTES + i] = own[i]! + peerPublic[i]!;
    }
    return digestOf(Domain.shared, HASH_BYTES, both);
  },

  signatureKeys(seed) {
    const publicKey = digestOf(Domain.signaturePublic, SIGNATURE_PUBLIC_BYTES, seed);
    return { publicKey, secretKey: digestOf(Domain.signer, HASH_BYTES, publicKey) };
  },
  sign: (message, secretKey) => digestOf(Domain.signature, SIGNATURE_BYTES, secretKey, message),
  verify(signature, message, publicKey) {
    if (signature.length !== SIGNATURE_BYTES || publicKey.length !== SIGNATURE_PUBLIC_BYTES) return false;
    const expected = digestOf(
      Domain.signature,
      SIGNATURE_BYTES,
      digestOf(Domain.signer, HASH_BYTES, publicKey),
      message,
    );
    return signature.every((byte, i) => byte === expected[i]);
  },
};

/** The tag is a checksum over key, nonce, associated data and plaintext; the plaintext stays as it is. */
class ModelledAead implements Aead {
  private readonly a: number;
  private readonly b: number;

  constructor(key: Uint8Array) {
    begin(Domain.aead, 0x3c6ef372);
    absorb(key, 0, key.length);
    settle();
    this.a = lanes.a;
    this.b = lanes.b;
  }

  seal(nonce: Uint8Array, associated: Uint8Array, out: Uint8Array, offset: number, length: number): void {
    this.check(nonce, associated, out, offset, length);
    const tag = offset + length;
    writeWord(out, tag, lanes.a);
    writeWord(out, tag + 4, lanes.b);
    writeWord(out, tag + 8, lanes.a ^ 0x5bd1e995);
    writeWord(out, tag + 12, lanes.b ^ 0x27d4eb2f);
  }

  open(nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, offset: number, length: number): boolean {
    const body = length - AEAD_TAG_BYTES;
    if (body < 0) return false;
    this.check(nonce, associated, data, offset, body);
    const tag = offset + body;
    return (
      readWord(data, tag) === lanes.a &&
      readWord(data, tag + 4) === lanes.b &&
      readWord(data, tag + 8) === (lanes.a ^ 0x5bd1e995) &&
      readWord(data, tag + 12) === (lanes.b ^ 0x27d4eb2f)
    );
  }

  private check(nonce: Uint8Array, associated: Uint8Array, bytes: Uint8Array, offset: number, length: number): void {
    lanes.a = this.a;
    lanes.b = this.b;
    absorb(nonce, 0, nonce.length);
    absorb(associated, 0, associated.length);
    absorb(bytes, offset, length);
    settle();
  }
}

class ModelledMask implements HeaderMask {
  private readonly a: number;
  private readonly b: number;

  constructor(key: Uint8Array) {
    begin(Domain.mask, 0x510e527f);
    absorb(key, 0, key.length);
    settle();
    this.a = lanes.a;
    this.b = lanes.b;
  }

  mask(data: Uint8Array, offset: number, out: Uint8Array): void {
    let a = Math.imul(this.a ^ readWord(data, offset) ^ readWord(data, offset + 8), 0xcc9e2d51);
    let b = Math.imul(this.b ^ readWord(data, offset + 4) ^ readWord(data, offset + 12), 0x85ebca6b);
    a ^= (b >>> 15) + a;
    b ^= (a >>> 13) + b;
    writeWord(out, 0, a);
    writeWord(out, 4, b);
    writeWord(out, 8, a ^ 0x1b873593);
    writeWord(out, 12, b ^ 0x6a09e667);
  }
}

function digestOf(domain: number, length: number, ...parts: readonly Uint8Array[]): Uint8Array {
  begin(domain, 0x6a09e667);
  for (const part of parts) absorb(part, 0, part.length);
  settle();
  const out = new Uint8Array(length);
  squeeze(out, 0, length);
  return out;
}

function readWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}
