import { type CryptoSuite, KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES } from "../../core/crypto/suite.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";

const text = (value: string) => new Uint8Array(Buffer.from(value));

/**
 * The native suite with a key encapsulation and a key agreement that behave as ML-KEM-512 and X25519 do and cost a
 * hundredth: the same sizes, another secret for any other ciphertext or key. Whoever knows the public keys can open them, so
 * it is for tests that ask what the protocol does, thousands of times, and not what its mathematics is worth.
 */
export function createModelledSuite(): CryptoSuite {
  const native = createNativeSuite();
  const { hash, expand } = native;
  const secretOf = (publicKey: Uint8Array, ciphertext: Uint8Array) => hash(text("modelled"), publicKey, ciphertext);
  return {
    ...native,
    name: "modelled",
    kemKeys(seed) {
      const publicKey = expand(hash(text("modelled key"), seed), text("public"), KEM_PUBLIC_BYTES);
      return { publicKey, secretKey: publicKey.slice() };
    },
    kemEncapsulate(publicKey, randomness) {
      if (publicKey.length !== KEM_PUBLIC_BYTES) return undefined;
      const ciphertext = expand(hash(publicKey, randomness), text("ciphertext"), KEM_CIPHERTEXT_BYTES);
      return { ciphertext, secret: secretOf(publicKey, ciphertext) };
    },
    kemDecapsulate: (ciphertext, secretKey) => secretOf(secretKey, ciphertext),
    x25519Public: (secret) => hash(text("modelled point"), secret),
    x25519Shared(secret, peerPublic) {
      const points = [hash(text("modelled point"), secret), peerPublic].sort(Buffer.compare);
      return hash(...points);
    },
  };
}
