import { expect, test } from "vitest";
import { heapAllocator, type NumberColumn } from "../../core/collections/table-allocator.js";
import { PendingLists } from "../../core/routing/pending-lists.js";
import { randomFrom } from "../support/random.js";

test("many lists in one memory are each first in, first out, whatever is put in, taken and cleared", () => {
  for (const seed of ["a", "b", "c", "d"]) {
    const random = randomFrom(`pending/${seed}`);
    const lists = new PendingLists();
    const model: number[][] = Array.from({ length: 12 }, () => []);
    for (let step = 0; step < 20_000; step += 1) {
      const list = random.below(12);
      const expected = model[list]!;
      const isFilling = Math.floor(step / 2_000) % 2 === 0;
      if (random.chance(isFilling ? 0.7 : 0.3)) {
        const destination = random.below(100_000);
        lists.push(list, destination);
        expected.push(destination);
      } else if (random.chance(0.002)) {
        lists.clear(list);
        expected.length = 0;
      } else expect(lists.shift(list), seed).toBe(expected.shift() ?? -1);
      expect(lists.length(list), seed).toBe(expected.length);
    }
    for (const [list, expected] of model.entries()) {
      for (const destination of expected) expect(lists.shift(list), seed).toBe(destination);
      expect(lists.shift(list)).toBe(-1);
    }
  }
});

test("a list that was never used is empty", () => {
  const lists = new PendingLists();
  expect([lists.length(40), lists.shift(40)]).toEqual([0, -1]);
  lists.clear(40);
});

test("places taken up hold the next, and all memory goes back when all lists are empty", () => {
  const held = new Set<NumberColumn>();
  const note = <Column extends NumberColumn>(column: Column): Column => {
    if (column.length > 0) held.add(column);
    return column;
  };
  const lists = new PendingLists({
    u16: (length) => note(heapAllocator.u16(length)),
    u32: (length) => note(heapAllocator.u32(length)),
    release: (column) => held.delete(column),
  });
  for (let round = 0; round < 20; round += 1) {
    for (let i = 0; i < 5_000; i += 1) lists.push(i % 3, i);
    for (let i = 0; i < 4_999; i += 1) lists.shift(i % 3);
    const bytes = [...held].reduce((sum, column) => sum + column.byteLength, 0);
    expect(bytes).toBeLessThan(5_001 * 4 * 1.3);
    expect(lists.shift(1)).toBe(4_999);
    expect(held.size).toBe(0);
  }
});
