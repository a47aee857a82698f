import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { printName } from "../../core/address/name.js";
import { tagOf } from "../../core/proxy/isolation.js";
import { DatagramFlow } from "../../node/datagram-flow.js";
import { Hosting } from "../../node/hosting.js";
import { createLog, type Log } from "../../node/log.js";
import { SocksProxy } from "../../node/proxy/socks-server.js";
import { StreamCode } from "../../node/stream-error.js";
import { startLine } from "../support/driver-net.js";
import { cleanUp, cleanups, log, NAME, until } from "../support/proxy-site.js";
import { StreamWorld } from "../support/stream-world.js";

afterEach(cleanUp);

const GREETING = [5, 1, 0];
const SUCCEEDED = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const connectTo = (name: string, port = 80, command = 1) => [
  ...[5, command, 0, 3, name.length],
  ...Buffer.from(name),
  ...[port >> 8, port & 255],
];

interface SocksSite {
  readonly world: StreamWorld;
  readonly socks: SocksProxy;
  readonly port: number;
  /** The tags that streams were opened with. */
  readonly tags: (string | undefined)[];
}

async function buildSocks(options: { log?: Log; negotiationMs?: number } = {}): Promise<SocksSite> {
  const world = new StreamWorld();
  const tags: (string | undefined)[] = [];
  const open = (port: number, tag: string | undefined): Duplex => {
    tags.push(tag);
    return world.connect(port);
  };
  const socks = new SocksProxy({ connect: (_nac, port, _hash, tag) => open(port, tag), log, ...options });
  await socks.listen([{ host: "127.0.0.1", port: 0 }]);
  cleanups.push(() => socks.close(0));
  return { world, socks, port: socks.endpoints[0]!.port, tags };
}

/** The same with a TCP server behind overlay port 80. */
async function buildSite(serve: (socket: Socket) => void): Promise<SocksSite> {
  const target = createTcpServer({ allowHalfOpen: true }, (socket) => serve(socket.on("error", () => undefined)));
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  const site = await buildSocks();
  const { port } = target.address() as AddressInfo;
  const hosting = new Hosting({ hosts: [{ port: 80, target: { kind: "tcp", host: "127.0.0.1", port } }], log });
  site.world.onStream = (stream, overlayPort) => hosting.handle(stream, overlayPort);
  cleanups.push(async () => {
    await hosting.close();
    target.close();
  });
  return site;
}

function dial(site: { port: number }): Socket {
  const socket = connect({ host: "127.0.0.1", port: site.port, allowHalfOpen: true });
  cleanups.push(() => void socket.destroy());
  return socket.on("error", () => undefined);
}

async function hear(socket: Socket, count: number): Promise<number[]> {
  const heard: number[] = [];
  while (heard.length < count) {
    if (socket.readableLength === 0) await once(socket, "readable");
    const chunk = socket.read(Math.min(socket.readableLength, count - heard.length)) as Buffer | null;
    heard.push(...(chunk ?? []));
  }
  return heard;
}

/** Sends bytes, and returns all that comes back until the end. */
async function say(site: { port: number }, ...pieces: number[][]): Promise<number[]> {
  const socket = dial(site);
  for (const piece of pieces) socket.write(Uint8Array.from(piece));
  return [...(await buffer(socket))];
}

describe("a tunnel by SOCKS5", () => {
  test("carries bytes both ways and half-closes", async () => {
    const site = await buildSite((socket) => {
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk;
      });
      socket.on("end", () => socket.end(`you said ${heard}`)); // answers only after the client's end
    });
    const socket = dial(site);
    socket.write(Uint8Array.from(GREETING));
    expect(await hear(socket, 2)).toEqual([5, 0]);
    socket.write(Uint8Array.from(connectTo(NAME)));
    expect(await hear(socket, 10)).toEqual(SUCCEEDED);
    socket.end("hello");
    expect(await text(socket)).toBe("you said hello");
    await until(() => site.world.held === 0);
    expect(site.socks.counts.opened).toBe(1);
  });

  test("takes a client that says everything at once, and one that says it byte by byte", async () => {
    const site = await buildSite((socket) =>
      socket.once("data", (chunk: Buffer) => socket.end(`got ${chunk.toString()}`)),
    );
    const whole = [...GREETING, ...connectTo(NAME), ...Buffer.from("early")];
    expect(Buffer.from((await say(site, whole)).slice(12)).toString()).toBe("got early");
    const slow = dial(site).setNoDelay(true);
    for (const byte of whole.slice(0, -5)) {
      slow.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await hear(slow, 12)).toEqual([5, 0, ...SUCCEEDED]);
    slow.write("late");
    expect(await text(slow)).toBe("got late");
  });

  test("opens its stream under the tag of its user and password", async () => {
    const site = await buildSite((socket) => socket.end("."));
    const auth = [1, 4, ...Buffer.from("work"), 1, ...Buffer.from("7")];
    await say(site, [5, 2, 0, 2], auth, connectTo(NAME));
    await say(site, GREETING, connectTo(NAME));
    expect(site.tags).toEqual([tagOf("work", "7"), ""]);
  });

  test("breaks when the session is lost, instead of ending", async () => {
    const site = await buildSite(() => undefined);
    const socket = dial(site);
    socket.write(Uint8Array.from([...GREETING, ...connectTo(NAME)]));
    await hear(socket, 12);
    site.world.loseAll();
    const [error] = (await once(socket.resume(), "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  });
});

describe("when it cannot be opened", () => {
  test.each([
    ["refused", 5],
    ["targetDown", 5],
    ["unreachable", 4],
    ["noKey", 4],
    ["timeout", 6],
    ["overload", 1],
  ] as const)("the client of a stream that ends with %s hears reply %i", async (fault, reply) => {
    const site = await buildSocks();
    site.world.onStream = (stream) => stream.refuse(StreamCode[fault]);
    expect(await say(site, GREETING, connectTo(NAME))).toEqual([5, 0, 5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(site.socks.counts.failed).toEqual({ [reply]: 1 });
    expect(site.world.held).toBe(0);
  });

  test("an IP address is refused, and the log says once what to do", async () => {
    const lines: string[] = [];
    const site = await buildSocks({
      log: createLog({ level: "warn", unsafe: false, write: (line) => lines.push(line) }),
    });
    for (let i = 0; i < 2; i += 1) {
      const answer = await say(site, GREETING, [5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
      expect(answer).toEqual([5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("use socks5h");
    expect(site.socks.refusals).toEqual({ ipAddress: 2 });
    expect(site.world.opened).toBe(0);
  });

  test("names outside the overlay, BIND and garbage open nothing", async () => {
    const site = await buildSocks();
    await say(site, GREETING, connectTo("example.com"));
    await say(site, GREETING, connectTo("shop.mariana"));
    await say(site, GREETING, connectTo(NAME, 80, 2));
    await say(site, [...Buffer.from("POST / HTTP/1.1\r\nHost: x\r\n\r\n")]);
    await say(
      site,
      Array.from({ length: 200_000 }, (_, i) => (i === 0 ? 22 : i & 255)),
    );
    expect(site.socks.refusals).toEqual({ notMariana: 1, badName: 1, command: 1, notSocks5: 2 });
    expect(site.world.opened).toBe(0);
  });
});

describe("a client that costs nothing", () => {
  test("one that goes on for ever without asking for anything is let go", async () => {
    const site = await buildSocks({ negotiationMs: 150 });
    const silent = dial(site);
    const dripping = dial(site);
    const drip = setInterval(() => dripping.write(Uint8Array.of(dripping.bytesWritten < 1 ? 5 : 200)), 20);
    cleanups.push(() => clearInterval(drip));
    await Promise.all([once(silent.resume(), "end"), once(dripping.resume(), "end")]);
    clearInterval(drip);
    expect(site.socks.refusals).toEqual({ slow: 2 });
  });

  test("one that goes away in the middle of it leaves nothing", async () => {
    const site = await buildSocks();
    site.world.onStream = (stream) => void stream.on("error", () => undefined); // neither yes nor no
    for (const count of [0, 1, 3, 10])
      dial(site).end(Uint8Array.from([...GREETING, ...connectTo(NAME)].slice(0, count)));
    const asking = dial(site);
    asking.write(Uint8Array.from([...GREETING, ...connectTo(NAME)]));
    await until(() => site.world.opened === 1);
    asking.destroy();
    await until(() => site.world.held === 0);
  });

  test("one that floods before it was answered is held by its own socket", async () => {
    const site = await buildSocks();
    site.world.onStream = (stream) => void stream.on("error", () => undefined);
    const socket = dial(site);
    socket.write(Uint8Array.from([...GREETING, ...connectTo(NAME)]));
    let sent = 0;
    const block = Buffer.alloc(1024 * 1024);
    const pour = (): void => {
      while (sent < 64 && socket.write(block)) sent += 1;
    };
    socket.on("drain", pour);
    pour();
    await until(() => site.world.opened === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent).toBeLessThan(32); // the rest waits where it came from
    expect(site.world.bufferedBytes).toBeLessThan(1024 * 1024);
  });
});

describe("UDP ASSOCIATE", () => {
  interface Associated {
    readonly control: Socket;
    readonly udp: UdpSocket;
    readonly heard: Buffer[];
    readonly send: (bytes: Buffer, from?: UdpSocket) => void;
  }

  async function bindUdp(): Promise<UdpSocket> {
    const udp = createSocket("udp4");
    let isOpen = true;
    udp.once("close", () => {
      isOpen = false;
    });
    udp.bind(0, "127.0.0.1");
    await once(udp, "listening");
    cleanups.push(() => {
      if (isOpen) udp.close();
    });
    return udp;
  }

  async function associate(port: number, declared = 0): Promise<Associated> {
    const control = dial({ port });
    control.write(Uint8Array.from([...GREETING, 5, 3, 0, 1, 0, 0, 0, 0, declared >> 8, declared & 255]));
    const answer = await hear(control, 12);
    expect(answer.slice(0, 10)).toEqual([5, 0, 5, 0, 0, 1, 0, 0, 0, 0]);
    const bound = (answer[10]! << 8) | answer[11]!;
    const udp = await bindUdp();
    const heard: Buffer[] = [];
    udp.on("message", (bytes) => void heard.push(bytes));
    return { control, udp, heard, send: (bytes, from = udp) => from.send(bytes, bound, "127.0.0.1") };
  }

  const datagramTo = (name: string, port: number, data: string | Buffer, fragment = 0) =>
    Buffer.concat([
      Buffer.of(0, 0, fragment, 3, name.length),
      Buffer.from(name),
      Buffer.of(port >> 8, port & 255),
      Buffer.from(data),
    ]);

  test("carries datagrams to an overlay port and back, and nothing of anybody else's", async () => {
    const { nodes, close } = startLine(2);
    cleanups.push(close);
    const [here, there] = [nodes[0]!, nodes[1]!];
    const ports: number[] = [];
    there.driver.setPorts([53]);
    there.driver.onDatagramFlow = (flow, port) => {
      ports.push(port);
      flow.onDatagram = (bytes) => void flow.send(Buffer.concat([Buffer.from("echo "), bytes]));
    };
    const socks = new SocksProxy({
      connect: (...target) => here.driver.connect(...target),
      openFlow: (...target) => here.driver.openFlow(...target),
      log,
    });
    await socks.listen([{ host: "127.0.0.1", port: 0 }]);
    cleanups.push(() => socks.close(0));
    const name = printName(there.nac);
    const { control, heard, send } = await associate(socks.endpoints[0]!.port);

    await until(() => {
      if (heard.length === 0) send(datagramTo(name, 53, "hello")); // the first ones may be lost before there is a route
      return heard.length > 0;
    });
    expect(heard[0]).toEqual(datagramTo(name, 53, "echo hello"));
    expect(ports[0]).toBe(53);

    const stranger = await bindUdp();
    send(datagramTo(name, 53, "stolen"), stranger);
    send(datagramTo(name, 53, "part", 1));
    send(datagramTo("example.com", 53, "out"));
    send(datagramTo(name, 53, Buffer.alloc(1100)));
    await until(() => Object.keys(socks.refusals).length === 4);
    expect(socks.refusals).toEqual({ stranger: 1, fragment: 1, notMariana: 1, tooLarge: 1 });
    expect(heard.map((bytes) => bytes.toString()).join()).not.toContain("stolen");

    control.end();
    await once(control.resume(), "end");
    await until(() => (socks as unknown as { associated: Set<unknown> }).associated.size === 0);
  });

  test("keeps to the port that the client named, ends with its connection and with the proxy", async () => {
    const flows: DatagramFlow[] = [];
    const sent: string[] = [];
    const commands = {
      sendDatagram: (_flow: number, bytes: Uint8Array) => sent.push(String(bytes)) > 0,
      closeFlow: () => undefined,
    };
    const openFlow = () => {
      const flow = new DatagramFlow(commands, flows.length);
      flows.push(flow);
      return flow;
    };
    const socks = new SocksProxy({ connect: () => new StreamWorld().connect(80), openFlow, log });
    await socks.listen([{ host: "127.0.0.1", port: 0 }]);
    cleanups.push(() => socks.close(0));
    const { port } = socks.endpoints[0]!;

    const named = await associate(port, 1);
    named.send(datagramTo(NAME, 53, "from another port"));
    await until(() => socks.refusals.stranger === 1);

    const many = await associate(port);
    for (let i = 1; i <= 70; i += 1) many.send(datagramTo(NAME, i, "x"));
    await until(() => socks.refusals.busy === 6); // 64 targets, and no more
    expect(flows).toHaveLength(64);
    many.control.destroy();
    await until(() => flows.every((flow) => flow.isClosed));

    await socks.close(5_000);
    await until(() => named.control.readableEnded || named.control.resume().destroyed);
  });

  test("is refused where there are no datagrams", async () => {
    const site = await buildSocks();
    expect(await say(site, GREETING, connectTo(NAME, 80, 3))).toEqual([5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]);
  });
});

test("an HTTP client over SOCKS5 gets a page", async () => {
  const server = createServer((_req, res) => res.end("hello"));
  const site = await buildSite((socket) => void server.emit("connection", socket));
  const request = `GET / HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`;
  const answer = await say(site, GREETING, connectTo(NAME), [...Buffer.from(request)]);
  expect(Buffer.from(answer.slice(12)).toString()).toMatch(/^HTTP\/1.1 200 OK[\s\S]*hello$/);
});

test("closing lets a tunnel end by itself, then breaks it", async () => {
  const site = await buildSite((socket) => socket.pipe(socket));
  const open = async (): Promise<Socket> => {
    const socket = dial(site);
    socket.write(Uint8Array.from([...GREETING, ...connectTo(NAME)]));
    await hear(socket, 12);
    return socket;
  };
  const [ending, staying, early] = [await open(), await open(), dial(site)];
  await once(early, "connect");
  const closed = site.socks.close(400);
  await once(early.resume(), "end"); // it asked for nothing yet
  ending.end("still served");
  expect(await text(ending)).toBe("still served");
  const [error] = (await once(staying.resume(), "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
  await closed;
  await until(() => site.world.held === 0);
});
