import { describe, expect, test } from "vitest";
import { STREAM_CREDIT_BYTES } from "../../core/stream/stream.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES, EndCode } from "../../core/wire/cell.js";
import type { Writer } from "../../core/wire/cursor.js";
import { encodeOpen, encodeReset } from "../../core/wire/stream-control-frames.js";
import { encodeStreamHeader } from "../../core/wire/stream-frame.js";
import { forgedCell } from "../support/forged-cell.js";
import { StackWorld } from "../support/stack-world.js";
import { type PairOptions, patternBytes, TransportPair } from "../support/transport-pair.js";

const LINE = { megabitsPerSecond: 10, delayUs: 20_000 };

function pairOf(options: Partial<PairOptions> = {}): TransportPair {
  return new TransportPair({ seed: "streams", path: LINE, ...options });
}

function open(pair: TransportPair, port = 80): number {
  return pair.act(pair.client, (streams) => streams.open(port));
}

describe("opening", () => {
  test("the responder hears the port, the initiator hears that it is served", () => {
    const pair = pairOf();
    const id = open(pair, 443);
    pair.run(SECOND_US);
    expect(pair.server.seen.get(id)?.port).toBe(443);
    expect(pair.client.seen.get(id)?.accepted).toBe(true);
  });

  test("a port that nobody serves is refused with its code, and both ends forget the stream", () => {
    const pair = pairOf();
    pair.server.onOpened = (id) => pair.server.streams.reset(id, EndCode.refused);
    const id = open(pair);
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(5_000)));
    pair.run(SECOND_US);
    expect(pair.client.seen.get(id)).toMatchObject({ reset: EndCode.refused, accepted: false, closed: true });
    expect(pair.client.streams.count + pair.server.streams.count).toBe(0);
    expect(pair.server.seen.get(id)).toMatchObject({ reset: undefined, closed: true });
  });

  test("data that overtakes its OPEN waits for it", () => {
    const pair = pairOf();
    let dropped = 0;
    // The first reliable cell holds OPEN.
    pair.drops = (fromClient, cell) => fromClient && (cell[0]! & 1) === 1 && dropped++ === 0;
    const id = open(pair);
    const bytes = patternBytes(20_000, 1);
    pair.act(pair.client, (streams) => streams.write(id, bytes));
    expect(pair.run(SECOND_US, () => pair.server.streams.bufferedBytes > 0)).toBe(true);
    expect(pair.server.seen.size).toBe(0);
    pair.run(2 * SECOND_US);
    expect(Buffer.compare(pair.server.received(id), bytes)).toBe(0);
  });

  test("no more streams than granted, and a place is free again when one has closed", () => {
    const pair = pairOf({ streamsMax: 3 });
    const ids = [open(pair), open(pair), open(pair)];
    expect(ids).toEqual([0, 2, 4]);
    expect(open(pair)).toBe(-1);
    pair.act(pair.client, (streams) => streams.reset(2, EndCode.cancelled));
    pair.run(SECOND_US);
    expect(pair.client.seen.get(2)?.closed).toBe(true);
    expect(open(pair)).toBe(6);
    pair.run(SECOND_US);
    expect(pair.server.streams.count).toBe(3);
  });

  test("an initiator that opens far more than granted is refused as overload, then as a violation", () => {
    const pair = pairOf({ streamsMax: 8 });
    const cell = (seq: number): Uint8Array =>
      forgedCell(seq, (out) => {
        for (let i = 0; i < 6; i += 1) encodeOpen(out, { id: 2 * (6 * (seq - 1) + i), port: 1 });
      });
    for (let seq = 1; seq <= 4; seq += 1)
      expect(pair.server.transport.handleCell(pair.nowUs, seq, cell(seq), 0, CELL_BYTES)).toBeUndefined();
    expect(pair.server.seen.size).toBe(18);
    let fault: string | undefined;
    for (let seq = 5; seq <= 9 && fault === undefined; seq += 1) {
      fault = pair.server.transport.handleCell(pair.nowUs, seq, cell(seq), 0, CELL_BYTES);
    }
    expect(fault).toBe("user");
  });

  test("thousands of short streams one after another leave nothing behind", () => {
    const pair = pairOf({ path: { delayUs: 100 } });
    pair.server.onData = (id) => {
      pair.server.streams.write(id, new Uint8Array(30));
      pair.server.streams.finish(id);
    };
    for (let i = 0; i < 3_000; i += 1) {
      const id = open(pair);
      pair.send(pair.client, id, new Uint8Array(20));
      expect(pair.run(SECOND_US, () => pair.client.seen.get(id)?.closed === true)).toBe(true);
    }
    pair.run(SECOND_US);
    expect(pair.client.streams.count + pair.server.streams.count).toBe(0);
    expect(pair.server.faults).toEqual([]);
  });
});

describe("independence and fairness", () => {
  test("a missing cell of one stream does not hold up another", () => {
    const pair = pairOf();
    const held = open(pair);
    const free = open(pair);
    pair.run(SECOND_US);
    let isHolding = true;
    // Every cell of the first stream is lost, again and again.
    pair.drops = (fromClient, cell) => {
      const id = (cell[6]! << 16) | (cell[7]! << 8) | cell[8]!;
      return fromClient && isHolding && (cell[0]! & 1) === 1 && (cell[5]! & 0xfc) === 0x10 && id === held;
    };
    pair.send(pair.client, held, patternBytes(1_002, 1));
    pair.send(pair.client, free, patternBytes(300_000, 2));
    expect(pair.run(3 * SECOND_US, () => pair.server.seen.get(free)?.finished === true)).toBe(true);
    expect(pair.server.seen.get(held)?.bytes).toBe(0);
    isHolding = false;
    expect(pair.run(3 * SECOND_US, () => pair.server.seen.get(held)?.finished === true)).toBe(true);
  });

  test("two busy streams get the same share of the link", () => {
    const pair = pairOf();
    const first = open(pair);
    pair.send(pair.client, first, new Uint8Array(4 << 20));
    pair.run(SECOND_US);
    const second = open(pair);
    pair.send(pair.client, second, new Uint8Array(4 << 20));
    const before = pair.server.seen.get(first)!.bytes;
    pair.run(2 * SECOND_US);
    const shares = [pair.server.seen.get(first)!.bytes - before, pair.server.seen.get(second)!.bytes];
    expect(Math.min(...shares) / Math.max(...shares)).toBeGreaterThan(0.85);
  });

  test("a small request beside a bulk transfer is answered without waiting for it", () => {
    const pair = pairOf();
    const bulk = open(pair);
    pair.send(pair.client, bulk, new Uint8Array(8 << 20));
    pair.run(2 * SECOND_US);
    const small = open(pair);
    const startUs = pair.nowUs;
    pair.act(pair.client, (streams) => streams.write(small, new Uint8Array(100)));
    expect(pair.run(SECOND_US, () => pair.server.seen.get(small)?.bytes === 100)).toBe(true);
    expect(pair.nowUs - startUs).toBeLessThan(80 * MILLISECOND_US);
  });

  test("small writes of several streams share a cell", () => {
    const pair = pairOf();
    const ids = Array.from({ length: 10 }, () => pair.client.streams.open(1));
    for (const id of ids) pair.client.streams.write(id, new Uint8Array(20));
    pair.drain(pair.client);
    pair.run(SECOND_US);
    for (const id of ids) expect(pair.server.seen.get(id)?.bytes).toBe(20);
    expect(pair.client.transport.status.sentCells - pair.client.transport.status.feedbackSent).toBeLessThanOrEqual(2);
  });
});

describe("credit", () => {
  test("a reader that takes nothing holds the sender at the credit, with memory bounded at both ends", () => {
    const pair = pairOf({ path: { ...LINE, megabitsPerSecond: 100, loss: 0.05 } });
    pair.server.reads = false;
    pair.server.keeps = false;
    const id = open(pair);
    pair.send(pair.client, id, patternBytes(8 << 20, 1));
    pair.run(20 * SECOND_US);
    expect(pair.server.seen.get(id)?.bytes).toBe(STREAM_CREDIT_BYTES);
    expect(pair.client.bufferedMax).toBeLessThanOrEqual(512 << 10);
    expect(pair.server.bufferedMax).toBeLessThanOrEqual(STREAM_CREDIT_BYTES);
    expect(pair.client.transport.status.storeBytes).toBeLessThanOrEqual(8 << 20);
    // And it goes on when the reader does.
    pair.server.reads = true;
    pair.act(pair.server, (streams) => streams.consume(id, STREAM_CREDIT_BYTES));
    expect(pair.run(30 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
    expect(pair.server.seen.get(id)?.bytes).toBe(8 << 20);
  });

  test("the session's credit holds for all streams together, and a reset gives back what it held", () => {
    const pair = pairOf({ sessionCreditBytes: 256 << 10 });
    pair.server.reads = false;
    const ids = [open(pair), open(pair), open(pair)];
    for (const id of ids) pair.send(pair.client, id, new Uint8Array(200 << 10));
    pair.run(5 * SECOND_US);
    const total = ids.reduce((sum, id) => sum + (pair.server.seen.get(id)?.bytes ?? 0), 0);
    expect(total).toBe(256 << 10);
    pair.act(pair.server, (streams) => streams.reset(ids[0]!, EndCode.cancelled));
    pair.run(5 * SECOND_US);
    const rest = ids.slice(1).reduce((sum, id) => sum + (pair.server.seen.get(id)?.bytes ?? 0), 0);
    expect(rest).toBe(256 << 10);
  });

  test("streams that nobody reads do not starve the one that is read", () => {
    const pair = pairOf({ sessionCreditBytes: 256 << 10 });
    const unread = open(pair);
    const read = open(pair);
    pair.server.reads = false;
    pair.send(pair.client, unread, new Uint8Array(200 << 10));
    pair.run(SECOND_US);
    pair.server.onData = (id) => {
      if (id === read) pair.server.streams.consume(id, 1 << 20);
    };
    pair.send(pair.client, read, new Uint8Array(1 << 20));
    expect(pair.run(30 * SECOND_US, () => pair.server.seen.get(read)?.finished === true)).toBe(true);
  });

  test("a write beyond the buffer is cut short, and writable follows", () => {
    const pair = pairOf();
    const id = open(pair);
    const taken = pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(1 << 20)));
    expect(taken).toBe(512 << 10);
    expect(pair.run(5 * SECOND_US, () => (pair.client.seen.get(id)?.writable ?? 0) > 0)).toBe(true);
    expect(pair.client.seen.get(id)!.writable).toBeGreaterThanOrEqual(256 << 10);
  });

  const violations: [string, (out: Writer) => void][] = [
    ["beyond the stream's credit", (out) => encodeStreamHeader(out, 0, STREAM_CREDIT_BYTES, 1, false)],
    [
      "a final offset beyond credit",
      (out) => encodeReset(out, { id: 0, code: 0, finalOffset: STREAM_CREDIT_BYTES + 1 }),
    ],
    ["the same bytes twice", (out) => encodeStreamHeader(out, 0, 0, 1, false)],
    ["a final offset below what was sent", (out) => encodeReset(out, { id: 0, code: 0, finalOffset: 50 })],
    ["a second OPEN", (out) => encodeOpen(out, { id: 0, port: 9 })],
    ["an odd id", (out) => encodeOpen(out, { id: 1, port: 9 })],
  ];
  test.each(violations)("a peer that sends %s loses its session", (_name, write) => {
    const pair = pairOf();
    const id = open(pair);
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(100)));
    pair.run(SECOND_US);
    const cell = forgedCell(500, write);
    expect(pair.server.transport.handleCell(pair.nowUs, 10_000, cell, 0, CELL_BYTES)).toBe("user");
    expect(pair.server.seen.get(id)).toMatchObject({ reset: EndCode.protocol, closed: true });
  });
});

describe("what a peer can make us hold", () => {
  test("a hundred streams opened and never read hold no more than the session's credit", () => {
    const pair = pairOf({ path: { ...LINE, megabitsPerSecond: 200 } });
    pair.server.reads = false;
    pair.server.keeps = false;
    const ids = Array.from({ length: 100 }, () => open(pair));
    for (const id of ids) pair.send(pair.client, id, new Uint8Array(200_000));
    pair.run(20 * SECOND_US);
    const delivered = ids.reduce((sum, id) => sum + (pair.server.seen.get(id)?.bytes ?? 0), 0);
    expect(delivered + pair.server.streams.bufferedBytes).toBeLessThanOrEqual(4 << 20);
    expect(delivered).toBeGreaterThan(3.9 * (1 << 20));
    expect(pair.server.bounds.sessionHeld.peak).toBeLessThanOrEqual(4 << 20);
    // All of it is whole again when they are reset.
    for (const id of ids) pair.act(pair.server, (streams) => streams.reset(id, EndCode.cancelled));
    pair.run(5 * SECOND_US);
    const next = open(pair);
    pair.server.reads = true;
    pair.send(pair.client, next, new Uint8Array(6 << 20));
    expect(pair.run(30 * SECOND_US, () => pair.server.seen.get(next)?.finished === true)).toBe(true);
  });

  test("a peer that opens many streams and reads none of their answers holds sixteen megabytes of ours", () => {
    const pair = pairOf({ path: { ...LINE, megabitsPerSecond: 200 } });
    pair.client.reads = false;
    pair.client.keeps = false;
    pair.server.onOpened = (id) => {
      pair.server.streams.accept(id);
      push(id);
    };
    const answer = new Uint8Array(300_000);
    const written = new Map<number, number>();
    const push = (id: number): void => {
      const at = written.get(id) ?? 0;
      const taken = pair.server.streams.write(id, answer, at);
      written.set(id, at + taken);
      if (at + taken === answer.length) pair.server.streams.finish(id);
    };
    pair.server.onWritable = push;
    const ids = Array.from({ length: 80 }, () => open(pair));
    pair.run(20 * SECOND_US);
    expect(pair.server.streams.bufferedBytes).toBeLessThanOrEqual((16 << 20) + 80 * (16 << 10));
    expect(pair.server.bounds.session.peak).toBeGreaterThanOrEqual(16 << 20);
    expect(pair.server.bounds.sending).toBe(pair.server.streams.bufferedBytes);
    // None stops for another: when the peer reads after all, each comes to its end.
    pair.client.reads = true;
    for (const id of ids) {
      const bytes = pair.client.seen.get(id)?.bytes ?? 0;
      pair.act(pair.client, (streams) => streams.consume(id, bytes));
    }
    const isDone = (): boolean => ids.every((id) => pair.client.seen.get(id)?.finished === true);
    expect(pair.run(120 * SECOND_US, isDone)).toBe(true);
    expect(pair.server.bounds.sending).toBe(0);
  });

  test("when the buffers of all sessions are full a stream still has a little of its own", () => {
    const pair = pairOf();
    const id = open(pair);
    pair.client.bounds.add(pair.client.bounds.all.limit);
    expect(pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(1 << 20)))).toBe(16 << 10);
    pair.send(pair.client, id, patternBytes(300_000, 1));
    expect(pair.run(20 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
    expect(pair.client.bounds.sending).toBe(pair.client.bounds.all.limit);
  });

  test("a session that ends, or a stream that is reset, gives back what waited", () => {
    const pair = pairOf();
    const ids = [open(pair), open(pair)];
    for (const id of ids) pair.client.streams.write(id, new Uint8Array(400_000));
    pair.client.streams.reset(ids[0]!, EndCode.cancelled);
    expect(pair.client.bounds.sending).toBe(400_000);
    pair.client.transport.close(pair.nowUs, EndCode.noError);
    expect(pair.client.bounds.sending).toBe(0);
  });

  test("one return NAC has 128 sessions of a node at most", () => {
    const world = new StackWorld({ seed: "many" });
    world.wire("client", "host");
    world.run(3 * SECOND_US);
    const host = world.node("host");
    for (let i = 0; i < 131; i += 1) {
      world.node("client").stack.openStream(world.nowUs, host.nac, 80, undefined, `tag ${i}`);
      world.run(200 * MILLISECOND_US);
    }
    const { sessions, drops, caps } = host.stack.status();
    expect(sessions).toBe(128);
    expect(drops.sessionLimit).toBeGreaterThan(0);
    expect(caps["sessions.peer"]).toEqual({ limit: 128, peak: 128 });
  });
});

describe("ends", () => {
  test("each direction ends by itself, whichever comes first", () => {
    const pair = pairOf({ path: { ...LINE, loss: 0.1 } });
    const request = patternBytes(30_000, 1);
    const answer = patternBytes(200_000, 2);
    // The server answers only when the whole request is there: its direction is still open then.
    pair.server.onFinished = (id) => pair.send(pair.server, id, answer);
    const id = open(pair);
    pair.send(pair.client, id, request);
    pair.run(10 * SECOND_US);
    expect(Buffer.compare(pair.server.received(id), request)).toBe(0);
    expect(Buffer.compare(pair.client.received(id), answer)).toBe(0);
    expect(pair.client.seen.get(id)).toMatchObject({ finished: true, closed: true, reset: undefined });
    expect(pair.server.seen.get(id)).toMatchObject({ finished: true, closed: true, reset: undefined });
    expect(pair.client.streams.count + pair.server.streams.count).toBe(0);
  });

  test("the responder may end its direction first", () => {
    const pair = pairOf();
    pair.server.onOpened = (id) => {
      pair.server.streams.accept(id);
      pair.server.streams.finish(id);
    };
    const id = open(pair);
    pair.run(SECOND_US);
    expect(pair.client.seen.get(id)).toMatchObject({ finished: true, closed: false });
    const late = patternBytes(50_000, 4);
    pair.send(pair.client, id, late);
    pair.run(SECOND_US);
    expect(Buffer.compare(pair.server.received(id), late)).toBe(0);
    expect(pair.client.streams.count + pair.server.streams.count).toBe(0);
  });

  test.each([0, 0.2])("a reset in the middle frees everything at both ends (loss %s)", (loss) => {
    const pair = pairOf({ path: { ...LINE, loss } });
    const id = open(pair);
    pair.server.onOpened = () => {
      pair.server.streams.accept(id);
      pair.send(pair.server, id, new Uint8Array(4 << 20));
    };
    pair.send(pair.client, id, new Uint8Array(4 << 20));
    pair.run(SECOND_US);
    pair.act(pair.client, (streams) => streams.reset(id, EndCode.cancelled));
    expect(pair.client.streams.bufferedBytes).toBe(0);
    const before = pair.client.seen.get(id)!.bytes;
    pair.run(5 * SECOND_US);
    expect(pair.client.seen.get(id)).toMatchObject({ bytes: before, reset: undefined, closed: true });
    expect(pair.server.seen.get(id)).toMatchObject({ reset: EndCode.cancelled, closed: true });
    for (const end of [pair.client, pair.server]) {
      expect(end.streams.count).toBe(0);
      expect(end.streams.bufferedBytes).toBe(0);
      expect(end.faults).toEqual([]);
      expect(end.transport.isIdle).toBe(true);
    }
    // The session's credit is whole again: as much as ever can be sent.
    const next = open(pair);
    pair.server.onOpened = (other) => pair.server.streams.accept(other);
    pair.send(pair.client, next, new Uint8Array(6 << 20));
    expect(pair.run(60 * SECOND_US, () => pair.server.seen.get(next)?.finished === true)).toBe(true);
  });

  test("a stop ends one direction: the peer drops what it had to send, the other way goes on", () => {
    const pair = pairOf();
    const id = open(pair);
    pair.send(pair.client, id, new Uint8Array(4 << 20), false);
    pair.run(SECOND_US);
    pair.act(pair.server, (streams) => streams.stop(id, EndCode.cancelled));
    pair.run(SECOND_US);
    expect(pair.client.seen.get(id)).toMatchObject({ stopped: EndCode.cancelled, reset: undefined, closed: false });
    expect(pair.client.streams.bufferedBytes).toBe(0);
    const answer = patternBytes(40_000, 9);
    pair.send(pair.server, id, answer);
    pair.run(SECOND_US);
    expect(Buffer.compare(pair.client.received(id), answer)).toBe(0);
    expect(pair.client.seen.get(id)?.closed).toBe(true);
    expect(pair.server.seen.get(id)?.closed).toBe(true);
  });

  test("a stream opened and reset at once is never heard of at the other end", () => {
    const pair = pairOf();
    const id = pair.client.streams.open(1);
    pair.client.streams.reset(id, EndCode.cancelled);
    pair.drain(pair.client);
    pair.run(SECOND_US);
    expect(pair.server.seen.size).toBe(0);
    expect(pair.client.streams.count + pair.server.streams.count).toBe(0);
    expect(open(pair)).toBe(2);
  });

  test("a stream is kept until its last bytes were taken", () => {
    const pair = pairOf();
    pair.server.reads = false;
    const id = open(pair);
    pair.send(pair.client, id, new Uint8Array(10_000));
    pair.run(SECOND_US);
    pair.act(pair.server, (streams) => streams.finish(id));
    pair.run(SECOND_US);
    expect(pair.client.seen.get(id)?.closed).toBe(true);
    expect(pair.server.seen.get(id)).toMatchObject({ finished: true, closed: false });
    pair.act(pair.server, (streams) => streams.consume(id, 10_000));
    expect(pair.server.seen.get(id)?.closed).toBe(true);
  });
});
