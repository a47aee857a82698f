/**
 * A web server behind the overlay, without a network: a proxy, streams in memory, hosting, a real TCP server.
 */
import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
  type Server,
} from "node:http";
import { type AddressInfo, connect, type Socket, type Server as TcpServer } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { nacFromHash } from "../../core/address/nac.js";
import { printName } from "../../core/address/name.js";
import { Hosting } from "../../node/hosting.js";
import { createLog } from "../../node/log.js";
import { HttpProxy, type ProxyLimits } from "../../node/proxy/http-server.js";
import { StreamWorld } from "./stream-world.js";

export const NAC = nacFromHash(new Uint8Array(32).fill(0x5a));
export const NAME = printName(NAC);
export const log = createLog({ level: "error", unsafe: false, write: () => undefined });

/** What a test has opened, the last first. */
export const cleanups: (() => Promise<void> | void)[] = [];

/** After each test. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export interface Site {
  readonly world: StreamWorld;
  readonly hosting: Hosting;
  readonly proxy: HttpProxy;
  readonly proxyPort: number;
  readonly targetPort: number;
  /** TCP connections the target has seen. */
  readonly connections: () => number;
}

/** proxy -> overlay streams in memory -> hosting -> a real TCP server. */
export async function buildSite(target: Server | TcpServer, limits: Partial<ProxyLimits> = {}): Promise<Site> {
  let connections = 0;
  const sockets = new Set<Socket>();
  target.on("connection", (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  const targetPort = (target.address() as AddressInfo).port;
  const hosting = new Hosting({
    hosts: [{ port: 80, target: { kind: "tcp", host: "127.0.0.1", port: targetPort } }],
    log,
  });
  const world = new StreamWorld();
  world.onStream = (stream, port) => hosting.handle(stream, port);
  const proxy = await buildProxy((port) => world.connect(port), limits);
  cleanups.push(async () => {
    await hosting.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => target.close(resolve));
  });
  return { world, hosting, proxy, proxyPort: proxy.endpoints[0]!.port, targetPort, connections: () => connections };
}

export async function buildProxy(
  open: (port: number, isolation: string) => Duplex,
  limits: Partial<ProxyLimits> = {},
): Promise<HttpProxy> {
  const proxy = new HttpProxy({
    connect: (_nac, port, _hash, isolation = "") => open(port, isolation),
    log,
    limits,
  });
  await proxy.listen([{ host: "127.0.0.1", port: 0 }]);
  cleanups.push(() => proxy.close(0));
  return proxy;
}

export const siteOf = (listener: RequestListener) => buildSite(createServer({ keepAliveTimeout: 60_000 }, listener));

/** A request as curl sends it to a proxy: the whole URL in the request line. */
export function ask(site: { proxyPort: number }, url: string, options: RequestOptions = {}) {
  const absolute = url.startsWith("/") ? `http://${NAME}${url}` : url;
  const host = /^https?:\/\/([^/]*)/.exec(absolute)?.[1] ?? "";
  return httpRequest({
    host: "127.0.0.1",
    port: site.proxyPort,
    path: absolute,
    agent: false,
    ...options,
    headers: { Host: host, ...(options.headers as object) },
  });
}

export async function answerTo(request: ReturnType<typeof httpRequest>): Promise<IncomingMessage> {
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  return answer;
}

export async function get(site: { proxyPort: number }, url: string, options: RequestOptions = {}) {
  const request = ask(site, url, options);
  request.end();
  const answer = await answerTo(request);
  return { status: answer.statusCode, headers: answer.headers, raw: answer.rawHeaders, body: await text(answer) };
}

/** Sends bytes as they are and returns all that comes back until the end. */
export async function sayRaw(port: number, bytes: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.write(bytes);
  const answer = await text(socket);
  socket.destroy();
  return answer;
}

export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
