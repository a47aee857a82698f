import { describe, expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { WINDOW_CELLS_MIN } from "../../core/transport/rate.js";
import { Rtt } from "../../core/transport/rtt.js";
import { CELL_BODY, EndCode } from "../../core/wire/cell.js";
import { patternBytes, TransportPair } from "../support/transport-pair.js";

const RTT_US = 100 * MILLISECOND_US;
const LINE = { megabitsPerSecond: 10, delayUs: RTT_US / 2 };

function isData(cell: Uint8Array): boolean {
  return (cell[0]! & 1) === 1;
}

/** A session that has sent half a megabyte and been idle for a while: it knows its round trip. */
function warmPair(seed: string, loss = 0): TransportPair {
  const pair = new TransportPair({ seed, path: { ...LINE, loss }, timerGrainUs: 1_000 });
  pair.server.keeps = false;
  const id = pair.act(pair.client, (streams) => streams.open(1));
  pair.send(pair.client, id, new Uint8Array(500_000));
  if (!pair.run(20 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)) throw new Error("never warm");
  pair.run(2 * SECOND_US);
  return pair;
}

/** Sends `bytes` on a new stream. How long it took from the start, and from the first sending of its last cell. */
function sendObject(pair: TransportPair, bytes: number): { tookUs: number; tailUs: number } {
  const startUs = pair.nowUs;
  const { unreportedCells } = pair.client.transport.status;
  if (unreportedCells > 0) throw new Error("the session is not idle");
  let newest = 0;
  let lastUs = 0;
  const { drops } = pair;
  pair.drops = (fromClient, cell) => {
    const seq = new DataView(cell.buffer, cell.byteOffset).getUint32(1);
    if (fromClient && isData(cell) && seq > newest) {
      newest = seq;
      lastUs = pair.nowUs;
    }
    return drops(fromClient, cell);
  };
  const id = pair.act(pair.client, (streams) => streams.open(1));
  pair.send(pair.client, id, new Uint8Array(bytes));
  if (!pair.run(30 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)) throw new Error("never finished");
  pair.drops = drops;
  return { tookUs: pair.nowUs - startUs, tailUs: pair.nowUs - lastUs };
}

function share(values: readonly number[], of: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * of)]!;
}

describe("the end of a burst", () => {
  /** Loses the first sending of the last `count` cells of the next object. */
  function loseLast(pair: TransportPair, bytes: number, count: number): void {
    const cells = Math.ceil(bytes / CELL_BODY);
    let seen = 0;
    pair.drops = (fromClient, cell) => {
      if (!fromClient || !isData(cell)) return false;
      seen += 1;
      return seen > cells - count && seen <= cells;
    };
  }

  test.each([1, 2])("when its last %s cells are lost it is whole within two round trips and 25 ms", (count) => {
    const pair = warmPair(`last ${count}`);
    loseLast(pair, 20 * CELL_BODY, count);
    const { tailUs } = sendObject(pair, 20 * CELL_BODY);
    expect(tailUs).toBeGreaterThan(RTT_US);
    expect(tailUs).toBeLessThanOrEqual(2 * RTT_US + 25 * MILLISECOND_US);
  });

  test("when its last eight cells are lost one more round trip is all that it takes", () => {
    const pair = warmPair("last 8");
    loseLast(pair, 20 * CELL_BODY, 8);
    const { tailUs } = sendObject(pair, 20 * CELL_BODY);
    expect(tailUs).toBeLessThanOrEqual(3 * RTT_US + 25 * MILLISECOND_US);
  });

  test("a cell of which the repair is lost too is asked after by itself, not by way of the last", () => {
    const pair = warmPair("twice");
    let wanted = 0;
    let copies = 0;
    pair.drops = (fromClient, cell) => {
      if (!fromClient || !isData(cell)) return false;
      const seq = new DataView(cell.buffer, cell.byteOffset).getUint32(1);
      if (wanted === 0) wanted = seq + 9;
      if (seq === wanted) copies += 1;
      return seq === wanted && copies <= 2;
    };
    const { tailUs } = sendObject(pair, 20 * CELL_BODY);
    expect(copies).toBeGreaterThanOrEqual(3);
    expect(tailUs).toBeLessThan(5 * RTT_US);
  });

  test("on a clean path nothing is sent twice", () => {
    const pair = warmPair("clean");
    const before = pair.client.transport.status.repairedCells;
    for (let i = 0; i < 20; i += 1) {
      sendObject(pair, 5_000);
      pair.run(SECOND_US);
    }
    expect(pair.client.transport.status.repairedCells).toBe(before);
  });

  test("50 kB at 5 % loss and 100 ms: half are there in little more than two round trips, 99 of 100 in seven", () => {
    const took: number[] = [];
    const tails: number[] = [];
    for (let seed = 0; seed < 8; seed += 1) {
      const pair = warmPair(`objects ${seed}`, 0.05);
      for (let i = 0; i < 50; i += 1) {
        const { tookUs, tailUs } = sendObject(pair, 50_000);
        took.push(tookUs);
        tails.push(tailUs);
        pair.run(2 * SECOND_US);
      }
    }
    const milliseconds = (values: number[], of: number): string => (share(values, of) / MILLISECOND_US).toFixed(0);
    console.log(
      `50 kB, 5 % loss, 100 ms: p50 ${milliseconds(took, 0.5)} ms, p99 ${milliseconds(took, 0.99)} ms; ` +
        `after the last cell p50 ${milliseconds(tails, 0.5)} ms, p90 ${milliseconds(tails, 0.9)} ms`,
    );
    expect(share(took, 0.5)).toBeLessThan(230 * MILLISECOND_US);
    expect(share(took, 0.99)).toBeLessThan(700 * MILLISECOND_US);
    expect(share(tails, 0.5)).toBeLessThanOrEqual(2 * RTT_US + 25 * MILLISECOND_US);
  });
});

describe("a dead path", () => {
  /** A transfer that is cut off for `blackUs` after two seconds. */
  function blackout(blackUs: number, bytes = 12 << 20): { pair: TransportPair; id: number; healsUs: number } {
    const pair = new TransportPair({ seed: `black ${blackUs}`, path: LINE, timerGrainUs: 1_000 });
    const id = pair.act(pair.client, (streams) => streams.open(1));
    pair.send(pair.client, id, patternBytes(bytes, 1));
    pair.run(2 * SECOND_US);
    const healsUs = pair.nowUs + blackUs;
    pair.drops = () => pair.nowUs < healsUs;
    return { pair, id, healsUs };
  }

  test.each([2, 10, 25])("after %s s of nothing it goes on within 1.2 s and is soon as fast as before", (seconds) => {
    const { pair, id, healsUs } = blackout(seconds * SECOND_US);
    pair.run(seconds * SECOND_US);
    const stalledAt = pair.server.seen.get(id)!.bytes;
    expect(pair.run(1_200 * MILLISECOND_US, () => pair.server.seen.get(id)!.bytes > stalledAt)).toBe(true);
    expect(pair.nowUs).toBeGreaterThan(healsUs);
    pair.run(SECOND_US);
    const before = pair.server.seen.get(id)!.bytes;
    pair.run(2 * SECOND_US);
    expect(((pair.server.seen.get(id)!.bytes - before) * 8) / 2).toBeGreaterThan(0.8 * 10e6 * (CELL_BODY / 1_200));
    expect(pair.run(60 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
    expect(Buffer.compare(pair.server.received(id), patternBytes(12 << 20, 1))).toBe(0);
  });

  test("thirty seconds of nothing end the session, not fewer", () => {
    const { pair, id } = blackout(60 * SECOND_US);
    pair.run(29 * SECOND_US);
    expect(pair.client.transport.isOpen).toBe(true);
    pair.run(2 * SECOND_US);
    expect(pair.client.transport.state).toEqual({ kind: "closed", code: EndCode.sessionLost });
    expect(pair.client.seen.get(id)).toMatchObject({ reset: EndCode.sessionLost, closed: true });
  });

  test("three probes without an answer bring the window to its floor, and a trickle is all that is sent", () => {
    const { pair } = blackout(60 * SECOND_US);
    expect(pair.client.transport.status.windowCells).toBeGreaterThan(60);
    pair.run(1_500 * MILLISECOND_US);
    expect(pair.client.transport.status.windowCells).toBe(WINDOW_CELLS_MIN);
    const before = pair.client.transport.status.sentCells;
    pair.run(20 * SECOND_US);
    expect(pair.client.transport.status.sentCells - before).toBeLessThanOrEqual(2 * 20 + 2);
  });

  test("a path that comes back with another round trip is measured anew", () => {
    const { pair } = blackout(5 * SECOND_US);
    pair.run(5 * SECOND_US);
    pair.path = { ...LINE, delayUs: 200_000 };
    pair.back = pair.path;
    pair.run(3 * SECOND_US);
    const { rttUs, minRttUs } = pair.client.transport.status;
    expect(minRttUs).toBeGreaterThanOrEqual(399 * MILLISECOND_US);
    expect(rttUs).toBeLessThan(500 * MILLISECOND_US);
  });

  test("a forgotten round trip is begun anew by the next sample, and until then the old one serves", () => {
    const rtt = new Rtt();
    for (let i = 1; i <= 20; i += 1) rtt.handleSample(i * 100_000, 20_000);
    rtt.forget();
    expect(rtt.smoothedUs).toBe(20_000);
    rtt.handleSample(3_000_000, 300_000);
    expect([rtt.smoothedUs, rtt.minUs]).toEqual([300_000, 300_000]);
  });
});
