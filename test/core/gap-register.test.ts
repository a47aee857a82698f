import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { GapRegister } from "../../core/collections/gap-register.js";
import { NEVER } from "../../core/time/instant.js";

const CAPACITY = 512;

/** The plain model: a set of numbers. */
class Model {
  readonly seen = new Set<number>();
  first: number;
  constructor(first: number) {
    this.first = first;
  }
  get floor(): number {
    let floor = this.first;
    while (this.seen.has(floor)) floor += 1;
    return floor;
  }
  get highest(): number {
    return Math.max(this.first - 1, ...this.seen);
  }
  insert(number: number): string {
    if (number < this.floor || this.seen.has(number)) return "duplicate";
    if (number >= this.floor + CAPACITY) return "beyond";
    this.seen.add(number);
    return "new";
  }
  missing(below: number): number[] {
    const numbers: number[] = [];
    for (let n = this.floor; n < Math.min(below, this.highest); n += 1) if (!this.seen.has(n)) numbers.push(n);
    return numbers;
  }
}

function listed(register: GapRegister, below?: number): number[] {
  const out = new Uint32Array(2 * CAPACITY);
  const count = register.missing(out, below);
  const numbers: number[] = [];
  for (let i = 0; i < count; i += 1) {
    for (let n = out[i * 2]!; n < out[i * 2]! + out[i * 2 + 1]!; n += 1) numbers.push(n);
  }
  return numbers;
}

describe("gap register", () => {
  test("it knows exactly what a set of numbers knows", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 31, 0xffff_fc00),
        fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 700 })), { maxLength: 300 }),
        (first, steps) => {
          const register = new GapRegister(first, CAPACITY);
          const model = new Model(first);
          for (const step of steps) {
            // Mostly near the floor, so that the floor moves far and the ring wraps.
            const number = step <= 40 ? model.floor + step : first + step;
            expect(register.insert(number, 0)).toBe(model.insert(number));
            expect(register.floor).toBe(model.floor);
            expect(register.highest).toBe(model.highest);
          }
          expect(listed(register)).toEqual(model.missing(model.highest));
          expect(listed(register, model.floor + 9)).toEqual(model.missing(model.floor + 9));
          for (let n = model.floor; n < model.floor + 60; n += 1) expect(register.has(n)).toBe(model.seen.has(n));
        },
      ),
    );
  });

  test("a gap is due after three later numbers, or after the delay", () => {
    const register = new GapRegister(1);
    register.insert(1, 0);
    register.insert(3, 100);
    expect(register.dueBelow(100, 25_000)).toBe(2);
    expect(register.nextDueUs(25_000)).toBe(25_100);
    register.insert(4, 200);
    expect(listed(register, register.dueBelow(200, 25_000))).toEqual([]);
    register.insert(5, 300);
    expect(listed(register, register.dueBelow(300, 25_000))).toEqual([2]);

    register.insert(7, 400);
    expect(listed(register, register.dueBelow(25_099, 25_000))).toEqual([2]);
    expect(listed(register, register.dueBelow(25_100, 25_000))).toEqual([2]);
    expect(listed(register, register.dueBelow(50_100, 25_000))).toEqual([2, 6]);
    expect(register.nextDueUs(25_000)).toBe(NEVER);
  });

  test("a list that does not fit names the oldest gaps first", () => {
    const register = new GapRegister(1);
    for (let n = 2; n <= 40; n += 2) register.insert(n, 0);
    const out = new Uint32Array(6);
    expect(register.missing(out)).toBe(3);
    expect([...out]).toEqual([1, 1, 3, 1, 5, 1]);
  });

  test("registers that saw the same have the same digest", () => {
    const digestOf = (numbers: number[]): string => {
      const register = new GapRegister(1);
      for (const number of numbers) register.insert(number, 0);
      const digest = new Digest();
      register.digest(digest);
      return digest.hex();
    };
    expect(digestOf([1, 2, 3, 9])).toBe(digestOf([1, 2, 3, 9]));
    expect(digestOf([1, 2, 3, 9])).not.toBe(digestOf([1, 2, 4, 9]));
  });
});
