import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DatagramFlow } from "../../node/datagram-flow.js";
import { Hosting } from "../../node/hosting.js";
import { createLog } from "../../node/log.js";
import { StreamCode, type StreamError } from "../../node/stream-error.js";
import { StreamWorld } from "../support/stream-world.js";

const MIB = 1024 * 1024;
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function host(onConnection: (socket: Socket) => void, streamsMax?: number) {
  const lines: string[] = [];
  const log = createLog({ level: "debug", unsafe: false, write: (line) => void lines.push(line) });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const targetPort = (server.address() as AddressInfo).port;
  const hosting = new Hosting({
    hosts: [{ port: 80, target: { kind: "tcp", host: "127.0.0.1", port: targetPort } }],
    log,
    ...(streamsMax === undefined ? {} : { streamsMax }),
  });
  const world = new StreamWorld();
  world.onStream = (stream, port) => hosting.handle(stream, port);
  cleanups.push(
    () => hosting.close(),
    () => server.close(),
  );
  const open = (port: number) => world.connect(port).on("error", () => undefined);
  return { hosting, world, open, server, lines };
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

async function codeOf(stream: Duplex): Promise<number> {
  const [error] = (await once(stream, "error")) as [StreamError];
  return error.code;
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const closeServer = (server: Server) => new Promise((resolve) => server.close(resolve));

test("a stream becomes a connection to the target, accepted once the target has answered", async () => {
  const { hosting, world, open } = await host((socket) => socket.pipe(socket));
  const stream = open(80);
  await once(stream, "accepted");
  expect(hosting.counts).toMatchObject({ open: 1, accepted: 1 });
  stream.end("echo");
  expect(String(await readAll(stream))).toBe("echo");
  await until(() => world.held === 0 && hosting.counts.open === 0);
});

test("a port that is not hosted is refused", async () => {
  const { hosting, open } = await host(() => undefined);
  expect(await codeOf(open(81))).toBe(StreamCode.refused);
  expect(hosting.counts.refusedNoPort).toBe(1);
});

test("a target that is down refuses the stream, and the log says which port without an address", async () => {
  const { hosting, open, server, lines } = await host(() => undefined);
  await closeServer(server);
  expect(await codeOf(open(80))).toBe(StreamCode.targetDown);
  expect(hosting.counts).toMatchObject({ open: 0, refusedTargetDown: 1 });
  expect(JSON.parse(lines[0]!)).toMatchObject({ event: "host.down", port: 80, error: "ECONNREFUSED" });
  expect(lines.join("")).not.toContain("127.0.0.1");
});

test("streams beyond the bound are refused, and served again when others have ended", async () => {
  const { hosting, open } = await host((socket) => socket.pipe(socket), 2);
  const first = open(80);
  const second = open(80);
  await Promise.all([once(first, "accepted"), once(second, "accepted")]);
  expect(await codeOf(open(80))).toBe(StreamCode.overload);
  first.end();
  first.resume();
  await until(() => hosting.counts.open === 1);
  await once(open(80), "accepted");
});

test("either end may finish first", async () => {
  const { world, open } = await host((socket) => {
    socket.end("bye"); // the target has nothing more to say, and listens on
    socket.once("data", (chunk) => void heard.push(String(chunk)));
  });
  const heard: string[] = [];
  const stream = open(80);
  expect(String(await readAll(stream))).toBe("bye");
  stream.end("still here");
  await until(() => heard.length > 0);
  expect(heard).toEqual(["still here"]);
  await until(() => world.held === 0);
});

test("a target that breaks off resets the stream instead of ending it", async () => {
  const { world, hosting, open } = await host((socket) => {
    socket.write("part");
    setTimeout(() => socket.resetAndDestroy(), 20);
  });
  const stream = open(80);
  stream.resume();
  expect(await codeOf(stream)).toBe(StreamCode.cancelled);
  await until(() => hosting.counts.open === 0 && world.held === 0);
});

test("a stream that is reset breaks the connection to the target instead of ending it", async () => {
  let broken: NodeJS.ErrnoException | undefined;
  const { open } = await host((socket) => {
    socket.resume();
    socket.once("error", (error) => {
      broken = error;
    });
  });
  const stream = open(80);
  stream.write("part");
  await once(stream, "accepted");
  stream.destroy();
  await until(() => broken !== undefined);
  expect(broken?.code).toBe("ECONNRESET");
});

test("a stream that goes away while the target is dialled leaves nothing behind", async () => {
  const { world, hosting, open } = await host((socket) => socket.resume());
  const { onStream } = world;
  world.onStream = (stream, port) => {
    onStream(stream, port);
    stream.destroy();
  };
  const stream = open(80);
  await until(() => stream.destroyed);
  await until(() => hosting.counts.open === 0 && world.held === 0);
  expect(hosting.counts.accepted).toBe(0);
});

describe("a table that many want a place in", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] }));
  afterEach(() => void vi.useRealTimers());

  /** A target that listens and never says a word, and streams to it from whichever session. */
  async function crowded(streamsMax: number) {
    const { hosting, world, open, lines } = await host((socket) => socket.resume(), streamsMax);
    let session = 0;
    world.onStream = (stream, port) => hosting.handle(stream, port, session);
    /** Opens `count` streams, one after the other; they stay silent unless `words` are given. */
    const visit = async (from: number, count: number, words?: string) => {
      session = from;
      const streams: Duplex[] = [];
      for (let i = 0; i < count; i += 1) {
        const stream = open(80).resume();
        streams.push(stream);
        await once(stream, "accepted");
        if (words !== undefined) stream.write(words);
      }
      return streams;
    };
    const refused = async (from: number): Promise<number> => {
      session = from;
      return codeOf(open(80));
    };
    const cleared = () => lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "host.cleared");
    return { hosting, visit, refused, cleared };
  }

  const rest = () => new Promise((resolve) => setTimeout(resolve, 50));

  test("a minute without a word ends a stream while it is more than half full; who waits for an answer is left alone", async () => {
    const { hosting, visit, cleared } = await crowded(4);
    const asking = await visit(1, 1, "GET / HTTP/1.1\r\n");
    const silent = await visit(2, 2);
    await rest(); // the words arrive
    vi.advanceTimersByTime(59_000);
    expect(cleared()).toEqual([]);
    const ended = codeOf(silent[0]!);
    vi.advanceTimersByTime(600_000);
    expect(await ended).toBe(StreamCode.overload);
    expect(cleared()).toMatchObject([{ port: 80, reason: "silent" }]); // the other silent one fits into half of the table
    expect(silent[1]!.destroyed).toBe(false);
    expect(asking[0]!.destroyed).toBe(false);
    expect(hosting.counts.open).toBe(2);
  });

  test("the longest silent makes room as soon as it is full", async () => {
    const { visit, refused } = await crowded(8);
    const silent = [...(await visit(1, 1)), ...(await visit(2, 1)), ...(await visit(3, 1)), ...(await visit(4, 1))];
    await visit(5, 1, "GET");
    await visit(6, 1, "GET");
    await visit(7, 1, "GET");
    await visit(8, 1, "GET");
    expect(await refused(9)).toBe(StreamCode.overload); // nobody was silent for five seconds yet
    await rest();
    vi.advanceTimersByTime(5_100);
    const ended = codeOf(silent[0]!);
    await visit(9, 1, "GET");
    expect(await ended).toBe(StreamCode.overload);
    expect(silent.map((stream) => stream.destroyed)).toEqual([true, false, false, false]);
  });

  test("one visitor may take all of it, and keeps a quarter when others come", async () => {
    const { hosting, visit, refused, cleared } = await crowded(8);
    const first = await visit(1, 8, "GET");
    await rest();
    vi.advanceTimersByTime(600_000); // a slow server
    expect(hosting.counts).toMatchObject({ open: 8, accepted: 8, refusedOverload: 0 });
    expect(await refused(1)).toBe(StreamCode.overload);

    await visit(2, 2, "GET");
    expect(cleared().map(({ reason }) => reason)).toEqual(["share", "share"]);
    expect(await refused(2)).toBe(StreamCode.overload);
    await visit(3, 2, "GET");
    await visit(4, 2, "GET");
    await rest();
    expect(first.filter((stream) => !stream.destroyed)).toHaveLength(2);
    expect(await refused(5)).toBe(StreamCode.overload); // all have their quarter now
    expect(hosting.counts.open).toBe(8);
  });
});

describe("a UDP target", () => {
  /** A server that says back what it hears and from whom, and a flow of the overlay as the driver hands it out. */
  async function flowTo(kind: "udp" | "tcp") {
    const server = createSocket("udp4", (bytes, from) => server.send(`${from.port}:${bytes}`, from.port, from.address));
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const log = createLog({ level: "error", unsafe: false, write: () => undefined });
    const target = { kind, host: "127.0.0.1", port: server.address().port };
    const hosting = new Hosting({ hosts: [{ port: 53, target }], log });
    cleanups.push(
      () => void hosting.close(),
      () => server.close(),
    );
    const open = (session = 0) => {
      const sent: string[] = [];
      let closed = 0;
      const flow = new DatagramFlow(
        {
          sendDatagram: (_flow, bytes) => sent.push(Buffer.from(bytes).toString()) > 0,
          closeFlow: () => {
            closed += 1;
          },
        },
        1,
      );
      hosting.handleFlow(flow, 53, session);
      return { flow, sent, closed: () => closed };
    };
    return { hosting, open };
  }

  test("hears each datagram whole, answers into the same flow, and can tell flows apart", async () => {
    const { open } = await flowTo("udp");
    const one = open();
    const two = open();
    one.flow.onDatagram(Buffer.from("a")); // before the socket is connected
    two.flow.onDatagram(Buffer.from("b"));
    await until(() => one.sent.length === 1 && two.sent.length === 1);
    one.flow.onDatagram(Buffer.from("c"));
    await until(() => one.sent.length === 2);

    const [port] = one.sent[0]!.split(":");
    expect(one.sent).toEqual([`${port}:a`, `${port}:c`]);
    expect(two.sent[0]).toMatch(/^\d+:b$/);
    expect(two.sent[0]).not.toBe(`${port}:b`);
  });

  test("loses its flows when its port is removed, and takes none for a port that is TCP", async () => {
    const { hosting, open } = await flowTo("udp");
    const { closed } = open();
    expect(closed()).toBe(0);
    hosting.setHosts([]);
    expect(closed()).toBe(1);
    expect(open().closed()).toBe(1);

    const tcp = await flowTo("tcp");
    expect(tcp.open().closed()).toBe(1);
    expect(tcp.hosting.counts.refusedNoPort).toBe(1);
  });

  test("takes no more flows than it has room for", async () => {
    const { hosting, open } = await flowTo("udp");
    const flows = Array.from({ length: 257 }, () => open());

    expect(flows.map(({ closed }) => closed()).filter((count) => count > 0)).toEqual([1]);
    expect(hosting.counts.refusedOverload).toBe(1);
    flows[0]!.flow.handleClosed(); // idle for too long
    expect(open().closed()).toBe(0);
  });
});

test("flows of many visitors share the room: whoever has most gives up the one that it used least lately", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  cleanups.push(() => void vi.useRealTimers());
  const log = createLog({ level: "error", unsafe: false, write: () => undefined });
  const target = { kind: "udp" as const, host: "127.0.0.1", port: 9 };
  const hosting = new Hosting({ hosts: [{ port: 53, target }], log });
  cleanups.push(() => void hosting.close());
  const open = (session: number) => {
    const flow = new DatagramFlow({ sendDatagram: () => true, closeFlow: () => undefined }, 1);
    hosting.handleFlow(flow, 53, session);
    vi.advanceTimersByTime(1);
    return flow;
  };
  const greedy = Array.from({ length: 256 }, () => open(1));
  greedy[0]!.onDatagram(Buffer.from("still in use"));
  const others = Array.from({ length: 128 }, () => open(2));

  expect(others.every((flow) => !flow.isClosed)).toBe(true);
  expect(greedy.map((flow) => flow.isClosed)).toEqual(greedy.map((_, i) => i > 0 && i <= 128));
  expect(open(2).isClosed).toBe(true); // both have half
  expect(open(3).isClosed).toBe(false);
});

test("bulk goes both ways at once, whole, through bounded buffers", async () => {
  const { world, open } = await host((socket) => socket.pipe(socket));
  const stream = open(80);
  const size = 8 * MIB;
  const sent = createHash("sha256");
  const received = createHash("sha256");
  let got = 0;
  let most = 0;
  stream.on("data", (chunk: Buffer) => {
    got += chunk.length;
    received.update(chunk);
    most = Math.max(most, world.bufferedBytes);
  });
  for (let at = 0; at < size; at += 64 * 1024) {
    const chunk = Buffer.alloc(64 * 1024, at >> 14);
    sent.update(chunk);
    if (!stream.write(chunk)) await once(stream, "drain");
  }
  stream.end();
  await once(stream, "end");
  expect(got).toBe(size);
  expect(received.digest("hex")).toBe(sent.digest("hex"));
  expect(most).toBeLessThanOrEqual(2 * 512 * 1024);
});
