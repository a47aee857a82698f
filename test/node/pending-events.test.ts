/** The bench of the simulator's queue: it measures a queue that works. */
import { expect, test } from "vitest";
import { measurePending, turnOver } from "../../node/bench/pending-events.js";
import { pendingFigures, simTable } from "../../node/bench/sim.js";
import { Calendar } from "../../sim/engine/calendar.js";

test("ten thousand timers ring and are set again, near and far ones, and none is lost", () => {
  expect(turnOver(10_000, 60_000)).toBeGreaterThan(1_000);
});

test("a queue that forgets a timer, or lets it ring at another time, is not measured", () => {
  const { setTimer } = Calendar.prototype;
  try {
    Calendar.prototype.setTimer = function (node, dueUs) {
      if (node !== 7) setTimer.call(this, node, dueUs);
    };
    expect(() => turnOver(100, 500)).toThrow("the timer of node 7 is lost");
    Calendar.prototype.setTimer = function (node, dueUs) {
      setTimer.call(this, node, dueUs);
      this.timerUs[node] = dueUs - 1_000_000;
    };
    expect(() => turnOver(100, 500)).toThrow(/the timer of node \d+, due at .* us, rang at/);
  } finally {
    Calendar.prototype.setTimer = setTimer;
  }
});

test("the table tells the rates, how much slower a million is, and how much of that is not the cache's", () => {
  const table = simTable(
    pendingFigures([
      { pending: 1_000, eventsPerSecond: 6e6, touchesPerSecond: 16e6 },
      { pending: 100_000, eventsPerSecond: 5e6, touchesPerSecond: 15e6 },
      { pending: 1_000_000, eventsPerSecond: 1.5e6, touchesPerSecond: 5e6 },
    ]),
  );
  expect(table).toMatch(/1,000,000 timers pending +1\.5 +million events\/s\n/);
  expect(table).toMatch(/a million pending over 1,000 +4 +times as slow\n/);
  expect(table).toMatch(/the same memory, no queue +3\.2 +times as slow\n/);
  expect(table).toMatch(/the queue less its memory +1\.25 +<= 2 +<= 1\.5 +goal +times as slow\n/);
});

test("a hundred times the timers are not ten times as slow, whatever else the machine does", () => {
  const [few, many] = measurePending([1_000, 100_000], 100_000);
  expect(few!.eventsPerSecond / many!.eventsPerSecond).toBeLessThan(10);
});
