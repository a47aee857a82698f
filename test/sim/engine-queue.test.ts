import fc from "fast-check";
import { expect, test } from "vitest";
import { Calendar } from "../../sim/engine/calendar.js";
import { EventHeap } from "../../sim/engine/event-heap.js";
import { Packets } from "../../sim/engine/packets.js";

const byTime = (a: readonly number[], b: readonly number[]) => a[0]! - b[0]! || a[1]! - b[1]!;

test("the heap gives events back in their total order, whatever was pushed when", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(1_000))), (events) => {
      const heap = new EventHeap(1);
      for (const [i, [timeUs, key]] of events.entries()) heap.push(timeUs, key, i);
      const seen: number[][] = [];
      for (; heap.size > 0; heap.shift()) seen.push([heap.timeUs, heap.key]);
      expect(seen).toEqual([...events].sort(byTime));
    }),
  );
});

test("the calendar gives each timer at its last set time and each datagram once, near or hours away", () => {
  const timeUs = fc.oneof(fc.nat(3_000_000), fc.nat(7_200_000_000));
  const command = fc.tuple(fc.boolean(), fc.nat(9), timeUs);
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 60 }),
      fc.integer({ min: 50, max: 200_000 }),
      (commands, lookaheadUs) => {
        const packets = new Packets();
        const calendar = new Calendar(packets, 10, lookaheadUs);
        const timers = new Map<number, number>();
        const expected: number[][] = [];
        for (const [i, [isTimer, node, dueUs]] of commands.entries()) {
          if (isTimer) {
            calendar.setTimer(node, dueUs);
            timers.set(node, dueUs);
            continue;
          }
          const slot = packets.make(new Uint8Array(10), 0, 10);
          packets.dueUs[slot] = dueUs;
          packets.key[slot] = i;
          calendar.addPacket(slot);
          expected.push([dueUs, 0]);
        }
        for (const dueUs of timers.values()) expected.push([dueUs, 1]);
        const seen: number[][] = [];
        for (let turns = 0; turns <= commands.length; turns += 1) {
          const window = calendar.nextWindow();
          if (window === Number.POSITIVE_INFINITY) break;
          const end = calendar.startOf(window + 1);
          const inWindow: number[][] = [];
          calendar.take(
            window,
            end,
            (slot) => inWindow.push([packets.dueUs[slot]!, 0]),
            (node) => inWindow.push([calendar.timerUs[node]!, 1]),
          );
          expect(inWindow.length, "no window is run for nothing").toBeGreaterThan(0);
          seen.push(...inWindow.sort(byTime));
        }
        expect(seen).toEqual(expected.sort(byTime));
      },
    ),
  );
});

test("no window is longer than the least delay between islands", () => {
  for (const lookaheadUs of [1, 7, 333, 5_000, 30_001, 99_999]) {
    const calendar = new Calendar(new Packets(), 1, lookaheadUs);
    for (let window = 0; window < 200; window += 1) {
      expect(calendar.startOf(window + 1) - calendar.startOf(window)).toBeLessThanOrEqual(lookaheadUs + 1);
      const lastUs = calendar.startOf(window + 1) - 1;
      expect(calendar.windowOf(calendar.startOf(window))).toBe(window);
      expect(calendar.windowOf(lastUs)).toBe(window);
      expect(calendar.windowOf(calendar.startOf(window) + lookaheadUs)).toBeGreaterThan(window);
    }
  }
});
