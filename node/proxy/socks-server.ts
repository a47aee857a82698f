/**
 * The SOCKS5 proxy, for what does not speak HTTP: ssh, git, torsocks-like wrappers. core/proxy/socks5.ts decides; this
 * file moves bytes. A client is bounded in time until it has asked for something, and in memory always.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Tunnel } from "../../core/proxy/request-decision.js";
import {
  type SocksFault,
  SocksNegotiation,
  SocksReply,
  type SocksStep,
  socksAssociated,
  socksReply,
  socksReplyOf,
} from "../../core/proxy/socks5.js";
import type { Endpoint } from "../config/endpoint.js";
import type { Log } from "../log.js";
import { StreamError } from "../stream-error.js";
import { linger } from "./answers.js";
import { bindAll, Clients, type ProxyListen } from "./listening.js";
import { type OpenFlow, SocksAssociation } from "./socks-association.js";
import type { Connect } from "./stream-agent.js";
import { Tunnels } from "./tunnels.js";

export interface SocksCounts {
  opened: number;
  associated: number;
  /** Tunnels that came to nothing on the way, by the reply's code. */
  failed: Record<number, number>;
  refused: Partial<Record<SocksFault, number>>;
}

const CONNECTIONS_MAX = 1024;
/** Each costs a UDP socket. */
const ASSOCIATIONS_MAX = 128;
/** For the whole negotiation, which is two or three small messages. */
const NEGOTIATION_MS = 30_000;

export class SocksProxy {
  readonly counts: SocksCounts = { opened: 0, associated: 0, failed: {}, refused: {} };
  private readonly log: Log;
  private readonly negotiationMs: number;
  private readonly tunnels: Tunnels;
  private readonly clients = new Clients();
  private readonly openFlow: OpenFlow | undefined;
  private readonly negotiating = new Set<Socket>();
  private readonly associated = new Set<Socket>();
  private servers: Server[] = [];
  private bound: Endpoint[] = [];
  private hasWarned = false;

  /** Without `openFlow` there is no UDP ASSOCIATE. */
  constructor(args: { connect: Connect; openFlow?: OpenFlow; log: Log; negotiationMs?: number }) {
    this.log = args.log;
    this.openFlow = args.openFlow;
    this.negotiationMs = args.negotiationMs ?? NEGOTIATION_MS;
    this.tunnels = new Tunnels(args.connect);
  }

  /** Binds every address, or throws a Failure and leaves nothing bound. */
  async listen(entries: readonly ProxyListen[]): Promise<void> {
    const bound = await bindAll("SOCKS", entries, this.log, () => this.createServer());
    this.servers = bound.map(({ server }) => server);
    this.bound = bound.map(({ endpoint }) => endpoint);
  }

  /** Addresses as really bound. */
  get endpoints(): readonly Endpoint[] {
    return this.bound;
  }

  /** What was refused, by reason. */
  get refusals(): Readonly<Record<string, number>> {
    return { ...this.counts.refused };
  }

  /** Takes no new connections, lets tunnels end for at most `drainMs`, then breaks what is left. */
  async close(drainMs = 1_000): Promise<void> {
    const closed = this.servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of [...this.negotiating, ...this.associated]) socket.destroy(); // datagrams are promised nothing
    await Promise.all([this.clients.close(drainMs), this.tunnels.close(drainMs), ...closed]);
    this.servers = [];
    this.bound = [];
  }

  private createServer(): Server {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.welcome(socket));
    this.clients.watch(server);
    server.maxConnections = CONNECTIONS_MAX;
    return server;
  }

  private welcome(socket: Socket): void {
    const negotiation = new SocksNegotiation();
    const stop = (): void => {
      clearTimeout(timer);
      this.negotiating.delete(socket);
      socket.off("data", hear).off("end", leave).off("close", stop);
    };
    const leave = (): void => void socket.destroy();
    const timer = setTimeout(() => {
      stop();
      this.refuse(socket, "slow", new Uint8Array(0));
    }, this.negotiationMs).unref();
    const hear = (chunk: Buffer): void => {
      negotiation.handle(chunk);
      const step = this.converse(socket, negotiation);
      if (step.kind === "wait") return;
      stop();
      this.conclude(socket, step);
    };
    this.negotiating.add(socket);
    socket.on("error", () => undefined); // "close" follows
    socket.on("data", hear).on("end", leave).on("close", stop);
  }

  /** Says what is to be said, up to the step that waits or ends the negotiation. */
  private converse(socket: Socket, negotiation: SocksNegotiation): Exclude<SocksStep, { kind: "reply" }> {
    for (;;) {
      const step = negotiation.next();
      if (step.kind !== "reply") return step;
      socket.write(step.bytes);
    }
  }

  private conclude(socket: Socket, step: Exclude<SocksStep, { kind: "reply" | "wait" }>): void {
    switch (step.kind) {
      case "refuse":
        this.refuse(socket, step.fault, step.bytes);
        return;
      case "associate":
        this.associate(socket, step);
        return;
      case "connect":
        this.open(socket, step.target, Buffer.from(step.early));
        return;
    }
  }

  /** It ends with the client's connection, and when we close. */
  private associate(socket: Socket, { port, isolation }: Extract<SocksStep, { kind: "associate" }>): void {
    const { openFlow } = this;
    if (openFlow === undefined) {
      this.refuse(socket, "command", socksReply(SocksReply.commandUnknown));
      return;
    }
    if (this.associated.size >= ASSOCIATIONS_MAX) {
      this.refuse(socket, "busy", socksReply(SocksReply.failed));
      return;
    }
    const drop = (fault: SocksFault): void => this.count(fault);
    const association = new SocksAssociation({ client: socket, clientPort: port, isolation, openFlow, drop });
    this.associated.add(socket);
    socket.once("close", () => this.associated.delete(socket));
    socket.once("end", () => socket.destroy()).resume(); // what it says on this connection means nothing
    association.listen().then(
      (bound) => {
        this.counts.associated += 1;
        if (!socket.destroyed) socket.write(socksAssociated(bound));
      },
      () => this.refuse(socket, "busy", socksReply(SocksReply.failed)),
    );
  }

  private open(socket: Socket, target: Tunnel, early: Buffer): void {
    this.counts.opened += 1;
    this.tunnels.open(target, socket, early, {
      accepted: () => void socket.write(socksReply(SocksReply.succeeded)),
      failed: (error) => {
        const reply = error instanceof StreamError ? socksReplyOf(error.code, target.port) : SocksReply.failed;
        this.counts.failed[reply] = (this.counts.failed[reply] ?? 0) + 1;
        this.log.debug("socks.failed", { reply, reason: error instanceof StreamError ? error.fault : "unknown" });
        endWith(socket, socksReply(reply));
      },
    });
  }

  private count(fault: SocksFault): void {
    this.counts.refused[fault] = (this.counts.refused[fault] ?? 0) + 1;
  }

  private refuse(socket: Socket, fault: SocksFault, bytes: Uint8Array): void {
    this.count(fault);
    this.log.debug("socks.refused", { reason: fault });
    if (fault === "ipAddress" && !this.hasWarned) {
      this.hasWarned = true;
      const fix = "use socks5h: a client sent an IP address, so it asks a resolver for names itself";
      this.log.warn("socks.address", { fix });
    }
    endWith(socket, bytes);
  }
}

function endWith(socket: Socket, bytes: Uint8Array): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(bytes);
  linger(socket);
}
