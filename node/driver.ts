/**
 * The driver turns the stack's contract (core/stack/ports.ts) into node's world: one input, its outputs, then the next;
 * one timer for the stack's one deadline.
 *
 *   datagram, command or timer -> Stack -> transmit: to UDP at once
 *                                       -> deliver, event: kept until the call has returned, then told
 *
 * So nothing an application does in a callback can enter the stack while it is inside a call. A turn of the event loop
 * handles all datagrams that have arrived, then what has become due.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NacDictionary } from "../core/address/dictionary.js";
import { heapAllocator } from "../core/collections/table-allocator.js";
import type { CryptoSuite, Entropy } from "../core/crypto/suite.js";
import type { StackConfig, StackPorts } from "../core/stack/ports.js";
import { Stack } from "../core/stack/stack.js";
import { MILLISECOND_US, NEVER } from "../core/time/instant.js";
import { traceNothing } from "../core/trace/trace.js";
import { Backlog } from "./backlog.js";
import type { Clock } from "./clock.js";
import { DatagramFlow, type FlowCommands } from "./datagram-flow.js";
import { systemRandom32 } from "./entropy.js";
import type { StackSurface } from "./journal/inputs.js";
import type { Journal } from "./journal/journal.js";
import { LoadGauge } from "./load-gauge.js";
import type { Log } from "./log.js";
import { type Notice, Notices } from "./notices.js";
import { OverlayStream, type StreamCommands } from "./overlay-stream.js";
import { type PingOutcome, Pings } from "./pings.js";
import { StreamCode } from "./stream-error.js";
import type { UdpPort } from "./udp.js";

/** What the driver asks of UDP. */
export type DatagramPort = Pick<UdpPort, "onDatagram" | "send" | "pathOf" | "endpointOf" | "crowdOf">;

/** setTimeout takes no more (2^31 - 1 ms); a longer wait is cut in two. */
const WAIT_MS_MAX = 2_000_000_000;

/** A deadline nearer than this is waited for by turning the event loop. */
const SPIN_US = 150;

/** Sessions take their leave for 0.3 s (core/stack/farewell.ts); new ones that come meanwhile do not hold us. */
const FAREWELL_MS = 350;
const FAREWELL_CHECK_MS = 10;

/** What is known of a stream while it is open. */
export interface StreamNote {
  /** The stack's handle. */
  readonly id: number;
  /** Whom we called; undefined for a stream that came in: a caller shows no NAC of his own. */
  readonly nac: Uint8Array | undefined;
  readonly port: number;
  readonly openedUs: number;
  bytesIn: number;
  bytesOut: number;
}

interface OpenStream extends StreamNote {
  readonly stream: OverlayStream;
}

export class Driver implements StreamCommands, FlowCommands {
  /** A stream that came in for one of our ports, by its visitor's session; the handler calls `accept` or `refuse` on it. */
  onStream: (stream: OverlayStream, port: number, session: number) => void = (stream) =>
    stream.refuse(StreamCode.refused);
  /** A flow of datagrams that came in: the handler sets `onDatagram` and keeps it, or closes it. The first follows. */
  onDatagramFlow: (flow: DatagramFlow, port: number, session: number) => void = (flow) => flow.close();
  /** The time of a former identity is over; its keys are not needed any more. */
  onFormerWithdrawn: (nac: Uint8Array) => void = () => undefined;
  readonly stack: StackSurface;

  private readonly udp: DatagramPort;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly streams = new Map<number, OpenStream>();
  private readonly flows = new Map<number, DatagramFlow>();
  private readonly pings = new Pings();
  private readonly ports = new Set<number>();
  private readonly notices = new Notices();
  /** Credit to give back at the end of the turn: one command a stream, however many chunks were read. */
  private readonly credit = new Map<number, number>();
  private deadlineUs = NEVER;
  private timer: NodeJS.Timeout | undefined;
  private timerUs = NEVER;
  private turn: NodeJS.Immediate | undefined;
  private readonly backlog = new Backlog((index) => this.stack.isSessionKnown(index));
  private readonly gauge = new LoadGauge();
  private closing: Promise<void> | undefined;
  private isClosed = false;

  constructor(args: {
    stackConfig: StackConfig;
    suite: CryptoSuite;
    udp: DatagramPort;
    entropy: Entropy;
    clock: Clock;
    log: Log;
    /** On disk before it returns. `nac` is the service's or a former one. */
    persistEpoch: (nac: Uint8Array, epoch: number) => void;
    /** Records the stack. */
    journal?: Journal | undefined;
  }) {
    const { suite, entropy, udp, clock, log, persistEpoch, journal, stackConfig } = args;
    this.udp = udp;
    this.clock = clock;
    this.log = log;
    const ports: StackPorts = {
      suite,
      entropy,
      random32: systemRandom32,
      trace: traceNothing,
      allocate: heapAllocator,
      dictionary: new NacDictionary(64, [systemRandom32(), systemRandom32()]),
      sink: {
        transmit: (path, bytes, at, length) => udp.send(path, bytes, at, length),
        event: (event) => this.notices.event(event),
        deliver: (stream, bytes, at, length) => this.notices.data(stream, bytes, at, length),
        deliverDatagram: (flow, bytes, at, length) => this.notices.datagram(flow, bytes, at, length),
        persist: ({ nac, epoch }) => persistEpoch(nac, epoch),
      },
    };
    const nowUs = clock.nowUs();
    this.stack = journal?.record(nowUs, stackConfig, ports) ?? new Stack(nowUs, stackConfig, ports);
  }

  start(): void {
    this.udp.onDatagram = (path, bytes, length) => this.handleDatagram(path, bytes, length);
    this.settle(this.stack.start(this.clock.nowUs()));
  }

  /** Keeps a link to `address` (an IP address) and redials it. `pin` is the 32-byte hash of its link key, if known. */
  addPeer(address: string, port: number, pin: Uint8Array | undefined): void {
    const path = this.udp.pathOf(address, port);
    if (path < 0) {
      this.log.warn("peer.unusable", { reason: "no UDP socket for this kind of address" });
      return;
    }
    this.settle(this.stack.addPeer(this.clock.nowUs(), path, pin));
  }

  /** Overlay ports that are hosted; a stream for another is refused without asking anybody. */
  setPorts(ports: readonly number[]): void {
    this.ports.clear();
    for (const port of ports) this.ports.add(port);
  }

  /**
   * Opens a stream. Never throws for what the network does: the stream emits "accepted", or a StreamError. Streams of
   * different `isolation` share no session.
   */
  connect(nac: Uint8Array, port: number, nacHash?: Uint8Array, isolation?: string): OverlayStream {
    if (this.closing !== undefined) {
      const closed = new OverlayStream(this, -1, "outgoing");
      setImmediate(() => closed.handleReset(StreamCode.sessionLost));
      return closed;
    }
    const handle = this.stack.openStream(this.clock.nowUs(), nac, port, nacHash, isolation);
    const stream = new OverlayStream(this, handle, "outgoing");
    this.keep(handle, stream, nac, port);
    this.settle(this.stack.nextDeadlineUs);
    return stream;
  }

  /**
   * A flow of datagrams to `port` of `nac`; nothing leaves before the first `send`. At once closed when there are too many
   * (4,096). Flows of different `isolation` share no session.
   */
  openFlow(nac: Uint8Array, port: number, nacHash?: Uint8Array, isolation?: string): DatagramFlow {
    if (this.closing !== undefined) return new DatagramFlow(this, -1);
    const handle = this.stack.openFlow(this.clock.nowUs(), nac, port, nacHash, isolation);
    const flow = new DatagramFlow(this, handle);
    if (handle >= 0) this.flows.set(handle, flow);
    this.settle(this.stack.nextDeadlineUs);
    return flow;
  }

  /** Asks a node for a sign of life, at most `timeoutMs` long. `nacHash`, if given, is what its keys must hash to. */
  ping(nac: Uint8Array, timeoutMs: number, nacHash?: Uint8Array): Promise<PingOutcome> {
    if (this.closing !== undefined) return Promise.resolve({ reason: "closed" });
    return this.pings.start(timeoutMs, (id) => this.settle(this.stack.ping(this.clock.nowUs(), nac, id, nacHash)));
  }

  /** Records that came faster than they could be dealt with, or of sessions that nobody has. */
  get overloads(): number {
    return this.backlog.dropped;
  }

  /** Streams that are open, oldest first. */
  openStreams(): readonly StreamNote[] {
    return [...this.streams.values()];
  }

  /** Breaks the streams, takes leave of peers and neighbours. Fulfilled when the last datagram was handed to UDP. */
  close(): Promise<void> {
    this.closing ??= this.leave();
    return this.closing;
  }

  private async leave(): Promise<void> {
    this.ports.clear();
    for (const { stream } of [...this.streams.values()]) stream.destroy();
    for (const flow of [...this.flows.values()]) flow.handleClosed();
    this.flows.clear();
    this.returnCredit();
    this.settle(this.stack.depart(this.clock.nowUs()));
    const endMs = performance.now() + FAREWELL_MS;
    while (this.stack.status().sessions > 0 && performance.now() < endMs) await sleep(FAREWELL_CHECK_MS);
    this.stack.shutdown(this.clock.nowUs());
    this.isClosed = true;
    this.udp.onDatagram = () => undefined;
    clearTimeout(this.timer);
    clearImmediate(this.turn);
    this.pings.close();
    this.notices.clear();
    await new Promise((resolve) => setImmediate(resolve));
  }

  // StreamCommands: what OverlayStreams ask for.

  accept(stream: number): void {
    if (!this.isClosed) this.settle(this.stack.acceptStream(this.clock.nowUs(), stream));
  }

  write(stream: number, bytes: Uint8Array): number {
    if (this.isClosed) return 0;
    const count = this.stack.write(this.clock.nowUs(), stream, plain(bytes));
    const open = this.streams.get(stream);
    if (open !== undefined) open.bytesOut += count;
    this.settle(this.stack.nextDeadlineUs);
    return count;
  }

  finish(stream: number): void {
    if (!this.isClosed) this.settle(this.stack.finish(this.clock.nowUs(), stream));
  }

  reset(stream: number, code: number): void {
    if (this.isClosed) return;
    this.returnCredit();
    this.settle(this.stack.reset(this.clock.nowUs(), stream, code));
  }

  consume(stream: number, bytes: number): void {
    this.credit.set(stream, (this.credit.get(stream) ?? 0) + bytes);
    this.scheduleTurn();
  }

  release(stream: number): void {
    this.streams.delete(stream);
  }

  // FlowCommands: what DatagramFlows ask for.

  sendDatagram(flow: number, bytes: Uint8Array): boolean {
    if (this.isClosed) return false;
    const isTaken = this.stack.sendDatagram(this.clock.nowUs(), flow, plain(bytes));
    this.settle(this.stack.nextDeadlineUs);
    return isTaken;
  }

  closeFlow(flow: number): void {
    this.flows.delete(flow);
    if (!this.isClosed) this.settle(this.stack.closeFlow(this.clock.nowUs(), flow));
  }

  // The loop.

  private handleDatagram(path: number, bytes: Uint8Array, length: number): void {
    const nowUs = this.clock.nowUs();
    if (this.backlog.take(nowUs, path, bytes)) this.scheduleTurn();
    else this.settle(this.stack.handleDatagram(nowUs, path, bytes, 0, length, this.udp.crowdOf(path)));
  }

  /** After every input. What it caused is told, and its deadline looked at, at the end of the turn. */
  private settle(deadlineUs: number): void {
    this.deadlineUs = deadlineUs;
    this.scheduleTurn();
  }

  private scheduleTurn(): void {
    if (this.turn !== undefined || this.isClosed) return;
    this.turn = setImmediate(() => this.endTurn());
  }

  /** All datagrams of this turn are in. */
  private endTurn(): void {
    this.turn = undefined;
    if (this.isClosed) return;
    this.backlog.handleTurn(this.clock.nowUs(), (path, bytes) => {
      this.deadlineUs = this.stack.handleDatagram(this.clock.nowUs(), path, bytes, 0, bytes.length);
    });
    this.tell();
    this.returnCredit();
    const nowUs = this.clock.nowUs();
    if (this.deadlineUs <= nowUs) {
      this.gauge.noteLate(nowUs - this.deadlineUs);
      this.deadlineUs = this.stack.handleTimer(nowUs);
      this.tell();
    }
    if (this.gauge.isDue(nowUs)) this.measureLoad(nowUs);
    if (this.backlog.size > 0) this.scheduleTurn();
    this.arm();
  }

  private measureLoad(nowUs: number): void {
    const load = this.gauge.measure(nowUs, this.backlog.takeLongestUs());
    if (load !== undefined) this.deadlineUs = this.stack.handleLoad(nowUs, load);
  }

  private arm(): void {
    if (this.isClosed || this.turn !== undefined) return;
    if (this.deadlineUs === NEVER) return;
    const waitUs = this.deadlineUs - this.clock.nowUs();
    // setTimeout counts whole milliseconds. What is due almost at once is looked at again in the next turn; spinning for
    // longer would take the core from the neighbours, and the pacer makes up for a timer that rings late.
    if (waitUs < SPIN_US) {
      this.scheduleTurn();
      return;
    }
    // A timer that rings too early costs one look at the clock; making one anew for each packet would cost more.
    if (this.timer !== undefined && this.timerUs <= this.deadlineUs) return;
    clearTimeout(this.timer);
    this.timerUs = this.deadlineUs;
    const waitMs = Math.max(1, Math.min(Math.floor(waitUs / MILLISECOND_US), WAIT_MS_MAX));
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.timerUs = NEVER;
      this.scheduleTurn();
    }, waitMs);
  }

  /** Tells the applications what the stack said. */
  private tell(): void {
    this.notices.tell((notice) => this.tellOne(notice));
  }

  private tellOne(notice: Notice): void {
    if (notice.kind === "data") {
      const open = this.streams.get(notice.stream);
      if (open === undefined) return;
      open.bytesIn += notice.end - notice.at;
      open.stream.handleData(notice.slab.subarray(notice.at, notice.end));
      return;
    }
    if (notice.kind === "datagram") {
      this.flows.get(notice.flow)?.onDatagram(notice.bytes);
      return;
    }
    const { event } = notice;
    switch (event.kind) {
      case "linkUp":
        this.log.info("link.up", {
          link: event.link,
          endpoint: this.udp.endpointOf(event.path),
          pinned: event.pinned,
          incoming: event.incoming,
        });
        return;
      case "linkDown":
        this.log.info("link.down", {
          link: event.link,
          endpoint: this.udp.endpointOf(event.path),
          reason: event.reason,
        });
        return;
      case "linkMoved":
        this.log.info("link.moved", { link: event.link, endpoint: this.udp.endpointOf(event.path) });
        return;
      case "streamOpened":
        this.welcome(event.stream, event.port, event.session);
        return;
      case "streamAccepted":
        this.streams.get(event.stream)?.stream.handleAccepted();
        return;
      case "streamWritable":
        this.streams.get(event.stream)?.stream.handleWritable();
        return;
      case "streamFinished":
        this.streams.get(event.stream)?.stream.handleFinished();
        return;
      case "streamStopped":
        this.streams.get(event.stream)?.stream.handleStopped();
        return;
      case "streamReset":
        this.streams.get(event.stream)?.stream.handleReset(event.code);
        return;
      case "flowOpened":
        this.welcomeFlow(event.flow, event.port, event.session);
        return;
      case "flowClosed": {
        const flow = this.flows.get(event.flow);
        this.flows.delete(event.flow);
        flow?.handleClosed();
        return;
      }
      case "formerWithdrawn":
        this.onFormerWithdrawn(event.nac);
        return;
      case "pong":
        this.pings.answer(event.id, { rttUs: event.rttUs });
        return;
      case "pingFailed":
        this.pings.answer(event.id, { reason: event.reason });
        return;
    }
  }

  private welcome(handle: number, port: number, session: number): void {
    if (!this.ports.has(port)) {
      this.reset(handle, StreamCode.refused);
      return;
    }
    const stream = new OverlayStream(this, handle, "incoming");
    this.keep(handle, stream, undefined, port);
    this.onStream(stream, port, session);
  }

  private welcomeFlow(handle: number, port: number, session: number): void {
    const flow = new DatagramFlow(this, handle);
    this.flows.set(handle, flow);
    this.onDatagramFlow(flow, port, session);
  }

  private keep(id: number, stream: OverlayStream, nac: Uint8Array | undefined, port: number): void {
    this.streams.set(id, { id, stream, nac, port, openedUs: this.clock.nowUs(), bytesIn: 0, bytesOut: 0 });
  }

  private returnCredit(): void {
    if (this.credit.size === 0 || this.isClosed) return;
    const nowUs = this.clock.nowUs();
    for (const [stream, bytes] of this.credit) this.deadlineUs = this.stack.consume(nowUs, stream, bytes);
    this.credit.clear();
  }
}

/**
 * The same bytes as a plain array. A Buffer is a Uint8Array in all but this: its `slice` is a view where the core, which
 * knows no Buffers, counts on a copy.
 */
function plain(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
}
