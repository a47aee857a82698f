import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, expect, test } from "vitest";
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
