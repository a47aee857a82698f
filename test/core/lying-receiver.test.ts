import { describe, expect, test } from "vitest";
import type { GapRegister } from "../../core/collections/gap-register.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES, CELL_HEADER_BYTES, EndCode, encodeCellHeader, FrameType } from "../../core/wire/cell.js";
import { encodeMaxSession, encodeMaxStream } from "../../core/wire/credit-frames.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { decodeFeedback, encodeFeedback, Feedback } from "../../core/wire/feedback-frame.js";
import { encodeReset } from "../../core/wire/stream-control-frames.js";
import { encodeStreamHeader } from "../../core/wire/stream-frame.js";
import { forgedCell } from "../support/forged-cell.js";
import { TransportPair } from "../support/transport-pair.js";

const LINE = { megabitsPerSecond: 10, delayUs: 50_000 };

function reportOf(fields: Partial<Feedback>, ranges: readonly number[] = []): Uint8Array {
  const feedback = Object.assign(new Feedback(), { floor: 1 }, fields, { rangeCount: ranges.length / 2 });
  feedback.ranges.set(ranges);
  const bytes = new Uint8Array(CELL_BYTES);
  const out = new Writer(bytes);
  encodeCellHeader(out, { isReliable: false, isPush: false, seq: 0 });
  encodeFeedback(out, feedback);
  return bytes;
}

/** The same cell, its report changed; undefined when it holds none. */
function changed(cell: Uint8Array, change: (report: Feedback) => void): Uint8Array | undefined {
  if (cell[0] !== 0 || cell[CELL_HEADER_BYTES] !== FrameType.feedback) return undefined;
  const report = new Feedback();
  const input = new Reader(cell, CELL_HEADER_BYTES + 1);
  if (!decodeFeedback(input, report)) throw new Error("an honest end wrote a report that cannot be read");
  const rest = cell.slice(input.offset);
  change(report);
  const bytes = new Uint8Array(CELL_BYTES);
  const out = new Writer(bytes);
  encodeCellHeader(out, { isReliable: false, isPush: false, seq: 0 });
  encodeFeedback(out, report);
  bytes.set(rest.subarray(0, CELL_BYTES - out.offset), out.offset);
  return bytes;
}

/** A download whose receiver changes each of its reports before it leaves. */
function liar(seed: string, lie: (report: Feedback, pair: TransportPair) => void, path: object = LINE): TransportPair {
  const pair = new TransportPair({ seed, path, timerGrainUs: 1_000 });
  pair.server.keeps = false;
  const id = pair.act(pair.client, (streams) => streams.open(1));
  pair.send(pair.client, id, new Uint8Array(100_000), false);
  pair.run(3 * SECOND_US); // honest so far
  pair.tampers = (fromClient, cell) => {
    if (fromClient) return cell;
    return changed(cell, (report) => lie(report, pair)) ?? cell;
  };
  pair.send(pair.client, id, new Uint8Array(200 << 20), false);
  return pair;
}

/** A session in which much was sent and reported, then some more that is on its way. */
function midway(): { pair: TransportPair; honest: Feedback } {
  const pair = new TransportPair({ seed: "midway", path: LINE });
  const honest = new Feedback();
  pair.tampers = (fromClient, cell) => (fromClient ? cell : (changed(cell, (report) => honest.copy(report)) ?? cell));
  const id = pair.act(pair.client, (streams) => streams.open(1));
  pair.send(pair.client, id, new Uint8Array(1 << 20), false);
  pair.run(3 * SECOND_US);
  pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(2_000)));
  if (pair.client.transport.status.unreportedCells !== 2) throw new Error("nothing is on its way");
  return { pair, honest };
}

describe("a report that cannot be true ends the session", () => {
  const lies: [string, (honest: Feedback, pair: TransportPair) => Uint8Array][] = [
    [
      "the echo of a number that was left out",
      (honest, pair) => reportOf({ ...honest, newestPacket: pair.client.skipped.at(-1)! }),
    ],
    ["the echo of a number still to come", (honest, pair) => reportOf({ ...honest, newestPacket: pair.client.packet })],
    ["a floor above what was sent", (honest) => reportOf({ ...honest, floor: honest.floor + 3 })],
    [
      "a floor that covers what came after the newest packet",
      (honest) => reportOf({ ...honest, floor: honest.floor + 1 }),
    ],
    ["a list of what was never sent", (honest) => reportOf({ ...honest }, [honest.floor, 2])],
    [
      "a list that a later cell would have had to show",
      (honest, pair) => reportOf({ ...honest, newestPacket: pair.client.packet - 2 }, [honest.floor, 1]),
    ],
    ["more cells than were sent", (honest) => reportOf({ ...honest, receivedTotal: honest.receivedTotal + 1 })],
    [
      "a floor that shrank",
      (honest, pair) => reportOf({ ...honest, newestPacket: pair.client.packet - 1, floor: honest.floor - 1 }),
    ],
    [
      "a total that shrank",
      (honest, pair) =>
        reportOf({ ...honest, newestPacket: pair.client.packet - 1, receivedTotal: honest.receivedTotal - 1 }),
    ],
  ];
  test.each(lies)("%s is told from the truth", (_name, lie) => {
    const { pair, honest } = midway();
    const cell = lie(honest, pair);
    expect(pair.client.transport.handleCell(pair.nowUs, 1_000_000, cell, 0, CELL_BYTES)).toBe("feedback");
    expect(pair.client.transport.state).toMatchObject({ kind: "closing", code: EndCode.protocol });
  });

  test("an old report that comes late is no lie", () => {
    const { pair, honest } = midway();
    const old = reportOf({ floor: 2, newestPacket: 1, receivedTotal: 1, echoDelayUs: 0 });
    expect(pair.client.transport.handleCell(pair.nowUs, 1_000_000, old, 0, CELL_BYTES)).toBeUndefined();
    const again = reportOf({ ...honest });
    expect(pair.client.transport.handleCell(pair.nowUs, 1_000_001, again, 0, CELL_BYTES)).toBeUndefined();
    expect(pair.client.transport.isOpen).toBe(true);
  });
});

describe("an optimistic receiver", () => {
  test("who echoes numbers that have not come yet is found out before long, whatever the seed", () => {
    const reports: number[] = [];
    for (let seed = 0; seed < 30; seed += 1) {
      let count = 0;
      const pair = liar(`ahead ${seed}`, (report, { client }) => {
        if (report.newestPacket + 8 >= client.packet) return;
        count += 1;
        report.newestPacket += 8; // a shorter round trip, and room in the window
        report.echoDelayUs = 0;
      });
      expect(pair.run(60 * SECOND_US, () => !pair.client.transport.isOpen)).toBe(true);
      expect(pair.client.transport.state).toMatchObject({ code: EndCode.protocol });
      reports.push(count);
    }
    const mean = reports.reduce((sum, count) => sum + count, 0) / reports.length;
    console.log(`an optimistic receiver is found out after ${mean.toFixed(0)} lies on average`);
    expect(mean).toBeLessThan(130);
  });

  /** Cells per second that reach the bottleneck in ten seconds, and the longest that one waited there. */
  function watch(pair: TransportPair): { cellsPerSecond: number; waitedUs: number } {
    let waitedUs = 0;
    let cells = 0;
    pair.drops = (fromClient) => {
      if (!fromClient) return false;
      cells += 1;
      waitedUs = Math.max(waitedUs, pair.backlogUs(0));
      return false;
    };
    pair.run(10 * SECOND_US);
    return { cellsPerSecond: cells / 10, waitedUs };
  }

  // A queue of three seconds: whoever is believed that it is not there fills it.
  const DEEP = { ...LINE, queueCells: 3_000 };
  const FAIR_CELLS = 10e6 / 8 / 1_200;

  test("an honest receiver is the measure: the link is full and its queue short", () => {
    const { cellsPerSecond, waitedUs } = watch(liar("honest", () => undefined, DEEP));
    expect(cellsPerSecond).toBeGreaterThan(0.9 * FAIR_CELLS);
    expect(waitedUs).toBeLessThan(100 * MILLISECOND_US);
  });

  test.each([
    ["ever longer", (report: Feedback) => (report.echoDelayUs = 0xffff_ffff)],
    ["as long as is believed", (report: Feedback) => (report.echoDelayUs = 40_000)],
    ["half a second", (report: Feedback) => (report.echoDelayUs = 500_000)],
  ])("who claims to have waited %s gets no more than its share, and no long queue", (_name, lie) => {
    const pair = liar("delay", (report) => void lie(report), DEEP);
    const { cellsPerSecond, waitedUs } = watch(pair);
    expect(pair.client.transport.isOpen).toBe(true);
    expect(cellsPerSecond).toBeLessThan(1.05 * FAIR_CELLS);
    expect(waitedUs).toBeLessThan(150 * MILLISECOND_US);
  });

  // Too shallow for a delay that shows: only losses tell that it overflows.
  const SHALLOW = { ...LINE, queueCells: 8 };

  test("who hides its losses is found out by the cells that were kept back", () => {
    const sent: number[] = [];
    for (let seed = 0; seed < 10; seed += 1) {
      const { pair, hide } = hiding(`hides ${seed}`);
      pair.path = SHALLOW;
      hide();
      const before = pair.client.transport.status.sentCells;
      expect(pair.run(20 * SECOND_US, () => !pair.client.transport.isOpen)).toBe(true);
      expect(pair.client.transport.state).toMatchObject({ code: EndCode.protocol });
      sent.push(pair.client.transport.status.sentCells - before);
    }
    const mean = sent.reduce((sum, cells) => sum + cells, 0) / sent.length;
    console.log(`a receiver that hides its losses is found out after ${mean.toFixed(0)} cells on average`);
    expect(mean).toBeLessThan(2_000);
  });

  test("who lists what it misses, yet claims that all arrived, gains nothing", () => {
    const lie = (report: Feedback, { client }: TransportPair): void => {
      const skipped = client.skipped.filter((one) => one < report.newestPacket).length;
      report.receivedTotal = report.newestPacket + 1 - skipped;
    };
    const { cellsPerSecond } = watch(liar("total", lie, SHALLOW));
    const honest = watch(liar("total", () => undefined, SHALLOW));
    expect(cellsPerSecond).toBeLessThan(1.2 * honest.cellsPerSecond);
  });

  test("who neither lists nor covers what it misses stalls when the store is full", () => {
    const pair = liar("stuck", (report) => {
      report.floor = Math.min(report.floor, 200);
      report.rangeCount = 0;
    });
    const before = pair.client.transport.status.sentCells;
    pair.run(20 * SECOND_US);
    expect(pair.client.transport.status.sentCells - before).toBeLessThan(8_192 + 100);
  });

  function credit(write: (out: Writer) => void): Reader {
    const out = new Writer(new Uint8Array(16));
    write(out);
    return new Reader(out.bytes, 1, out.offset);
  }

  /** A receiver that, once told to hide, claims to have all that can have come to it. */
  function hiding(seed: string): { pair: TransportPair; hide: () => void } {
    let isHiding = false;
    const pair = liar(seed, (report, { client, server }) => {
      if (!isHiding) return;
      const { gaps } = (server.transport as unknown as { receiver: { gaps: GapRegister } }).receiver;
      report.floor = gaps.highest + 1;
      report.rangeCount = 0;
      report.receivedTotal = report.newestPacket + 1 - client.skipped.filter((one) => one < report.newestPacket).length;
    });
    const hide = (): void => {
      isHiding = true;
      // What it never gets it cannot deliver, and what it does not deliver gives no credit: that it forges too.
      pair.server.streams.handleFrame = (_nowUs, _type, input) => {
        input.skip(input.remaining);
        return true;
      };
      pair.client.streams.handleFrame(
        pair.nowUs,
        FrameType.maxSession,
        credit((out) => encodeMaxSession(out, 1e12)),
      );
      pair.client.streams.handleFrame(
        pair.nowUs,
        FrameType.maxStream,
        credit((out) => encodeMaxStream(out, { id: 0, limit: 1e12 })),
      );
    };
    return { pair, hide };
  }
});

describe("a greedy receiver", () => {
  test("who asks for one cell again and again gets it once per round trip at most, and loses the session", () => {
    let wanted = 0;
    const pair = liar("again", (report) => {
      if (wanted === 0) wanted = report.floor;
      report.floor = wanted;
      report.ranges.set([wanted, 1]);
      report.rangeCount = 1;
    });
    const atUs: number[] = [];
    pair.drops = (fromClient, cell) => {
      if (fromClient && wanted > 0 && (cell[0]! & 1) === 1 && new DataView(cell.buffer).getUint32(1) === wanted) {
        atUs.push(pair.nowUs);
      }
      return false;
    };
    const sentBefore = pair.client.transport.status.sentCells;
    expect(pair.run(60 * SECOND_US, () => !pair.client.transport.isOpen)).toBe(true);
    expect(pair.client.transport.state.kind).not.toBe("open");
    expect(atUs.length).toBeLessThanOrEqual(251 + 30); // what it asked for, and probes
    for (let i = 2; i < atUs.length; i += 1)
      expect(atUs[i]! - atUs[i - 1]!).toBeGreaterThan(0.8 * 100 * MILLISECOND_US);
    // Nothing new leaves when the store is full: 8,192 cells.
    expect(pair.client.transport.status.sentCells - sentBefore).toBeLessThan(8_192 + 600);
  });

  test("who says that everything is missing makes us send no faster than an honest one", () => {
    const count = (lie: (report: Feedback) => void): number => {
      const pair = liar("all", lie);
      const before = pair.client.transport.status.sentCells;
      pair.run(5 * SECOND_US);
      return pair.client.transport.status.sentCells - before;
    };
    let floor = 0;
    const greedy = count((report) => {
      if (floor === 0) floor = report.floor;
      const end = report.rangeCount > 0 ? report.ranges[0]! : report.floor;
      report.floor = floor;
      report.rangeCount = end - 1 > floor ? 1 : 0;
      report.ranges.set([floor, end - 1 - floor]);
    });
    expect(greedy).toBeLessThan(1.1 * count(() => undefined));
  });

  test("a flood of reports costs no more looks at their lists than time allows, and every cell is repaired once", () => {
    const { pair, honest } = midway();
    pair.run(200 * MILLISECOND_US);
    const id = 0;
    pair.drops = (fromClient) => fromClient;
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(400_000)));
    pair.run(100 * MILLISECOND_US);
    const { transport } = pair.client;
    const before = transport.status;
    const newest = pair.client.packet - 1;
    const list = reportOf({ ...honest, floor: honest.floor + 2, newestPacket: newest }, [honest.floor + 2, 10]);
    for (let i = 0; i < 10_000; i += 1) {
      expect(transport.handleCell(pair.nowUs + i * 10, 1_000_000 + i, list, 0, CELL_BYTES)).toBeUndefined();
    }
    expect(transport.status.listsIgnored).toBeGreaterThan(9_900);
    pair.nowUs += 100 * MILLISECOND_US;
    pair.drain(pair.client);
    expect(transport.status.repairedCells - before.repairedCells).toBeLessThanOrEqual(12);
  });
});

describe("a sender that keeps no rules", () => {
  function data(out: Writer, id: number, offset: number, length: number, isFin = false): void {
    encodeStreamHeader(out, id, offset, length, isFin);
    out.zeros(length);
  }

  /** A stream on which the client has sent 100 bytes, and what its cells of any content come to. */
  function served(): { pair: TransportPair; id: number; say: (write: (out: Writer) => void) => string | undefined } {
    const pair = new TransportPair({ seed: "served", path: LINE, streamsMax: 4 });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.act(pair.client, (streams) => streams.write(id, new Uint8Array(100)));
    pair.run(SECOND_US);
    let seq = 500;
    return {
      pair,
      id,
      say: (write) => {
        seq += 1;
        return pair.server.transport.handleCell(pair.nowUs, 10_000 + seq, forgedCell(seq, write), 0, CELL_BYTES);
      },
    };
  }

  test.each<[string, ((out: Writer) => void)[]]>([
    ["a second end at another place", [(out) => data(out, 0, 200, 10, true), (out) => data(out, 0, 150, 10, true)]],
    ["an end before what was sent", [(out) => data(out, 0, 50, 0, true)]],
    ["data behind the end", [(out) => data(out, 0, 100, 10, true), (out) => data(out, 0, 110, 1)]],
    [
      "a reset that moves the end",
      [(out) => data(out, 0, 200, 10, true), (out) => encodeReset(out, { id: 0, code: 3, finalOffset: 300 })],
    ],
    [
      "data behind a reset",
      [(out) => encodeReset(out, { id: 0, code: 3, finalOffset: 100 }), (out) => data(out, 0, 100, 1)],
    ],
    ["bytes that overlap others in wait", [(out) => data(out, 0, 300, 50), (out) => data(out, 0, 340, 50)]],
    ["a stream of the other end's parity", [(out) => data(out, 7, 0, 1)]],
  ])("%s ends the session", (_name, frames) => {
    const { pair, say } = served();
    // The application is not done, so that the stream is still known.
    pair.server.onFinished = () => undefined;
    const faults = frames.map((write) => say(write));
    expect(faults.slice(0, -1)).toEqual(faults.slice(0, -1).map(() => undefined));
    // A stream that both ends have forgotten is not looked at any more.
    if (faults.at(-1) === undefined) expect(pair.server.streams.count).toBe(0);
    else expect(faults.at(-1)).toBe("user");
  });

  test("credit that shrinks is old news: what was granted stays granted", () => {
    const pair = new TransportPair({ seed: "shrinks", path: LINE });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.run(SECOND_US);
    const out = new Writer(new Uint8Array(64));
    encodeMaxSession(out, 1);
    encodeMaxStream(out, { id, limit: 1 });
    const input = new Reader(out.bytes, 0, out.offset);
    while (input.remaining > 0) expect(pair.client.streams.handleFrame(pair.nowUs, input.u8(), input)).toBe(true);
    pair.send(pair.client, id, new Uint8Array(300_000));
    expect(pair.run(10 * SECOND_US, () => pair.server.seen.get(id)?.bytes === 300_000)).toBe(true);
  });
});
