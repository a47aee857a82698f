import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareNac, isNac, NAC_BYTES, nacFromHash, parseNac, printNac } from "../../core/address/nac.js";
import { ascii, parseHex, printHex, utf8 } from "../../core/address/text.js";

const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("a NAC", () => {
  test("is the first 16 bytes of its hash, except the six bits that make it a UUID of version 8", () => {
    fc.assert(
      fc.property(hashes, (hash) => {
        const before = hash.slice();
        const nac = nacFromHash(hash);
        expect(hash).toEqual(before);
        expect(nac[6]! >> 4).toBe(8);
        expect(nac[8]! >> 6).toBe(2);
        expect(isNac(nac)).toBe(true);
        const free = (bytes: Uint8Array) =>
          [...bytes.slice(0, 16)].map((byte, i) => (i === 6 ? byte & 15 : i === 8 ? byte & 63 : byte));
        expect(free(nac)).toEqual(free(hash));
      }),
    );
  });

  test("leaves its hash alone when the hash is a Buffer, whose slice shares memory", () => {
    const hash = Buffer.alloc(32, 0xff);
    nacFromHash(hash);
    expect(hash.every((byte) => byte === 0xff)).toBe(true);
  });

  test("prints as a lower-case UUID and parses back in any case", () => {
    fc.assert(
      fc.property(hashes, fc.nat(5), (hash, at) => {
        const nac = nacFromHash(hash);
        const text = printNac(nac);
        expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(parseNac(text)).toEqual(nac);
        expect(parseNac(text.toUpperCase())).toEqual(nac);
        const room = new Uint8Array(at + NAC_BYTES + 2);
        room.set(nac, at);
        expect(printNac(room, at)).toBe(text);
      }),
    );
  });

  test.each([
    ["nothing", ""],
    ["35 characters", "37814eee-d951-8e1b-ac32-f9db47b0931"],
    ["37 characters", "37814eee-d951-8e1b-ac32-f9db47b0931ef"],
    ["a digit that is not hexadecimal", "37814eee-d951-8e1b-ac32-f9db47b0931g"],
    ["a hyphen out of place", "37814eeed-951-8e1b-ac32-f9db47b0931e"],
    ["no hyphens", "37814eeed9518e1bac32f9db47b0931eabcd"],
    ["braces", "{7814eee-d951-8e1b-ac32-f9db47b0931}"],
    ["version 4", "37814eee-d951-4e1b-ac32-f9db47b0931e"],
    ["another variant", "37814eee-d951-8e1b-cc32-f9db47b0931e"],
    ["a full-width digit", "37814eee-d951-8e1b-ac32-f9db47b0931\uff11"],
    ["zeros", "00000000-0000-0000-0000-000000000000"],
  ])("is not parsed from %s", (_what, text) => {
    expect(parseNac(text)).toBeUndefined();
  });

  test("is parsed from any text without throwing, and only from what prints back the same", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.uuid()), (text) => {
        const nac = parseNac(text);
        if (nac !== undefined) expect(printNac(nac)).toBe(text.toLowerCase());
      }),
    );
  });

  test("is compared in byte order, which is the order of its text", () => {
    fc.assert(
      fc.property(hashes, hashes, (one, two) => {
        const [a, b] = [nacFromHash(one), nacFromHash(two)];
        const byText = printNac(a) < printNac(b) ? -1 : printNac(a) > printNac(b) ? 1 : 0;
        expect(Math.sign(compareNac(a, b))).toBe(byText);
        expect(compareNac(a, a.slice())).toBe(0);
      }),
    );
  });

  test("cannot be read past the end of the bytes", () => {
    expect(isNac(nacFromHash(new Uint8Array(32)), 1)).toBe(false);
    expect(() => printNac(new Uint8Array(20), 5)).toThrow("printNac: no 16 bytes at 5 of 20");
    expect(() => nacFromHash(new Uint8Array(31))).toThrow("31 bytes, not 32");
  });
});

describe("text", () => {
  test("becomes UTF-8 as TextEncoder makes it, lone surrogates included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.array(fc.nat(0xffff)), (text, units) => {
        const raw = String.fromCharCode(...units);
        for (const each of [text, raw, text + raw]) expect(utf8(each)).toEqual(new TextEncoder().encode(each));
      }),
    );
  });

  test("is ASCII in a label, or our own mistake", () => {
    expect(ascii("mq/nac/1")).toEqual(utf8("mq/nac/1"));
    expect(() => ascii("n\u00e4c")).toThrow(RangeError);
  });

  test("holds bytes as hexadecimal and gives them back, and refuses other lengths and digits", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const hex = printHex(bytes);
        expect(hex).toBe(Buffer.from(bytes).toString("hex"));
        expect(parseHex(hex, bytes.length)).toEqual(bytes);
        expect(parseHex(hex.toUpperCase(), bytes.length)).toEqual(bytes);
        expect(parseHex(`${hex}0`, bytes.length)).toBeUndefined();
        expect(parseHex(`${hex}00`, bytes.length)).toBeUndefined();
        for (const bad of "g/:@G`\u0130 ") expect(parseHex(`${hex}0${bad}`, bytes.length + 1)).toBeUndefined();
      }),
    );
  });
});
