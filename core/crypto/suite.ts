/**
 * The crypto suite port: everything the protocol asks of cryptography, so that an implementation can be swapped without
 * a byte changing on the wire. noble is the reference; node's native one is the fast path; the simulator will bring a
 * modelled one. Implementations agree byte for byte (test/core/crypto-suites.test.ts).
 *
 * Suite 1: X25519 + ML-KEM-512 (FIPS 203), ML-DSA-44 (FIPS 204), AES-256-GCM, HKDF-SHA-512 (RFC 5869), SHA3-256.
 */

export const SUITE_ID = 1;

export const KEM_PUBLIC_BYTES = 800;
export const KEM_CIPHERTEXT_BYTES = 768;
export const KEM_SEED_BYTES = 64;
export const SIGNATURE_PUBLIC_BYTES = 1312;
export const SIGNATURE_SEED_BYTES = 32;
export const SIGNATURE_BYTES = 2420;
export const X25519_BYTES = 32;
export const HASH_BYTES = 32;
export const AEAD_KEY_BYTES = 32;
export const AEAD_NONCE_BYTES = 12;
export const AEAD_TAG_BYTES = 16;
export const MASK_SAMPLE_BYTES = 16;

export interface KemKeys {
  /** 800 bytes, the encapsulation key. */
  readonly publicKey: Uint8Array;
  /** The expanded decapsulation key, opaque to all but the suite. */
  readonly secretKey: Uint8Array;
}

export interface SignatureKeys {
  /** 1,312 bytes. */
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** A key bound once, used for many packets. All buffers belong to the caller and are only read or written during the call. */
export interface Aead {
  /**
   * Encrypts `out[offset, offset + length)` in place and writes the 16-byte tag behind it.
   * `nonce` is 12 bytes; `associated` is authenticated, not encrypted.
   */
  seal(nonce: Uint8Array, associated: Uint8Array, out: Uint8Array, offset: number, length: number): void;
  /**
   * Decrypts `data[offset, offset + length)` in place; `length` includes the tag. False when the tag is wrong: the
   * plaintext area then holds nothing that may be used.
   */
  open(nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, offset: number, length: number): boolean;
}

/** One AES-256 block over a 16-byte sample (RFC 9001 section 5.4.3); used to hide packet counters. */
export interface HeaderMask {
  /** Writes 16 mask bytes to `out` for the sample at `data[offset, offset + 16)`. */
  mask(data: Uint8Array, offset: number, out: Uint8Array): void;
}

export interface CryptoSuite {
  readonly name: "noble" | "native" | "modelled";

  /** SHA3-256 over the concatenation of `parts`; 32 bytes. */
  hash(...parts: Uint8Array[]): Uint8Array;
  /**
   * The first 128 bits of SHA-256 over one whole block of 16 words, padding and length included (FIPS 180-4), for hash chains.
   * Writes four words to `out[at, at + 4)`, which may be words of the block itself. Makes no garbage.
   */
  hashBlock(block: Int32Array, out: Int32Array, at: number): void;
  /** HKDF-Extract with SHA-512 (RFC 5869 section 2.2); 64 bytes. */
  extract(salt: Uint8Array, inputKey: Uint8Array): Uint8Array;
  /** HKDF-Expand with SHA-512 (RFC 5869 section 2.3); `length` bytes, at most 16,320. The key may be a 32-byte chaining key. */
  expand(pseudoRandomKey: Uint8Array, info: Uint8Array, length: number): Uint8Array;

  aead(key: Uint8Array): Aead;
  headerMask(key: Uint8Array): HeaderMask;

  /** ML-KEM-512 key generation from the 64-byte seed d | z (FIPS 203 algorithm 16). */
  kemKeys(seed: Uint8Array): KemKeys;
  /** Undefined when `publicKey` fails the modulus check (FIPS 203 section 7.2): the bytes came from outside. */
  kemEncapsulate(
    publicKey: Uint8Array,
    randomness: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array } | undefined;
  /** Never fails on a wrong ciphertext: implicit rejection gives another secret (FIPS 203 section 6.3). */
  kemDecapsulate(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array;

  x25519Public(secret: Uint8Array): Uint8Array;
  /** Undefined when the result is all zero (RFC 7748 section 6.1): a low-order point from outside. */
  x25519Shared(secret: Uint8Array, peerPublic: Uint8Array): Uint8Array | undefined;

  /** ML-DSA-44 (FIPS 204). Signing takes 5 ms typical, 30 ms worst: never on the packet path. */
  signatureKeys(seed: Uint8Array): SignatureKeys;
  sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array;
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

/** Entropy for keys and indices. The daemon injects the system's; a simulation injects a seeded stream. */
export type Entropy = (length: number) => Uint8Array;
