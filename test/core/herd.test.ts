import { expect, test } from "vitest";
import { Herd } from "../../core/link/herd.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { randomFrom } from "../support/random.js";

test("who loses most of its links at once dials them again spread over three seconds, all but the first few", () => {
  const random = randomFrom("herd");
  const herd = new Herd();
  const waits = Array.from({ length: 60 }, (_, i) =>
    herd.handleLost(100 * SECOND_US + i * MILLISECOND_US, 59 - i, () => random.u32()),
  );
  expect(waits.slice(0, 30).every((wait) => wait === 0)).toBe(true); // as many are left: it may be those alone
  const spread = waits.slice(30).sort((a, b) => a - b);
  expect(spread[0]).toBeLessThan(SECOND_US);
  expect(spread.at(-1)).toBeGreaterThan(2 * SECOND_US);
  expect(spread.at(-1)).toBeLessThan(3 * SECOND_US);
});

test("three links, or one now and then, are dialled again at once", () => {
  const herd = new Herd();
  const never = () => {
    throw new Error("nothing is to be drawn");
  };
  for (let i = 0; i < 3; i += 1) expect(herd.handleLost(100 * SECOND_US, 2 - i, never)).toBe(0);
  for (let i = 0; i < 20; i += 1) expect(herd.handleLost((200 + 4 * i) * SECOND_US, 0, never)).toBe(0);
});
