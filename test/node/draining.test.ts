/** What a daemon that is told to end does with what is open: real processes, real signals. */
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StatusReport } from "../../node/control/protocol.js";
import { DaemonProcess } from "../../node/demo/daemon-process.js";
import { eventually, removeFolder, temporaryFolder } from "../support/daemons.js";

let folder: string;
const servers: Server[] = [];
const daemons: DaemonProcess[] = [];
let webPort: number;
let echoPort: number;
/** Ends its answers by closing, after a pause of 5 s in the middle. */
let halvesPort: number;
/** Answers that the web server has not given yet, by what was asked. */
const waiting = new Map<string, ServerResponse>();

beforeAll(async () => {
  folder = temporaryFolder();
  const web = createServer((req, res) => {
    if (req.url === "/now") res.end("now");
    else {
      res.write("begun ");
      waiting.set(req.url ?? "", res);
    }
  });
  const halves = createTcpServer((socket) => {
    socket
      .on("error", () => undefined)
      .once("data", () => {
        socket.write("HTTP/1.0 200 OK\r\n\r\nfirst half,");
        setTimeout(() => socket.end(" second half"), 5_000);
      });
  });
  const echo = createTcpServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => undefined).pipe(socket));
  servers.push(web, echo, halves);
  for (const server of servers) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  webPort = (web.address() as AddressInfo).port;
  echoPort = (echo.address() as AddressInfo).port;
  halvesPort = (halves.address() as AddressInfo).port;
});

afterAll(async () => {
  await Promise.all(daemons.map((daemon) => daemon.kill()));
  for (const server of servers) server.close();
  removeFolder(folder);
});

interface Pair {
  readonly host: DaemonProcess;
  readonly client: DaemonProcess;
  readonly relay: DaemonProcess | undefined;
  readonly status: StatusReport;
  readonly name: string;
}

let pairs = 0;

/** With a relay, the two ends know only that. */
async function startPair(isRelayed = false): Promise<Pair> {
  pairs += 1;
  const base = join(folder, String(pairs));
  mkdirSync(base);
  const common = { base, network: "draining" };
  const hosts = [`80=127.0.0.1:${webPort}`, `7=127.0.0.1:${echoPort}`, `81=127.0.0.1:${halvesPort}`];
  const relay = isRelayed
    ? new DaemonProcess({ ...common, name: "relay", http: "off", peers: [], hosts: [] })
    : undefined;
  if (relay !== undefined) daemons.push(relay);
  const between = (await relay?.ready())?.udp ?? [];
  const host = new DaemonProcess({ ...common, name: "host", http: "off", peers: between, hosts });
  daemons.push(host);
  const { udp, nac } = await host.ready();
  const http = { http: "127.0.0.1:0", socks: "127.0.0.1:0" };
  const client = new DaemonProcess({ ...common, ...http, name: "client", peers: [between[0] ?? udp[0]!], hosts: [] });
  daemons.push(client);
  const status = await client.ready();
  const hasRoute = async () => (await client.routes()).some((route) => route.nac === nac);
  await eventually("a route to the host", hasRoute);
  return { host, client, relay, status, name: `${nac}.mariana` };
}

const portOf = (endpoint: string | undefined): number => Number(endpoint?.split(":").at(-1));

/** A DELETE never goes over a stream that was kept. */
function ask({ status, name }: Pair, path: string, method: "GET" | "DELETE" = "GET"): Promise<IncomingMessage> {
  const request = httpRequest({
    method,
    port: portOf(status.http[0]),
    path: `http://${name}${path}`,
    headers: { Host: name },
    agent: false,
  });
  request.end();
  return new Promise((resolve, reject) => request.once("response", resolve).once("error", reject));
}

/** An open tunnel to the echo server. */
async function tunnel({ status, name }: Pair, how: "connect" | "socks", port = 7): Promise<Socket> {
  const socket = connect(portOf((how === "connect" ? status.http : status.socks)[0]), "127.0.0.1");
  if (how === "connect") socket.write(`CONNECT ${name}:${port} HTTP/1.1\r\n\r\n`);
  else
    socket.write(Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, name.length), Buffer.from(name), Buffer.of(0, port)]));
  const wanted = how === "connect" ? "HTTP/1.1 200 Connection Established\r\n\r\n".length : 12;
  let heard = 0;
  while (heard < wanted) {
    await once(socket, "readable");
    heard += (socket.read() as Buffer | null)?.length ?? 0;
  }
  return socket;
}

async function echoes(socket: Socket, word: string): Promise<void> {
  socket.write(word);
  await eventually(`the echo of ${word}`, () => socket.readableLength >= word.length);
  expect(String(socket.read())).toBe(word);
}

async function openAll(pair: Pair) {
  const path = `/later/${pair.status.pid}`;
  const answer = await ask(pair, path);
  const tunnels = [await tunnel(pair, "connect"), await tunnel(pair, "socks")];
  for (const socket of tunnels) await echoes(socket, "before");
  return { answer, finish: () => waiting.get(path)!.end("and ended"), tunnels };
}

/** All that is open goes on after the signal, and ends in order. */
async function endAll({ answer, finish, tunnels }: Awaited<ReturnType<typeof openAll>>): Promise<void> {
  for (const socket of tunnels) await echoes(socket, "after");
  finish();
  expect(await text(answer)).toBe("begun and ended");
  for (const socket of tunnels) {
    socket.end("goodbye");
    expect(await text(socket)).toBe("goodbye");
  }
}

test.concurrent("a client's daemon lets requests and tunnels end, takes no new ones, and then ends itself", async () => {
  const pair = await startPair();
  const open = await openAll(pair);

  process.kill(pair.client.pid, "SIGTERM");

  const isClosed = async () => (await ask(pair, "/now").catch((error: unknown) => error)) instanceof Error;
  await eventually("the proxy's port is closed", isClosed);
  await endAll(open);
  expect(await pair.client.exited).toBe(0);
});

test.concurrent("a host's daemon lets what it serves end, takes no new streams, and does not wait for idle ones", async () => {
  const pair = await startPair();
  expect(await text(await ask(pair, "/now"))).toBe("now"); // its stream is kept for the next request
  const open = await openAll(pair);
  const startedMs = performance.now();

  process.kill(pair.host.pid, "SIGTERM");

  await eventually("new streams are refused", async () => (await ask(pair, "/now", "DELETE")).statusCode === 502);
  await endAll(open);
  expect(await pair.host.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(9_500);
});

test.concurrent("a host's daemon that has lost its links does not wait for what cannot be delivered", async () => {
  const pair = await startPair(true);
  const socket = await tunnel(pair, "connect");
  socket.on("error", () => undefined);
  await echoes(socket, "before");
  const startedMs = performance.now();

  process.kill(pair.host.pid, "SIGTERM");
  await pair.relay?.stop();

  expect(await pair.host.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(6_000);
  socket.destroy();
});

test.concurrent("an answer that pauses and ends by closing comes whole from a host that is told to end in the pause", async () => {
  const pair = await startPair();
  const answer = await ask({ ...pair, name: `${pair.name}:81` }, "/");
  const socket = await tunnel(pair, "socks", 81);
  socket.write("GET / HTTP/1.0\r\n\r\n");
  await once(socket, "readable");

  process.kill(pair.host.pid, "SIGTERM");

  expect(await text(answer)).toBe("first half, second half");
  expect(await text(socket)).toMatch(/first half, second half$/);
  expect(await pair.host.exited).toBe(0);
});

test.concurrent("a second signal ends it at once, and what was open breaks", async () => {
  const pair = await startPair();
  const { tunnels, answer } = await openAll(pair);
  const broken = Promise.all(tunnels.map((socket) => new Promise((resolve) => socket.resume().once("close", resolve))));

  process.kill(pair.client.pid, "SIGTERM");
  await eventually(
    "the proxy's port is closed",
    async () => (await ask(pair, "/now").catch(() => undefined)) === undefined,
  );
  for (const socket of tunnels) socket.on("error", () => undefined);
  process.kill(pair.client.pid, "SIGTERM");

  expect(await pair.client.exited).toBe(130);
  await broken;
  await expect(text(answer)).rejects.toThrow();
});
