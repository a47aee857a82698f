import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { printLongName, printName } from "../../core/address/name.js";
import { PacketType } from "../../core/wire/flight.js";
import { Hosting } from "../../node/hosting.js";
import { createLog } from "../../node/log.js";
import type { OverlayStream } from "../../node/overlay-stream.js";
import { HttpProxy } from "../../node/proxy/http-server.js";
import { StreamCode, type StreamError } from "../../node/stream-error.js";
import { startLine } from "../support/driver-net.js";

const log = createLog({ level: "error", unsafe: false, write: () => undefined });
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function line(count: number) {
  const world = startLine(count);
  cleanups.push(world.close);
  return { first: world.nodes[0]!, last: world.nodes[count - 1]!, nodes: world.nodes };
}

async function readAll(stream: OverlayStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

async function until(condition: () => boolean, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("the epoch is persisted when the first neighbour comes, and before it is told", async () => {
  const { nodes } = line(2);
  for (const node of nodes) expect(node.epochs).toEqual([]); // nobody heard of it: it may begin again
  await until(() => nodes.some(({ driver }) => driver.stack.status().routes > 0));
  for (const node of nodes) {
    expect(node.epochs).toHaveLength(1);
    expect(node.epochs[0]).toBeGreaterThan(1_600_000_000);
  }
});

test("a stream opens across a relay, and bytes arrive whole in both directions", async () => {
  const { first, last } = line(3);
  last.driver.setPorts([7]);
  last.driver.onStream = (stream, port) => {
    expect(port).toBe(7);
    stream.accept();
    stream.pipe(stream);
  };
  const stream = first.driver.connect(last.nac, 7);
  const sent = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 31) ^ (i >> 9)));
  stream.end(sent);
  const received = await readAll(stream);
  expect(stream.accepted).toBe(true);
  expect(received.length).toBe(sent.length);
  expect(createHash("sha256").update(received).digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
  await until(() => first.driver.stack.status().streams === 0 && last.driver.stack.status().streams === 0);
});

test("a port that nobody hosts is refused by the driver itself, and one that is turned away by its handler", async () => {
  const { first, last } = line(2);
  last.driver.setPorts([80]);
  last.driver.onStream = (stream) => stream.refuse(StreamCode.targetDown);
  const [noPort] = (await once(first.driver.connect(last.nac, 81), "error")) as [StreamError];
  expect(noPort.fault).toBe("refused");
  const [down] = (await once(first.driver.connect(last.nac, 80), "error")) as [StreamError];
  expect(down.fault).toBe("targetDown");
});

test("a ping is answered with its round trip, and one to nobody with a reason", async () => {
  const { first, last } = line(3);
  const outcome = await first.driver.ping(last.nac, 10_000);
  expect(outcome).toMatchObject({ rttUs: expect.any(Number) });
  const nobody = await first.driver.ping(new Uint8Array(16).fill(0x88), 200);
  expect(nobody).toEqual({ reason: "timeout" });
});

test("a ping by a hash that the keys of the NAC do not give fails for want of a key", async () => {
  const { first, last } = line(3);
  const forged = last.nacHash.slice();
  forged[31] = forged[31]! ^ 1;

  expect(await first.driver.ping(last.nac, 10_000, forged)).toEqual({ reason: "noKey" });
  expect(await first.driver.ping(last.nac, 10_000, last.nacHash)).toMatchObject({ rttUs: expect.any(Number) });
});

test("a stream that is dropped in the middle of a transfer is forgotten at both ends", async () => {
  const { first, last } = line(3);
  let broken: StreamError | undefined;
  last.driver.setPorts([1]);
  last.driver.onStream = (stream) => {
    stream.accept();
    stream.on("error", (error) => {
      broken = error as StreamError;
    });
    const more = (): void => {
      while (!stream.destroyed && stream.write(Buffer.alloc(65_536)));
      stream.once("drain", more);
    };
    more();
  };
  const stream = first.driver.connect(last.nac, 1);
  await once(stream, "data");
  stream.destroy();
  await until(() => first.driver.stack.status().streams === 0 && last.driver.stack.status().streams === 0);
  expect(broken?.fault).toBe("cancelled");
  // The session is whole: its credit came back, another stream gets through.
  const again = first.driver.connect(last.nac, 1);
  for (let read = 0; read < 6 * 1024 * 1024; ) {
    const [chunk] = (await once(again, "data")) as [Buffer];
    read += chunk.length;
  }
  again.destroy();
});

test("a reader that does not read stops the sender within credit and send buffer", async () => {
  const { first, last } = line(2);
  let incoming: OverlayStream | undefined;
  last.driver.setPorts([1]);
  last.driver.onStream = (stream) => {
    incoming = stream;
    stream.accept();
  };
  const stream = first.driver.connect(last.nac, 1);
  await once(stream, "accepted");
  const total = 24 * 1024 * 1024;
  let written = 0;
  const write = (): void => {
    while (written < total) {
      written += 65_536;
      if (!stream.write(Buffer.alloc(65_536))) {
        stream.once("drain", write);
        return;
      }
    }
    stream.end();
  };
  write();
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(written).toBeLessThan(8 * 1024 * 1024);
  let read = 0;
  incoming!.on("data", (chunk: Buffer) => {
    read += chunk.length;
  });
  await once(incoming!, "end");
  expect(read).toBe(total);
});

test("the core is told which machine a handshake comes from", async () => {
  const { first, last } = line(2);
  const { stack } = first.driver;
  const crowds = new Set<number | undefined>();
  const handle = stack.handleDatagram.bind(stack);
  stack.handleDatagram = (...given) => {
    crowds.add(given[5]);
    return handle(...given);
  };
  await until(() => stack.status().neighbours === 1);
  expect([...crowds]).toEqual([1000 + Number(last.address)]);
});

test("a thousand records of sessions that nobody has are dropped before the core sees them, those of a neighbour are not", async () => {
  const { first, last } = line(2);
  const { stack } = first.driver;
  await until(() => stack.status().neighbours === 1);
  let handled = 0;
  const handle = stack.handleDatagram.bind(stack);
  stack.handleDatagram = (...given) => {
    handled += 1;
    return handle(...given);
  };
  let known = 0;
  const isSessionKnown = stack.isSessionKnown.bind(stack);
  stack.isSessionKnown = (index) => {
    const answer = isSessionKnown(index);
    if (answer) known += 1;
    return answer;
  };
  for (let i = 0; i < 1000; i += 1) {
    const junk = randomBytes(i % 2 === 0 ? 1200 : 128);
    junk[0] = PacketType.record;
    first.port.onDatagram(Number(last.address), new Uint8Array(junk), junk.length);
  }
  expect(first.driver.overloads).toBeGreaterThan(400);
  expect(handled).toBeLessThan(600);

  const { overloads } = first.driver;
  expect(await first.driver.ping(last.nac, 10_000)).toMatchObject({ rttUs: expect.any(Number) });
  expect(known).toBeGreaterThan(0);
  expect(first.driver.overloads).toBe(overloads);
});

test("a quiet driver sleeps: only hellos leave, and the event loop is idle", async () => {
  const { first } = line(2);
  await until(() => first.driver.stack.status().neighbours === 1);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = { sent: first.port.sent, cpu: process.cpuUsage() };
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const cpu = process.cpuUsage(before.cpu);
  expect(first.port.sent - before.sent).toBeLessThan(10);
  expect((cpu.user + cpu.system) / 2_000_000).toBeLessThan(0.2);
});

test("closing breaks streams, answers pings, tells the neighbours, and takes no more commands", async () => {
  const { first, last } = line(2);
  last.driver.setPorts([1]);
  last.driver.onStream = (stream) => {
    stream.on("error", () => undefined);
    stream.accept();
  };
  const stream = first.driver.connect(last.nac, 1);
  await once(stream, "accepted");
  const ping = first.driver.ping(new Uint8Array(16).fill(0x88), 60_000);
  await first.driver.close();
  expect(stream.destroyed).toBe(true);
  expect(await ping).toEqual({ reason: "closed" });
  await until(() => last.events.includes("link.down"), 2_000); // long before silence would have told
  expect(last.driver.stack.status().neighbours).toBe(0);
  const late = first.driver.connect(last.nac, 1);
  late.end("nobody hears this");
  const [error] = (await once(late, "error")) as [StreamError];
  expect(error.fault).toBe("sessionLost");
});

test("a peer hears that a stream broke although everything is lost for a moment while the driver closes", async () => {
  const { first, last } = line(2);
  last.driver.setPorts([1]);
  last.driver.onStream = (stream) => stream.on("error", () => undefined).accept();
  const stream = first.driver.connect(last.nac, 1);
  await once(stream, "accepted");
  const told = once(stream, "error", { signal: AbortSignal.timeout(1_000) });

  last.port.isCut = true;
  setTimeout(() => Object.assign(last.port, { isCut: false }), 100);
  await last.driver.close();

  const [error] = (await told) as [StreamError];
  expect(["cancelled", "sessionLost"]).toContain(error.fault);
});

test("an address without a socket of its kind is logged and left alone", () => {
  const { first } = line(1);
  first.driver.addPeer("unknown", 1, undefined);
  expect(first.events).toContain("peer.unusable");
});

test("a page is fetched by either name through proxy, three nodes and hosting; a wrong long name is not served", async () => {
  const server = createServer((req, res) => res.end(`host ${req.headers.host}`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => void server.close());
  const { first, last } = line(3);
  const targetPort = (server.address() as AddressInfo).port;
  const hosting = new Hosting({
    hosts: [{ port: 80, target: { kind: "tcp", host: "127.0.0.1", port: targetPort } }],
    log,
  });
  last.driver.setPorts(hosting.ports);
  last.driver.onStream = (stream, port) => hosting.handle(stream, port);
  const proxy = new HttpProxy({ connect: (nac, port, hash) => first.driver.connect(nac, port, hash), log });
  await proxy.listen([{ host: "127.0.0.1", port: 0 }]);
  cleanups.push(() => proxy.close(0));

  const fetchPage = async (name: string) => {
    const { port } = proxy.endpoints[0]!;
    const headers = { Host: name };
    const request = httpRequest({ host: "127.0.0.1", port, path: `http://${name}/`, headers, agent: false }).end();
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    return { status: answer.statusCode, body: await text(answer) };
  };
  const name = printName(last.nac);
  expect(await fetchPage(name)).toEqual({ status: 200, body: `host ${name}` });
  const longName = printLongName(last.nacHash);
  expect(await fetchPage(longName)).toEqual({ status: 200, body: `host ${longName}` });
  const forged = last.nacHash.slice();
  forged[31] = forged[31]! ^ 1; // the same NAC, other keys
  const refused = await fetchPage(printLongName(forged));
  expect(refused.status).toBe(504);
  expect(refused.body).toContain("key");
});
