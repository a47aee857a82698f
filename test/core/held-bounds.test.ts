/** What peers can make us hold: out of order, unread, unreported; by one session, and by all of a stack together. */
import { describe, expect, test } from "vitest";
import { StreamBounds } from "../../core/stream/bounds.js";
import { Reassembly } from "../../core/stream/reassembly.js";
import { SECOND_US } from "../../core/time/instant.js";
import { CellStore } from "../../core/transport/cell-store.js";
import { StoreBounds } from "../../core/transport/store-bounds.js";
import { CELL_BYTES, CELL_FRAMES_BYTES, EndCode } from "../../core/wire/cell.js";
import type { Writer } from "../../core/wire/cursor.js";
import { encodeOpen } from "../../core/wire/stream-control-frames.js";
import { encodeStreamHeader } from "../../core/wire/stream-frame.js";
import { forgedCell } from "../support/forged-cell.js";
import { liveBytes } from "../support/heap.js";
import { randomFrom } from "../support/random.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";
import { patternBytes, TransportPair } from "../support/transport-pair.js";

const MIB = 1 << 20;

/** Reliable cells of a client that keeps no rules, one after another. */
function liesTo(pair: TransportPair): (write: (out: Writer) => void) => string | undefined {
  pair.drops = (fromClient) => !fromClient; // the real client knows nothing of what is said in its name
  let seq = 0;
  return (write) => {
    seq += 1;
    return pair.server.transport.handleCell(pair.nowUs, seq, forgedCell(seq, write), 0, CELL_BYTES);
  };
}

/** One byte of data, where it says. */
function oneByte(out: Writer, id: number, offset: number): void {
  encodeStreamHeader(out, id, offset, 1, false);
  out.u8(1);
}

describe("bytes out of order", () => {
  test("two million pieces of one byte cost no more than the part of the streams they lie in", () => {
    const pair = new TransportPair({ seed: "pieces" });
    const lie = liesTo(pair);
    const before = liveBytes();
    let pieces = 0;
    let offset = 1;
    let id = 0;
    while (id < 508) {
      const fault = lie((out) => {
        for (let i = 0; i < 77 && id < 508; i += 1) {
          oneByte(out, id, offset);
          pieces += 1;
          offset += 2;
          if (offset < 16_384) continue;
          offset = 1;
          id += 2;
        }
      });
      expect(fault).toBeUndefined();
    }
    expect(pieces).toBe(254 * 8_192);
    expect(pair.server.streams.bufferedBytes).toBe(pieces);
    expect(pair.server.streams.heldBytes).toBeLessThanOrEqual(4 * MIB + 254 * 4_096);
    expect(liveBytes() - before).toBeLessThan(8 * MIB);
    expect(pair.server.streams.count).toBe(254); // which also keeps it alive until here
  });

  test("pieces of any size in any order come out as they were, and what overlaps is found out", () => {
    const { REASSEMBLY_SEED: seed = "reassembly" } = process.env;
    const random = randomFrom(seed);
    for (let round = 0; round < 40; round += 1) {
      const bytes = patternBytes(1 + random.below(40_000), round);
      const base = round % 2 === 0 ? 0 : 2 ** 40 + random.below(5_000);
      const cuts = new Set([0, bytes.length]);
      for (let i = random.below(60); i > 0; i -= 1) cuts.add(random.below(bytes.length));
      const starts = [...cuts].sort((a, b) => a - b);
      const pieces = starts.slice(1).map((end, i) => ({ start: starts[i]!, end }));
      const out: number[] = [];
      const held = new Reassembly();
      const context = `REASSEMBLY_SEED=${seed} round ${round}`;
      while (pieces.length > 0) {
        const [piece] = pieces.splice(random.below(pieces.length), 1);
        const { start, end } = piece!;
        expect(held.insert(base + start, bytes, start, end - start), context).toBe(true);
        const again = start + random.below(end - start);
        expect(held.insert(base + again, bytes, again, 1), context).toBe(again < out.length);
        for (let got = held.take(base + out.length); got > 0; got = held.take(base + out.length)) {
          out.push(...held.taken.subarray(held.takenAt, held.takenAt + got));
        }
      }
      expect(Buffer.compare(Uint8Array.from(out), bytes), context).toBe(0);
      expect(held.length, context).toBe(0);
    }
  });
});

describe("streams without OPEN", () => {
  test("those beyond streamsMax are reset, the others after thirty seconds, though nothing more comes", () => {
    const pair = new TransportPair({ seed: "no open", streamsMax: 16 });
    const lie = liesTo(pair);
    lie((out) => {
      for (let i = 0; i < 18; i += 1) oneByte(out, 2 * i, 5);
    });
    expect(pair.server.streams.bufferedBytes).toBe(16);
    pair.run(29 * SECOND_US);
    expect(pair.server.streams.bufferedBytes).toBe(16);
    pair.server.streams.handleTimeout(pair.nowUs + SECOND_US);
    expect(pair.server.streams.bufferedBytes).toBe(0);
    expect(pair.server.streams.heldBytes).toBe(18 * 4_096); // until the peer answers
    expect(pair.server.seen.size).toBe(0);
  });

  test("whoever keeps the time is told when that is", () => {
    const pair = new TransportPair({ seed: "time", streamsMax: 16 });
    liesTo(pair)((out) => oneByte(out, 0, 5));
    expect(pair.server.streams.nextTimeoutUs).toBe(pair.nowUs + 30 * SECOND_US);
  });

  test("an OPEN that comes late but in time brings its data with it", () => {
    const pair = new TransportPair({ seed: "late" });
    const lie = liesTo(pair);
    lie((out) => oneByte(out, 0, 0));
    pair.run(29 * SECOND_US);
    lie((out) => encodeOpen(out, { id: 0, port: 80 }));
    pair.run(5 * SECOND_US);
    expect(pair.server.seen.get(0)).toMatchObject({ port: 80, bytes: 1, reset: undefined });
  });
});

describe("all sessions together", () => {
  test("windows do not grow from half of the bound on, and are small from three quarters on", () => {
    const granted = (share: number): number => {
      const pair = new TransportPair({ seed: "windows", path: { megabitsPerSecond: 400, delayUs: 10_000 } });
      pair.server.keeps = false;
      pair.server.bounds.hold(share * pair.server.bounds.allHeld.limit);
      const id = pair.act(pair.client, (streams) => streams.open(80));
      pair.send(pair.client, id, new Uint8Array(30 * MIB));
      expect(pair.run(60 * SECOND_US, () => (pair.server.seen.get(id)?.bytes ?? 0) > 20 * MIB)).toBe(true);
      const taken = pair.server.seen.get(id)!.bytes;
      pair.server.reads = false;
      pair.run(10 * SECOND_US);
      return pair.server.seen.get(id)!.bytes - taken;
    };
    expect(granted(0)).toBeGreaterThan(2 * MIB);
    expect(granted(0.6)).toBeLessThanOrEqual(MIB);
    expect(granted(0.8)).toBeLessThanOrEqual(MIB / 16);
  });

  test("what is held is counted as it comes, and given back by taking, by resets, and by the end", () => {
    const pair = new TransportPair({ seed: "count", path: { loss: 0.1, delayUs: 1_000 } });
    pair.server.reads = false;
    const { bounds } = pair.server;
    const ids = Array.from({ length: 3 }, () => pair.act(pair.client, (streams) => streams.open(80)));
    for (const id of ids) pair.send(pair.client, id, new Uint8Array(100_000), false);
    pair.run(10 * SECOND_US);
    expect(bounds.held).toBe(300_000 + 3 * 4_096);
    expect(bounds.held).toBe(pair.server.streams.heldBytes);
    pair.act(pair.server, (streams) => streams.consume(ids[0]!, 60_000));
    expect(bounds.held).toBe(240_000 + 3 * 4_096);
    pair.act(pair.server, (streams) => streams.reset(ids[1]!, EndCode.cancelled));
    pair.run(10 * SECOND_US);
    expect(bounds.held).toBe(140_000 + 2 * 4_096);
    pair.server.transport.close(pair.nowUs, EndCode.noError);
    expect(bounds.held).toBe(0);
  });

  test("a peer that passes its credit leaves no trace in the count", () => {
    const pair = new TransportPair({ seed: "beyond", sessionCreditBytes: 100_000 });
    const lie = liesTo(pair);
    lie((out) => oneByte(out, 0, 50_000));
    expect(lie((out) => oneByte(out, 2, 50_000))).toBe("user");
    expect(pair.server.bounds.held).toBe(0);
  });

  test("at the bound those who hold the most lose it with overload, and who holds little keeps it", () => {
    const { world, host, bounds, crowd } = crowded();
    upload(world, "ada", host, "one", 50_000);
    const tags = ["a", "b", "c"];
    for (const tag of tags) upload(world, "eve", host, tag, 1); // a session each, granted in good times
    crowd(8 * MIB);
    const large = tags.flatMap((tag) => [1, 2, 3, 4].map(() => upload(world, "eve", host, tag, MIB)));
    world.run(30 * SECOND_US);
    expect(bounds.allHeld.peak).toBeLessThanOrEqual(bounds.allHeld.limit + CELL_BYTES);
    expect(bounds.allHeld.peak).toBeGreaterThan(bounds.allHeld.limit - MIB);
    const resets = resetsOf(world.node("eve"));
    expect(resets.length).toBeGreaterThan(0);
    for (const { stream, code } of resets) {
      expect(large).toContain(stream);
      expect(code).toBe(EndCode.overload);
    }
    expect(resetsOf(host).map(({ code }) => code)).toEqual(resets.map(() => EndCode.overload));
    expect(resetsOf(world.node("ada"))).toEqual([]);
    expect([...host.received.values()].some((parts) => bytesOf(parts) === 50_000)).toBe(true);
    const { drops, caps } = host.stack.status();
    expect(drops.heldLimit).toBeGreaterThan(0);
    expect(caps["streams.heldBytes"]?.limit).toBe(256 * MIB);
    expect(caps["transport.storeBytes"]?.limit).toBe(256 * MIB);
  });

  test("a new session is granted 256 KiB when little is left, and more by and by as it is read", () => {
    const { world, host, bounds, crowd } = crowded();
    crowd(40 * MIB);
    upload(world, "ada", host, "one", MIB);
    world.run(10 * SECOND_US);
    expect(bytesOf([...host.received.values()].at(-1)!)).toBe(256 << 10);
    bounds.release(200 * MIB);
    host.isHungry = true;
    const id = [...host.received.keys()].at(-1)!;
    host.stack.consume(world.nowUs, id, 256 << 10);
    world.run(20 * SECOND_US);
    expect(bytesOf(host.received.get(id)!)).toBe(MIB);
  });

  test("a session that holds nothing but streams is ended when they are too many", () => {
    const pair = new TransportPair({ seed: "streams" });
    for (let i = 0; i < 50; i += 1) pair.act(pair.client, (streams) => streams.open(80));
    pair.run(SECOND_US);
    expect(pair.server.streams.heldBytes).toBe(50 * 4_096);
    expect(pair.server.streams.shed()).toBe(false);
    const bounds = new StreamBounds(100);
    bounds.hold(101);
    expect(bounds.isFull).toBe(true);
  });
});

describe("cells that peers do not report", () => {
  test("all stores stay below the bound, none takes it all, and a new one still has 64 cells", () => {
    const bounds = new StoreBounds(16 * MIB);
    const stores = Array.from({ length: 40 }, () => new CellStore(bounds));
    const cell = new Uint8Array(CELL_FRAMES_BYTES);
    for (const store of stores) while (!store.isFull) store.push(cell);
    expect(bounds.used).toBe(stores.reduce((sum, store) => sum + store.bytes, 0));
    expect(bounds.cap.peak).toBeLessThanOrEqual(16 * MIB);
    expect(Math.max(...stores.map((store) => store.bytes))).toBeLessThanOrEqual(8 * MIB);
    for (const store of stores) expect(store.next - store.floor).toBeGreaterThanOrEqual(64);
    // What is reported is free for others at once, and so is what an ended session had.
    stores[0]!.release(stores[0]!.next);
    expect(stores[0]!.bytes).toBe(64 << 10);
    for (const store of stores.slice(1)) store.close();
    expect(bounds.used).toBe(64 << 10);
    expect(stores[0]!.push(cell)).toBe(stores[0]!.floor);
  });

  test("when the others have used it all up a transfer still comes to its end", () => {
    const pair = new TransportPair({ seed: "store", path: { megabitsPerSecond: 20, delayUs: 20_000, loss: 0.1 } });
    pair.client.stores.add(pair.client.stores.cap.limit);
    const id = pair.act(pair.client, (streams) => streams.open(80));
    const bytes = patternBytes(MIB, 7);
    pair.send(pair.client, id, bytes);
    expect(pair.run(60 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
    expect(Buffer.compare(pair.server.received(id), bytes)).toBe(0);
    expect(pair.client.transport.status.storeBytes).toBe(64 << 10);
    pair.client.transport.close(pair.nowUs, EndCode.noError);
    expect(pair.client.stores.used).toBe(pair.client.stores.cap.limit);
  });
});

interface Crowded {
  readonly world: StackWorld;
  readonly host: WorldNode;
  readonly bounds: StreamBounds;
  /** From now on others make the host hold all but `left` bytes. */
  crowd(left: number): void;
}

/** A host where nobody reads what comes. */
function crowded(): Crowded {
  const world = new StackWorld({ seed: "crowded" });
  world.wire("ada", "host", { delayUs: 1_000 }).wire("eve", "host", { delayUs: 1_000 });
  world.run(4 * SECOND_US);
  const host = world.node("host");
  host.isHungry = false;
  host.onEvent = (event) => {
    if (event.kind === "streamOpened") host.stack.acceptStream(world.nowUs, event.stream);
  };
  const { bounds } = host.inside.ends as unknown as { bounds: StreamBounds };
  return { world, host, bounds, crowd: (left) => bounds.hold(bounds.allHeld.limit - left - bounds.held) };
}

/** Opens a stream and writes `bytes` as room allows. */
function upload(world: StackWorld, from: string, host: WorldNode, tag: string, bytes: number): number {
  const node = world.node(from);
  const stream = node.stack.openStream(world.nowUs, host.nac, 80, undefined, tag);
  let left = bytes;
  const previous = node.onEvent;
  node.onEvent = (event) => {
    previous(event);
    if (event.kind !== "streamWritable" || event.stream !== stream) return;
    while (left > 0) {
      const taken = node.stack.write(world.nowUs, stream, new Uint8Array(Math.min(left, 64 << 10)));
      left -= taken;
      if (taken === 0) return;
    }
  };
  world.run(SECOND_US);
  return stream;
}

function resetsOf(node: WorldNode): { stream: number; code: number }[] {
  return node.events.flatMap((event) =>
    event.kind === "streamReset" ? [{ stream: event.stream, code: event.code }] : [],
  );
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
