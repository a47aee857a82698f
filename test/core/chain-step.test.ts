import { createHash } from "node:crypto";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { OneTimeKeys } from "../../core/chain/one-time-key.js";
import { Chain, Walker } from "../../core/chain/step.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { sha256Block } from "../../core/crypto/sha256-block.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { modelledSuite } from "../../sim/suite/modelled-suite.js";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

test("one block of SHA-256 is what noble and node make of the same message", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 55 }), (message) => {
      const padded = new Uint8Array(64);
      padded.set(message);
      padded[message.length] = 0x80;
      const view = new DataView(padded.buffer);
      view.setUint32(60, message.length * 8);
      const block = Int32Array.from({ length: 16 }, (_, i) => view.getInt32(4 * i));
      const out = new Int32Array(4);
      sha256Block(block, out, 0);
      const digest = new Uint8Array(16);
      for (let i = 0; i < 4; i += 1) new DataView(digest.buffer).setInt32(4 * i, out[i]!);
      expect(digest).toEqual(sha256(message).slice(0, 16));
      expect(digest).toEqual(new Uint8Array(createHash("sha256").update(message).digest().subarray(0, 16)));
    }),
    { numRuns: 300 },
  );
});

test("a step hashes NAC, epoch, chain, position modulo the grid, tag and element, in this order", () => {
  fc.assert(
    fc.property(
      bytes(16),
      u32,
      u32,
      bytes(8),
      bytes(16),
      fc.constantFrom(1, 2),
      (nac, epoch, slot, tag, element, chain) => {
        const dictionary = new NacDictionary();
        const walker = new Walker(nobleSuite);
        const tagView = new DataView(tag.buffer, tag.byteOffset);
        walker.enter(chain, dictionary, dictionary.intern(nac), epoch, tagView.getInt32(0), tagView.getInt32(4));
        walker.load(element, 0);
        walker.walk(slot, 1);
        const got = new Uint8Array(16);
        walker.store(got, 0);

        const message = new Uint8Array(48);
        message.set(nac);
        const view = new DataView(message.buffer);
        view.setUint32(16, epoch);
        view.setUint32(20, (chain << 24) | (slot % (chain === Chain.metric ? 1024 : 16)));
        message.set(tag, 24);
        message.set(element, 32);
        expect(got).toEqual(sha256(message).slice(0, 16));
      },
    ),
    { numRuns: 200 },
  );
});

test.each([
  ["noble", nobleSuite] as const,
  ["native", createNativeSuite()] as const,
  ["modelled", modelledSuite] as const,
])("with the %s suite, many steps at once are as many one by one", (_name, suite) => {
  const dictionary = new NacDictionary();
  const nac = dictionary.intern(new Uint8Array(16).fill(3));
  fc.assert(
    fc.property(fc.nat(0x3f_ffff_ffff), fc.nat(3000), fc.constantFrom(1, 2, 4), (position, steps, chain) => {
      const [one, other] = [new Walker(suite), new Walker(suite)];
      for (const walker of [one, other]) {
        walker.enter(chain, dictionary, nac, 7, 1, 2);
        walker.load(new Uint8Array(16).fill(5), 0);
      }
      one.walk(position, steps);
      for (let i = 0; i < steps; i += 1) other.walk(position - i, 1);
      expect([0, 1, 2, 3].map((i) => one.word(i))).toEqual([0, 1, 2, 3].map((i) => other.word(i)));
    }),
    { numRuns: 40 },
  );
});

test("whatever names an element changes what it hashes to", () => {
  const dictionary = new NacDictionary();
  const [ada, bob] = [dictionary.intern(new Uint8Array(16).fill(1)), dictionary.intern(new Uint8Array(16).fill(2))];
  const step = (nac: number, epoch: number, chain: number, position: number, tag: number) => {
    const walker = new Walker(nobleSuite);
    walker.enter(chain, dictionary, nac, epoch, tag, 0);
    walker.walk(position, 1);
    return `${walker.word(0)} ${walker.word(1)}`;
  };
  const all = [
    step(ada, 1, 1, 0, 0),
    step(bob, 1, 1, 0, 0),
    step(ada, 2, 1, 0, 0),
    step(ada, 1, 2, 0, 0),
    step(ada, 1, 1, 1, 0),
    step(ada, 1, 1, 0, 1),
  ];
  expect(new Set(all).size).toBe(all.length);
});

test("a one-time signature shows its key for what was signed, and another for anything else", () => {
  const dictionary = new NacDictionary();
  const nac = dictionary.intern(new Uint8Array(16).fill(1));
  const keys = new OneTimeKeys(nobleSuite, dictionary, new Walker(nobleSuite));
  const secret = new Uint8Array(32).fill(8);
  const publicKey = keys.publicKey(nac, 5, secret);
  expect(publicKey).toHaveLength(12);
  fc.assert(
    fc.property(bytes(16), fc.nat(127), fc.nat(288 * 8 - 1), (message, bit, signatureBit) => {
      const signature = keys.sign(nac, 5, secret, message);
      expect(signature).toHaveLength(288);
      expect(keys.signerOf(nac, 5, message, signature, 0)).toEqual(publicKey);
      expect(keys.signerOf(nac, 6, message, signature, 0)).not.toEqual(publicKey);
      const other = message.slice();
      other[bit >> 3]! ^= 1 << (bit & 7);
      expect(keys.signerOf(nac, 5, other, signature, 0)).not.toEqual(publicKey);
      signature[signatureBit >> 3]! ^= 1 << (signatureBit & 7);
      expect(keys.signerOf(nac, 5, message, signature, 0)).not.toEqual(publicKey);
    }),
    { numRuns: 15 },
  );
});

test("who walks parts of a signature on, to raise digits, is caught by the checksum", () => {
  const dictionary = new NacDictionary();
  const nac = dictionary.intern(new Uint8Array(16).fill(1));
  const walker = new Walker(nobleSuite);
  const keys = new OneTimeKeys(nobleSuite, dictionary, walker);
  const secret = new Uint8Array(32).fill(8);
  const message = new Uint8Array(16).fill(100);
  const signature = keys.sign(nac, 5, secret, message);
  // Part 0 one step further is the part of a message whose first byte is 101: right but for the checksum's part.
  walker.enter(Chain.key, dictionary, nac, 5, 0, 0);
  walker.load(signature, 0);
  walker.walk(1 + 255 - 100, 1);
  walker.store(signature, 0);
  const raised = message.slice();
  raised[0] = 101;
  expect(keys.signerOf(nac, 5, raised, signature, 0)).not.toEqual(keys.publicKey(nac, 5, secret));
});
