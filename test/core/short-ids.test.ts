import { expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { ID_NONE, IncomingIds, OutgoingIds, SHORT_IDS_MAX } from "../../core/routing/short-ids.js";

test("a node gives ids from zero upwards, those that ended first, the last ended before the others", () => {
  const ids = new OutgoingIds();
  expect([ids.take(), ids.take(), ids.take(), ids.take()]).toEqual([0, 1, 2, 3]);
  ids.giveBack(1);
  ids.giveBack(3);
  expect(ids.inUse).toBe(2);
  expect([ids.take(), ids.take(), ids.take()]).toEqual([3, 1, 4]);
});

test("there are 65,535; who comes later has none until one ends", () => {
  const ids = new OutgoingIds();
  for (let id = 0; id < SHORT_IDS_MAX; id += 1) expect(ids.take()).toBe(id);
  expect([ids.take(), ids.inUse]).toEqual([-1, SHORT_IDS_MAX]);
  ids.giveBack(7);
  expect([ids.take(), ids.take()]).toEqual([7, -1]);
});

test("which ids are free, and in which order they come again, shows in the digest", () => {
  const digestOf = (...ended: number[]) => {
    const ids = new OutgoingIds();
    for (let id = 0; id < 5; id += 1) ids.take();
    for (const id of ended) ids.giveBack(id);
    const into = new Digest();
    ids.digest(into);
    return into.hex();
  };
  expect(new Set([digestOf(), digestOf(1), digestOf(2), digestOf(1, 2), digestOf(2, 1)]).size).toBe(5);
});

test("an id that was heard means its destination until it ends, or is given anew", () => {
  const ids = new IncomingIds(heapAllocator);
  ids.give(40, 4);
  expect([ids.destinationOf(40), ids.destinationOf(39), ids.destinationOf(65_534)]).toEqual([4, -2, -2]);
  ids.give(40, 9);
  expect([ids.destinationOf(40), ids.inUse]).toEqual([9, 1]);
  ids.end(40);
  ids.end(40);
  ids.end(60_000);
  expect([ids.destinationOf(40), ids.inUse]).toEqual([-2, 0]);
});

test("a route that was refused has its id all the same, and none has the id that stands for none", () => {
  const ids = new IncomingIds(heapAllocator);
  ids.give(0, -1);
  ids.give(ID_NONE, 5);
  expect([ids.destinationOf(0), ids.destinationOf(ID_NONE), ids.inUse]).toEqual([-1, -2, 1]);
});

test("an id costs two bytes at the hearing end, four once the numbers need them, and little is unused", () => {
  const ids = new IncomingIds(heapAllocator);
  expect(ids.bytes).toBe(0);
  for (let id = 0; id < 5_000; id += 1) ids.give(id, id);
  expect(ids.bytes).toBeLessThan(5_000 * 2 * 1.26);
  for (let id = 5_000; id < 60_000; id += 1) ids.give(id, id);
  expect(ids.bytes).toBeLessThanOrEqual(SHORT_IDS_MAX * 2);
  ids.give(60_000, 70_000);
  expect(ids.bytes).toBeGreaterThan(60_000 * 4);
  expect([ids.destinationOf(0), ids.destinationOf(59_999), ids.destinationOf(60_000)]).toEqual([0, 59_999, 70_000]);
});
