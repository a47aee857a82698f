import fc from "fast-check";
import { expect, test } from "vitest";
import { DeadlineHeap } from "../../core/time/deadline-heap.js";
import { NEVER } from "../../core/time/instant.js";

/** The same with a sorted list. */
class Model {
  private readonly deadlines = new Map<number, number>();

  set(id: number, deadlineUs: number): void {
    if (deadlineUs === NEVER) this.deadlines.delete(id);
    else this.deadlines.set(id, deadlineUs);
  }

  get soonest(): [number, number] | undefined {
    return [...this.deadlines].sort(([idA, a], [idB, b]) => a - b || idA - idB)[0];
  }
}

const moves = fc.array(
  fc.record({
    id: fc.oneof(fc.nat(12), fc.nat(300)),
    deadlineUs: fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.constant(NEVER) }),
  }),
  { maxLength: 200 },
);

test("after any moves the soonest is the soonest, ties by number", () => {
  fc.assert(
    fc.property(moves, (list) => {
      const heap = new DeadlineHeap();
      const model = new Model();
      for (const { id, deadlineUs } of list) {
        heap.set(id, deadlineUs);
        model.set(id, deadlineUs);
        const soonest = model.soonest;
        expect(heap.soonestUs).toBe(soonest?.[1] ?? NEVER);
        expect(heap.due(NEVER - 1)).toBe(soonest?.[0] ?? -1);
      }
    }),
    { numRuns: 300 },
  );
});

test("what is due by a time is known without being taken out", () => {
  fc.assert(
    fc.property(moves, fc.nat(20), (list, untilUs) => {
      const heap = new DeadlineHeap();
      const deadlines = new Map<number, number>();
      for (const { id, deadlineUs } of list) {
        heap.set(id, deadlineUs);
        deadlines.set(id, deadlineUs);
      }
      const due = heap.dueBy(untilUs);
      const expected = [...deadlines].filter(([, deadlineUs]) => deadlineUs <= untilUs).map(([id]) => id);
      expect(due.sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
    }),
    { numRuns: 300 },
  );
});

test("emptied one by one, any set of timers comes out sorted", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(500), { maxLength: 120 }), fc.nat(30), (ids, spread) => {
      const heap = new DeadlineHeap();
      const expected = ids.map((id) => ({ id, deadlineUs: (id * 7919) % (spread + 1) }));
      for (const { id, deadlineUs } of expected) heap.set(id, deadlineUs);
      const out: { id: number; deadlineUs: number }[] = [];
      for (let id = heap.due(1000); id >= 0; id = heap.due(1000)) {
        out.push({ id, deadlineUs: heap.soonestUs });
        heap.set(id, NEVER);
      }
      expect(out).toEqual(expected.sort((a, b) => a.deadlineUs - b.deadlineUs || a.id - b.id));
      expect(heap.soonestUs).toBe(NEVER);
    }),
  );
});

test("nothing is due before its time, and what is due stays until it is moved", () => {
  const heap = new DeadlineHeap();
  expect(heap.due(0)).toBe(-1);
  heap.set(3, 100);
  expect(heap.due(99)).toBe(-1);
  expect(heap.due(100)).toBe(3);
  expect(heap.due(100)).toBe(3);
  heap.set(3, 101);
  expect(heap.due(100)).toBe(-1);
});

test("removing what was never set, or twice, is nothing", () => {
  const heap = new DeadlineHeap();
  heap.set(9, NEVER);
  heap.set(1, 5);
  heap.set(1, NEVER);
  heap.set(1, NEVER);
  expect(heap.soonestUs).toBe(NEVER);
  heap.set(2, 7);
  expect(heap.due(7)).toBe(2);
});
