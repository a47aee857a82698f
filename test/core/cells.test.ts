import { expect, test } from "vitest";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { Cells } from "../../core/routing/cells.js";
import { AGE_OLD, METRIC_INFINITY, METRIC_NONE } from "../../core/routing/feasible.js";
import { randomFrom } from "../support/random.js";

const FLAGS = 0x400;
/** Around all that is stored in another way, and the greatest. */
const AGES = [0, 1, 2, 252, 253, 254, 255, 256, 1_000, AGE_OLD - 2, AGE_OLD - 1, AGE_OLD];
const STEPS = [1, 2, 253, 254, 255, 70_000, 2 ** 33];

interface Held {
  age: number;
  metric: number;
  told: number;
  flags: number;
}

test("cells hold exactly what was written, however old, while ages grow and the table does", () => {
  const random = randomFrom("cells");
  for (let round = 0; round < 200; round += 1) {
    let destinations = 3;
    let slots = 0;
    const cells = new Cells(destinations, heapAllocator);
    const held = new Map<string, Held>();
    const heldAt = (destination: number, slot: number): Held => {
      const key = `${destination} ${slot}`;
      const found = held.get(key) ?? { age: AGE_OLD, metric: METRIC_NONE, told: METRIC_NONE, flags: 0 };
      held.set(key, found);
      return found;
    };
    const metric = () => (random.below(4) === 0 ? METRIC_NONE : random.below(METRIC_INFINITY + 1));
    const widen = () => {
      slots += 1 + random.below(3);
      const all = Uint16Array.from({ length: destinations }, (_, destination) => destination);
      cells.widen(slots, all, destinations);
    };
    widen();
    for (let step = 0; step < 60; step += 1) {
      const destination = random.below(destinations);
      const slot = random.below(slots);
      const cell = cells.at(destination, slot);
      const own = heldAt(destination, slot);
      switch (random.below(8)) {
        case 0:
        case 1:
          own.age = AGES[random.below(AGES.length)]!;
          cells.setAge(cell, own.age);
          if (own.age >= 0x8000) own.age = AGE_OLD;
          break;
        case 2:
          own.metric = metric();
          cells.setMetric(cell, own.metric);
          break;
        case 3:
          own.told = metric();
          cells.setTold(cell, own.told);
          break;
        case 4:
          own.flags = random.below(FLAGS);
          cells.setFlags(cell, own.flags);
          break;
        case 5: {
          const by = STEPS[random.below(STEPS.length)]!;
          cells.growAges(destination, by);
          for (let other = 0; other < slots; other += 1) {
            const beside = heldAt(destination, other);
            beside.age = beside.age + by < 0x8000 ? beside.age + by : AGE_OLD;
          }
          break;
        }
        case 6:
          cells.clear(cell);
          held.delete(`${destination} ${slot}`);
          break;
        default:
          if (random.below(10) > 0) break;
          if (random.below(2) === 0) widen();
          else {
            destinations += 1 + random.below(5);
            cells.grow(destinations);
          }
      }
    }
    for (let d = 0; d < destinations; d += 1) {
      for (let s = 0; s < slots; s += 1) {
        const at = cells.at(d, s);
        const is = { age: cells.age(at), metric: cells.metric(at), told: cells.told(at), flags: cells.flags(at) };
        expect(is, `round ${round}, cell ${d} ${s}`).toEqual(heldAt(d, s));
      }
    }
  }
});
