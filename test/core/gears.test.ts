import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  GEAR_PERIODIC,
  gearFor,
  gearOf,
  generationAt,
  lifetimeSlots,
  nextGeneration,
  periodSlots,
} from "../../core/routing/gears.js";

const GEARS = [0, 1, 2];
/** 60 s: what a table may believe of the dead, for an origin in the periodic gear. */
const MINUTE_SLOTS = 12;

const gear = fc.integer({ min: 0, max: 2 });
const nacEnd = fc.integer({ min: 0, max: 0xff });
const phase = fc.integer({ min: 0, max: 0xffff });
/** Slots of 5 s: from the beginning of time until the year 3500. */
const slot = fc.integer({ min: 0, max: 10_000_000_000 });
/** Network time may be set back, and a test's begins at zero. */
const anySlot = fc.oneof(slot, fc.integer({ min: -1_000_000, max: 300 }));

describe("the number of a generation tells its gear", () => {
  test("when it is the newest that has begun, which began two slots ago at the most", () => {
    fc.assert(
      fc.property(anySlot, gear, nacEnd, (now, wanted, end) => {
        const generation = generationAt(now, wanted, end);
        expect(gearOf(generation, end)).toBe(wanted);
        expect(now - generation).toBeGreaterThanOrEqual(0);
        expect(now - generation).toBeLessThanOrEqual(2);
      }),
    );
  });

  test("when it is the next, which is later, and a period later at the most", () => {
    fc.assert(
      fc.property(anySlot, gear, nacEnd, phase, (now, wanted, end, number) => {
        const next = nextGeneration(now, wanted, end, number);
        expect(gearOf(next, end)).toBe(wanted);
        expect(next).toBeGreaterThan(now);
        expect(next - now).toBeLessThanOrEqual(periodSlots(wanted));
      }),
    );
  });

  test("below zero and beyond 16 and 32 bits as anywhere: the next slot is of the next gear", () => {
    const edges = [-65_537, -65_536, -3, -1, 0, 65_534, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
    const near = fc.tuple(fc.constantFrom(...edges), fc.integer({ min: -300, max: 300 })).map(([at, by]) => at + by);
    fc.assert(
      fc.property(fc.oneof(near, anySlot), nacEnd, (at, end) => {
        expect(GEARS).toContain(gearOf(at, end));
        expect(gearOf(at + 1, end)).toBe((gearOf(at, end) + 1) % 3);
        expect(gearOf(at + 3, end)).toBe(gearOf(at, end));
      }),
    );
  });
});

describe("generations of one origin", () => {
  test("follow each other by exactly a period", () => {
    fc.assert(
      fc.property(slot, gear, nacEnd, phase, (now, wanted, end, number) => {
        const first = nextGeneration(now, wanted, end, number);
        expect(nextGeneration(first, wanted, end, number) - first).toBe(periodSlots(wanted));
      }),
    );
  });

  test("come within the lifetime of the last but one: one in between may be lost, also of those in another gear", () => {
    fc.assert(
      fc.property(slot, fc.array(gear, { minLength: 3, maxLength: 12 }), nacEnd, phase, (now, gears, end, number) => {
        const proofs: { readonly generation: number; readonly releasedIn: number; readonly gear: number }[] = [];
        let at = now;
        for (const wanted of gears) {
          // As an origin does it: the newest slot of the gear is proven, and the one after it is planned.
          proofs.push({ generation: generationAt(at, wanted, end), releasedIn: at, gear: wanted });
          at = nextGeneration(at, wanted, end, number);
        }
        for (let i = 2; i < proofs.length; i += 1) {
          const known = proofs[i - 2]!;
          // The lost one may have told a slower gear, of which nobody knows then: the origin must be in one for so long.
          if (proofs[i - 1]!.gear > known.gear) continue;
          // Three slots are left for the way.
          expect(proofs[i]!.releasedIn + 3).toBeLessThanOrEqual(known.generation + lifetimeSlots(known.gear));
        }
      }),
    );
  });

  test("are spread evenly over the period: as many origins in each of its slots", () => {
    for (const wanted of GEARS) {
      const period = periodSlots(wanted);
      const origins = new Map<number, number>();
      for (let end = 0; end < 3; end += 1) {
        for (let number = 0; number < period; number += 1) {
          const place = nextGeneration(1_000_000, wanted, end, number) % period;
          origins.set(place, (origins.get(place) ?? 0) + 1);
        }
      }
      expect([wanted, origins.size, new Set(origins.values()).size]).toEqual([wanted, period, 1]);
    }
  });
});

describe("the gear for a table", () => {
  const routes = fc.integer({ min: 0, max: 3_000 });

  test("is the periodic one for up to 220 routes, the middle one for up to 1,300, the slow one for more", () => {
    expect([0, 220, 221, 1_300, 1_301, 262_144].map((count) => gearFor(count, GEAR_PERIODIC))).toEqual([
      0, 0, 1, 1, 2, 2,
    ]);
  });

  test("is left for a quicker one only when the table is smaller by a fifth", () => {
    expect([220, 176, 175].map((count) => gearFor(count, 1))).toEqual([1, 1, 0]);
    expect([1_300, 1_040, 1_039, 100].map((count) => gearFor(count, 2))).toEqual([2, 2, 1, 0]);
  });

  test("never changes back and forth while the table changes by less than a fifth of a bound", () => {
    const swing = fc.array(fc.integer({ min: 0, max: 43 }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(routes, swing, gear, (base, changes, first) => {
        const gears = [first];
        for (const change of changes) gears.push(gearFor(base + change, gears.at(-1)!));
        const turns = gears.slice(1).filter((now, i) => now !== gears[i]);
        expect(turns.length).toBeLessThanOrEqual(2); // into a quicker one at first, then into a slower one
      }),
    );
  });

  test("is as slow as the size asks for, and stays when it is asked for again", () => {
    fc.assert(
      fc.property(routes, gear, (count, present) => {
        const chosen = gearFor(count, present);
        expect(chosen).toBeGreaterThanOrEqual(gearFor(count, GEAR_PERIODIC));
        expect(gearFor(count, chosen)).toBe(chosen);
      }),
    );
  });
});

test("the periodic gear keeps the minute by itself, with a slot for the work", () => {
  expect(lifetimeSlots(GEAR_PERIODIC) + 2).toBeLessThanOrEqual(MINUTE_SLOTS);
  for (const wanted of GEARS) expect(lifetimeSlots(wanted)).toBeGreaterThanOrEqual(2 * periodSlots(wanted) + 2);
});
