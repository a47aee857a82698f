/**
 * The reference CryptoSuite: plain TypeScript from end to end (@noble), the same in node, a worker and a browser.
 * Correct before fast; node/crypto/native-suite.ts is the fast one.
 */
import { gcm, unsafe } from "@noble/ciphers/aes.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { sha3_256 } from "@noble/hashes/sha3.js";
import { ml_dsa44 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem512 } from "@noble/post-quantum/ml-kem.js";
import { sha256Block } from "./sha256-block.js";
import {
  AEAD_KEY_BYTES,
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  type Aead,
  type CryptoSuite,
  type HeaderMask,
  KEM_PUBLIC_BYTES,
  MASK_SAMPLE_BYTES,
  SIGNATURE_BYTES,
  SIGNATURE_PUBLIC_BYTES,
  X25519_BYTES,
} from "./suite.js";

export const nobleSuite: CryptoSuite = {
  name: "noble",

  hash(...parts) {
    const state = sha3_256.create();
    for (const part of parts) state.update(part);
    return state.digest();
  },
  hashBlock: sha256Block,
  extract: (salt, inputKey) => extract(sha512, inputKey, salt),
  expand,

  aead: (key) => new NobleAead(key),
  headerMask: (key) => new NobleHeaderMask(key),

  kemKeys: (seed) => ml_kem512.keygen(seed),
  kemEncapsulate(publicKey, randomness) {
    if (!isKemPublicKey(publicKey)) return undefined;
    const { cipherText, sharedSecret } = ml_kem512.encapsulate(publicKey, randomness);
    return { ciphertext: cipherText, secret: sharedSecret };
  },
  kemDecapsulate: (ciphertext, secretKey) => ml_kem512.decapsulate(ciphertext, secretKey),

  x25519Public: (secret) => x25519.getPublicKey(secret),
  x25519Shared(secret, peerPublic) {
    requireLength("x25519Shared secret", secret, X25519_BYTES);
    if (peerPublic.length !== X25519_BYTES) return undefined;
    try {
      return x25519.getSharedSecret(secret, peerPublic);
    } catch {
      return undefined; // both lengths are right, so noble refused an all-zero result
    }
  },

  signatureKeys: (seed) => ml_dsa44.keygen(seed),
  // The deterministic variant (FIPS 204 section 3.4): the same bytes from every suite, and no hidden source of entropy.
  sign: (message, secretKey) => ml_dsa44.sign(message, secretKey, { extraEntropy: false }),
  verify(signature, message, publicKey) {
    if (signature.length !== SIGNATURE_BYTES || publicKey.length !== SIGNATURE_PUBLIC_BYTES) return false;
    return ml_dsa44.verify(signature, message, publicKey);
  },
};

const SHA512_BYTES = 64;

/**
 * RFC 5869 section 2.3. noble's own refuses keys below 64 bytes; our chaining keys are 32, which HMAC takes as they are
 * and which carry the 256 bits that everything else here has.
 */
function expand(pseudoRandomKey: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > 255 * SHA512_BYTES) throw new RangeError(`expand: ${length} bytes are more than ${255 * SHA512_BYTES}`);
  const out = new Uint8Array(length);
  let block = new Uint8Array(0);
  for (let at = 0, counter = 1; at < length; at += SHA512_BYTES, counter += 1) {
    block = hmac.create(sha512, pseudoRandomKey).update(block).update(info).update(Uint8Array.of(counter)).digest();
    out.set(block.subarray(0, Math.min(SHA512_BYTES, length - at)), at);
  }
  return out;
}

/**
 * Is this an ML-KEM-512 encapsulation key? Its length, and the modulus check of FIPS 203 section 7.2: two vectors of
 * 12-bit coefficients, two in three bytes, each below q = 3,329.
 */
export function isKemPublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== KEM_PUBLIC_BYTES) return false;
  for (let i = 0; i < KEM_COEFFICIENT_BYTES; i += 3) {
    const middle = publicKey[i + 1]!;
    const low = publicKey[i]! | ((middle & 15) << 8);
    const high = (middle >> 4) | (publicKey[i + 2]! << 4);
    if (low >= KEM_MODULUS || high >= KEM_MODULUS) return false;
  }
  return true;
}

const KEM_MODULUS = 3329;
const KEM_COEFFICIENT_BYTES = 768;

/** noble makes a cipher per nonce and returns a new array, so a packet costs one copy back into its place. */
class NobleAead implements Aead {
  private readonly key: Uint8Array;

  constructor(key: Uint8Array) {
    requireLength("aead key", key, AEAD_KEY_BYTES);
    this.key = key.slice();
  }

  seal(nonce: Uint8Array, associated: Uint8Array, out: Uint8Array, offset: number, length: number): void {
    requireLength("seal nonce", nonce, AEAD_NONCE_BYTES);
    out.set(gcm(this.key, nonce, associated).encrypt(out.subarray(offset, offset + length)), offset);
  }

  open(nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, offset: number, length: number): boolean {
    requireLength("open nonce", nonce, AEAD_NONCE_BYTES);
    if (length < AEAD_TAG_BYTES || offset + length > data.length) return false;
    try {
      data.set(gcm(this.key, nonce, associated).decrypt(data.subarray(offset, offset + length)), offset);
      return true;
    } catch {
      return false; // all lengths are right, so noble refused the tag
    }
  }
}

/** One raw AES block on a key expanded once; `unsafe` is noble's name for its block function without a mode around it. */
class NobleHeaderMask implements HeaderMask {
  private readonly expandedKey: Uint32Array;

  constructor(key: Uint8Array) {
    requireLength("headerMask key", key, AEAD_KEY_BYTES);
    this.expandedKey = unsafe.expandKeyLE(key);
  }

  mask(data: Uint8Array, offset: number, out: Uint8Array): void {
    if (offset < 0 || offset + MASK_SAMPLE_BYTES > data.length) {
      throw new RangeError(`mask: no ${MASK_SAMPLE_BYTES} bytes at ${offset} of ${data.length}`);
    }
    const { s0, s1, s2, s3 } = unsafe.encrypt(
      this.expandedKey,
      wordAt(data, offset),
      wordAt(data, offset + 4),
      wordAt(data, offset + 8),
      wordAt(data, offset + 12),
    );
    writeWord(out, 0, s0);
    writeWord(out, 4, s1);
    writeWord(out, 8, s2);
    writeWord(out, 12, s3);
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new RangeError(`${what}: ${bytes.length} bytes, not ${length}`);
}
