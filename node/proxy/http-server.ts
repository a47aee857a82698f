/**
 * The HTTP proxy: what a browser or curl talks to. node:http parses, core/proxy decides, and exchange.ts and tunnels.ts
 * move bytes. No name is ever resolved here, and nothing is added to a request that would tell the far end more than the
 * client did (no Via, no Forwarded).
 */
import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type AnswerFault, describeBadAnswer, describeFailure, type Failure } from "../../core/proxy/failure.js";
import { keepsConnection, type Refusal, type RefusalReason, refuseExpectation } from "../../core/proxy/refusal.js";
import { decideConnect, decideRequest, type Forward } from "../../core/proxy/request-decision.js";
import { refuseUnparsed } from "../../core/proxy/unparsed.js";
import type { Endpoint } from "../config/endpoint.js";
import type { Log } from "../log.js";
import { StreamError } from "../stream-error.js";
import { watchClient } from "../tunnel.js";
import { answerPage, endWithPage, linger } from "./answers.js";
import { Exchange, type ExchangeContext, HEAD_BYTES_MAX } from "./exchange.js";
import { bindAll, Clients, type ProxyListen } from "./listening.js";
import { type Connect, StreamAgent } from "./stream-agent.js";
import { Tunnels } from "./tunnels.js";

export interface ProxyCounts {
  forwarded: number;
  tunnelled: number;
  /** Requests that came to nothing on the way, by status. */
  failed: Record<number, number>;
  /** Requests that were refused, and answers that were not passed on, by reason. */
  refused: Partial<Record<RefusalReason | AnswerFault, number>>;
}

export interface ProxyLimits {
  /** For a head that trickles in. Bodies and answers may take as long as they take. */
  readonly headMs: number;
  /** For the head of an answer, once the server has the request. Browsers themselves give up after 300 s. */
  readonly answerMs: number;
}

const LIMITS: ProxyLimits = { headMs: 60_000, answerMs: 240_000 };
/** A browser keeps six a host and opens many hosts. Beyond it new ones are closed at once. */
const CONNECTIONS_MAX = 1024;
/** Longer than most clients keep a connection themselves, so that they are the ones to close it. */
const KEEP_ALIVE_MS = 65_000;
/** How often heads that are late are looked for. */
const LATE_CHECK_MS = 5_000;

/** A request on a client's connection that is not answered to its end. */
interface UnderWay {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly exchange: Exchange | undefined;
}

export class HttpProxy {
  readonly counts: ProxyCounts = { forwarded: 0, tunnelled: 0, failed: {}, refused: {} };
  private readonly log: Log;
  private readonly limits: ProxyLimits;
  private readonly kept: StreamAgent;
  private readonly single: StreamAgent;
  private readonly tunnels: Tunnels;
  private readonly clients = new Clients();
  private servers: Server[] = [];
  private readonly underWay = new Map<Duplex, Set<UnderWay>>();
  /** Connections on which a request was refused whose end is in doubt: nothing that follows is one. */
  private readonly condemned = new WeakSet<Duplex>();
  private readonly tunnelled = new WeakSet<Duplex>();
  private bound: Endpoint[] = [];
  private localNames: string[] = [];
  private isDraining = false;

  constructor(args: { connect: Connect; log: Log; limits?: Partial<ProxyLimits> }) {
    this.log = args.log;
    this.limits = { ...LIMITS, ...args.limits };
    this.kept = new StreamAgent(args.connect, { keepAlive: true });
    this.single = new StreamAgent(args.connect, { keepAlive: false });
    this.tunnels = new Tunnels(args.connect);
  }

  /** Binds every address, or throws a Failure and leaves nothing bound. */
  async listen(entries: readonly ProxyListen[]): Promise<void> {
    const bound = await bindAll("HTTP", entries, this.log, () => this.createServer());
    this.servers = bound.map(({ server }) => server);
    this.bound = bound.map(({ endpoint }) => endpoint);
    this.localNames = localNamesOf(this.bound);
  }

  /** Addresses as really bound. */
  get endpoints(): readonly Endpoint[] {
    return this.bound;
  }

  /** What was refused, requests and answers, by reason. */
  get refusals(): Readonly<Record<string, number>> {
    return { ...this.counts.refused };
  }

  /** Takes no new connections, lets requests and tunnels end for at most `drainMs`, then breaks what is left. */
  async close(drainMs = 1_000): Promise<void> {
    this.isDraining = true;
    const closed = this.servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.closeIdle();
    await Promise.all([this.clients.close(drainMs), this.tunnels.close(drainMs), ...closed]);
    this.kept.destroy();
    this.single.destroy();
    this.servers = [];
    this.bound = [];
  }

  private createServer(): Server {
    const server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: false, // core/proxy refuses it, with a page
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: this.limits.headMs,
      requestTimeout: 0, // node's 300 s would cut off a long upload
      connectionsCheckingInterval: Math.min(LATE_CHECK_MS, this.limits.headMs),
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    });
    server.timeout = 0;
    server.maxHeadersCount = 0; // core/proxy counts them; node would drop the rest in silence
    server.maxConnections = CONNECTIONS_MAX;
    this.clients.watch(server);
    server.on("request", (req, res) => this.handleRequest(req, res));
    server.on("checkContinue", (req, res) => this.handleRequest(req, res));
    server.on("checkExpectation", (req, res) => this.refuse(req, res, refuseExpectation(req.headers.expect ?? "")));
    server.on("connect", (req: IncomingMessage, socket: Duplex, head: Buffer) => this.handleConnect(req, socket, head));
    server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => this.handleUpgrade(req, socket, head));
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => this.handleUnparsed(error, socket));
    return server;
  }

  private handleRequest(req: IncomingMessage, res: ServerResponse): void {
    if (this.condemned.has(req.socket)) return; // it was sent with a request that was refused, and goes with it
    const decision = this.decide(req, res);
    if (decision === undefined) return;
    this.forward(req, res, decision, () => undefined);
  }

  /** Undefined: it was refused, and that was said. */
  private decide(req: IncomingMessage, res: ServerResponse): Forward | undefined {
    res.sendDate = false; // the far server's Date, or none
    const decision = decideRequest({
      method: req.method ?? "",
      version: req.httpVersion,
      url: req.url ?? "",
      headers: req.rawHeaders,
      localNames: this.localNames,
    });
    if (decision.kind === "forward") return decision;
    this.refuse(req, res, decision);
    return undefined;
  }

  private refuse(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
    if (this.condemned.has(req.socket)) return;
    this.countRefusal(refusal);
    if (!keepsConnection(refusal)) {
      this.condemned.add(req.socket);
      res.shouldKeepAlive = false;
    }
    this.remember({ req, res, exchange: undefined });
    answerPage(req, res, refusal);
  }

  private forward(
    req: IncomingMessage,
    res: ServerResponse,
    target: Forward,
    onSwitch: ExchangeContext["onSwitch"],
  ): void {
    this.counts.forwarded += 1;
    if (this.isDraining) res.shouldKeepAlive = false;
    const exchange = new Exchange(req, res, target, {
      kept: this.kept,
      single: this.single,
      answerTimeoutMs: this.limits.answerMs,
      onFailure: (failure, fault) => this.countFailure(failure, fault),
      onSwitch,
    });
    this.remember({ req, res, exchange });
    exchange.start();
  }

  /**
   * A request for another protocol (WebSocket). node:http has let go of the connection, so whatever comes of it, it is the
   * last request there.
   */
  private handleUpgrade(req: IncomingMessage, socket: Duplex, early: Buffer): void {
    socket.on("error", () => undefined); // "close" follows
    if (this.condemned.has(socket) || this.isBusy(socket)) {
      socket.destroy();
      return;
    }
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(req.socket);
    res.once("finish", () => {
      res.detachSocket(req.socket);
      res.emit("close"); // node:http would say so itself on a connection that it keeps
      socket.end();
      linger(socket);
    });
    const decision = this.decide(req, res);
    if (decision === undefined) return;
    const stop = watchClient(socket, early.length > 0, () => res.destroy());
    res.once("finish", stop);
    this.forward(req, res, decision, (head, stream, first) => {
      stop();
      res.detachSocket(req.socket);
      this.forget(socket);
      this.counts.tunnelled += 1;
      this.tunnelled.add(socket);
      socket.write(head);
      if (first.length > 0) socket.write(first);
      this.tunnels.join(socket, early, stream);
    });
  }

  private handleConnect(req: IncomingMessage, socket: Duplex, early: Buffer): void {
    socket.on("error", () => undefined); // "close" follows
    if (this.condemned.has(socket) || this.isBusy(socket)) {
      socket.destroy();
      return;
    }
    const decision = decideConnect(req.url ?? "", req.rawHeaders);
    if (decision.kind === "refuse") {
      this.countRefusal(decision);
      endWithPage(socket, decision);
      return;
    }
    this.counts.tunnelled += 1;
    this.tunnelled.add(socket);
    this.tunnels.open(decision, socket, early, {
      accepted: () => void socket.write("HTTP/1.1 200 Connection Established\r\n\r\n"),
      failed: (error) => {
        const { port } = decision;
        const isOurs = error instanceof StreamError;
        const failure = isOurs ? describeFailure(error.code, port) : describeBadAnswer("answerEmpty", port);
        this.countFailure(failure, undefined);
        endWithPage(socket, failure);
      },
    });
  }

  /** What the parser refused: it never became a request, or its body turned out to be none. */
  private handleUnparsed(error: NodeJS.ErrnoException & { readonly rawPacket?: Uint8Array }, socket: Duplex): void {
    if (error.code === "ECONNRESET" || this.condemned.has(socket)) {
      socket.destroy();
      return;
    }
    const refusal = refuseUnparsed(error.code, error.rawPacket?.[0]);
    this.countRefusal(refusal);
    this.condemned.add(socket);
    const open = [...(this.underWay.get(socket) ?? [])];
    for (const { exchange } of open) exchange?.abandon();
    // A page would be taken for the answer to an earlier request, or stand in the middle of one.
    const isItsOwn = open.length === 0 || (open.length === 1 && !open[0]!.req.complete && !open[0]!.res.headersSent);
    if (isItsOwn) endWithPage(socket, refusal);
    else socket.destroy();
  }

  private remember(one: UnderWay): void {
    const { socket } = one.req;
    const open = this.underWay.get(socket) ?? new Set();
    this.underWay.set(socket, open.add(one));
    one.res.once("close", () => {
      open.delete(one);
      if (open.size === 0) this.forget(socket);
      // What is idle now would be kept for the next request, which will not come.
      if (this.isDraining) setImmediate(() => this.closeIdle());
    });
  }

  /** Also those on which nothing was asked yet: browsers open some in advance. */
  private closeIdle(): void {
    for (const socket of this.clients) {
      if (!this.underWay.has(socket) && !this.tunnelled.has(socket) && !socket.writableEnded) socket.destroy();
    }
  }

  private forget(socket: Duplex): void {
    this.underWay.delete(socket);
  }

  private isBusy(socket: Duplex): boolean {
    return this.underWay.has(socket);
  }

  private countFailure(failure: Failure, fault: AnswerFault | undefined): void {
    this.counts.failed[failure.status] = (this.counts.failed[failure.status] ?? 0) + 1;
    if (fault !== undefined) this.count(fault);
    this.log.debug("proxy.failed", { status: failure.status, reason: fault ?? failure.title });
  }

  private countRefusal(refusal: Refusal): void {
    this.count(refusal.reason);
    this.log.debug("proxy.refused", { status: refusal.status, reason: refusal.reason });
  }

  private count(reason: RefusalReason | AnswerFault): void {
    this.counts.refused[reason] = (this.counts.refused[reason] ?? 0) + 1;
  }
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
