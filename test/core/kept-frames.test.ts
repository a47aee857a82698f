import { expect, test } from "vitest";
import { heapAllocator, type NumberColumn, type TableAllocator } from "../../core/collections/table-allocator.js";
import { type KeptFrame, KeptFrames } from "../../core/routing/kept-frames.js";
import { randomFrom } from "../support/random.js";

/** What it gave out and was not given back, bytes; what comes back is overwritten, as by the next owner. */
function counting(): TableAllocator & { readonly held: Set<NumberColumn>; readonly bytes: () => number } {
  const held = new Set<NumberColumn>();
  const note = <Column extends NumberColumn>(column: Column): Column => {
    held.add(column);
    return column;
  };
  return {
    held,
    bytes: () => [...held].reduce((sum, column) => sum + column.byteLength, 0),
    u16: (length) => note(heapAllocator.u16(length)),
    u32: (length) => note(heapAllocator.u32(length)),
    release: (column) => {
      expect(held.delete(column)).toBe(true);
      column.fill(0xffff);
    },
  };
}

const isSame = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);

test("frames stay as they were kept, whatever is kept and given back meanwhile", () => {
  const random = randomFrom("kept frames");
  const allocate = counting();
  const frames = new KeptFrames(allocate);
  const kept: { readonly frame: KeptFrame; readonly bytes: Uint8Array }[] = [];
  for (let step = 0; step < 4_000; step += 1) {
    const choice = random.below(20);
    if (choice === 0) frames.trim();
    else if (choice < 10 || kept.length === 0) {
      const bytes = random.bytes(random.below(40) === 0 ? random.between(4_000, 9_000) : random.between(1, 1_200));
      const around = new Uint8Array(bytes.length + 20);
      around.set(bytes, 7);
      const frame = frames.keep(step, around, 7, 7 + bytes.length);
      expect([frame.atUs, frame.firstUs, frame.isMissing]).toEqual([step, step, false]);
      kept.push({ frame, bytes });
    } else {
      const { frame, bytes } = kept.splice(random.below(Math.min(kept.length, 5)), 1)[0]!;
      expect(isSame(frame.bytes, bytes)).toBe(true);
      frame.isMissing = true;
      frames.giveBack(frame);
    }
  }
  for (const { frame, bytes } of kept) {
    expect(isSame(frame.bytes, bytes)).toBe(true);
    frames.giveBack(frame);
  }
  frames.trim();
  expect(allocate.held.size).toBe(0);
});

test("hundreds of frames cost little more than their bytes, and one small frame takes two kilobytes", () => {
  const allocate = counting();
  const frames = new KeptFrames(allocate);
  const first = frames.keep(0, new Uint8Array(40), 0, 40);
  expect(allocate.bytes()).toBeLessThan(2_048);
  const many = Array.from({ length: 300 }, () => frames.keep(0, new Uint8Array(1_150), 0, 1_150));
  expect(allocate.bytes()).toBeLessThan(300 * 1_150 * 1.1);
  const stragglers = many.filter((_, i) => i % 30 === 0);
  for (const frame of many) if (!stragglers.includes(frame)) frames.giveBack(frame);
  expect(allocate.bytes()).toBeLessThan(12 * 12_288);
  for (const frame of [first, ...stragglers]) frames.giveBack(frame);
  expect(allocate.held.size).toBe(2); // the next are written into them
  frames.trim();
  expect(allocate.held.size).toBe(0);
});
