import fc from "fast-check";
import { expect, test } from "vitest";
import { REPLAY_WINDOW, ReplayWindow } from "../../core/session/replay-window.js";

/** The definition, in sets and without a ring. */
class Model {
  private readonly seen = new Set<number>();
  private newest = -1;
  isFresh(counter: number): boolean {
    return counter > this.newest - REPLAY_WINDOW && !this.seen.has(counter);
  }
  mark(counter: number): void {
    this.seen.add(counter);
    this.newest = Math.max(this.newest, counter);
  }
}

test("the window tells new numbers from old ones exactly as its definition does", () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -40, max: 40 }) },
    { weight: 2, arbitrary: fc.integer({ min: -REPLAY_WINDOW - 3, max: -REPLAY_WINDOW + 3 }) },
    { weight: 2, arbitrary: fc.integer({ min: REPLAY_WINDOW - 3, max: REPLAY_WINDOW + 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: -3 * REPLAY_WINDOW, max: 3 * REPLAY_WINDOW }) },
  );
  fc.assert(
    fc.property(fc.constantFrom(0, 8190, 2 ** 32 - 5, 2 ** 45), fc.array(step, { maxLength: 300 }), (start, steps) => {
      const window = new ReplayWindow();
      const model = new Model();
      let near = start;
      for (const by of steps) {
        const counter = Math.max(0, near + by);
        expect(window.isFresh(counter)).toBe(model.isFresh(counter));
        if (window.isFresh(counter)) {
          window.mark(counter);
          model.mark(counter);
        }
        near = Math.max(near, counter);
      }
    }),
    { numRuns: 200 },
  );
});

test("the number 8,191 behind the newest is still told apart, the one 8,192 behind counts as received", () => {
  const window = new ReplayWindow();
  window.mark(20_000);
  expect(window.isFresh(20_000 - REPLAY_WINDOW + 1)).toBe(true);
  expect(window.isFresh(20_000 - REPLAY_WINDOW)).toBe(false);
});
