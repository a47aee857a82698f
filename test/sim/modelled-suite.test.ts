import { expect, test } from "vitest";
import { KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES } from "../../core/crypto/suite.js";
import { modelledSuite as suite } from "../../sim/suite/modelled-suite.js";

const bytes = (length: number, first = 1) => Uint8Array.from({ length }, (_, i) => (first + i * 7) & 0xff);

function sealed(): Uint8Array {
  const data = bytes(80);
  suite.aead(bytes(32)).seal(bytes(12), bytes(13), data, 0, 64);
  return data;
}

test("a modelled packet opens as it was sealed, and not when any one bit of it is another", () => {
  const whole = sealed();
  expect(suite.aead(bytes(32)).open(bytes(12), bytes(13), whole.slice(), 0, 80)).toBe(true);
  for (let bit = 0; bit < 80 * 8; bit += 1) {
    const tampered = whole.slice();
    tampered[bit >> 3]! ^= 1 << (bit & 7);
    expect(suite.aead(bytes(32)).open(bytes(12), bytes(13), tampered, 0, 80), `bit ${bit}`).toBe(false);
  }
});

test("another key, nonce or associated data opens no modelled packet", () => {
  expect(suite.aead(bytes(32, 2)).open(bytes(12), bytes(13), sealed(), 0, 80)).toBe(false);
  expect(suite.aead(bytes(32)).open(bytes(12, 2), bytes(13), sealed(), 0, 80)).toBe(false);
  expect(suite.aead(bytes(32)).open(bytes(12), bytes(13, 2), sealed(), 0, 80)).toBe(false);
  expect(suite.aead(bytes(32)).open(bytes(12), bytes(13), sealed(), 0, 15)).toBe(false);
});

test("a modelled key encapsulation shares a secret with the holder of the key and with nobody else", () => {
  const keys = suite.kemKeys(bytes(64));
  const other = suite.kemKeys(bytes(64, 2));
  const { ciphertext, secret } = suite.kemEncapsulate(keys.publicKey, bytes(32))!;
  expect([keys.publicKey.length, ciphertext.length, secret.length]).toEqual([
    KEM_PUBLIC_BYTES,
    KEM_CIPHERTEXT_BYTES,
    32,
  ]);
  expect(suite.kemDecapsulate(ciphertext, keys.secretKey)).toEqual(secret);
  expect(suite.kemDecapsulate(ciphertext, other.secretKey)).not.toEqual(secret);
  ciphertext[700]! ^= 1;
  expect(suite.kemDecapsulate(ciphertext, keys.secretKey)).not.toEqual(secret);
});

test("modelled X25519 gives both ends the same, strangers another, and refuses a zero point", () => {
  const [a, b, c] = [bytes(32), bytes(32, 2), bytes(32, 3)];
  const shared = suite.x25519Shared(a, suite.x25519Public(b));
  expect(suite.x25519Shared(b, suite.x25519Public(a))).toEqual(shared);
  expect(suite.x25519Shared(c, suite.x25519Public(a))).not.toEqual(shared);
  expect(suite.x25519Shared(a, new Uint8Array(32))).toBeUndefined();
});

test("a modelled signature is of one message and one signer", () => {
  const keys = suite.signatureKeys(bytes(32));
  const signature = suite.sign(bytes(40), keys.secretKey);
  expect(suite.verify(signature, bytes(40), keys.publicKey)).toBe(true);
  expect(suite.verify(signature, bytes(41), keys.publicKey)).toBe(false);
  expect(suite.verify(signature, bytes(40), suite.signatureKeys(bytes(32, 2)).publicKey)).toBe(false);
});
