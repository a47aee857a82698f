import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nacFromHash } from "../../core/address/nac.js";
import { parseName, printLongName, printName } from "../../core/address/name.js";

const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** `text` with the case of each character taken from the bits of `mask`. */
function mixCase(text: string, mask: number): string {
  return [...text].map((c, i) => ((mask >> (i % 31)) & 1 ? c.toUpperCase() : c)).join("");
}

describe("a name", () => {
  test("prints and parses back, short and long, in any mix of cases", () => {
    fc.assert(
      fc.property(hashes, fc.nat(), (hash, mask) => {
        const nac = nacFromHash(hash);
        expect(printName(nac)).toBe(printName(nac).toLowerCase());
        expect(parseName(mixCase(printName(nac), mask))).toEqual({ nac });
        expect(printLongName(hash)).toMatch(/^[a-z2-7]{52}\.mariana$/);
        expect(parseName(mixCase(printLongName(hash), mask))).toEqual({ nac, hash });
      }),
    );
  });

  test("spells the published base32 of its hash", () => {
    // RFC 4648 section 10: BASE32("fooba") = "MZXW6YTB", and "f" = "MY" without padding.
    const hash = new TextEncoder().encode("foobafoobafoobafoobafoobafoobaf\0");
    expect(printLongName(hash).slice(0, 48)).toBe("mzxw6ytb".repeat(6));
    expect(printLongName(new Uint8Array(32).fill(0xff))).toBe(`${"7".repeat(51)}q.mariana`);
  });

  test("has one spelling: base32 with trailing bits that are not zero is refused", () => {
    const label = "a".repeat(51);
    for (const last of "abcdefghijklmnopqrstuvwxyz234567") {
      const parsed = parseName(`${label}${last}.mariana`);
      if (last === "a" || last === "q") expect(parsed).toBeDefined();
      else expect(parsed).toBeUndefined();
    }
  });

  test.each([
    ["nothing", ""],
    ["the suffix alone", ".mariana"],
    ["the suffix without its dot", "mariana"],
    ["another suffix", "37814eee-d951-8e1b-ac32-f9db47b0931e.onion"],
    ["no suffix", "37814eee-d951-8e1b-ac32-f9db47b0931e"],
    ["a port", "37814eee-d951-8e1b-ac32-f9db47b0931e.mariana:80"],
    ["a dot at the end", "37814eee-d951-8e1b-ac32-f9db47b0931e.mariana."],
    ["a subdomain", "www.37814eee-d951-8e1b-ac32-f9db47b0931e.mariana"],
    ["a space", " 37814eee-d951-8e1b-ac32-f9db47b0931e.mariana"],
    ["a short UUID", "37814eee-d951-8e1b-ac32-f9db47b0931.mariana"],
    ["a UUID of version 4", "37814eee-d951-4e1b-ac32-f9db47b0931e.mariana"],
    ["51 base32 characters", `${"a".repeat(51)}.mariana`],
    ["53 base32 characters", `${"a".repeat(53)}.mariana`],
    ["base32 with padding", `${"a".repeat(51)}=.mariana`],
    ["0 in base32", `${"a".repeat(51)}0.mariana`],
    ["1 in base32", `1${"a".repeat(51)}.mariana`],
    ["8 in base32", `8${"a".repeat(51)}.mariana`],
    ["a letter beyond ASCII in base32", `${"a".repeat(51)}\u212a.mariana`],
    ["a suffix whose lower case is ASCII", `37814eee-d951-8e1b-ac32-f9db47b0931e.mar\u0130ana`],
  ])("is not parsed from %s", (_what, host) => {
    expect(parseName(host)).toBeUndefined();
  });

  test("is parsed from any text without throwing, and only from what prints back the same", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.uuid(), fc.base64String({ minLength: 52, maxLength: 52 })), (label) => {
        const host = `${label}.mariana`;
        const parsed = parseName(host);
        if (parsed === undefined) return;
        const printed = parsed.hash === undefined ? printName(parsed.nac) : printLongName(parsed.hash);
        expect(printed).toBe(host.toLowerCase());
      }),
    );
  });

  test("is printed long only from a whole hash", () => {
    expect(() => printLongName(new Uint8Array(16))).toThrow("16 bytes, not 32");
  });
});
