import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EndSession } from "../../core/stack/end-session.js";
import type { Ends } from "../../core/stack/ends.js";
import type { StackEvent } from "../../core/stack/ports.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { CELL_FRAMES_BYTES, FrameType } from "../../core/wire/cell.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { DATAGRAM_BYTES_MAX, DatagramFrame, decodeDatagram, encodeDatagram } from "../../core/wire/datagram-frame.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";
import { type End, patternBytes, TransportPair } from "../support/transport-pair.js";

const PORT = 53;

/** Notes the marks (first data bytes as a u16) of the datagrams that come to this end. */
function collect(end: End): { marks: number[]; bytes: number } {
  const came = { marks: [] as number[], bytes: 0 };
  const frame = new DatagramFrame();
  end.onFrame = (type, input) => {
    if (type !== FrameType.datagram || !decodeDatagram(input, frame)) return false;
    came.marks.push((input.bytes[frame.at]! << 8) | input.bytes[frame.at + 1]!);
    came.bytes += frame.length;
    return true;
  };
  return came;
}

function marked(mark: number, length = 500): Uint8Array {
  const data = new Uint8Array(length).fill(7);
  data[0] = mark >>> 8;
  data[1] = mark;
  return data;
}

describe("the frame", () => {
  test("every datagram reads back as it was written, and no cut-off one does", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xff_ffff }),
        fc.integer({ min: 0, max: 0xffff }),
        fc.uint8Array({ maxLength: DATAGRAM_BYTES_MAX }),
        (flow, port, data) => {
          const out = new Writer(new Uint8Array(CELL_FRAMES_BYTES));
          encodeDatagram(out, flow, port, data);
          const frame = new DatagramFrame();
          expect(decodeDatagram(new Reader(out.bytes, 1, out.offset), frame)).toBe(true);
          expect({ ...frame, at: 0 }).toEqual({ flow, port, at: 0, length: data.length });
          expect(out.bytes.subarray(frame.at, frame.at + frame.length)).toEqual(data);
          expect(decodeDatagram(new Reader(out.bytes, 1, out.offset - 1), frame)).toBe(false);
        },
      ),
    );
  });

  test("the largest is at least a thousand bytes and fills a cell; a larger one is the caller's mistake", () => {
    expect(DATAGRAM_BYTES_MAX).toBeGreaterThanOrEqual(1_000);
    const pair = new TransportPair({ seed: "large", path: { delayUs: 1_000 } });
    const came = collect(pair.server);
    expect(pair.client.transport.sendDatagram(1, PORT, marked(1, DATAGRAM_BYTES_MAX))).toBe(true);
    expect(() => pair.client.transport.sendDatagram(1, PORT, marked(1, DATAGRAM_BYTES_MAX + 1))).toThrow(RangeError);
    pair.run(SECOND_US);
    expect(came).toEqual({ marks: [1], bytes: DATAGRAM_BYTES_MAX });
  });
});

describe("the way through a session", () => {
  test("small ones share a cell, and empty ones are datagrams too", () => {
    const pair = new TransportPair({ seed: "small", path: { delayUs: 1_000 } });
    const came = collect(pair.server);
    for (let mark = 0; mark < 12; mark += 1) pair.client.transport.sendDatagram(1, PORT, marked(mark, 80));
    pair.client.transport.sendDatagram(1, PORT, new Uint8Array(0));
    pair.run(1_500);
    expect(pair.carried[0]).toBe(2);
    expect(came.marks.slice(0, 12)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(came.marks).toHaveLength(13);
  });

  test("the lost are never repaired, and the session is idle soon after the last", () => {
    const pair = new TransportPair({ seed: "lost", path: { megabitsPerSecond: 10, delayUs: 20_000, loss: 0.1 } });
    const came = collect(pair.server);
    for (let mark = 0; mark < 1_000; mark += 1) {
      pair.at(pair.nowUs + mark * 5 * MILLISECOND_US, () => {
        pair.client.transport.sendDatagram(3, PORT, marked(mark));
        pair.drain(pair.client);
      });
    }
    pair.run(10 * SECOND_US);
    expect(pair.client.transport.status).toMatchObject({ repairedCells: 0, datagramsDropped: 0, datagramsWaiting: 0 });
    expect(came.marks.length).toBe(1_000 - pair.lost[0]!);
    expect(came.marks.length).toBeGreaterThan(850);
    expect(pair.client.transport.isIdle).toBe(true);
    const before = [...pair.carried];
    pair.run(60 * SECOND_US);
    expect(pair.carried).toEqual(before);
  });

  test("sixty-four wait at most: the oldest make room, and are counted", () => {
    const pair = new TransportPair({ seed: "burst", path: { megabitsPerSecond: 10, delayUs: 20_000 } });
    const came = collect(pair.server);
    const taken = Array.from({ length: 200 }, (_, mark) =>
      pair.client.transport.sendDatagram(1, PORT, marked(mark, 900)),
    );
    expect(taken.filter(Boolean)).toHaveLength(64);
    pair.run(5 * SECOND_US);
    expect(pair.client.transport.status.datagramsDropped).toBe(136);
    expect(came.marks).toEqual(Array.from({ length: 64 }, (_, i) => 136 + i));
  });

  test("they keep to what the path can carry: what is too much is dropped here, not by the network", () => {
    const path = { megabitsPerSecond: 5, delayUs: 25_000, queueCells: 60 };
    const pair = new TransportPair({ seed: "much", path, timerGrainUs: 1_000 });
    const came = collect(pair.server);
    const offered = 20_000; // 20 Mbit/s for ten seconds
    for (let i = 0; i < offered; i += 1) {
      pair.at(pair.nowUs + i * 500, () => {
        pair.client.transport.sendDatagram(1, PORT, marked(i & 0xffff, 1_000));
        pair.drain(pair.client);
      });
    }
    pair.run(10 * SECOND_US);
    const megabits = (came.bytes * 8) / 10 / 1e6;
    expect(megabits).toBeGreaterThan(0.8 * 5 * (1_000 / 1_200));
    expect(pair.lost[0]! / pair.client.transport.status.sentCells).toBeLessThan(0.03);
    expect(pair.client.transport.status.rttUs).toBeLessThan(80_000);
  });

  test("beside a busy stream they have half of the way, and the stream has the other", () => {
    const pair = new TransportPair({ seed: "beside", path: { megabitsPerSecond: 10, delayUs: 20_000 } });
    const came = collect(pair.server);
    const id = pair.act(pair.client, (streams) => streams.open(1));
    const bytes = patternBytes(2 << 20, 1);
    pair.send(pair.client, id, bytes);
    for (let i = 0; i < 5_000; i += 1) {
      pair.at(pair.nowUs + i * 600, () => {
        pair.client.transport.sendDatagram(1, PORT, marked(i, 1_000));
        pair.drain(pair.client);
      });
    }
    pair.run(3 * SECOND_US);
    const stream = pair.server.seen.get(id)!.bytes;
    expect(Math.min(stream, came.bytes) / Math.max(stream, came.bytes)).toBeGreaterThan(0.85);
    expect(((stream + came.bytes) * 8) / 3).toBeGreaterThan(0.8 * 10e6 * (1_000 / 1_200));
    expect(pair.run(20 * SECOND_US, () => pair.server.seen.get(id)?.finished === true)).toBe(true);
    expect(Buffer.compare(pair.server.received(id), bytes)).toBe(0);
  });

  test("into a dead path they fall to a trickle, and soon flow again when it is back", () => {
    const pair = new TransportPair({ seed: "dead", path: { megabitsPerSecond: 10, delayUs: 20_000 } });
    const came = collect(pair.server);
    for (let i = 0; i < 30_000; i += 1) {
      pair.at(pair.nowUs + i * 2_000, () => {
        pair.client.transport.sendDatagram(1, PORT, marked(i, 1_000));
        pair.drain(pair.client);
      });
    }
    pair.run(3 * SECOND_US);
    let sent = 0;
    const healsUs = pair.nowUs + 10 * SECOND_US;
    pair.drops = (fromClient) => {
      if (pair.nowUs >= healsUs) return false;
      if (fromClient) sent += 1;
      return true;
    };
    pair.run(2 * SECOND_US);
    const atFirst = sent;
    pair.run(8 * SECOND_US);
    expect(sent - atFirst).toBeLessThan(8 * 20); // of 4,000 offered
    expect(pair.client.transport.isOpen).toBe(true);
    pair.run(2 * SECOND_US);
    const before = came.marks.length;
    pair.run(2 * SECOND_US);
    expect(came.marks.length - before).toBeGreaterThan(900);
  });
});

describe("flows of a stack", () => {
  function line(): { world: StackWorld; client: WorldNode; host: WorldNode } {
    const world = new StackWorld({ seed: "flows" });
    world.line("client", "relay", "host");
    world.run(3 * SECOND_US);
    return { world, client: world.node("client"), host: world.node("host") };
  }

  /** Runs, and sends every datagram that comes to `node` back where it came from. */
  function runEchoing(world: StackWorld, node: WorldNode, spanUs: number): void {
    const endUs = world.nowUs + spanUs;
    let next = node.datagrams.length;
    while (world.run(endUs - world.nowUs, () => node.datagrams.length > next)) {
      for (; next < node.datagrams.length; next += 1) {
        const { flow, bytes } = node.datagrams[next]!;
        node.stack.sendDatagram(world.nowUs, flow, bytes);
      }
    }
  }

  function flowsOf(node: WorldNode, kind: "flowOpened" | "flowClosed"): StackEvent[] {
    return node.events.filter((event) => event.kind === kind);
  }

  const marksOf = (node: WorldNode): number[] => node.datagrams.map(({ bytes }) => (bytes[0]! << 8) | bytes[1]!);

  test("a datagram sent before there is a session waits for it, and its answer comes back to the flow", () => {
    const { world, client, host } = line();
    const flow = client.stack.openFlow(world.nowUs, host.nac, PORT);
    for (let mark = 0; mark < 3; mark += 1)
      expect(client.stack.sendDatagram(world.nowUs, flow, marked(mark))).toBe(true);
    runEchoing(world, host, 2 * SECOND_US);
    expect(flowsOf(host, "flowOpened")).toEqual([
      { kind: "flowOpened", flow: expect.any(Number), port: PORT, session: expect.any(Number) },
    ]);
    expect(marksOf(host)).toEqual([0, 1, 2]);
    expect(marksOf(client)).toEqual([0, 1, 2]);
    expect(client.datagrams.every((one) => one.flow === flow)).toBe(true);
    expect(flowsOf(client, "flowOpened")).toEqual([]);
  });

  test("flows are told apart, also two to the same port", () => {
    const { world, client, host } = line();
    const flows = [PORT, PORT, 123].map((port) => client.stack.openFlow(world.nowUs, host.nac, port));
    for (const [mark, flow] of flows.entries()) client.stack.sendDatagram(world.nowUs, flow, marked(mark));
    runEchoing(world, host, 2 * SECOND_US);
    expect(client.datagrams.map(({ flow }) => flow)).toEqual(flows);
    expect(marksOf(client)).toEqual([0, 1, 2]);
    expect(flowsOf(host, "flowOpened")).toHaveLength(3);
    expect(client.stack.status().sessions).toBe(1);
  });

  test("what is too large, or for a flow that is gone, is not taken", () => {
    const { world, client, host } = line();
    const flow = client.stack.openFlow(world.nowUs, host.nac, PORT);
    expect(client.stack.sendDatagram(world.nowUs, flow, new Uint8Array(DATAGRAM_BYTES_MAX + 1))).toBe(false);
    client.stack.closeFlow(world.nowUs, flow);
    expect(client.stack.sendDatagram(world.nowUs, flow, marked(1))).toBe(false);
    expect(client.stack.sendDatagram(world.nowUs, 999, marked(1))).toBe(false);
    expect(flowsOf(client, "flowClosed")).toEqual([{ kind: "flowClosed", flow }]);
  });

  test("a minute without a datagram closes the flow at both ends, and the session later", () => {
    const { world, client, host } = line();
    const flow = client.stack.openFlow(world.nowUs, host.nac, PORT);
    client.stack.sendDatagram(world.nowUs, flow, marked(1));
    world.run(58 * SECOND_US);
    expect(flowsOf(client, "flowClosed").concat(flowsOf(host, "flowClosed"))).toEqual([]);
    client.stack.sendDatagram(world.nowUs, flow, marked(2));
    world.run(58 * SECOND_US);
    expect(flowsOf(client, "flowClosed").concat(flowsOf(host, "flowClosed"))).toEqual([]);
    world.run(5 * SECOND_US);
    expect(flowsOf(client, "flowClosed")).toHaveLength(1);
    expect(flowsOf(host, "flowClosed")).toHaveLength(1);
    world.run(200 * SECOND_US);
    expect(client.stack.status().sessions).toBe(0);
    expect(host.stack.status().sessions).toBe(0);
  });

  test("the sixty-fifth flow of a session takes the place of the one that was idle longest", () => {
    const { world, client, host } = line();
    const flows = Array.from({ length: 65 }, () => client.stack.openFlow(world.nowUs, host.nac, PORT));
    for (const [mark, flow] of flows.slice(0, 64).entries()) {
      client.stack.sendDatagram(world.nowUs, flow, marked(mark));
      world.run(200 * MILLISECOND_US);
    }
    expect(marksOf(host)).toHaveLength(64);
    client.stack.sendDatagram(world.nowUs, flows[0]!, marked(0));
    client.stack.sendDatagram(world.nowUs, flows[64]!, marked(64));
    world.run(SECOND_US);
    expect(marksOf(host).at(-1)).toBe(64);
    expect(flowsOf(client, "flowClosed")).toEqual([{ kind: "flowClosed", flow: flows[1] }]);
    expect(flowsOf(host, "flowClosed")).toHaveLength(1);
  });

  /** Has `client` send datagrams of flow numbers that it makes up, a few each millisecond. */
  function flood(world: StackWorld, client: WorldNode, ids: (nth: number) => number, milliseconds: number): void {
    const [end] = (client.stack as unknown as { ends: { ends: Set<EndSession> } }).ends.ends;
    for (let nth = 0; nth < milliseconds * 4; nth += 1) {
      end!.sendDatagram(world.nowUs, ids(nth), PORT, marked(nth & 0xffff, 2));
      if (nth % 4 === 3) world.run(MILLISECOND_US);
    }
  }

  test("a peer that names ever new flows opens sixty-four, then thirty-two a second", () => {
    const { world, client, host } = line();
    client.stack.sendDatagram(world.nowUs, client.stack.openFlow(world.nowUs, host.nac, PORT), marked(1));
    world.run(2 * SECOND_US);
    flood(world, client, (nth) => 1_000 + nth, 3_000);
    const opened = flowsOf(host, "flowOpened").length;
    expect(opened).toBeGreaterThan(64 + 2 * 32);
    expect(opened).toBeLessThan(64 + 4 * 32);
  });

  test("a flow that carried something within the last second is not put out by new ones", () => {
    const { world, client, host } = line();
    client.stack.sendDatagram(world.nowUs, client.stack.openFlow(world.nowUs, host.nac, PORT), marked(1));
    world.run(2 * SECOND_US);
    flood(world, client, (nth) => 1_000 + (nth % 64), 500); // one more than there is room for: the first, idle for 2 s, goes
    expect(flowsOf(host, "flowClosed")).toHaveLength(1);
    flood(world, client, (nth) => (nth % 4 === 0 ? 9_000 + nth : 1_000 + (nth % 64)), 1_500);
    const closed = flowsOf(host, "flowClosed").length - 1;
    expect(closed).toBeGreaterThan(0); // every fourth of the sixty-four has fallen silent
    expect(closed).toBeLessThanOrEqual(16 * 2);
    const lately = (host.stack as unknown as { ends: Ends }).ends.flows;
    expect(lately.count).toBe(64);
  });

  test("four thousand flows of our own at most; a closed one makes room", () => {
    const { world, client, host } = line();
    const flows = Array.from({ length: 4_097 }, () => client.stack.openFlow(world.nowUs, host.nac, PORT));
    expect(flows.slice(0, 4_096)).not.toContain(-1);
    expect(flows[4_096]).toBe(-1);
    client.stack.closeFlow(world.nowUs, flows[0]!);
    expect(client.stack.openFlow(world.nowUs, host.nac, PORT)).toBeGreaterThan(0);
  });

  test("a called end that closed a flow hears no more of it, and is asked again when it was idle for a minute", () => {
    const { world, client, host } = line();
    const flow = client.stack.openFlow(world.nowUs, host.nac, PORT);
    client.stack.sendDatagram(world.nowUs, flow, marked(1));
    world.run(2 * SECOND_US);
    const opened = flowsOf(host, "flowOpened")[0] as { readonly flow: number };
    host.stack.closeFlow(world.nowUs, opened.flow);
    expect(host.stack.sendDatagram(world.nowUs, opened.flow, marked(9))).toBe(false);
    client.stack.sendDatagram(world.nowUs, flow, marked(2));
    world.run(2 * SECOND_US);
    expect(marksOf(host)).toEqual([1]);
    expect(flowsOf(host, "flowOpened")).toHaveLength(1);
    expect(flowsOf(host, "flowClosed")).toEqual([]);
    world.run(59 * SECOND_US);
    const again = client.stack.openFlow(world.nowUs, host.nac, PORT);
    client.stack.sendDatagram(world.nowUs, again, marked(3));
    world.run(2 * SECOND_US);
    expect(marksOf(host)).toEqual([1, 3]);
  });

  test("a flow outlives its session: after the host was restarted it goes on through a new one", () => {
    const { world, client, host } = line();
    const flow = client.stack.openFlow(world.nowUs, host.nac, PORT);
    client.stack.sendDatagram(world.nowUs, flow, marked(1));
    world.run(2 * SECOND_US);
    world.restart("host", ["relay"]);
    for (let mark = 2; mark < 40; mark += 1) {
      client.stack.sendDatagram(world.nowUs, flow, marked(mark));
      world.run(500 * MILLISECOND_US);
    }
    expect(marksOf(host).at(-1)).toBe(39);
    expect(flowsOf(client, "flowClosed")).toEqual([]);
  });

  test("while there is no way at all sixteen datagrams wait, and when nobody answers they are gone", () => {
    const { world, client } = line();
    const nowhere = world.newIdentity().nac;
    const flow = client.stack.openFlow(world.nowUs, nowhere, PORT);
    for (let mark = 0; mark < 40; mark += 1)
      expect(client.stack.sendDatagram(world.nowUs, flow, marked(mark))).toBe(true);
    world.run(12 * SECOND_US);
    expect(client.stack.sendDatagram(world.nowUs, flow, marked(1))).toBe(true);
    world.run(70 * SECOND_US);
    expect(flowsOf(client, "flowClosed")).toHaveLength(1);
    const { flows } = (client.stack as unknown as { ends: Ends }).ends;
    expect(flows.caps.map(({ name, peak }) => [name, peak])).toContainEqual(["flows.waiting", 16]);
    expect(flows.dropped).toBe(41);
    expect(client.inside.ends.contacts.all.size).toBe(0);
  });

  test("the same seed gives the same state at both ends", () => {
    const run = (): string => {
      const { world, client, host } = line();
      const flow = client.stack.openFlow(world.nowUs, host.nac, PORT);
      for (let mark = 0; mark < 30; mark += 1) {
        client.stack.sendDatagram(world.nowUs, flow, marked(mark));
        runEchoing(world, host, 50 * MILLISECOND_US);
      }
      return client.stack.digest() + host.stack.digest();
    };
    expect(run()).toBe(run());
  });
});
