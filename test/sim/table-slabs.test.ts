import { expect, test } from "vitest";
import type { NumberColumn } from "../../core/collections/table-allocator.js";
import { NodeTables, TableSlabs } from "../../sim/engine/table-slabs.js";
import { randomFrom } from "../support/random.js";

const SLAB_BYTES = 64 << 20;

test("columns come as zeros, keep what is written into them, and share no memory while they are held", () => {
  const random = randomFrom("slabs");
  const slabs = new TableSlabs();
  const held: { readonly column: NumberColumn; readonly mark: number }[] = [];
  for (let step = 1; step <= 600; step += 1) {
    if (held.length > 60 || (held.length > 0 && random.below(2) === 0)) {
      const { column, mark } = held.splice(random.below(held.length), 1)[0]!;
      expect(column.every((value) => value === mark)).toBe(true);
      slabs.release(column);
    } else {
      const length = 1 + random.below(random.below(4) === 0 ? 200_000 : 6_000);
      const column = random.below(2) === 0 ? slabs.u16(length) : slabs.u32(length);
      expect(column.length).toBe(length);
      expect(column.every((value) => value === 0)).toBe(true);
      held.push({ column: column.fill(step), mark: step });
    }
  }
  for (const { column, mark } of held) expect(column.every((value) => value === mark)).toBe(true);
});

test("what grows leaves its memory to others: a hundred tables that grow step by step need little more than their size", () => {
  const slabs = new TableSlabs();
  const buffers = new Set<ArrayBufferLike>();
  const columns: NumberColumn[] = [];
  for (let length = 4_000; length <= 80_000; length += 4_000) {
    for (let table = 0; table < 100; table += 1) {
      const column = slabs.u32(length);
      buffers.add(column.buffer);
      if (columns[table] !== undefined) slabs.release(columns[table]!);
      columns[table] = column;
    }
  }
  const need = 100 * 80_000 * 4;
  expect(buffers.size * SLAB_BYTES).toBeLessThan(need + 2 * SLAB_BYTES); // all that was left behind comes to ten times that
});

test("the tables of a node that is gone serve the next node, and small columns cost no page", () => {
  const slabs = new TableSlabs();
  const places = new Set<string>();
  for (let life = 0; life < 50; life += 1) {
    const tables = new NodeTables(slabs);
    const large = tables.u32(10_000);
    const left = tables.u16(5_000);
    tables.release(left);
    const small = tables.u16(100);
    expect(small.byteLength).toBe(small.buffer.byteLength);
    places.add(`${large.byteOffset}`);
    tables.release(small);
    tables.releaseAll();
  }
  expect(places.size).toBe(1);
});

test("more than a slab has is refused by name", () => {
  expect(() => new TableSlabs().u32(SLAB_BYTES)).toThrow(/TableSlabs: 65536 pages/);
});
