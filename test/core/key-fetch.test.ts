import fc from "fast-check";
import { expect, test } from "vitest";
import { identityFromSeeds, linkKeyHashOf, networkIdOf, SUITE_FLOOR } from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import {
  answerKeyRequest,
  buildKeyRequest,
  linkKeyMaterial,
  nacKeyMaterial,
  readKeyRequest,
  verifyKeyResponse,
} from "../../core/session/key-fetch.js";
import type { KeyRequest } from "../../core/wire/keyreq.js";
import { seededEntropy } from "../support/handshake-pair.js";

const suite = nobleSuite;
const network = networkIdOf(suite, "test");
const entropy = seededEntropy(5);
const owner = identityFromSeeds(suite, network, entropy(64), entropy(32));
const other = identityFromSeeds(suite, network, entropy(64), entropy(32));
const material = nacKeyMaterial(suite, owner.kem.publicKey, owner.signature.publicKey);
const nonce = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

const read = (bytes: Uint8Array) => readKeyRequest(network, bytes, 0, bytes.length);
const verify = (bytes: Uint8Array) => verifyKeyResponse(suite, network, bytes, 0, bytes.length);
const requestFor = (nac: Uint8Array | undefined) => read(buildKeyRequest(network, nac, nonce)) as KeyRequest;

test("the key of a NAC comes back with all it takes to recompute the NAC", () => {
  const answer = answerKeyRequest(requestFor(owner.nac), material);
  expect(verify(answer)).toEqual({ kind: "nac", nonce, nac: owner.nac, nacHash: owner.nacHash, material });
});

test("a verified answer can be passed on, and verifies again", () => {
  const first = verify(answerKeyRequest(requestFor(owner.nac), material));
  if (typeof first === "string") throw new Error(first);
  const passedOn = answerKeyRequest(requestFor(owner.nac), first.material);
  expect(verify(passedOn)).toEqual(first);
});

test("the link key of whoever answers comes back with its hash", () => {
  const { publicKey } = owner.kem;
  const answer = answerKeyRequest(requestFor(undefined), linkKeyMaterial(publicKey));
  const linkKeyHash = linkKeyHashOf(suite, network, SUITE_FLOOR, publicKey);
  expect(verify(answer)).toEqual({ kind: "link", nonce, linkKeyHash, material: linkKeyMaterial(publicKey) });
});

test("another's key under the NAC that was asked for is refused", () => {
  const lie = nacKeyMaterial(suite, other.kem.publicKey, owner.signature.publicKey);
  expect(verify(answerKeyRequest(requestFor(owner.nac), lie))).toBe("address");
  expect(verify(answerKeyRequest(requestFor(other.nac), material))).toBe("address");
});

test("an answer is exactly as large as its request", () => {
  for (const nac of [owner.nac, undefined]) {
    const request = buildKeyRequest(network, nac, nonce);
    expect(answerKeyRequest(requestFor(nac), material).length).toBe(request.length);
    expect(request.length).toBe(904);
  }
});

test("a request says nothing of who asks: two askers differ only in the nonce", () => {
  const [a, b] = [1, 2].map((n) => buildKeyRequest(network, owner.nac, new Uint8Array(8).fill(n)));
  const differing = a!.map((byte, i) => (byte === b![i] ? 0 : 1)).reduce((sum, one) => sum + one, 0);
  expect(differing).toBe(8);
  expect(a!.subarray(32).every((byte) => byte === 0)).toBe(true);
});

test.each([
  [1, "version"],
  [2, "suite"],
  [4, "network"],
] as const)("byte %i changed: refused, reason %s", (at, reason) => {
  const request = buildKeyRequest(network, owner.nac, nonce);
  const answer = answerKeyRequest(requestFor(owner.nac), material);
  request[at]! ^= 0x40;
  answer[at]! ^= 0x40;
  expect(read(request)).toBe(reason);
  expect(verify(answer)).toBe(reason);
});

test("no damaged answer verifies for the NAC, and nothing that comes in throws", () => {
  const answer = answerKeyRequest(requestFor(owner.nac), material);
  fc.assert(
    fc.property(fc.integer({ min: 16, max: 903 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = answer.slice();
      damaged[at]! ^= flip;
      expect(typeof verify(damaged)).toBe("string");
    }),
    { numRuns: 150 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), (noise) => {
      expect(typeof read(noise)).toBe("string");
      expect(typeof verify(noise)).toBe("string");
    }),
  );
});

test("a key whose owner accepts none of our suites is refused as such", () => {
  const future = { ...material, suiteFloor: 2 };
  expect(verify(answerKeyRequest(requestFor(owner.nac), future))).toBe("suite");
});
