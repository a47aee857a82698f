import fc from "fast-check";
import { expect, test } from "vitest";
import { EPOCH_SLOTS_MAX } from "../../core/chain/step.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { modelledSuite } from "../../sim/suite/modelled-suite.js";
import { chainNode, finish, hear, lifeOf, nacOf, originOf, SLOTS, tagged } from "../support/chain-nodes.js";

const ADA = nacOf(1);

test("a chain that is made in pieces, however small, is the one that is made at once", () => {
  const whole = originOf(ADA, 7, 1000);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }), (pieces) => {
      const node = chainNode();
      const number = node.dictionary.intern(ADA);
      node.chains.originate(number, 7, 1000);
      for (let i = 0; i < 1000 && node.chains.work(pieces[i % pieces.length]!); i += 1);
      for (const [slot, metric] of [
        [992, 63],
        [1000, 0],
        [1100, 17],
        [1247, 0],
      ] as const) {
        expect(tagged(node, ADA, 7, slot, metric)).toEqual(tagged(whole, ADA, 7, slot, metric));
      }
      expect(lifeOf(node, ADA, 7, 1001)).toEqual(lifeOf(whole, ADA, 7, 1001));
    }),
    { numRuns: 5 },
  );
});

test("before its chain is made an origin writes nothing, and work keeps to its allowance", () => {
  const node = chainNode();
  const number = node.dictionary.intern(ADA);
  node.chains.originate(number, 7, 1000);
  expect(node.chains.isReady(number, 7)).toBe(false);
  expect(() => tagged(node, ADA, 7, 1000, 0)).toThrow("no element");
  const bytes = new Uint8Array(16).fill(1);
  expect(node.chains.writeMetric(number, 7, 1000, 0, bytes, 0)).toBe(false);
  expect(bytes).toEqual(new Uint8Array(16));
  let calls = 0;
  while (!node.chains.isReady(number, 7)) {
    expect(node.chains.work(1024)).toBe(true);
    calls += 1;
  }
  expect(calls).toBeGreaterThanOrEqual((SLOTS * 64) / 1024); // no call did more than one stretch
  finish(node.chains);
  expect(node.chains.work(1024)).toBe(false);
});

test("an epoch proves its slots and no others; when it ends, the next is ready at once and proves the ones after", () => {
  const ada = originOf(ADA, 7, 1003);
  const { chains, number } = ada;
  expect(chains.lastSlot(number)).toBe(992 + SLOTS - 1); // epochs begin in a slot of the grid
  const bytes = new Uint8Array(28);
  expect(chains.writeMetric(number, 7, chains.lastSlot(number), 0, bytes, 0)).toBe(true);
  expect(chains.writeMetric(number, 7, chains.lastSlot(number) + 1, 0, bytes, 0)).toBe(false);
  expect(chains.writeLife(number, 7, chains.lastSlot(number) + 1, bytes, 0)).toBe(false);
  expect(chains.writeMetric(number, 7, 991, 0, bytes, 0)).toBe(false);
  expect(chains.writeMetric(number, 8, 1003, 0, bytes, 0)).toBe(false);

  const next = chains.lastSlot(number) + 1;
  chains.originate(number, 8, next);
  expect(chains.isReady(number, 8)).toBe(true);
  expect(chains.lastSlot(number)).toBe(next - 128 + SLOTS - 1); // so that it also proves what the last slots of the other could
  expect(chains.writeMetric(number, 8, next - 128, 0, bytes, 0)).toBe(true);
  expect(chains.writeMetric(number, 8, next, 0, bytes, 0)).toBe(true);
  expect(chains.writeMetric(number, 7, next - 1, 0, bytes, 0)).toBe(false);
});

test("what an epoch's chains hold follows from its number and the slot it begins in", () => {
  const before = originOf(ADA, 7, 1008);
  expect(tagged(originOf(ADA, 7, 1011), ADA, 7, 1012, 3)).toEqual(tagged(before, ADA, 7, 1012, 3));
  expect(tagged(originOf(ADA, 7, 5008), ADA, 7, 5010, 3)).not.toEqual(tagged(before, ADA, 7, 1010, 3));
  expect(tagged(originOf(ADA, 8, 1008), ADA, 8, 1010, 3)).not.toEqual(tagged(before, ADA, 7, 1010, 3));
});

test("a chain of a whole day takes 19 KB, and its last slot is a day after its first", () => {
  const ada = originOf(ADA, 7, 1600, modelledSuite, EPOCH_SLOTS_MAX);
  const chain = ada.chains.own.of(ada.number)!;
  expect(chain.bytes).toBeLessThan(20_000);
  expect(chain.lastSlot - chain.startSlot).toBe(17_279);
  const bob = chainNode(modelledSuite);
  expect(hear(bob, ADA, 7, 1600, 63, tagged(ada, ADA, 7, 1600, 63))).toBe("sound");
  const last = tagged(ada, ADA, 7, chain.lastSlot, 0);
  let verdict = hear(bob, ADA, 7, chain.lastSlot, 0, last);
  let calls = 1;
  for (; verdict === "busy" && calls < 100; calls += 1) {
    verdict = hear(bob, ADA, 7, chain.lastSlot, 0, last, { nowUs: calls * 1_000_000 });
  }
  expect(verdict).toBe("sound"); // 1,105,919 hashes, in pieces
  expect(calls).toBeGreaterThan(30);
});

test("any element costs at most 1,023 hashes, and walks make no steps beyond", () => {
  let hashes = 0;
  const counting = {
    ...nobleSuite,
    hashBlock(block: Int32Array, out: Int32Array, at: number) {
      hashes += 1;
      nobleSuite.hashBlock(block, out, at);
    },
  };
  const ada = originOf(ADA, 7, 1000, counting);
  const bytes = new Uint8Array(28);
  fc.assert(
    fc.property(fc.integer({ min: 992, max: 1247 }), fc.nat(63), (slot, metric) => {
      hashes = 0;
      ada.chains.writeMetric(ada.number, 7, slot, metric, bytes, 0);
      expect(hashes).toBeLessThanOrEqual(1023);
      hashes = 0;
      ada.chains.writeLife(ada.number, 7, slot, bytes, 0);
      expect(hashes).toBeLessThanOrEqual(127);
    }),
  );
});
