import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nobleSuite as noble } from "../../core/crypto/noble-suite.js";
import { AEAD_TAG_BYTES, type CryptoSuite } from "../../core/crypto/suite.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";

const native = createNativeSuite();
const suites = [noble, native];

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyBytes = (maxLength: number) => fc.uint8Array({ maxLength });

function check<T extends unknown[]>(runs: number, property: fc.IProperty<T>): void {
  fc.assert(property, { numRuns: runs });
}

describe("noble and native agree byte for byte", () => {
  test("on hashes of any number of parts, which hash as their concatenation", () => {
    check(
      200,
      fc.property(fc.array(anyBytes(300), { maxLength: 6 }), (parts) => {
        const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
        const expected = noble.hash(whole);
        for (const suite of suites) expect(suite.hash(...parts)).toEqual(expected);
      }),
    );
  });

  test("on HKDF, for any salt, key, info and length", () => {
    check(
      200,
      fc.property(anyBytes(200), anyBytes(200), anyBytes(200), fc.nat(600), (salt, key, info, length) => {
        const pseudoRandomKey = noble.extract(salt, key);
        expect(native.extract(salt, key)).toEqual(pseudoRandomKey);
        for (const prk of [pseudoRandomKey, pseudoRandomKey.slice(0, 32)]) {
          const expected = noble.expand(prk, info, length);
          expect(expected.length).toBe(length);
          expect(native.expand(prk, info, length)).toEqual(expected);
        }
      }),
    );
  });

  test("on sealed records, and each opens what the other sealed, in place", () => {
    check(
      300,
      fc.property(
        bytes(32),
        bytes(12),
        anyBytes(64),
        anyBytes(1200),
        fc.nat(40),
        (key, nonce, associated, plaintext, at) => {
          const rooms = suites.map((suite) => {
            const room = new Uint8Array(at + plaintext.length + AEAD_TAG_BYTES + 7).fill(0xaa);
            room.set(plaintext, at);
            suite.aead(key).seal(nonce, associated, room, at, plaintext.length);
            return room;
          });
          expect(rooms[1]).toEqual(rooms[0]);
          const sealedBytes = plaintext.length + AEAD_TAG_BYTES;
          suites.forEach((suite, i) => {
            const room = rooms[1 - i]!;
            expect(suite.aead(key).open(nonce, associated, room, at, sealedBytes)).toBe(true);
            expect(room.subarray(at, at + plaintext.length)).toEqual(plaintext);
            expect(room.subarray(0, at).every((byte) => byte === 0xaa)).toBe(true);
            expect(room.subarray(at + sealedBytes).every((byte) => byte === 0xaa)).toBe(true);
          });
        },
      ),
    );
  });

  test("on refusing any record, nonce or associated data with one bit changed", () => {
    check(
      200,
      fc.property(
        bytes(32),
        bytes(12),
        bytes(13),
        anyBytes(100),
        fc.nat(),
        (key, nonce, associated, plaintext, pick) => {
          const sealed = new Uint8Array(plaintext.length + AEAD_TAG_BYTES);
          sealed.set(plaintext);
          noble.aead(key).seal(nonce, associated, sealed, 0, plaintext.length);
          const parts = [sealed, nonce, associated];
          let bit = pick % ((sealed.length + 12 + 13) * 8);
          const damaged = parts.map((part) => {
            const copy = part.slice();
            if (bit >= 0 && bit < copy.length * 8) copy[bit >> 3]! ^= 1 << (bit & 7);
            bit -= copy.length * 8;
            return copy;
          });
          for (const suite of suites) {
            expect(suite.aead(key).open(damaged[1]!, damaged[2]!, damaged[0]!.slice(), 0, sealed.length)).toBe(false);
          }
        },
      ),
    );
  });

  test("on header masks, also when one mask object serves many samples", () => {
    check(
      100,
      fc.property(bytes(32), fc.array(bytes(24), { minLength: 1, maxLength: 8 }), fc.nat(8), (key, samples, at) => {
        const masks = suites.map((suite) => suite.headerMask(key));
        for (const sample of samples) {
          const [a, b] = masks.map((mask) => {
            const out = new Uint8Array(16);
            mask.mask(sample, at, out);
            return out;
          });
          expect(b).toEqual(a);
        }
      }),
    );
  });

  test("on X25519 public keys and shared secrets, which both sides reach", () => {
    check(
      20,
      fc.property(bytes(32), bytes(32), (one, two) => {
        const publicOne = noble.x25519Public(one);
        const publicTwo = noble.x25519Public(two);
        expect(native.x25519Public(one)).toEqual(publicOne);
        const shared = noble.x25519Shared(one, publicTwo);
        expect(shared?.length).toBe(32);
        for (const suite of suites) {
          expect(suite.x25519Shared(one, publicTwo)).toEqual(shared);
          expect(suite.x25519Shared(two, publicOne)).toEqual(shared);
        }
      }),
    );
  });

  test("on any bytes as an X25519 public key", () => {
    check(
      20,
      fc.property(bytes(32), fc.oneof(bytes(32), anyBytes(40)), (secret, peer) => {
        expect(native.x25519Shared(secret, peer)).toEqual(noble.x25519Shared(secret, peer));
      }),
    );
  });

  test("on ML-KEM: the same keys and ciphertext, and a changed ciphertext gives the same other secret", () => {
    check(
      10,
      fc.property(bytes(64), bytes(32), fc.nat(767), (seed, randomness, at) => {
        const keys = noble.kemKeys(seed);
        expect(native.kemKeys(seed)).toEqual(keys);
        const sent = noble.kemEncapsulate(keys.publicKey, randomness)!;
        expect(native.kemEncapsulate(keys.publicKey, randomness)).toEqual(sent);
        const damaged = sent.ciphertext.slice();
        damaged[at]! ^= 1;
        const other = noble.kemDecapsulate(damaged, keys.secretKey);
        expect(other).not.toEqual(sent.secret);
        for (const suite of suites) {
          expect(suite.kemDecapsulate(sent.ciphertext, keys.secretKey)).toEqual(sent.secret);
          expect(suite.kemDecapsulate(damaged, keys.secretKey)).toEqual(other);
        }
      }),
    );
  });

  test("on ML-DSA: the same keys and signature, which verifies only as it is", () => {
    check(
      5,
      fc.property(bytes(32), anyBytes(200), fc.nat(2419), (seed, message, at) => {
        const keys = noble.signatureKeys(seed);
        expect(native.signatureKeys(seed)).toEqual(keys);
        const signature = noble.sign(message, keys.secretKey);
        expect(native.sign(message, keys.secretKey)).toEqual(signature);
        const damaged = signature.slice();
        damaged[at]! ^= 1;
        for (const suite of suites) {
          expect(suite.verify(signature, message, keys.publicKey)).toBe(true);
          expect(suite.verify(damaged, message, keys.publicKey)).toBe(false);
          expect(suite.verify(signature, Uint8Array.of(...message, 0), keys.publicKey)).toBe(false);
        }
      }),
    );
  });
});

describe.each(suites.map((suite): [string, CryptoSuite] => [suite.name, suite]))("%s", (_name, suite) => {
  const key = new Uint8Array(32).fill(1);
  const nonce = new Uint8Array(12);

  test("answers with plain Uint8Arrays, whose slice copies", () => {
    const secret = new Uint8Array(32).fill(9);
    const kem = suite.kemKeys(new Uint8Array(64));
    const answers = [
      suite.hash(key),
      suite.extract(key, key),
      suite.expand(key, key, 80),
      suite.x25519Public(secret),
      suite.x25519Shared(secret, suite.x25519Public(key))!,
      kem.publicKey,
      kem.secretKey,
      suite.kemEncapsulate(kem.publicKey, key)!.ciphertext,
      suite.kemEncapsulate(kem.publicKey, key)!.secret,
    ];
    for (const answer of answers) expect(Object.getPrototypeOf(answer)).toBe(Uint8Array.prototype);
  });

  test("keeps its own copy of a key, so that the caller may erase his", () => {
    const mine = key.slice();
    const aead = suite.aead(mine);
    const mask = suite.headerMask(mine);
    mine.fill(0);
    const [a, b] = [new Uint8Array(20), new Uint8Array(20)];
    aead.seal(nonce, nonce, a, 0, 4);
    suite.aead(key).seal(nonce, nonce, b, 0, 4);
    expect(a).toEqual(b);
    const [c, d] = [new Uint8Array(16), new Uint8Array(16)];
    mask.mask(a, 0, c);
    suite.headerMask(key).mask(a, 0, d);
    expect(c).toEqual(d);
  });

  test("refuses, without throwing, a record too short for a tag or longer than its buffer", () => {
    const aead = suite.aead(key);
    for (const length of [0, 1, 15]) expect(aead.open(nonce, nonce, new Uint8Array(15), 0, length)).toBe(false);
    expect(aead.open(nonce, nonce, new Uint8Array(40), 20, 21)).toBe(false);
  });

  test("refuses a KEM public key of another length or with a coefficient of q or more", () => {
    const { publicKey } = suite.kemKeys(new Uint8Array(64));
    const randomness = new Uint8Array(32);
    expect(suite.kemEncapsulate(publicKey.subarray(1), randomness)).toBeUndefined();
    for (const at of [0, 765]) {
      const low = publicKey.slice();
      low.set([0x01, 0x0d | (low[at + 1]! & 0xf0)], at); // 0xd01 = 3329
      expect(suite.kemEncapsulate(low, randomness)).toBeUndefined();
      const high = publicKey.slice();
      high.set([0x10 | (high[at + 1]! & 0x0f), 0xd0], at + 1);
      expect(suite.kemEncapsulate(high, randomness)).toBeUndefined();
    }
    expect(suite.kemEncapsulate(publicKey, randomness)).toBeDefined();
  });

  test("verifies no signature or key of another length", () => {
    const keys = suite.signatureKeys(key);
    const signature = suite.sign(nonce, keys.secretKey);
    expect(suite.verify(signature.subarray(1), nonce, keys.publicKey)).toBe(false);
    expect(suite.verify(signature, nonce, keys.publicKey.subarray(1))).toBe(false);
  });

  test("names the argument when the caller brings a key, nonce or sample of the wrong length", () => {
    expect(() => suite.aead(key.subarray(1))).toThrow("aead key: 31 bytes, not 32");
    expect(() => suite.headerMask(nonce)).toThrow("headerMask key: 12 bytes, not 32");
    expect(() => suite.headerMask(key).mask(new Uint8Array(20), 5, new Uint8Array(16))).toThrow(
      "no 16 bytes at 5 of 20",
    );
    expect(() => suite.x25519Shared(nonce, key)).toThrow("12 bytes, not 32");
    expect(() => suite.aead(key).seal(key, nonce, new Uint8Array(40), 0, 4)).toThrow("seal nonce: 32 bytes, not 12");
  });
});
