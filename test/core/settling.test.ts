import { describe, expect, test } from "vitest";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { RouteRecords } from "../../core/routing/records.js";
import { Settling, TICK_US, WORSE_TICKS } from "../../core/routing/settling.js";
import { NEVER } from "../../core/time/instant.js";
import { randomFrom } from "../support/random.js";

const settling = () => new Settling(new RouteRecords(64, heapAllocator));

const takeAll = (waiting: Settling, nowUs: number) => {
  const all: (number | string)[] = [];
  for (let one = waiting.take(nowUs); one >= 0; one = waiting.take(nowUs)) all.push(waiting.isForced ? `${one}!` : one);
  return all;
};

describe("routes that changed", () => {
  test("are told in the order of their distance, whichever came first", () => {
    const waiting = settling();
    waiting.add(0, 1, WORSE_TICKS, false);
    waiting.add(0, 2, 4, false);
    waiting.add(0, 3, 1, true);
    expect(waiting.nextTimeoutUs).toBe(TICK_US);
    expect(takeAll(waiting, TICK_US - 1)).toEqual([]);
    expect(takeAll(waiting, TICK_US)).toEqual(["3!"]);
    expect(waiting.nextTimeoutUs).toBe(4 * TICK_US);
    expect(takeAll(waiting, 4 * TICK_US)).toEqual([2]);
    expect(takeAll(waiting, WORSE_TICKS * TICK_US)).toEqual([1]);
    expect(waiting.nextTimeoutUs).toBe(NEVER);
    expect(takeAll(waiting, NEVER)).toEqual([]);
  });

  test("go on waiting when they change again, and are told to all if one of the changes asks for it", () => {
    const waiting = settling();
    waiting.add(0, 1, 4, true);
    waiting.add(1, 1, 1, false);
    expect(takeAll(waiting, 3 * TICK_US)).toEqual([]);
    expect(takeAll(waiting, 4 * TICK_US)).toEqual(["1!"]);
  });

  test("are not told once they are lost, and wait anew when they are found again", () => {
    const waiting = settling();
    waiting.add(0, 1, WORSE_TICKS, true);
    waiting.drop(1);
    expect(waiting.isWaiting(1)).toBe(false);
    waiting.add(10 * TICK_US, 1, 2, false);
    expect(takeAll(waiting, 12 * TICK_US)).toEqual([1]);
    expect(takeAll(waiting, WORSE_TICKS * TICK_US)).toEqual([]);
    expect(waiting.nextTimeoutUs).toBe(NEVER);
  });

  test("are soon told, or not so soon, as a snapshot wants to know", () => {
    const waiting = settling();
    waiting.add(0, 1, 4, false);
    waiting.add(0, 2, WORSE_TICKS, false);
    expect([1, 2, 3].map((one) => waiting.isSoon(0, one))).toEqual([true, false, false]);
    expect(waiting.isSoon((WORSE_TICKS - 4) * TICK_US, 2)).toBe(true);
  });

  test("are each told once, in time and never before, however they come, are lost, and the node sleeps", () => {
    for (const seed of ["a", "b", "c", "d", "e"]) {
      const random = randomFrom(`settling/${seed}`);
      const waiting = settling();
      const model = new Map<number, { dueUs: number; isForced: boolean }>();
      let nowUs = 0;
      for (let step = 0; step < 20_000; step += 1) {
        nowUs += random.chance(0.01) ? random.below(200 * TICK_US) : random.below(TICK_US / 4);
        const told = takeAll(waiting, nowUs);
        const due = [...model].filter(([, { dueUs }]) => dueUs <= nowUs);
        const expected = due.map(([one, { isForced }]) => (isForced ? `${one}!` : one));
        expect(told.toSorted(), seed).toEqual(expected.toSorted());
        for (const [one] of due) model.delete(one);
        const one = random.below(64);
        if (random.chance(0.1)) {
          waiting.drop(one);
          model.delete(one);
        } else {
          const ticks = 1 + random.below(WORSE_TICKS);
          const isForced = random.chance(0.3);
          waiting.add(nowUs, one, ticks, isForced);
          const known = model.get(one);
          const dueUs = known?.dueUs ?? (Math.ceil(nowUs / TICK_US) + ticks) * TICK_US;
          model.set(one, { dueUs, isForced: isForced || (known?.isForced ?? false) });
        }
        expect(waiting.isWaiting(one)).toBe(model.has(one));
        const firstUs = Math.min(NEVER, ...[...model.values()].map(({ dueUs }) => dueUs));
        expect(waiting.nextTimeoutUs, seed).toBeLessThanOrEqual(firstUs);
      }
    }
  });
});
