import { expect, test } from "vitest";
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
