import { describe, expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { encodeIdentityPem } from "../../core/crypto/pem.js";
import { type CryptoSuite, KEM_SEED_BYTES, X25519_BYTES } from "../../core/crypto/suite.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { fromHex, readWycheproof, skipAdvice, type Vector, type VectorGroup } from "./vectors.js";

const suites: readonly CryptoSuite[] = [nobleSuite, createNativeSuite()];

/** Runs `check` on each applicable vector of `file` with each suite, and insists that `count` of them applied. */
function eachVector(
  file: string,
  count: number,
  check: (suite: CryptoSuite, vector: Vector, group: VectorGroup) => boolean,
): void {
  const groups = readWycheproof(file);
  for (const suite of suites) {
    if (groups === undefined) {
      test.skip(`${suite.name}: ${skipAdvice(file)}`, () => undefined);
      continue;
    }
    test(`${suite.name} agrees with ${file}`, () => {
      let applied = 0;
      for (const group of groups) {
        for (const vector of group.tests) if (check(suite, vector, group)) applied += 1;
      }
      expect(applied).toBe(count);
    });
  }
}

/** The message of every expectation, so that a failure names its vector. */
function of(vector: Vector): string {
  return `tcId ${vector.tcId}: ${vector.comment ?? ""}`;
}

describe("ML-KEM-512", () => {
  eachVector("mlkem_512_keygen_seed_test.json", 100, (suite, vector) => {
    const keys = suite.kemKeys(fromHex(vector.seed));
    expect(keys.publicKey, of(vector)).toEqual(fromHex(vector.ek));
    expect(keys.secretKey, of(vector)).toEqual(fromHex(vector.dk));
    return true;
  });

  eachVector("mlkem_512_encaps_test.json", 261, (suite, vector) => {
    const sent = suite.kemEncapsulate(fromHex(vector.ek), fromHex(vector.m));
    if (vector.result === "valid") {
      expect(sent?.ciphertext, of(vector)).toEqual(fromHex(vector.c));
      expect(sent?.secret, of(vector)).toEqual(fromHex(vector.K));
    } else {
      expect(sent, of(vector)).toBeUndefined();
    }
    return true;
  });

  eachVector("mlkem_512_test.json", 193, (suite, vector) => {
    const seed = fromHex(vector.seed);
    const ciphertext = fromHex(vector.c);
    if (vector.result === "valid") {
      const keys = suite.kemKeys(seed);
      expect(keys.publicKey, of(vector)).toEqual(fromHex(vector.ek));
      expect(suite.kemDecapsulate(ciphertext, keys.secretKey), of(vector)).toEqual(fromHex(vector.K));
    } else if (seed.length !== KEM_SEED_BYTES) {
      expect(() => suite.kemKeys(seed), of(vector)).toThrow();
    } else {
      expect(() => suite.kemDecapsulate(ciphertext, suite.kemKeys(seed).secretKey), of(vector)).toThrow();
    }
    return true;
  });

  eachVector("mlkem_512_semi_expanded_decaps_test.json", 9, (suite, vector) => {
    const decapsulate = () => suite.kemDecapsulate(fromHex(vector.c), fromHex(vector.dk));
    if (vector.result === "valid") expect(decapsulate(), of(vector)).toEqual(fromHex(vector.K));
    else expect(decapsulate, of(vector)).toThrow();
    return true;
  });
});

describe("ML-DSA-44", () => {
  // The port signs whole messages, deterministically and with the empty context; other vectors do not apply.
  const applies = (vector: Vector) => vector.msg !== undefined && vector.rnd === undefined && (vector.ctx ?? "") === "";

  eachVector("mldsa_44_sign_seed_test.json", 73, (suite, vector, group) => {
    if (!applies(vector)) return false;
    const seed = fromHex(group.privateSeed);
    if (vector.result !== "valid") {
      expect(() => suite.signatureKeys(seed), of(vector)).toThrow();
      return true;
    }
    const keys = suite.signatureKeys(seed);
    expect(keys.publicKey, of(vector)).toEqual(fromHex(group.publicKey));
    expect(suite.sign(fromHex(vector.msg!), keys.secretKey), of(vector)).toEqual(fromHex(vector.sig));
    return true;
  });

  eachVector("mldsa_44_verify_test.json", 173, (suite, vector, group) => {
    if (!applies(vector)) return false;
    const publicKey = fromHex(group.publicKey);
    const accepted = suite.verify(fromHex(vector.sig), fromHex(vector.msg!), publicKey);
    expect(accepted, of(vector)).toBe(vector.result === "valid");
    return true;
  });

  const signing = "mldsa_44_sign_seed_test.json";
  const groups = readWycheproof(signing);
  const name = "our PKCS#8 blocks are the ones Wycheproof gives for the same seeds";
  test.skipIf(groups === undefined)(groups === undefined ? `${name}, ${skipAdvice(signing)}` : name, () => {
    let applied = 0;
    for (const group of groups ?? []) {
      const pkcs8 = group.privateKeyPkcs8 ?? "";
      if (pkcs8 === "") continue;
      const pem = encodeIdentityPem(new Uint8Array(KEM_SEED_BYTES), fromHex(group.privateSeed));
      const lines = pem.trimEnd().split("\n");
      const base64 = lines.slice(lines.lastIndexOf("-----BEGIN PRIVATE KEY-----") + 1, -1).join("");
      expect(Buffer.from(base64, "base64").toString("hex")).toBe(pkcs8);
      applied += 1;
    }
    expect(applied).toBeGreaterThan(3);
  });
});

describe("AES-256-GCM", () => {
  eachVector("aes_gcm_test.json", 66, (suite, vector, group) => {
    if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) return false;
    const message = fromHex(vector.msg!);
    const sealed = fromHex(vector.ct + vector.tag);
    const nonce = fromHex(vector.iv);
    const associated = fromHex(vector.aad);
    const aead = suite.aead(fromHex(vector.key));
    const valid = vector.result === "valid";

    // Away from the start of the buffer and between bytes that must stay as they are.
    const room = new Uint8Array(sealed.length + 5).fill(0xee);
    room.set(sealed, 3);
    expect(aead.open(nonce, associated, room, 3, sealed.length), of(vector)).toBe(valid);
    if (valid) {
      expect(room.subarray(3, 3 + message.length), of(vector)).toEqual(message);
      aead.seal(nonce, associated, room, 3, message.length);
    }
    expect(room, of(vector)).toEqual(Uint8Array.of(0xee, 0xee, 0xee, ...sealed, 0xee, 0xee));
    return true;
  });
});

describe("X25519", () => {
  eachVector("x25519_test.json", 518, (suite, vector) => {
    const shared = fromHex(vector.shared);
    const answer = suite.x25519Shared(fromHex(vector.private), fromHex(vector.public));
    if (shared.every((byte) => byte === 0)) expect(answer, of(vector)).toBeUndefined();
    else expect(answer, of(vector)).toEqual(shared);
    expect(shared.length).toBe(X25519_BYTES);
    return true;
  });
});

describe("HKDF-SHA-512", () => {
  eachVector("hkdf_sha512_test.json", 83, (suite, vector) => {
    const key = suite.extract(fromHex(vector.salt), fromHex(vector.ikm));
    const expand = () => suite.expand(key, fromHex(vector.info), vector.size);
    if (vector.result === "valid") expect(expand(), of(vector)).toEqual(fromHex(vector.okm));
    else expect(expand, of(vector)).toThrow();
    return true;
  });
});
