import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeIdentityPem, decodeLinkKeyPem, encodeIdentityPem, encodeLinkKeyPem } from "../../core/crypto/pem.js";

const counting = (length: number) => Uint8Array.from({ length }, (_, i) => i);

/** RFC 9935 appendix C.1.1.1. */
const KEM_BLOCK = `-----BEGIN PRIVATE KEY-----
MFQCAQAwCwYJYIZIAWUDBAQBBEKAQAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ
GhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=
-----END PRIVATE KEY-----
`;
/** RFC 9881 appendix C.1.1.1. */
const SIGNATURE_BLOCK = `-----BEGIN PRIVATE KEY-----
MDQCAQAwCwYJYIZIAWUDBAMRBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ
GhscHR4f
-----END PRIVATE KEY-----
`;

const seeds = { kind: "seeds", kemSeed: counting(64), signatureSeed: counting(32) };

/** A block around any DER, given as hexadecimal. */
function block(der: string): string {
  return `-----BEGIN PRIVATE KEY-----\n${Buffer.from(der, "hex").toString("base64")}\n-----END PRIVATE KEY-----\n`;
}

const KEM_OID = "300b0609608648016503040401";
const SEED_64 = "00".repeat(64);

describe("a key file", () => {
  test("is written as the blocks that RFC 9935 and RFC 9881 print", () => {
    expect(encodeIdentityPem(counting(64), counting(32))).toBe(KEM_BLOCK + SIGNATURE_BLOCK);
    expect(encodeLinkKeyPem(counting(64))).toBe(KEM_BLOCK);
  });

  test("is read from those blocks, also with CRLF, blank lines, spaces at the end or one long line", () => {
    const text = KEM_BLOCK + SIGNATURE_BLOCK;
    expect(decodeIdentityPem(text)).toEqual(seeds);
    expect(decodeIdentityPem(text.replaceAll("\n", "\r\n"))).toEqual(seeds);
    expect(decodeIdentityPem(`\n${KEM_BLOCK}\n \n${SIGNATURE_BLOCK}\n\n`)).toEqual(seeds);
    expect(decodeIdentityPem(text.replaceAll("\n", "  \n").trimEnd())).toEqual(seeds);
    expect(decodeIdentityPem(text.replaceAll(/Z\nG/g, "ZG"))).toEqual(seeds);
    expect(decodeLinkKeyPem(KEM_BLOCK)).toEqual({ kind: "seed", kemSeed: counting(64) });
  });

  test("gives back any seeds it was written from", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(64), bytes(32), (kemSeed, signatureSeed) => {
        expect(decodeIdentityPem(encodeIdentityPem(kemSeed, signatureSeed))).toEqual({
          kind: "seeds",
          kemSeed,
          signatureSeed,
        });
        expect(decodeLinkKeyPem(encodeLinkKeyPem(kemSeed))).toEqual({ kind: "seed", kemSeed });
      }),
    );
  });

  test.each([
    ["an empty file", "", "it holds no key, not 2 (ML-KEM-512, ML-DSA-44)"],
    ["one key of two", KEM_BLOCK, "it holds 1 key, not 2 (ML-KEM-512, ML-DSA-44)"],
    ["three keys", KEM_BLOCK + SIGNATURE_BLOCK + KEM_BLOCK, "it holds 3 keys, not 2 (ML-KEM-512, ML-DSA-44)"],
    ["the wrong order", SIGNATURE_BLOCK + KEM_BLOCK, "block 1 of 2 is not ML-KEM-512"],
    ["the same key twice", KEM_BLOCK + KEM_BLOCK, "block 2 of 2 is not ML-DSA-44"],
    ["a key cut off", KEM_BLOCK + SIGNATURE_BLOCK.slice(0, 100), `the last block has no "-----END PRIVATE KEY-----"`],
  ])("of an identity is refused for %s, with the reason", (_what, text, reason) => {
    expect(decodeIdentityPem(text)).toEqual({ kind: "refused", reason });
  });

  test.each([
    ["text outside the blocks", `hello\n${KEM_BLOCK}`, `line 1 is not "-----BEGIN PRIVATE KEY-----"`],
    ["another kind of key", KEM_BLOCK.replaceAll("PRIVATE", "PUBLIC"), `line 1 is not "-----BEGIN PRIVATE KEY-----"`],
    ["a foreign character", KEM_BLOCK.replace("MFQC", "M*QC"), "line 2 holds a character that is not base64"],
    ["a header inside", KEM_BLOCK.replace("MFQC", "A: b\n\nMFQC"), "line 2 holds a character that is not base64"],
    [
      "a lost character",
      KEM_BLOCK.replace("MFQC", "MFQ"),
      "the base64 that ends before line 4 is cut short or padded wrongly",
    ],
    [
      "a lost padding",
      KEM_BLOCK.replace("Pj8=", "Pj8"),
      "the base64 that ends before line 4 is cut short or padded wrongly",
    ],
    [
      "padding in the middle",
      KEM_BLOCK.replace("MFQC", "MF=="),
      "the base64 that ends before line 4 is cut short or padded wrongly",
    ],
    [
      "trailing bits",
      KEM_BLOCK.replace("Pj8=", "Pj9="),
      "the base64 that ends before line 4 is cut short or padded wrongly",
    ],
    ["an empty block", block(""), "the base64 that ends before line 3 is cut short or padded wrongly"],
    ["a lost line", KEM_BLOCK.replace(/^Ghs.*\n/m, ""), "block 1 of 1 is not one whole PKCS#8 structure"],
    [
      "bytes behind the structure",
      block(`3054020100${KEM_OID}04428040${SEED_64}00`),
      "block 1 of 1 is not one whole PKCS#8 structure",
    ],
    [
      "a length that is not the shortest",
      block(`308154020100${KEM_OID}04428040${SEED_64}`),
      "block 1 of 1 is not one whole PKCS#8 structure",
    ],
    ["another version", block(`3054020101${KEM_OID}04428040${SEED_64}`), "block 1 of 1 is not PKCS#8 of version 0"],
    ["ML-KEM-768", block(`3054020100300b060960864801650304040204428040${SEED_64}`), "block 1 of 1 is not ML-KEM-512"],
    [
      "parameters",
      block(`3056020100300d0609608648016503040401050004428040${SEED_64}`),
      "block 1 of 1 is not ML-KEM-512",
    ],
    [
      "attributes",
      block(`3056020100${KEM_OID}04428040${SEED_64}a000`),
      "block 1 of 1 has no private key, or something after it",
    ],
    [
      "a short seed",
      block(`3053020100${KEM_OID}0441803f${SEED_64.slice(2)}`),
      "block 1 of 1 has a seed of 63 bytes, not 64",
    ],
    ["a seed under another tag", block(`3054020100${KEM_OID}04428140${SEED_64}`), "block 1 of 1 holds no seed"],
    [
      "the expanded key",
      block(`30820678020100${KEM_OID}0482066404820660${"11".repeat(1632)}`),
      "block 1 of 1 holds the expanded key; only the seed form is read",
    ],
    [
      "seed and expanded key together",
      block(`308206be020100${KEM_OID}048206aa308206a60440${SEED_64}04820660${"11".repeat(1632)}`),
      "block 1 of 1 holds the expanded key; only the seed form is read",
    ],
    ["a file far too long", "\n".repeat(70_000), "it is longer than 65536 characters"],
  ])("of a link key is refused for %s, with the reason", (_what, text, reason) => {
    expect(decodeLinkKeyPem(text)).toEqual({ kind: "refused", reason });
  });

  test("is refused or read whole after any damage, and never throws", () => {
    const text = KEM_BLOCK + SIGNATURE_BLOCK;
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(3), fc.string({ maxLength: 3 }), (at, cut, put) => {
        const result = decodeIdentityPem(text.slice(0, at) + put + text.slice(at + cut));
        if (result.kind === "refused") expect(result.reason).not.toBe("");
        else expect([result.kemSeed.length, result.signatureSeed.length]).toEqual([64, 32]);
      }),
      { numRuns: 2000 },
    );
  });

  test("tells no key material in a reason", () => {
    const text = KEM_BLOCK.replace("ICEi", "IC*i") + SIGNATURE_BLOCK;
    const result = decodeIdentityPem(text);
    expect(result).toEqual({ kind: "refused", reason: "line 3 holds a character that is not base64" });
  });

  test("is written only from seeds of the right length", () => {
    expect(() => encodeLinkKeyPem(counting(63))).toThrow("ML-KEM-512 seed has 63 bytes, not 64");
    expect(() => encodeIdentityPem(counting(64), counting(64))).toThrow("ML-DSA-44 seed has 64 bytes, not 32");
  });
});
