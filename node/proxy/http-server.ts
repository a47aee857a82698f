/**
 * The HTTP proxy: what a browser or curl talks to. node:http parses, core/proxy decides, and this file moves bytes, with
 * constant memory in both directions. No name is ever resolved here, and nothing is added to a request that would tell
 * the far end more than the client did (no Via, no Forwarded).
 */
import {
  type ClientRequest,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { describeBadAnswer, describeFailure } from "../../core/proxy/failure.js";
import type { Refusal, RefusalReason } from "../../core/proxy/refusal.js";
import { decideConnect, decideRequest, type Forward, type Tunnel } from "../../core/proxy/request-decision.js";
import { forwardedResponseFields } from "../../core/proxy/response-head.js";
import { type Endpoint, printEndpoint } from "../config/endpoint.js";
import { messageOf } from "../failure.js";
import type { Log } from "../log.js";
import { StreamError } from "../stream-error.js";
import { breakStream, joinStreams } from "../tunnel.js";
import { bindFailure, isFamilyMissing } from "../udp.js";
import { type Page, renderPage } from "./pages.js";
import { type Connect, limitOpening, StreamAgent } from "./stream-agent.js";

export interface HttpListen extends Endpoint {
  /** A machine without this address family is only warned about. */
  readonly optional?: boolean;
}

export interface ProxyCounts {
  forwarded: number;
  tunnelled: number;
  /** Requests that came to nothing on the way, by status. */
  failed: Record<number, number>;
  refused: Partial<Record<RefusalReason, number>>;
}

/** A browser keeps six a host and opens many hosts. Beyond it new ones are closed at once. */
const CONNECTIONS_MAX = 1024;
const HEAD_BYTES_MAX = 64 * 1024;
/** For a head that trickles in. Bodies and answers may take as long as they take. */
const HEADERS_TIMEOUT_MS = 60_000;
/** Longer than most clients keep a connection themselves, so that they are the ones to close it. */
const KEEP_ALIVE_MS = 65_000;
/** How long a client may go on sending a body that nobody wants, so that it reads the answer before the connection ends. */
const LINGER_MS = 2_000;

/** Repeating one of these does no harm (RFC 9110 section 9.2.2); they carry no body here. */
const REPEATABLE = ["GET", "HEAD", "OPTIONS"];

export class HttpProxy {
  readonly counts: ProxyCounts = { forwarded: 0, tunnelled: 0, failed: {}, refused: {} };
  private readonly connect: Connect;
  private readonly log: Log;
  private readonly kept: StreamAgent;
  private readonly single: StreamAgent;
  private readonly servers: Server[] = [];
  private readonly tunnels = new Set<Duplex>();
  private bound: Endpoint[] = [];
  private localNames: string[] = [];

  constructor(args: { connect: Connect; log: Log }) {
    this.connect = args.connect;
    this.log = args.log;
    this.kept = new StreamAgent(args.connect, { keepAlive: true });
    this.single = new StreamAgent(args.connect, { keepAlive: false });
  }

  /**
   * Binds every address. Throws a Failure for one that cannot be bound (exit 8 in use, 7 not permitted) and leaves
   * nothing bound then. Port 0 takes a free one, and the same for the addresses after it.
   */
  async listen(entries: readonly HttpListen[]): Promise<void> {
    let chosen = 0;
    for (const entry of entries) {
      const wanted = { host: entry.host, port: entry.port === 0 ? chosen : entry.port };
      try {
        const server = await this.open(wanted);
        chosen = (server.address() as AddressInfo).port;
        this.servers.push(server);
        this.bound.push({ host: entry.host, port: chosen });
      } catch (error) {
        if (entry.optional === true && isFamilyMissing(error)) {
          this.log.warn("http.skipped", { http: printEndpoint(wanted), error: messageOf(error) });
          continue;
        }
        await this.close(0);
        throw bindFailure("HTTP", wanted, error);
      }
    }
    this.localNames = localNamesOf(this.bound);
  }

  /** Addresses as really bound. */
  get endpoints(): readonly Endpoint[] {
    return this.bound;
  }

  /** Takes no new connections, lets requests under way finish for at most `drainMs`, then breaks what is left. */
  async close(drainMs = 1_000): Promise<void> {
    const closed = this.servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const tunnel of this.tunnels) tunnel.destroy();
    for (const server of this.servers) server.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const server of this.servers) server.closeAllConnections();
    }, drainMs);
    await Promise.all(closed);
    clearTimeout(timer);
    this.kept.destroy();
    this.single.destroy();
    this.servers.length = 0;
    this.bound = [];
  }

  private open(entry: Endpoint): Promise<Server> {
    const server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: true,
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: 0, // node's 300 s would cut off a long upload
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    });
    server.timeout = 0;
    server.maxHeadersCount = 0; // bounded by bytes; node would drop the rest in silence
    server.maxConnections = CONNECTIONS_MAX;
    server.on("request", (req, res) => this.handleRequest(req, res));
    server.on("checkContinue", (req, res) => this.handleRequest(req, res));
    server.on("connect", (req: IncomingMessage, socket: Duplex, head: Buffer) => this.handleConnect(req, socket, head));
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => answerUnparsed(error, socket));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: entry.host, port: entry.port, ipv6Only: true, exclusive: true }, () => {
        server.off("error", reject);
        server.on("error", (error) => this.log.warn("http.error", { error: messageOf(error) }));
        resolve(server);
      });
    });
  }

  private handleRequest(req: IncomingMessage, res: ServerResponse): void {
    res.sendDate = false; // the far server's Date, or none
    const decision = decideRequest({
      method: req.method ?? "",
      url: req.url ?? "",
      headers: req.rawHeaders,
      localNames: this.localNames,
    });
    if (decision.kind === "refuse") {
      this.countRefusal(decision);
      answerPage(req, res, decision);
      return;
    }
    this.counts.forwarded += 1;
    const repeatable = decision.body === "none" && REPEATABLE.includes(req.method ?? "");
    // A kept connection may close just as a request goes out; what may not be repeated never takes that risk.
    this.forward(req, res, decision, repeatable ? this.kept : this.single);
  }

  private forward(req: IncomingMessage, res: ServerResponse, target: Forward, agent: StreamAgent): void {
    const upstream = httpRequest({
      ...agent.argsFor(target),
      method: req.method ?? "GET",
      path: target.path,
      headers: target.headers,
      maxHeaderSize: HEAD_BYTES_MAX,
      insecureHTTPParser: false,
    });
    upstream.maxHeadersCount = 0;
    let answered = false;

    const abandon = (): void => void upstream.destroy();
    res.once("close", abandon);
    req.once("error", abandon);

    upstream.on("error", (error: Error) => {
      if (res.destroyed || res.writableFinished) return;
      if (answered) {
        res.destroy(); // the client must not take the part for the whole
        return;
      }
      res.off("close", abandon);
      if (agent === this.kept && upstream.reusedSocket) {
        this.forward(req, res, target, this.single);
        return;
      }
      this.fail(req, res, error, target.port);
    });
    upstream.on("upgrade", (_answer, socket: Duplex) => {
      socket.destroy(); // nobody asked for another protocol, so this is no answer
      res.off("close", abandon);
      this.fail(req, res, undefined, target.port);
    });
    upstream.on("continue", () => res.writeContinue());
    upstream.on("information", (info) => {
      if (info.statusCode === 103) passEarlyHints(res, info.headers.link);
    });
    upstream.on("response", (answer) => {
      answered = true;
      this.passAnswer(req, res, upstream, answer, target.port);
    });

    if (target.body === "none") upstream.end();
    else {
      upstream.flushHeaders();
      req.pipe(upstream);
      upstream.once("close", () => endUpload(req, res));
    }
  }

  private passAnswer(
    req: IncomingMessage,
    res: ServerResponse,
    upstream: ClientRequest,
    answer: IncomingMessage,
    port: number,
  ): void {
    answer.once("error", () => res.destroy());
    const fields = forwardedResponseFields(answer.rawHeaders);
    if (fields === undefined) {
      upstream.destroy();
      this.fail(req, res, undefined, port);
      return;
    }
    const status = answer.statusCode ?? 502;
    res.writeHead(status, reasonPhrase(status, answer.statusMessage), fields);
    answer.pipe(res);
    // A head whose body is still to come (an event stream) must not wait for it; a small answer leaves in one piece.
    setImmediate(() => {
      if (!res.writableEnded && !res.destroyed) res.flushHeaders();
    });
  }

  private handleConnect(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => undefined); // "close" follows
    const decision = decideConnect(req.url ?? "");
    if (decision.kind === "refuse") {
      this.countRefusal(decision);
      endWithPage(socket, decision);
      return;
    }
    this.counts.tunnelled += 1;
    this.openTunnel(decision, socket, head);
  }

  /** 200 only once the far end took the stream: a client can tell "down" from "hung up". */
  private openTunnel(target: Tunnel, socket: Duplex, head: Buffer): void {
    const stream = this.connect(target.nac, target.port, target.hash);
    limitOpening(stream);
    this.tunnels.add(stream);
    const giveUp = (): void => void stream.destroy();
    // A client that ends without having said a word has gone; one that said something may only have nothing more to say.
    const look = (): void => {
      if (head.length === 0 && socket.readableLength === 0) socket.read();
    };
    const stopWatching = (): void => void socket.off("close", giveUp).off("end", giveUp).off("readable", look);
    const fail = (error: Error): void => {
      stopWatching();
      const failure = failureOf(error, target.port);
      this.countFailure(failure);
      endWithPage(socket, failure);
    };
    socket.on("close", giveUp).on("end", giveUp).on("readable", look);
    stream.once("error", fail);
    stream.once("close", () => {
      this.tunnels.delete(stream);
      if (!socket.writableEnded && !socket.destroyed) breakStream(socket);
    });
    stream.once("accepted", () => {
      stopWatching();
      stream.off("error", fail);
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      if (head.length > 0) stream.write(head);
      joinStreams(socket, stream, () => undefined);
    });
  }

  private fail(req: IncomingMessage, res: ServerResponse, error: Error | undefined, port: number): void {
    const failure = failureOf(error, port);
    this.countFailure(failure);
    answerPage(req, res, failure);
  }

  private countFailure(page: Page): void {
    this.counts.failed[page.status] = (this.counts.failed[page.status] ?? 0) + 1;
    this.log.debug("proxy.failed", { status: page.status, reason: page.title });
  }

  private countRefusal(refusal: Refusal): void {
    this.counts.refused[refusal.reason] = (this.counts.refused[refusal.reason] ?? 0) + 1;
    this.log.debug("proxy.refused", { status: refusal.status, reason: refusal.reason });
  }
}

function failureOf(error: Error | undefined, port: number): Page {
  return error instanceof StreamError ? describeFailure(error.code, port) : describeBadAnswer(port);
}

function answerPage(req: IncomingMessage, res: ServerResponse, page: Page): void {
  const { fields, body } = renderPage(page);
  res.writeHead(page.status, fields);
  res.end(req.method === "HEAD" ? undefined : body);
  endUpload(req, res);
}

/** A body that nobody reads any more: thrown away for a moment, so that the client comes to read its answer. */
function endUpload(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete || req.destroyed) return;
  req.unpipe();
  req.resume();
  const timer = setTimeout(() => {
    if (!req.complete && res.writableFinished) req.socket.destroy();
  }, LINGER_MS).unref();
  req.once("close", () => clearTimeout(timer));
}

function passEarlyHints(res: ServerResponse, link: string | string[] | undefined): void {
  if (link === undefined || res.headersSent) return;
  try {
    res.writeEarlyHints({ link });
  } catch {
    // A Link that node does not accept is a hint lost, and nothing else.
  }
}

function reasonPhrase(status: number, message: string | undefined): string {
  return message !== undefined && /^[\t\x20-\x7e\x80-\xff]+$/.test(message) ? message : (STATUS_CODES[status] ?? "");
}

/** For a connection that node:http has left to us. */
function endWithPage(socket: Duplex, page: Page): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { fields, body } = renderPage(page);
  let head = `HTTP/1.1 ${page.status} ${STATUS_CODES[page.status] ?? ""}\r\nConnection: close\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  socket.end(Buffer.concat([Buffer.from(`${head}\r\n`), body]));
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

/** What the parser refused never became a request. */
function answerUnparsed(error: NodeJS.ErrnoException, socket: Duplex): void {
  const bytesWritten: unknown = Reflect.get(socket, "bytesWritten");
  if (error.code === "ECONNRESET" || !socket.writable || bytesWritten !== 0) {
    socket.destroy(); // gone, or in the middle of another answer
    return;
  }
  const page = (status: number, title: string, text: string): void => endWithPage(socket, { status, title, text });
  if (error.code === "HPE_HEADER_OVERFLOW") {
    page(
      431,
      "The request head is too large",
      "It is longer than 64 KiB: most often too many cookies. Clear those of this site.",
    );
  } else if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    page(408, "The request came too slowly", "Its head was not complete after a minute.");
  } else page(400, "The request is malformed", "It is not HTTP as this proxy understands it, so nothing was sent on.");
}

function localNamesOf(bound: readonly Endpoint[]): string[] {
  const names = new Set<string>();
  for (const { host, port } of bound) {
    for (const name of ["localhost", host.includes(":") ? `[${host}]` : host]) {
      names.add(`${name}:${port}`);
      if (port === 80) names.add(name);
    }
  }
  return [...names];
}
