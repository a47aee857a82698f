import fc from "fast-check";
import { expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { EPOCH_PROOF_BYTES, LIFE_PROOF_BYTES, TAG_BYTES } from "../../core/routing/elements.js";
import { ELEMENT_BYTES } from "../../core/wire/routes.js";
import { ModelledElements } from "../../sim/suite/modelled-elements.js";

const dictionary = new NacDictionary();
const nacs = [1, 2, 3].map((first) => dictionary.intern(Uint8Array.from({ length: 16 }, (_, i) => first * 16 + i)));
const elements = new ModelledElements(dictionary, 7);

const place = fc.record({
  nac: fc.constantFrom(...nacs),
  epoch: fc.integer({ min: 0, max: 0xffff_ffff }),
  generation: fc.integer({ min: 0, max: 0xffff_ffff }),
  metric: fc.nat(63),
});
type Place = typeof place extends fc.Arbitrary<infer T> ? T : never;

function written({ nac, epoch, generation, metric }: Place): Uint8Array {
  const bytes = new Uint8Array(ELEMENT_BYTES + TAG_BYTES);
  elements.writeMetric(nac, epoch, generation, metric, bytes, 0);
  elements.writeTag(nac, epoch, bytes, ELEMENT_BYTES);
  return bytes;
}

function check(at: Place, bytes: Uint8Array, isTagged = false) {
  return elements.checkMetric(0, 1, at.nac, at.epoch, at.generation, at.metric, bytes, 0, isTagged);
}

test("an element is sound in its own place, and forged in every other", () => {
  fc.assert(
    fc.property(place, place, (one, other) => {
      const bytes = written(one);
      expect(check(one, bytes)).toBe("sound");
      expect(check(one, bytes, true)).toBe("sound");
      const isSame = JSON.stringify(one) === JSON.stringify(other);
      expect(check(other, bytes)).toBe(isSame ? "sound" : "forged");
      for (const metric of [one.metric - 1, one.metric + 1]) {
        if (metric >= 0 && metric < 64) expect(check({ ...one, metric }, bytes)).toBe("forged");
      }
      expect(check({ ...one, generation: (one.generation + 1) >>> 0 }, bytes)).toBe("forged");
      expect(check({ ...one, epoch: (one.epoch + 1) >>> 0 }, bytes)).toBe("forged");
    }),
  );
});

test("a changed bit of an element or of its tag is found, and so is another run's element", () => {
  fc.assert(
    fc.property(place, fc.nat((ELEMENT_BYTES + TAG_BYTES) * 8 - 1), (one, bit) => {
      const bytes = written(one);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(check(one, bytes, true)).toBe("forged");
      const otherRun = new ModelledElements(dictionary, 8);
      expect(otherRun.checkMetric(0, 1, one.nac, one.epoch, one.generation, one.metric, written(one), 0)).toBe(
        "forged",
      );
    }),
  );
});

test("life and epoch proofs are sound where they belong, at full size", () => {
  const life = new Uint8Array(LIFE_PROOF_BYTES);
  const proof = new Uint8Array(EPOCH_PROOF_BYTES);
  elements.writeLife(nacs[0]!, 5, 100, life, 0);
  elements.proveEpoch(nacs[0]!, 5, proof, 0);
  expect(elements.checkLife(0, 1, nacs[0]!, 5, 100, life, 0)).toBe("sound");
  expect(elements.checkLife(0, 1, nacs[0]!, 5, 101, life, 0)).toBe("forged");
  expect(elements.checkLife(0, 1, nacs[1]!, 5, 100, life, 0)).toBe("forged");
  expect(elements.checkEpoch(0, 1, nacs[0]!, 5, proof, 0)).toBe("sound");
  expect(elements.checkEpoch(0, 1, nacs[0]!, 6, proof, 0)).toBe("disputed");
  expect(life.subarray(ELEMENT_BYTES).some((byte) => byte !== 0)).toBe(true);
  // The element of a life slot is none of the metric chain, whatever the metric.
  for (let metric = 0; metric < 64; metric += 1) {
    expect(check({ nac: nacs[0]!, epoch: 5, generation: 100, metric }, life)).toBe("forged");
  }
});

test("of 57,600 elements no two are alike", () => {
  const seen = new Set<string>();
  const bytes = new Uint8Array(ELEMENT_BYTES);
  const view = new DataView(bytes.buffer);
  let count = 0;
  for (let generation = 0; generation < 300; generation += 1) {
    for (let metric = 0; metric < 64; metric += 1) {
      for (const nac of nacs) {
        elements.writeMetric(nac, 9, generation, metric, bytes, 0);
        seen.add(`${view.getUint32(0)} ${view.getUint32(4)}`);
        count += 1;
      }
    }
  }
  expect(seen.size).toBe(count);
});
