import fc from "fast-check";
import { expect, test } from "vitest";
import { Ingress } from "../../core/routing/ingress.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";

test("three breaches in a minute make a stub of a neighbour, and three more get it banned", () => {
  const ingress = new Ingress();
  const standings = Array.from({ length: 7 }, (_, i) => {
    ingress.blame(100 * SECOND_US + 2 * i * SECOND_US);
    return ingress.standing;
  });
  expect(standings).toEqual(["believed", "believed", "stub", "stub", "stub", "banned", "banned"]);
});

test("a flood of breaches within one second is one", () => {
  const ingress = new Ingress();
  for (let i = 0; i < 1_000; i += 1) ingress.blame(100 * SECOND_US + i * 900);
  expect(ingress.standing).toBe("believed");
});

test("whoever has fewer than three in any minute is believed for ever", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 30, max: 500 }), { maxLength: 100 }), (gaps) => {
      const ingress = new Ingress();
      let second = 0;
      for (const gap of gaps) {
        second += gap; // two in a minute at most, wherever it begins, and a third in the next half
        ingress.blame(second * SECOND_US);
        expect(ingress.standing).toBe("believed");
      }
    }),
  );
});

test("a table of 50,000 entries passes as fast as messages may, and afterwards 2,500 a second", () => {
  const ingress = new Ingress();
  let nowUs = 0;
  let entries = 0;
  const pour = (untilUs: number) => {
    for (; nowUs < untilUs; nowUs += MILLISECOND_US) {
      while (ingress.take(nowUs)) {
        ingress.charge(nowUs, 25);
        entries += 25;
      }
    }
  };
  pour(1_100 * MILLISECOND_US);
  expect(entries).toBeGreaterThanOrEqual(50_000);
  expect(ingress.isSpent).toBe(false);
  pour(30 * SECOND_US);
  expect(ingress.isSpent).toBe(true);
  const before = entries;
  pour(40 * SECOND_US);
  expect(entries - before).toBeGreaterThanOrEqual(24_900);
  expect(entries - before).toBeLessThanOrEqual(25_100);
});
