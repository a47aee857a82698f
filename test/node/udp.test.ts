import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { createLog, type Log } from "../../node/log.js";
import { PATHS_MAX, type UdpListen, UdpPort } from "../../node/udp.js";

const quiet: Log = createLog({ level: "error", unsafe: false, write: () => undefined });
const LOOPBACK: UdpListen = { host: "127.0.0.1", port: 0 };

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function udpAt(...listen: UdpListen[]): Promise<UdpPort> {
  const udp = await UdpPort.open(listen, quiet);
  open.push(() => udp.close());
  return udp;
}

async function plainSocket(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  open.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return socket;
}

/** The next datagram that `udp` receives. */
function received(udp: UdpPort): Promise<{ path: number; text: string }> {
  return new Promise((resolve) => {
    udp.onDatagram = (path, bytes, length) =>
      resolve({ path, text: Buffer.from(bytes.subarray(0, length)).toString() });
  });
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

test("two ports exchange datagrams, and the answer comes on the path of the question", async () => {
  const ada = await udpAt(LOOPBACK);
  const bob = await udpAt(LOOPBACK);
  const toBob = ada.pathOf("127.0.0.1", bob.endpoints[0]!.port);

  const question = received(bob);
  ada.send(toBob, bytesOf("..hello.."), 2, 5);
  const { path, text } = await question;
  expect(text).toBe("hello");
  expect(bob.endpointOf(path)).toBe(`127.0.0.1:${ada.endpoints[0]!.port}`);

  const answer = received(ada);
  bob.send(path, bytesOf("hi"), 0, 2);
  expect(await answer).toEqual({ path: toBob, text: "hi" });
});

test("the bytes may be overwritten as soon as send returned", async () => {
  const ada = await udpAt(LOOPBACK);
  const bob = await udpAt(LOOPBACK);
  const texts: string[] = [];
  const all = new Promise<void>((resolve) => {
    bob.onDatagram = (_, bytes) => {
      texts.push(Buffer.from(bytes).toString());
      if (texts.length === 32) resolve();
    };
  });
  const path = ada.pathOf("127.0.0.1", bob.endpoints[0]!.port);
  const buffer = new Uint8Array(2);

  for (let i = 0; i < 32; i += 1) {
    buffer.set(bytesOf(String(i + 10)));
    ada.send(path, buffer, 0, 2);
  }
  buffer.fill(0);

  await all;
  expect(texts.sort()).toEqual(Array.from({ length: 32 }, (_, i) => String(i + 10)));
});

test("what arrives is a plain Uint8Array, whose slices are copies", async () => {
  const udp = await udpAt(LOOPBACK);
  const arrival = new Promise<Uint8Array>((resolve) => {
    udp.onDatagram = (_, bytes) => resolve(bytes);
  });
  udp.send(udp.pathOf("127.0.0.1", udp.endpoints[0]!.port), bytesOf("ab"), 0, 2);

  const bytes = await arrival;
  const copy = bytes.slice(0, 1);
  bytes.fill(0);

  expect([...copy]).toEqual([0x61]);
});

test("an address keeps its path number, and each address has its own", async () => {
  const udp = await udpAt(LOOPBACK);

  const a = udp.pathOf("127.0.0.1", 1000);
  const b = udp.pathOf("127.0.0.1", 1001);
  const c = udp.pathOf("127.0.0.2", 1000);

  expect(new Set([a, b, c]).size).toBe(3);
  expect([udp.pathOf("127.0.0.1", 1000), udp.pathOf("127.0.0.1", 1001), udp.pathOf("127.0.0.2", 1000)]).toEqual([
    a,
    b,
    c,
  ]);
});

test("a name, or an address of a family that is not bound, has no path", async () => {
  const udp = await udpAt(LOOPBACK);

  expect(udp.pathOf("relay.example", 1)).toBe(-1);
  expect(udp.pathOf("::1", 1)).toBe(-1);
});

test("IPv4 and IPv6 share one free port, and a path goes out of the socket of its family", async () => {
  const udp = await udpAt(LOOPBACK, { host: "::1", port: 0 });
  const [four, six] = udp.endpoints;

  expect(four!.port).toBe(six!.port);
  const arrival = received(udp);
  udp.send(udp.pathOf("::1", six!.port), bytesOf("six"), 0, 3);
  const { path, text } = await arrival;
  expect(text).toBe("six");
  expect(udp.endpointOf(path)).toBe(`[::1]:${six!.port}`);
});

test("paths are bounded: the oldest that nobody uses is given away, one in use never", async () => {
  const udp = await udpAt(LOOPBACK);
  const kept = new Set([0, 1, 2, 3].map((port) => udp.pathOf("127.0.0.1", 1 + port)));
  udp.isPathInUse = (path) => kept.has(path);

  for (let i = 0; i < 3 * PATHS_MAX; i += 1) udp.pathOf(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 4000);

  expect([...kept].map((path) => udp.endpointOf(path))).toEqual([1, 2, 3, 4].map((port) => `127.0.0.1:${port}`));
  const newest = udp.pathOf("10.0.47.255", 4000);
  expect(newest).toBeLessThan(PATHS_MAX);
  expect(udp.endpointOf(newest)).toBe("10.0.47.255:4000");
  expect(udp.drops.pathsFull).toBe(0);
});

test("an address that was answered outlives a flood from invented ones, and one that was only heard does not", async () => {
  const udp = await udpAt(LOOPBACK);
  const answered = udp.pathOf("127.0.0.1", 9);
  const heard = udp.pathOf("127.0.0.2", 9);
  udp.send(answered, bytesOf("resp"), 0, 4);

  for (let i = 0; i < 4 * PATHS_MAX; i += 1) udp.pathOf(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 4000);

  expect(udp.endpointOf(answered)).toBe("127.0.0.1:9");
  expect(udp.endpointOf(heard)).not.toBe("127.0.0.2:9");
  for (let i = 0; i < 16 * PATHS_MAX; i += 1) udp.pathOf(`11.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 4000);
  expect(udp.endpointOf(answered)).not.toBe("127.0.0.1:9");
  expect(udp.drops.pathsFull).toBe(0);
});

test("when every path is in use, a stranger is dropped and counted", async () => {
  const udp = await udpAt(LOOPBACK);
  for (let i = 0; i < PATHS_MAX; i += 1) udp.pathOf(`10.0.${i >> 8}.${i & 255}`, 4000);
  udp.isPathInUse = () => true;

  expect(udp.pathOf("10.1.0.0", 4000)).toBe(-1);
  expect(udp.drops.pathsFull).toBe(1);
  expect(udp.pathOf("10.0.0.0", 4000)).toBeGreaterThanOrEqual(0);
});

test("the send ring is bounded: what does not fit is dropped and counted, and later sends work again", async () => {
  const udp = await udpAt(LOOPBACK);
  const target = await plainSocket();
  const path = udp.pathOf("127.0.0.1", target.address().port);
  const bytes = new Uint8Array(1200);

  for (let i = 0; i < 2000; i += 1) udp.send(path, bytes, 0, bytes.length);
  expect(udp.drops.sendRing).toBeGreaterThan(0);

  await new Promise((resolve) => setImmediate(resolve));
  const before = udp.drops.sendRing;
  const arrival = new Promise<void>((resolve) => target.on("message", (data) => data.length === 3 && resolve()));
  udp.send(path, bytesOf("end"), 0, 3);
  await arrival;
  expect(udp.drops.sendRing).toBe(before);
});

test("a hello still finds room in a send ring that data has filled", async () => {
  const udp = await udpAt(LOOPBACK);
  const target = await plainSocket();
  const path = udp.pathOf("127.0.0.1", target.address().port);
  for (let i = 0; i < 2000; i += 1) udp.send(path, new Uint8Array(1200), 0, 1200);
  const before = udp.drops.sendRing;

  for (let i = 0; i < 32; i += 1) udp.send(path, new Uint8Array(128), 0, 128);

  expect(before).toBeGreaterThan(0);
  expect(udp.drops.sendRing).toBe(before);
});

test("a send that the system refuses is counted by its code and never throws", async () => {
  const udp = await udpAt(LOOPBACK);
  // A socket bound to loopback has no way out: EINVAL on Linux, ENETUNREACH or EADDRNOTAVAIL elsewhere.
  const path = udp.pathOf("192.0.2.1", 4000);

  udp.send(path, bytesOf("x"), 0, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));

  expect(Object.values(udp.drops.sendErrors)).toEqual([1]);
});

test("a port that is taken is exit 8, with the command that shows who has it", async () => {
  const first = await udpAt(LOOPBACK);
  const { port } = first.endpoints[0]!;

  await expect(UdpPort.open([{ host: "127.0.0.1", port }], quiet)).rejects.toMatchObject({
    code: "port.inUse",
    exit: 8,
    message: `UDP 127.0.0.1:${port} is in use`,
    fix: expect.stringContaining(`ss -lunp 'sport = :${port}'`),
  });
});

test("when the second address cannot be bound, the first is given back", async () => {
  const taken = await udpAt(LOOPBACK);
  const spare = await udpAt(LOOPBACK);
  const { port } = spare.endpoints[0]!;
  await spare.close();

  const listen = [{ host: "127.0.0.1", port }, taken.endpoints[0]!];
  await expect(UdpPort.open(listen, quiet)).rejects.toMatchObject({ exit: 8 });

  await udpAt({ host: "127.0.0.1", port });
});

test("an address that this machine has not is only skipped when it is optional", async () => {
  const foreign = { host: "192.0.2.1", port: 0 };

  const udp = await udpAt(LOOPBACK, { ...foreign, optional: true });
  expect(udp.endpoints).toHaveLength(1);
  await expect(UdpPort.open([LOOPBACK, foreign], quiet)).rejects.toMatchObject({ code: "port.unusable" });
});

test("nothing is sent after close, and closing twice is no error", async () => {
  const udp = await udpAt(LOOPBACK);
  const path = udp.pathOf("127.0.0.1", 9);

  await udp.close();
  await udp.close();

  udp.send(path, bytesOf("x"), 0, 1);
  expect(udp.drops.sendErrors).toEqual({});
});

test("the ports of one machine are one crowd, and so are the addresses of an IPv6 network; other machines are others", async () => {
  const udp = await udpAt(LOOPBACK, { host: "::1", port: 0 });
  const crowd = (address: string, port = 1) => udp.crowdOf(udp.pathOf(address, port));

  expect(crowd("198.51.100.1", 2)).toBe(crowd("198.51.100.1", 1));
  expect(crowd("198.51.100.2")).not.toBe(crowd("198.51.100.1"));
  for (const same of ["2001:db8:0:7::2", "2001:db8:0:7:ffff::", "2001:db8:0:7:1:2:3:4"]) {
    expect(crowd(same)).toBe(crowd("2001:db8:0:7::1"));
  }
  for (const other of ["2001:db8:0:8::1", "2001:db8::1", "::1"]) {
    expect(crowd(other)).not.toBe(crowd("2001:db8:0:7::1"));
  }
  expect(crowd("2001:db8::1")).toBe(crowd("2001:db8::a:0:0:1"));
  expect(crowd("fe80::2%lo")).not.toBe(crowd("fe80::1%lo"));
});
