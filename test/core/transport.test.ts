import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES, EndCode, encodeCellHeader, FrameType } from "../../core/wire/cell.js";
import { Writer } from "../../core/wire/cursor.js";
import { encodeFeedback, Feedback } from "../../core/wire/feedback-frame.js";
import { encodeClose } from "../../core/wire/session-frames.js";
import { patternBytes, TransportPair } from "../support/transport-pair.js";

const LINE = { megabitsPerSecond: 10, delayUs: 50_000 };

/** Is this cell reliable? */
function isData(cell: Uint8Array): boolean {
  return (cell[0]! & 1) === 1;
}

function cellOf(isReliable: boolean, seq: number, write: (out: Writer) => void): Uint8Array {
  const bytes = new Uint8Array(CELL_BYTES);
  const out = new Writer(bytes);
  encodeCellHeader(out, { isReliable, isPush: false, seq });
  write(out);
  return bytes;
}

describe("repair", () => {
  test("a megabyte each way arrives intact whatever the network does", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        (loss, duplicate, reorder, seed) => {
          const path = {
            megabitsPerSecond: 50,
            delayUs: 10_000,
            loss: loss / 100,
            duplicate: duplicate / 100,
            reorder: reorder / 100,
          };
          const pair = new TransportPair({ seed: String(seed), path, timerGrainUs: 1_000 });
          const there = patternBytes(1 << 20, seed);
          const back = patternBytes(1 << 20, seed + 1);
          const id = pair.act(pair.client, (streams) => streams.open(7));
          pair.server.onOpened = () => {
            pair.server.streams.accept(id);
            pair.send(pair.server, id, back);
          };
          pair.send(pair.client, id, there);
          const isDone = pair.run(60 * SECOND_US, () => {
            return pair.client.seen.get(id)?.closed === true && pair.server.seen.get(id)?.closed === true;
          });
          expect(isDone).toBe(true);
          expect(Buffer.compare(pair.server.received(id), there)).toBe(0);
          expect(Buffer.compare(pair.client.received(id), back)).toBe(0);
          expect(pair.client.faults).toEqual([]);
          expect(pair.server.faults).toEqual([]);
        },
      ),
      { numRuns: 8 },
    );
  });

  test("the same seed gives the same history, cell by cell", () => {
    const run = (seed: string): string => {
      const pair = new TransportPair({ seed, path: { ...LINE, loss: 0.1, reorder: 0.1, duplicate: 0.1 } });
      const id = pair.act(pair.client, (streams) => streams.open(1));
      pair.send(pair.client, id, patternBytes(200_000, 3));
      pair.run(2 * SECOND_US);
      return pair.digest();
    };
    expect(run("a")).toBe(run("a"));
    expect(run("a")).not.toBe(run("b"));
  });

  test("reordering alone causes next to no repairs", () => {
    const path = { ...LINE, reorder: 0.05, reorderUs: 2_000 };
    const pair = new TransportPair({ seed: "shuffle", path });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.send(pair.client, id, patternBytes(1 << 20, 1));
    expect(pair.run(30 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
    expect(pair.client.transport.status.repairedCells).toBeLessThan(10);
  });

  test("a lost last cell is repaired in about one round trip and a probe timeout", () => {
    const pair = new TransportPair({ seed: "tail", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.send(pair.client, id, patternBytes(100_000, 1), false);
    pair.run(5 * SECOND_US);
    // Everything has been reported; now the one cell of a small write is lost.
    let lost = 0;
    pair.drops = (fromClient, cell) => fromClient && isData(cell) && lost++ === 0;
    const startUs = pair.nowUs;
    pair.act(pair.client, (streams) => streams.write(id, patternBytes(500, 2)));
    expect(pair.run(2 * SECOND_US, () => pair.server.seen.get(id)?.bytes === 100_500)).toBe(true);
    expect(pair.nowUs - startUs).toBeLessThan(300 * MILLISECOND_US);
    expect(pair.client.transport.status.repairedCells).toBe(1);
  });

  test("five seconds of nothing, and it goes on within little more than a second", () => {
    const pair = new TransportPair({ seed: "blackout", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.send(pair.client, id, patternBytes(8 << 20, 1));
    pair.run(2 * SECOND_US);
    const fromUs = pair.nowUs;
    pair.drops = () => pair.nowUs < fromUs + 5 * SECOND_US;
    pair.run(5 * SECOND_US);
    const stalledAt = pair.server.seen.get(id)!.bytes;
    pair.run(1_500 * MILLISECOND_US);
    expect(pair.server.seen.get(id)!.bytes).toBeGreaterThan(stalledAt);
    // And soon at the full rate again.
    const before = pair.server.seen.get(id)!.bytes;
    pair.run(3 * SECOND_US);
    expect(((pair.server.seen.get(id)!.bytes - before) * 8) / 3).toBeGreaterThan(6_000_000);
    expect(pair.run(30 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
  });

  test("every copy of a cell after the first does nothing", () => {
    const pair = new TransportPair({ seed: "twins", path: { delayUs: 5_000 } });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    const bytes = patternBytes(15_000, 5);
    const healsUs = pair.nowUs + 3 * SECOND_US;
    pair.drops = (fromClient) => !fromClient && pair.nowUs < healsUs; // without reports the last cell comes again and again
    pair.send(pair.client, id, bytes);
    pair.run(5 * SECOND_US);
    expect(pair.client.transport.status.repairedCells).toBeGreaterThanOrEqual(4);
    expect(Buffer.compare(pair.server.received(id), bytes)).toBe(0);
    expect(pair.server.faults).toEqual([]);
    expect(pair.client.faults).toEqual([]);
  });

  test("the last cell of a burst is reported within a millisecond", () => {
    const pair = new TransportPair({ seed: "push", path: { delayUs: 20_000 } });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.run(SECOND_US);
    const startUs = pair.nowUs;
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(10)));
    expect(pair.client.transport.status.unreportedCells).toBe(1);
    pair.run(SECOND_US, () => pair.client.transport.status.unreportedCells === 0);
    expect(pair.nowUs - startUs).toBeLessThanOrEqual(41_000);
  });

  test("an idle session sends nothing", () => {
    const pair = new TransportPair({ seed: "idle", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.send(pair.client, id, patternBytes(10_000, 1));
    pair.run(5 * SECOND_US);
    const before = [...pair.carried];
    pair.run(60 * SECOND_US);
    expect(pair.carried).toEqual(before);
    expect(pair.client.transport.isIdle).toBe(true);
  });
});

describe("the end of a session", () => {
  test("thirty seconds without a report while cells are outstanding end it, and its streams", () => {
    const pair = new TransportPair({ seed: "dead", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.run(SECOND_US);
    pair.drops = (fromClient) => !fromClient;
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(1000)));
    pair.run(29 * SECOND_US);
    expect(pair.client.transport.isOpen).toBe(true);
    pair.run(3 * SECOND_US);
    expect(pair.client.transport.state).toEqual({ kind: "closed", code: EndCode.sessionLost });
    expect(pair.client.seen.get(id)).toMatchObject({ reset: EndCode.sessionLost, closed: true });
    expect(pair.client.streams.bufferedBytes).toBe(0);
  });

  test("probes back off to one per second", () => {
    const pair = new TransportPair({ seed: "probes", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.run(SECOND_US);
    let sent = 0;
    pair.drops = (fromClient) => {
      if (fromClient) sent += 1;
      return true;
    };
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(10)));
    pair.run(20 * SECOND_US);
    expect(sent).toBeGreaterThan(18);
    expect(sent).toBeLessThan(28);
  });

  test("closing tells the peer, and tells it again when the first CLOSE was lost", () => {
    const pair = new TransportPair({ seed: "close", path: { ...LINE, megabitsPerSecond: 100 } });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.run(SECOND_US);
    pair.drops = (fromClient) => fromClient;
    pair.client.transport.close(pair.nowUs, EndCode.noError);
    pair.drain(pair.client);
    pair.drops = () => false;
    pair.run(SECOND_US);
    expect(pair.server.transport.isOpen).toBe(true);
    pair.act(pair.server, (streams) => streams.write(id, new Uint8Array(10)));
    pair.run(SECOND_US);
    expect(pair.server.transport.state).toEqual({ kind: "closed", code: EndCode.noError });
    expect(pair.server.seen.get(id)).toMatchObject({ reset: EndCode.sessionLost, closed: true });
  });

  test("a ping comes back with the round-trip time", () => {
    const pair = new TransportPair({ seed: "ping", path: { delayUs: 30_000 } });
    pair.client.transport.ping(pair.nowUs, 77);
    pair.run(SECOND_US);
    expect(pair.client.pongs).toEqual([{ id: 77, rttUs: 60_000 }]);
  });
});

describe("frames that are not repaired", () => {
  /** A frame of `length` bytes behind its type; what came is noted by its second byte. */
  function frameOf(type: number, mark: number, length: number): Uint8Array {
    const frame = new Uint8Array(1 + length).fill(mark);
    frame[0] = type;
    return frame;
  }

  test("they leave at once, several in a cell, and come to whoever is told of frames", () => {
    const pair = new TransportPair({ seed: "frames", path: { delayUs: 10_000 } });
    const came: [number, number][] = [];
    pair.server.onFrame = (type, input) => {
      came.push([type, input.u8()]);
      input.skip(299);
      return input.ok;
    };
    for (let mark = 1; mark <= 4; mark += 1) {
      expect(pair.client.transport.queueFrame(frameOf(FrameType.rekeyOffer, mark, 300))).toBe(true);
    }
    pair.run(15_000);
    expect(came.map(([, mark]) => mark)).toEqual([1, 2, 3, 4]);
    expect(pair.carried[0]).toBe(2);
    expect(pair.client.transport.isIdle).toBe(true);
    pair.run(SECOND_US);
    expect(pair.carried).toEqual([2, 0]);
  });

  test("sixty-four wait at most, and a closed session takes none", () => {
    const pair = new TransportPair({ seed: "frames", path: LINE });
    const frame = frameOf(FrameType.rekeyAnswer, 1, 770);
    for (let i = 0; i < 64; i += 1) expect(pair.client.transport.queueFrame(frame)).toBe(true);
    expect(pair.client.transport.queueFrame(frame)).toBe(false);
    pair.client.transport.close(pair.nowUs, EndCode.noError);
    pair.run(SECOND_US);
    expect(pair.client.transport.queueFrame(frame)).toBe(false);
  });

  test.each([FrameType.rekeyOffer, FrameType.rekeyAnswer, FrameType.datagram])(
    "type %s in a reliable cell, or one that its taker refuses, ends the session",
    (type) => {
      const reliable = new TransportPair({ seed: "kind", path: LINE });
      const cell = cellOf(true, 1, (out) => out.u8(type).u8(1));
      expect(reliable.server.transport.handleCell(reliable.nowUs, 1, cell, 0, CELL_BYTES)).toBe("frameKind");
      const refused = new TransportPair({ seed: "kind", path: LINE });
      const other = cellOf(false, 0, (out) => out.u8(type).u8(1));
      expect(refused.server.transport.handleCell(refused.nowUs, 1, other, 0, CELL_BYTES)).toBe("user");
    },
  );
});

describe("a hostile peer", () => {
  const forged: [string, Uint8Array, string][] = [
    [
      "a report of a packet never sent",
      cellOf(false, 0, (out) => encodeFeedback(out, feedbackOf({ newestPacket: 99 }))),
      "feedback",
    ],
    [
      "a floor above what was sent",
      cellOf(false, 0, (out) => encodeFeedback(out, feedbackOf({ floor: 50 }))),
      "feedback",
    ],
    ["an unknown frame", cellOf(true, 50, (out) => out.u8(0x7f)), "user"],
    ["a reliable CLOSE", cellOf(true, 50, (out) => encodeClose(out, 1)), "frameKind"],
    ["an unreliable RESET", cellOf(false, 0, (out) => out.u8(FrameType.reset)), "frameKind"],
    ["a reliable cell without a seq", cellOf(true, 0, () => undefined), "header"],
    ["a short cell", new Uint8Array(100), "header"],
  ];
  test.each(forged)("%s ends the session as a violation", (_name, cell, fault) => {
    const pair = new TransportPair({ seed: "forged", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.run(SECOND_US);
    expect(pair.client.transport.handleCell(pair.nowUs, 100, cell, 0, cell.length)).toBe(fault);
    expect(pair.client.transport.state).toMatchObject({ kind: "closing", code: EndCode.protocol });
    expect(pair.client.seen.get(id)?.reset).toBe(EndCode.protocol);
  });

  test("any cells at all are answered with a reason at most, never a throw, and hold no memory without bound", () => {
    const frame = fc.tuple(
      fc.constantFrom(0x01, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x10, 0x11, 0x12, 0x13),
      fc.uint8Array({ minLength: 3, maxLength: 24 }),
    );
    const cell = fc.tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 40 }),
      fc.array(frame, { maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.boolean(), fc.array(cell, { maxLength: 30 }), (toClient, cells) => {
        const pair = new TransportPair({ seed: "fuzz", path: LINE });
        pair.act(pair.client, (streams) => streams.open(1));
        pair.run(200_000);
        const end = toClient ? pair.client : pair.server;
        let packet = 1_000;
        for (const [kind, seq, frames] of cells) {
          const bytes = new Uint8Array(CELL_BYTES);
          const out = new Writer(bytes);
          out.u8(kind).u32((kind & 1) === 1 ? seq + 1 : 0);
          // Mostly small ids and offsets, so that streams are met.
          for (const [type, body] of frames) out.u8(type).raw(body.map((byte, at) => (at < 8 && byte > 40 ? 0 : byte)));
          end.transport.handleCell(pair.nowUs, packet, bytes, 0, bytes.length);
          pair.drain(end);
          packet += 1;
        }
        expect(end.streams.bufferedBytes).toBeLessThan(cells.length * CELL_BYTES + 1);
        pair.run(SECOND_US);
      }),
      { numRuns: 300 },
    );
  });
});

function feedbackOf(fields: Partial<Feedback>): Feedback {
  return Object.assign(new Feedback(), { floor: 1 }, fields);
}
