import { expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { IncomingIds, OutgoingIds, SHORT_IDS_MAX } from "../../core/routing/short-ids.js";
import { randomFrom } from "../support/random.js";

function twoEnds(destinations: number) {
  const said = { ids: new Uint16Array(destinations) };
  const heard: { named: Uint16Array | Uint32Array } = { named: new Uint16Array(64) };
  return { outgoing: new OutgoingIds(said), incoming: new IncomingIds(heard, heapAllocator), heard };
}

test("both ends count alike, whatever is announced, repeated in full and taken back", () => {
  for (const seed of ["a", "b", "c"]) {
    const random = randomFrom(`ids/${seed}`);
    const { outgoing, incoming } = twoEnds(400);
    const told = new Set<number>();
    for (let step = 0; step < 20_000; step += 1) {
      const destination = random.below(400);
      const id = outgoing.idOf(destination);
      if (!told.has(destination) || random.chance(0.02)) {
        outgoing.give(destination);
        incoming.give(destination);
        told.add(destination);
      } else {
        expect(incoming.destinationOf(id)).toBe(destination);
        if (random.chance(0.4)) continue;
        outgoing.end(destination);
        incoming.end(id);
        told.delete(destination);
        expect(outgoing.idOf(destination)).toBe(-1);
        expect(incoming.destinationOf(id)).toBe(-2);
      }
    }
    expect(outgoing.inUse).toBe(incoming.inUse);
    const digests = [outgoing, incoming].map((ids) => {
      const into = new Digest();
      ids.digest(into);
      return into.hex();
    });
    expect(digests[0]).toBe(digests[1]);
  }
});

test("there are 65,535; who comes later has none until one ends", () => {
  const { outgoing, incoming, heard } = twoEnds(70_000);
  for (let destination = 0; destination < 70_000; destination += 1) {
    outgoing.give(destination);
    incoming.give(destination);
  }
  expect([outgoing.inUse, incoming.inUse]).toEqual([SHORT_IDS_MAX, SHORT_IDS_MAX]);
  expect(outgoing.idOf(SHORT_IDS_MAX - 1)).toBe(SHORT_IDS_MAX - 1);
  expect(outgoing.idOf(SHORT_IDS_MAX)).toBe(-1);
  incoming.end(outgoing.idOf(7));
  outgoing.end(7);
  outgoing.give(69_999);
  incoming.give(69_999);
  expect(outgoing.idOf(69_999)).toBe(7);
  expect(incoming.destinationOf(7)).toBe(69_999);
  expect(heard.named.length).toBeLessThanOrEqual(65_536);
});

test("an id costs two bytes at each end, four at the hearing end once the numbers need them", () => {
  const { outgoing, incoming, heard } = twoEnds(80_000);
  for (let destination = 0; destination < 60_000; destination += 1) outgoing.give(destination);
  for (let destination = 0; destination < 60_000; destination += 1) incoming.give(destination);
  expect(heard.named).toBeInstanceOf(Uint16Array);
  incoming.give(70_000);
  expect(heard.named).toBeInstanceOf(Uint32Array);
  expect([incoming.destinationOf(0), incoming.destinationOf(59_999), incoming.destinationOf(60_000)]).toEqual([
    0, 59_999, 70_000,
  ]);
});

test("a route that was refused has its id all the same, and an id that nobody gave means nothing", () => {
  const { incoming } = twoEnds(10);
  incoming.give(-1);
  incoming.give(4);
  expect([0, 1, 2, 65_535].map((id) => incoming.destinationOf(id))).toEqual([-1, 4, -2, -2]);
});
