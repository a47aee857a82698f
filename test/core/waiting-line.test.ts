import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WaitingLine } from "../../core/collections/waiting-line.js";
import { NEVER } from "../../core/time/instant.js";

describe("a waiting line", () => {
  test("gives back each number once, when it has waited long enough, first come first", () => {
    const line = new WaitingLine(100);
    line.add(0, 7);
    line.add(10, 3);
    line.add(20, 7); // waits already
    expect([line.length, line.nextUs, line.take(99)]).toEqual([2, 100, -1]);
    expect([line.take(100), line.take(109), line.take(110), line.take(1000)]).toEqual([7, -1, 3, -1]);
    expect(line.nextUs).toBe(NEVER);
    line.add(200, 7);
    expect([line.has(7), line.has(3), line.nextUs]).toEqual([true, false, 300]);
  });

  test("passes over who was removed, and lets him wait anew", () => {
    const line = new WaitingLine(100);
    for (const value of [1, 2, 3]) line.add(value, value);
    line.remove(1);
    line.remove(9); // never there
    line.add(50, 1);
    expect([line.length, line.take(102), line.take(102), line.take(103), line.take(149)]).toEqual([3, 2, -1, 3, -1]);
    expect([line.take(150), line.nextUs]).toEqual([1, NEVER]);
    for (let value = 0; value < 5_000; value += 1) line.add(200, value);
    for (let value = 0; value < 5_000; value += 1) expect(line.take(300)).toBe(value);
  });

  test("is what a sorted list of distinct numbers is", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(9), fc.boolean())), (steps) => {
        const line = new WaitingLine(60);
        const model: { value: number; dueUs: number }[] = [];
        let nowUs = 0;
        for (const [waitUs, value, isAdded] of steps) {
          nowUs += waitUs;
          const isThere = model.some((one) => one.value === value);
          if (isAdded) {
            line.add(nowUs, value);
            if (!isThere) model.push({ value, dueUs: nowUs + 60 });
          } else {
            const isDue = model.length > 0 && model[0]!.dueUs <= nowUs;
            expect(line.take(nowUs)).toBe(isDue ? model.shift()!.value : -1);
          }
          expect(line.nextUs).toBe(model[0]?.dueUs ?? NEVER);
          expect(line.length).toBe(model.length);
        }
      }),
    );
  });
});
