import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Reader, Writer } from "../../core/wire/cursor.js";

type Field = "u8" | "u16" | "u24" | "u32" | "u48" | "u64";
const WIDTHS: Readonly<Record<Field, number>> = { u8: 1, u16: 2, u24: 3, u32: 4, u48: 6, u64: 8 };
const NAMES = Object.keys(WIDTHS) as Field[];

const numbers = fc.constantFrom(...NAMES).chain((name) => {
  const largest = name === "u64" ? Number.MAX_SAFE_INTEGER : 2 ** (WIDTHS[name] * 8) - 1;
  return fc
    .oneof(
      fc.constantFrom(0, 1, largest),
      fc.maxSafeNat().map((n) => n % (largest + 1)),
    )
    .map((value) => ({ name, value }));
});
const fields = fc.array(
  fc.oneof(
    numbers,
    fc.uint8Array({ maxLength: 20 }).map((value) => ({ name: "raw" as const, value })),
    fc.nat(20).map((value) => ({ name: "zeros" as const, value })),
  ),
  { maxLength: 30 },
);

describe("a Writer and a Reader", () => {
  test("give back any fields, in any order, at any offset", () => {
    fc.assert(
      fc.property(fields, fc.nat(9), (list, at) => {
        const room = new Uint8Array(at + 30 * 20 + 5).fill(0xee);
        const out = new Writer(room, at);
        for (const field of list) {
          if (field.name === "raw") out.raw(field.value);
          else out[field.name](field.value);
        }
        expect(room.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
        expect(room.subarray(out.offset).every((byte) => byte === 0xee)).toBe(true);
        expect(out.room).toBe(room.length - out.offset);

        const input = new Reader(room, at, out.offset);
        for (const field of list) {
          if (field.name === "raw") expect(input.raw(field.value.length)).toEqual(field.value);
          else if (field.name === "zeros") expect(input.zeros(field.value)).toBe(true);
          else expect(input[field.name]()).toBe(field.value);
        }
        expect(input.ok).toBe(true);
        expect(input.remaining).toBe(0);
      }),
    );
  });

  test("write numbers big-endian, as DataView does", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff_ffff), (small, large) => {
        const room = new Uint8Array(6);
        new Writer(room).u16(small).u32(large);
        const view = new DataView(room.buffer);
        expect([view.getUint16(0), view.getUint32(2)]).toEqual([small, large]);
      }),
    );
  });
});

describe("a Reader", () => {
  const operation = fc.oneof(
    fc.constantFrom(...NAMES).map((name) => ({ name, count: 0 })),
    fc
      .tuple(fc.constantFrom("raw", "skip", "zeros"), fc.integer({ min: -3, max: 40 }))
      .map(([name, count]) => ({ name, count })),
  );

  test("never throws and never reads outside its range; after the first overrun all is zero", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(10),
        fc.array(operation, { maxLength: 30 }),
        (bytes, trim, steps) => {
          const end = Math.max(0, bytes.length - trim);
          const input = new Reader(bytes, 0, end);
          let ok = true;
          for (const { name, count } of steps) {
            const before = input.offset;
            if (name === "raw") {
              const view = input.raw(count);
              expect(view.length).toBe(input.ok ? count : 0);
            } else if (name === "zeros") {
              if (input.zeros(count))
                expect(bytes.subarray(before, input.offset).every((byte) => byte === 0)).toBe(true);
            } else if (name === "skip") {
              input.skip(count);
            } else {
              const value = input[name as Field]();
              expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
              if (!input.ok) expect(value).toBe(0);
            }
            expect(input.offset).toBeGreaterThanOrEqual(before);
            expect(input.offset).toBeLessThanOrEqual(end);
            if (!ok) expect(input.offset).toBe(before);
            expect(input.ok && !ok).toBe(false); // once false, always false
            ok = input.ok;
          }
        },
      ),
    );
  });

  test("refuses a u64 of 2^53 or more and takes the largest below", () => {
    expect(new Reader(Uint8Array.of(0, 0x1f, 255, 255, 255, 255, 255, 255)).u64()).toBe(Number.MAX_SAFE_INTEGER);
    const input = new Reader(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0));
    expect(input.u64()).toBe(0);
    expect(input.ok).toBe(false);
  });
});

describe("a Writer", () => {
  test("that runs past its end throws and writes nothing of that field", () => {
    const room = new Uint8Array(8).fill(7);
    const out = new Writer(room, 2, 5);
    out.u16(1);
    expect(() => out.u16(0xffff)).toThrow("Writer: 2 bytes do not fit at 4 of 5");
    expect(() => out.raw(new Uint8Array(2))).toThrow(RangeError);
    expect(() => out.zeros(2)).toThrow(RangeError);
    expect(room).toEqual(Uint8Array.of(7, 7, 0, 1, 7, 7, 7, 7));
    expect(out.room).toBe(1);
  });
});
