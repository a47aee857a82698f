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
import { Shares } from "./shares.js";
import { StreamCode, StreamError } from "./stream-error.js";
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
/** Neither visitor nor target ever said a word: ended after so long while more than half of the table is taken. */
const SILENT_MS = 60_000;
const SILENT_CHECK_MS = 5_000;
/** With the table full the longest silent makes room sooner. */
const SILENT_FULL_MS = 5_000;
/** A full table is searched for room so seldom, however many knock. */
const SEARCH_MS = 100;

/** A stream that is open. */
interface Visit {
  readonly port: number;
  /** The visitor's session; one visitor may have several. */
  readonly session: number;
  /** The target answered. */
  isJoined: boolean;
  /** When it last carried anything; when it was opened or joined, if it never did. */
  atMs: number;
  hasSpoken: boolean;
}

interface HostedFlow {
  readonly port: number;
  readonly session: number;
  atMs: number;
  end: () => void;
}

export class Hosting {
  readonly counts: HostingCounts = { open: 0, accepted: 0, refusedNoPort: 0, refusedTargetDown: 0, refusedOverload: 0 };
  private readonly log: Log;
  private readonly streamsMax: number;
  private readonly streams = new OpenStreams<HostedStream>();
  private readonly visits = new Map<HostedStream, Visit>();
  private readonly visitShares = new Shares();
  private readonly flows = new Map<DatagramFlow, HostedFlow>();
  private readonly flowShares = new Shares();
  private silenceTimer: NodeJS.Timeout | undefined;
  /** There was no room to be made a moment ago. */
  private searchAtMs = 0;
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
    for (const [stream, { port }] of [...this.visits]) if (!ports.has(port)) breakStream(stream);
    for (const { port, end } of [...this.flows.values()]) if (!ports.has(port)) end();
  }

  /** Decides what becomes of a stream that came in for `port`, in the visitor's `session`. */
  handle(stream: HostedStream, port: number, session = 0): void {
    const target = this.current.find((host) => host.port === port);
    if (target === undefined || target.target.kind === "udp") {
      this.counts.refusedNoPort += 1;
      stream.refuse(StreamCode.refused);
      return;
    }
    if (this.streams.size >= this.streamsMax && !this.makeRoom(session)) {
      this.counts.refusedOverload += 1;
      this.log.warn("host.overload", { port, streams: this.streams.size });
      stream.refuse(StreamCode.overload);
      return;
    }
    this.streams.add(stream);
    const visit = { port, session, isJoined: false, atMs: performance.now(), hasSpoken: false };
    this.visits.set(stream, visit);
    this.visitShares.add(session);
    this.counts.open = this.streams.size;
    this.watchSilence();
    this.dial(stream, target);
  }

  /** Decides what becomes of a flow of datagrams that came in for `port`, in the visitor's `session`. */
  handleFlow(flow: DatagramFlow, port: number, session = 0): void {
    const hosted = this.current.find((host) => host.port === port);
    if (hosted?.target.kind !== "udp") {
      this.counts.refusedNoPort += 1;
      flow.close();
    } else if (this.flows.size >= FLOWS_MAX && !this.makeRoomForFlow(session)) {
      this.counts.refusedOverload += 1;
      this.log.warn("host.overload", { port, streams: this.flows.size });
      flow.close();
    } else {
      const { host, port: targetPort } = hosted.target;
      const hostedFlow: HostedFlow = { port, session, atMs: performance.now(), end: () => undefined };
      this.flows.set(flow, hostedFlow);
      this.flowShares.add(session);
      hostedFlow.end = joinFlow(flow, host, targetPort, {
        moved: () => {
          hostedFlow.atMs = performance.now();
        },
        ended: () => {
          this.flows.delete(flow);
          this.flowShares.subtract(session);
        },
      });
    }
  }

  /**
   * Lets the streams that are open end for at most `drainMs`, then breaks them. New ones are refused. None is ended towards
   * its visitor before its target ends it: a pause may be the middle of an answer.
   */
  async close(drainMs = 0): Promise<void> {
    this.current = [];
    for (const { end } of [...this.flows.values()]) end(); // a datagram is answered at once or never
    await this.streams.close(drainMs);
    clearInterval(this.silenceTimer);
  }

  /** Whether `session` gets the place of another stream, which is ended; asked when the table is full. */
  private makeRoom(session: number): boolean {
    const share = this.streamsMax / 4;
    const nowMs = performance.now();
    if (this.visitShares.of(session) >= share || nowMs < this.searchAtMs) return false;
    const silent = this.stillest((visit) => isSilent(visit) && nowMs - visit.atMs >= SILENT_FULL_MS);
    const { largest } = this.visitShares;
    const isGreedy = largest !== undefined && this.visitShares.of(largest) > share;
    const stream = silent ?? (isGreedy ? this.stillest((visit) => visit.session === largest) : undefined);
    if (stream === undefined) this.searchAtMs = nowMs + SEARCH_MS;
    else this.clear(stream, silent === undefined ? "share" : "silent");
    return stream !== undefined;
  }

  /** The one that carried nothing for longest. */
  private stillest(isMeant: (visit: Visit) => boolean): HostedStream | undefined {
    let found: HostedStream | undefined;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const [stream, visit] of this.visits) {
      if (visit.atMs >= sinceMs || !isMeant(visit)) continue;
      found = stream;
      sinceMs = visit.atMs;
    }
    return found;
  }

  /** The session that has most flows gives up the one that it used least lately, if it then still has no fewer. */
  private makeRoomForFlow(session: number): boolean {
    const { largest } = this.flowShares;
    if (largest === undefined || this.flowShares.of(largest) < this.flowShares.of(session) + 2) return false;
    let found: HostedFlow | undefined;
    for (const flow of this.flows.values()) {
      if (flow.session === largest && (found === undefined || flow.atMs < found.atMs)) found = flow;
    }
    found?.end();
    return true;
  }

  private watchSilence(): void {
    if (this.silenceTimer !== undefined || !this.isHalfFull) return;
    this.silenceTimer = setInterval(() => this.endSilentStreams(), SILENT_CHECK_MS).unref();
  }

  private endSilentStreams(): void {
    const nowMs = performance.now();
    for (const [stream, visit] of this.visits) {
      if (this.isHalfFull && isSilent(visit) && nowMs - visit.atMs >= SILENT_MS) this.clear(stream, "silent");
    }
    if (this.isHalfFull) return;
    clearInterval(this.silenceTimer);
    this.silenceTimer = undefined;
  }

  private get isHalfFull(): boolean {
    return this.streams.size > this.streamsMax / 2;
  }

  private clear(stream: HostedStream, reason: "silent" | "share"): void {
    this.log.warn("host.cleared", { port: this.visits.get(stream)?.port, reason });
    this.forget(stream); // its "close" comes a little later
    stream.destroy(new StreamError(StreamCode.overload));
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
    const visit = this.visits.get(stream);
    if (visit !== undefined) Object.assign(visit, { atMs: performance.now(), isJoined: true });
    const move = (): void => {
      if (visit !== undefined) Object.assign(visit, { atMs: performance.now(), hasSpoken: true });
    };
    stream.on("data", move);
    socket.on("data", move);
    joinStreams(stream, socket, () => this.forget(stream));
  }

  private forget(stream: HostedStream): void {
    this.streams.delete(stream);
    const visit = this.visits.get(stream);
    if (visit === undefined) return;
    this.visits.delete(stream);
    this.visitShares.subtract(visit.session);
    this.counts.open = this.streams.size;
  }
}

/** A target that is being dialled has 10 s of its own. */
function isSilent({ isJoined, hasSpoken }: Visit): boolean {
  return isJoined && !hasSpoken;
}

/** As net.connect wants it. Not for a UDP server, which knows no connections. */
export function whereOf(target: Target): { readonly path: string } | { readonly host: string; readonly port: number } {
  return target.kind === "unix" ? { path: target.path } : { host: target.host, port: target.port };
}
