import fc from "fast-check";
import { expect, test } from "vitest";
import { Cap } from "../../core/collections/cap.js";
import { FlapDamping } from "../../core/link/flap-damping.js";
import { SECOND_US } from "../../core/time/instant.js";

test("the first drop costs nothing, the next ones 2, 4, 8 .. 60 s, and a minute halves them", () => {
  const damping = new FlapDamping(new Cap("test", 4));
  const holds: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    damping.noteDrop(0, 1);
    holds.push(damping.holdUs(0, 1) / SECOND_US);
  }
  expect(holds).toEqual([0, 2, 4, 8, 16, 32, 60, 60, 60]);
  const later = [60, 120, 180, 240].map((second) => damping.holdUs(second * SECOND_US, 1) / SECOND_US);
  expect(later).toEqual([8, 2, 0, 0]);
});

test("a path that drops every forty seconds is hardly held, one that drops every ten for as long as can be", () => {
  const longestOf = (everySeconds: number) => {
    const damping = new FlapDamping(new Cap("test", 4));
    let longest = 0;
    for (let second = 0; second < 1_200; second += everySeconds) {
      damping.noteDrop(second * SECOND_US, 1);
      longest = Math.max(longest, damping.holdUs(second * SECOND_US, 1));
    }
    return longest / SECOND_US;
  };
  expect([longestOf(60), longestOf(40), longestOf(10)]).toEqual([0, 4, 60]);
});

test("other paths are not held, and of too many the calmest is forgotten", () => {
  const cap = new Cap("test", 4);
  const damping = new FlapDamping(cap);
  for (const path of [1, 1, 2, 2, 3, 3, 4, 4]) damping.noteDrop(0, path);
  expect(damping.holdUs(0, 9)).toBe(0);
  damping.noteDrop(1, 1);
  damping.noteDrop(1, 5);
  expect([1, 2, 3].map((path) => damping.holdUs(1, path) / SECOND_US)).toEqual([4, 0, 2]);
  expect(cap.peak).toBe(4);
});

test("whatever a path did, five minutes of rest free it", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(90), { maxLength: 40 }), (gaps) => {
      const damping = new FlapDamping(new Cap("test", 4));
      let second = 0;
      for (const gap of gaps) {
        second += gap;
        damping.noteDrop(second * SECOND_US, 7);
        expect(damping.holdUs(second * SECOND_US, 7)).toBeLessThanOrEqual(60 * SECOND_US);
      }
      expect(damping.holdUs((second + 300) * SECOND_US, 7)).toBe(0);
    }),
  );
});
