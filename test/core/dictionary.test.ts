import fc from "fast-check";
import { expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { KeyedHash } from "../../core/address/keyed-hash.js";
import { printHex } from "../../core/address/text.js";
import { randomFrom } from "../support/random.js";

/** Few enough NACs that they repeat, and some that differ in one word only, so that probing meets neighbours. */
const nacs = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.tuple(fc.nat(3), fc.nat(255)).map(([word, value]) => {
    const nac = new Uint8Array(16);
    nac[word * 4 + 3] = value;
    return nac;
  }),
);

test("a dictionary behaves as a Map from NAC to the order of first mention", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("intern", "find"), nacs, fc.nat(3)), { maxLength: 400 }),
      fc.constantFrom(1, 4, 64),
      (steps, capacity) => {
        const dictionary = new NacDictionary(capacity);
        const model = new Map<string, number>();
        for (const [step, nac, offset] of steps) {
          const room = new Uint8Array(offset + 16);
          room.set(nac, offset);
          const key = printHex(nac);
          if (step === "find") {
            expect(dictionary.find(room, offset)).toBe(model.get(key) ?? -1);
          } else {
            if (!model.has(key)) model.set(key, model.size);
            expect(dictionary.intern(room, offset)).toBe(model.get(key));
          }
          room.fill(0xff); // it keeps no view of our bytes
          expect(dictionary.size).toBe(model.size);
        }
        for (const [key, number] of model) expect(printHex(dictionary.bytesOf(number))).toBe(key);
      },
    ),
  );
});

test("a number serves as long as anybody holds it, and then another NAC", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("intern", "hold", "release"), nacs), { maxLength: 300 }),
      fc.tuple(fc.nat(), fc.nat()),
      (steps, seed) => {
        const dictionary = new NacDictionary(1, seed);
        const holds = new Map<string, number>();
        let most = 0;
        for (const [step, nac] of steps) {
          const key = printHex(nac);
          const count = holds.get(key) ?? 0;
          const number = dictionary.find(nac);
          expect(number >= 0).toBe(count > 0);
          if (step === "intern") holds.set(key, count + 1);
          if (step === "intern") dictionary.intern(nac);
          if (number >= 0 && step === "hold") {
            dictionary.hold(number);
            holds.set(key, count + 1);
          }
          if (number >= 0 && step === "release") {
            dictionary.release(number);
            if (count === 1) holds.delete(key);
            else holds.set(key, count - 1);
          }
          most = Math.max(most, holds.size);
          expect([dictionary.held, dictionary.size]).toEqual([holds.size, most]);
        }
        const numbers = [...holds.keys()].map((key) => dictionary.find(Uint8Array.from(Buffer.from(key, "hex"))));
        expect(new Set(numbers).size).toBe(holds.size);
        for (const number of numbers) expect(number).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});

test("those who lived behind a NAC that went are still found, however crowded it is", () => {
  const random = randomFrom("crowd");
  const dictionary = new NacDictionary(64, [3, 4]);
  const living = new Map<number, Uint8Array>();
  for (let step = 0; step < 20_000; step += 1) {
    if (living.size < 1_000 || random.chance(0.5)) {
      const nac = random.bytes(16);
      living.set(dictionary.intern(nac), nac);
    } else {
      const number = random.pick([...living.keys()].slice(0, 50));
      dictionary.release(number);
      living.delete(number);
    }
    if (step % 500 === 0) for (const [number, nac] of living) if (dictionary.find(nac) !== number) expect.fail("lost");
  }
  for (const [number, nac] of living) expect(dictionary.find(nac)).toBe(number);
});

test("to hold or release what nobody holds is our own mistake", () => {
  const dictionary = new NacDictionary();
  const number = dictionary.intern(new Uint8Array(16));
  dictionary.release(number);
  expect(() => dictionary.release(number)).toThrow("nobody holds the number 0");
  expect(() => dictionary.hold(number)).toThrow(RangeError);
  expect(() => dictionary.hold(7)).toThrow(RangeError);
});

test("NACs aimed at one place under one key spread under another", () => {
  const words = (i: number) => [i, i * 7, 5, 9] as const;
  const placesUnder = (key: readonly [number, number], chosen: readonly number[]) => {
    const hash = new KeyedHash(key);
    return new Set(chosen.map((i) => hash.of(...words(i)) & 1023));
  };
  const hash = new KeyedHash([1, 2]);
  const aimed = Array.from({ length: 100_000 }, (_, i) => i).filter((i) => (hash.of(...words(i)) & 1023) === 0);
  expect(aimed.length).toBeGreaterThan(60); // about one in 1,024, as of any good hash
  expect(aimed.length).toBeLessThan(140);
  expect(placesUnder([1, 2], aimed).size).toBe(1);
  for (const key of [
    [1, 3],
    [2, 2],
    [0x8000_0001, 2],
  ] as const) {
    expect(placesUnder(key, aimed).size).toBeGreaterThan(aimed.length * 0.85);
  }
});

test("numbers stay dense and stable while the dictionary grows a thousandfold", () => {
  const dictionary = new NacDictionary(4);
  const nacOf = (i: number) => {
    const nac = new Uint8Array(16);
    new DataView(nac.buffer).setUint32(i % 2 === 0 ? 0 : 12, i);
    return nac;
  };
  for (let i = 0; i < 5000; i += 1) expect(dictionary.intern(nacOf(i + 1))).toBe(i);
  for (let i = 0; i < 5000; i += 1) {
    expect(dictionary.find(nacOf(i + 1))).toBe(i);
    expect(dictionary.bytesOf(i)).toEqual(nacOf(i + 1));
  }
  expect(dictionary.find(nacOf(5001))).toBe(-1);
});

test("a number that was never given is our own mistake", () => {
  const dictionary = new NacDictionary();
  dictionary.intern(new Uint8Array(16));
  expect(() => dictionary.bytesOf(1)).toThrow("no NAC has the number 1");
  expect(() => dictionary.bytesOf(-1)).toThrow(RangeError);
});
