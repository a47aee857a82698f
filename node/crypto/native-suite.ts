/**
 * The fast CryptoSuite of the daemon: AES-256-GCM, X25519, HKDF and SHA3 by node's OpenSSL; ML-KEM and ML-DSA by noble,
 * because the OpenSSL of node 20 has neither. Agrees with the reference byte for byte (test/core/crypto-suites.test.ts).
 *
 * Everything that leaves here is a plain Uint8Array: a Buffer's `slice` shares memory, and the core takes copies with it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  type KeyObject,
} from "node:crypto";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import {
  AEAD_KEY_BYTES,
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  type Aead,
  type CryptoSuite,
  type HeaderMask,
  MASK_SAMPLE_BYTES,
  X25519_BYTES,
} from "../../core/crypto/suite.js";

export function createNativeSuite(): CryptoSuite {
  return {
    name: "native",

    hash(...parts) {
      const state = createHash("sha3-256");
      for (const part of parts) state.update(part);
      return plain(state.digest());
    },
    hashBlock: nobleSuite.hashBlock,
    extract: (salt, inputKey) => plain(createHmac("sha512", salt).update(inputKey).digest()),
    expand,

    aead: (key) => new NativeAead(key),
    headerMask: (key) => new NativeHeaderMask(key),

    kemKeys: nobleSuite.kemKeys,
    kemEncapsulate: nobleSuite.kemEncapsulate,
    kemDecapsulate: nobleSuite.kemDecapsulate,

    x25519Public: (secret) => new Uint8Array(Buffer.from(privateKeyOf(secret).export(JWK).x!, "base64url")),
    x25519Shared(secret, peerPublic) {
      const privateKey = privateKeyOf(secret);
      if (peerPublic.length !== X25519_BYTES) return undefined;
      const publicKey = createPublicKey({ key: { ...OKP, x: base64url(peerPublic) }, ...JWK });
      try {
        return plain(diffieHellman({ privateKey, publicKey }));
      } catch {
        return undefined; // both keys are well formed, so OpenSSL refused an all-zero result
      }
    },

    signatureKeys: nobleSuite.signatureKeys,
    sign: nobleSuite.sign,
    verify: nobleSuite.verify,
  };
}

/**
 * The cipher objects of node serve one nonce each, and `update` always returns a new array: both are beyond our reach,
 * so a packet costs one copy back into its place.
 */
class NativeAead implements Aead {
  private readonly key: KeyObject;

  constructor(key: Uint8Array) {
    requireLength("aead key", key, AEAD_KEY_BYTES);
    this.key = createSecretKey(key);
  }

  seal(nonce: Uint8Array, associated: Uint8Array, out: Uint8Array, offset: number, length: number): void {
    requireLength("seal nonce", nonce, AEAD_NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.key, nonce);
    cipher.setAAD(associated);
    out.set(cipher.update(out.subarray(offset, offset + length)), offset);
    cipher.final();
    out.set(cipher.getAuthTag(), offset + length);
  }

  open(nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, offset: number, length: number): boolean {
    requireLength("open nonce", nonce, AEAD_NONCE_BYTES);
    const tagAt = offset + length - AEAD_TAG_BYTES;
    if (tagAt < offset || offset + length > data.length) return false;
    const decipher = createDecipheriv("aes-256-gcm", this.key, nonce, GCM_OPTIONS);
    decipher.setAAD(associated);
    decipher.setAuthTag(data.subarray(tagAt, offset + length));
    const plaintext = decipher.update(data.subarray(offset, tagAt));
    try {
      decipher.final();
    } catch {
      return false; // the tag is wrong, and the plaintext never reaches the caller
    }
    data.set(plaintext, offset);
    return true;
  }
}

/** Without it node accepts shorter tags, which are easier to forge. */
const GCM_OPTIONS = { authTagLength: AEAD_TAG_BYTES };

/** One cipher for the life of the key: in ECB each block stands alone, so it never needs to be finished. */
class NativeHeaderMask implements HeaderMask {
  private readonly cipher: ReturnType<typeof createCipheriv>;

  constructor(key: Uint8Array) {
    requireLength("headerMask key", key, AEAD_KEY_BYTES);
    this.cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  }

  mask(data: Uint8Array, offset: number, out: Uint8Array): void {
    if (offset < 0 || offset + MASK_SAMPLE_BYTES > data.length) {
      throw new RangeError(`mask: no ${MASK_SAMPLE_BYTES} bytes at ${offset} of ${data.length}`);
    }
    out.set(this.cipher.update(data.subarray(offset, offset + MASK_SAMPLE_BYTES)));
  }
}

const SHA512_BYTES = 64;

/** RFC 5869 section 2.3. */
function expand(pseudoRandomKey: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > 255 * SHA512_BYTES) throw new RangeError(`expand: ${length} bytes are more than ${255 * SHA512_BYTES}`);
  const key = createSecretKey(pseudoRandomKey);
  const out = new Uint8Array(length);
  let block = new Uint8Array(0);
  for (let at = 0, counter = 1; at < length; at += SHA512_BYTES, counter += 1) {
    block = plain(createHmac("sha512", key).update(block).update(info).update(Uint8Array.of(counter)).digest());
    out.set(block.subarray(0, Math.min(SHA512_BYTES, length - at)), at);
  }
  return out;
}

const JWK = { format: "jwk" } as const;
const OKP = { kty: "OKP", crv: "X25519" } as const;

/** As JWK, because reading the same 32 bytes as DER takes OpenSSL 3 ten times as long (0.5 ms). Not kept: it may be ephemeral. */
function privateKeyOf(secret: Uint8Array): KeyObject {
  requireLength("x25519 secret", secret, X25519_BYTES);
  return createPrivateKey({ key: { ...OKP, d: base64url(secret), x: UNREAD_PUBLIC }, ...JWK });
}

/** A JWK must name a public key; node takes the private one and computes its own. */
const UNREAD_PUBLIC = base64url(new Uint8Array(X25519_BYTES));

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}

/** The same memory without Buffer's methods. */
function plain(buffer: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.length);
}

function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new RangeError(`${what}: ${bytes.length} bytes, not ${length}`);
}
