/**
 * Hosting: a stream that asks for an overlay port becomes a connection to the target configured for it. The stream is
 * accepted only once the target has answered, so a client hears "target down" and not a connection that breaks at once.
 */
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { HostedPort, Target } from "./config/endpoint.js";
import type { DatagramFlow } from "./datagram-flow.js";
import { joinFlow } from "./datagram-target.js";
import { systemCode } from "./failure.js";
import type { Log } from "./log.js";
import { StreamCode } from "./stream-error.js";
import { breakStream, joinStreams, OpenStreams } from "./tunnel.js";

/** What hosting needs of an incoming OverlayStream. */
export interface HostedStream extends Duplex {
  accept(): void;
  refuse(code: number): void;
}

export interface HostingCounts {
  open: number;
  accepted: number;
  refusedNoPort: number;
  refusedTargetDown: number;
  refusedOverload: number;
}

/** Each costs a file descriptor; most systems start with 1,024 or more of them. Beyond it a client hears "overload". */
const STREAMS_MAX = 1024;
/** Each has a UDP socket of its own; the stack ends one that is idle for 60 s. */
const FLOWS_MAX = 256;
/** A target is near: one that has not answered by now is down. */
const CONNECT_TIMEOUT_MS = 10_000;
/** While the daemon drains: a stream on which the target spoke last, and so long ago, waits for a request that never comes. */
const QUIET_MS = 2_000;
/** The end that it was given found nobody for as long again: its visitor is gone. */
const GONE_MS = 2 * QUIET_MS;
const QUIET_CHECK_MS = 100;

/** When a stream last carried anything, and whether that was towards the target. */
interface Movement {
  atMs: number;
  isAsking: boolean;
}

export class Hosting {
  readonly counts: HostingCounts = { open: 0, accepted: 0, refusedNoPort: 0, refusedTargetDown: 0, refusedOverload: 0 };
  private readonly log: Log;
  private readonly streamsMax: number;
  private readonly streams = new OpenStreams<HostedStream>();
  /** The overlay port of each stream that is open. */
  private readonly portOf = new Map<HostedStream, number>();
  private readonly flows = new Map<DatagramFlow, { readonly port: number; readonly end: () => void }>();
  private readonly movements = new Map<HostedStream, Movement>();
  private current: readonly HostedPort[];

  constructor(args: { hosts: readonly HostedPort[]; log: Log; streamsMax?: number }) {
    this.current = args.hosts;
    this.log = args.log;
    this.streamsMax = args.streamsMax ?? STREAMS_MAX;
  }

  get hosts(): readonly HostedPort[] {
    return this.current;
  }

  get ports(): number[] {
    return this.current.map((host) => host.port);
  }

  /** Streams keep the target that they have; those of a port that is hosted no more are broken. */
  setHosts(hosts: readonly HostedPort[]): void {
    this.current = hosts;
    const ports = new Set(this.ports);
    for (const [stream, port] of [...this.portOf]) if (!ports.has(port)) breakStream(stream);
    for (const { port, end } of [...this.flows.values()]) if (!ports.has(port)) end();
  }

  /** Decides what becomes of a stream that came in for `port`. */
  handle(stream: HostedStream, port: number): void {
    const target = this.current.find((host) => host.port === port);
    if (target === undefined || target.target.kind === "udp") {
      this.counts.refusedNoPort += 1;
      stream.refuse(StreamCode.refused);
      return;
    }
    if (this.streams.size >= this.streamsMax) {
      this.counts.refusedOverload += 1;
      this.log.warn("host.overload", { port, streams: this.streams.size });
      stream.refuse(StreamCode.overload);
      return;
    }
    this.streams.add(stream);
    this.portOf.set(stream, port);
    this.counts.open = this.streams.size;
    this.dial(stream, target);
  }

  /** Decides what becomes of a flow of datagrams that came in for `port`. */
  handleFlow(flow: DatagramFlow, port: number): void {
    const hosted = this.current.find((host) => host.port === port);
    if (hosted?.target.kind !== "udp") {
      this.counts.refusedNoPort += 1;
      flow.close();
    } else if (this.flows.size >= FLOWS_MAX) {
      this.counts.refusedOverload += 1;
      this.log.warn("host.overload", { port, streams: this.flows.size });
      flow.close();
    } else {
      const { host, port: targetPort } = hosted.target;
      this.flows.set(flow, { port, end: joinFlow(flow, host, targetPort, () => this.flows.delete(flow)) });
    }
  }

  /** Lets the streams that are open end for at most `drainMs`, then breaks them. New ones are refused. */
  async close(drainMs = 0): Promise<void> {
    this.current = [];
    for (const { end } of [...this.flows.values()]) end(); // a datagram is answered at once or never
    const timer = setInterval(() => this.endQuietStreams(), QUIET_CHECK_MS);
    await this.streams.close(drainMs);
    clearInterval(timer);
  }

  /** Visitors keep streams for their next request. An end in order costs them nothing, and us no wait. */
  private endQuietStreams(): void {
    const nowMs = performance.now();
    for (const [stream, { atMs, isAsking }] of this.movements) {
      if (isAsking || nowMs - atMs <= QUIET_MS) continue;
      if (!stream.writableEnded) stream.end();
      else if (nowMs - atMs > GONE_MS && stream.writableFinished) stream.destroy();
    }
  }

  private dial(stream: HostedStream, hosted: HostedPort): void {
    const { port, target } = hosted;
    const socket = connect({ ...whereOf(target), allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error("the target did not answer in time")), CONNECT_TIMEOUT_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      stream.off("close", giveUp);
      this.counts.refusedTargetDown += 1;
      this.log.warn("host.down", { port, error: systemCode(error) ?? error.message });
      stream.refuse(StreamCode.targetDown);
      this.forget(stream);
    };
    const giveUp = (): void => {
      clearTimeout(timer);
      socket.off("error", fail);
      breakStream(socket);
      this.forget(stream);
    };
    stream.on("error", () => undefined); // "close" follows
    socket.once("error", fail);
    stream.once("close", giveUp);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      stream.off("close", giveUp);
      this.join(stream, socket);
    });
  }

  private join(stream: HostedStream, socket: Socket): void {
    this.counts.accepted += 1;
    stream.accept();
    const movement: Movement = { atMs: performance.now(), isAsking: false };
    this.movements.set(stream, movement);
    const move = (isAsking: boolean): void => void Object.assign(movement, { atMs: performance.now(), isAsking });
    stream.on("data", () => move(true));
    socket.on("data", () => move(false));
    joinStreams(stream, socket, () => this.forget(stream));
  }

  private forget(stream: HostedStream): void {
    this.streams.delete(stream);
    this.portOf.delete(stream);
    this.movements.delete(stream);
    this.counts.open = this.streams.size;
  }
}

/** As net.connect wants it. Not for a UDP server, which knows no connections. */
export function whereOf(target: Target): { readonly path: string } | { readonly host: string; readonly port: number } {
  return target.kind === "unix" ? { path: target.path } : { host: target.host, port: target.port };
}
