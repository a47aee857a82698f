import fc from "fast-check";
import { expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { printHex } from "../../core/address/text.js";

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
