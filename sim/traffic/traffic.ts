import type { StackEvent } from "../../core/stack/ports.js";
import type { Stack } from "../../core/stack/stack.js";
import type { Traffic as Flow } from "../plan/plan.js";
import type { TrafficCount } from "../report/tally.js";
import { countIntact, fillPattern, HEADER_BYTES, readHeader, writeHeader } from "./parcel.js";

/** What traffic needs of a host. */
export interface TrafficHost {
  readonly node: number;
  readonly stack: Stack;
  /** Wakes the traffic right after the call to the stack that goes on. */
  soon(): void;
  wakeAt(atUs: number): void;
}

const STREAM_PORT = 7001;
const REQUEST_PORT = 7002;
const DATAGRAM_PORT = 7003;
/** The largest that fits (core/transport/datagram-queue.ts). */
const DATAGRAM_MAX = 1_004;
/** Flows of one node that have different patterns. */
const FLOWS_MAX = 65_536;
const CHUNK_BYTES = 16_384;
/** Of a reset by an application that is given something it does not understand. */
const REFUSED = 1;

/** A stream at either end. What it writes is a header, or none, and then pattern; so is what it reads. */
interface Transfer {
  readonly stream: number;
  /** 0 while bytes came with the handshake and the stream is not announced yet. */
  port: number;
  flow: number;
  isCounted: boolean;
  /** Header that is still to be written, and pattern. */
  head: Uint8Array;
  patternBytes: number;
  /** As the header that was read says. */
  answerBytes: number;
  written: number;
  isFinished: boolean;
  /** Header as far as it was read; undefined when pattern is all that comes. */
  reading: number[] | undefined;
  read: number;
  /** Delivered and not yet taken. */
  unread: number;
}

interface Sending {
  readonly flow: number;
  readonly number: number;
  readonly bytes: number;
  readonly gapUs: number;
  readonly isCounted: boolean;
  left: number;
  atUs: number;
}

/** The applications of one node, for one life. */
class Applications {
  readonly transfers = new Map<number, Transfer>();
  readonly sending: Sending[] = [];
  flows = 0;
}

/**
 * Applications of the simulated nodes: streams and requests that check every byte, and datagrams at a steady pace. Everything
 * that a plan asks for is begun when it says; what comes of it is counted.
 *
 * A transfer counts as offered when, at its beginning, the other end lives and a path leads there. What is sent all the same
 * is not counted when it arrives.
 */
export class Traffic {
  readonly count: TrafficCount = { offered: 0, delivered: 0, damaged: 0 };
  /** Lives that asked for anything: each announced a client NAC. */
  clients = 0;
  private readonly nacOf: (node: number) => Uint8Array;
  private readonly hasPath: (from: number, to: number) => boolean;
  private readonly lives = new Map<number, Applications>();
  private readonly asked = new Set<number>();
  private readonly chunk = new Uint8Array(CHUNK_BYTES);

  constructor(nacOf: (node: number) => Uint8Array, hasPath: (from: number, to: number) => boolean) {
    this.nacOf = nacOf;
    this.hasPath = hasPath;
  }

  begin(nowUs: number, host: TrafficHost, flow: Flow): void {
    if (!this.asked.has(host.node)) {
      this.asked.add(host.node);
      this.clients += 1;
    }
    const life = this.of(host.node);
    life.flows += 1;
    const number = host.node * FLOWS_MAX + (life.flows % FLOWS_MAX); // what is sent must not depend on who shares the shard
    const isCounted = this.hasPath(flow.from, flow.to);
    const bytes = flow.kind === "datagrams" ? Math.max(HEADER_BYTES, Math.min(DATAGRAM_MAX, flow.bytes)) : flow.bytes;
    if (isCounted) this.count.offered += flow.kind === "datagrams" ? bytes * flow.count : bytes;
    if (flow.kind === "datagrams") {
      const socket = host.stack.openFlow(nowUs, this.nacOf(flow.to), DATAGRAM_PORT);
      const { gapUs, count } = flow;
      life.sending.push({ flow: socket, number, bytes, gapUs, isCounted, left: count, atUs: nowUs });
      this.handleWake(nowUs, host);
      return;
    }
    const port = flow.kind === "stream" ? STREAM_PORT : REQUEST_PORT;
    const stream = host.stack.openStream(nowUs, this.nacOf(flow.to), port);
    const head = new Uint8Array(HEADER_BYTES);
    writeHeader(head, { flow: number, length: bytes, isCounted });
    const isRequest = flow.kind === "request";
    life.transfers.set(stream, {
      ...emptyTransfer(stream, port),
      flow: number,
      isCounted,
      head,
      patternBytes: isRequest ? 0 : bytes,
      reading: undefined,
    });
  }

  handleEnd(node: number): void {
    this.lives.delete(node);
    this.asked.delete(node);
  }

  handleEvent(nowUs: number, host: TrafficHost, event: StackEvent): void {
    switch (event.kind) {
      case "streamOpened":
        return this.accept(nowUs, host, event.stream, event.port);
      case "streamWritable":
        return this.pump(nowUs, host, event.stream);
      case "streamReset":
      case "streamStopped":
        this.lives.get(host.node)?.transfers.delete(event.stream);
        return;
      default:
    }
  }

  handleDeliver(host: TrafficHost, stream: number, bytes: Uint8Array, at: number, length: number): void {
    const { transfers } = this.of(host.node);
    const transfer = transfers.get(stream) ?? emptyTransfer(stream, 0);
    transfers.set(stream, transfer);
    let skipped = 0;
    if (transfer.reading !== undefined) {
      while (skipped < length && transfer.reading.length < HEADER_BYTES) transfer.reading.push(bytes[at + skipped++]!);
      if (transfer.reading.length === HEADER_BYTES) this.handleHeader(transfer, Uint8Array.from(transfer.reading));
    }
    const rest = length - skipped;
    if (rest > 0) {
      const intact = countIntact(bytes, at + skipped, rest, transfer.flow, transfer.read);
      this.credit(transfer.isCounted, intact, rest - intact);
      transfer.read += rest;
    }
    transfer.unread += length;
    host.soon();
  }

  handleDeliverDatagram(bytes: Uint8Array, at: number, length: number): void {
    if (length < HEADER_BYTES) return;
    const { flow, isCounted } = readHeader(bytes, at);
    const pattern = length - HEADER_BYTES;
    const intact = countIntact(bytes, at + HEADER_BYTES, pattern, flow, 0);
    if (intact === pattern) this.credit(isCounted, length, 0);
    else this.credit(isCounted, 0, length);
  }

  /** Takes what was delivered, goes on with what was asked for, and sends the datagrams that are due. */
  handleWake(nowUs: number, host: TrafficHost): void {
    const life = this.lives.get(host.node);
    if (life === undefined) return;
    for (const transfer of life.transfers.values()) {
      if (transfer.unread === 0) continue;
      host.stack.consume(nowUs, transfer.stream, transfer.unread);
      transfer.unread = 0;
      this.pump(nowUs, host, transfer.stream);
    }
    let nextUs = Number.POSITIVE_INFINITY;
    for (let i = life.sending.length - 1; i >= 0; i -= 1) {
      const sending = life.sending[i]!;
      if (sending.atUs <= nowUs) this.sendDatagram(nowUs, host, sending);
      if (sending.left === 0) life.sending.splice(i, 1);
      else nextUs = Math.min(nextUs, sending.atUs);
    }
    if (nextUs < Number.POSITIVE_INFINITY) host.wakeAt(nextUs);
  }

  private of(node: number): Applications {
    let life = this.lives.get(node);
    if (life === undefined) {
      life = new Applications();
      this.lives.set(node, life);
    }
    return life;
  }

  private credit(isCounted: boolean, intact: number, damaged: number): void {
    if (isCounted) this.count.delivered += intact;
    this.count.damaged += damaged;
  }

  private accept(nowUs: number, host: TrafficHost, stream: number, port: number): void {
    if (port !== STREAM_PORT && port !== REQUEST_PORT) {
      host.stack.reset(nowUs, stream, REFUSED);
      return;
    }
    const { transfers } = this.of(host.node);
    const transfer = transfers.get(stream) ?? emptyTransfer(stream, port);
    transfer.port = port;
    transfers.set(stream, transfer);
    host.stack.acceptStream(nowUs, stream);
    this.pump(nowUs, host, stream);
  }

  private handleHeader(transfer: Transfer, bytes: Uint8Array): void {
    const { flow, length, isCounted } = readHeader(bytes, 0);
    transfer.reading = undefined;
    transfer.flow = flow;
    transfer.isCounted = isCounted;
    transfer.answerBytes = length;
  }

  private pump(nowUs: number, host: TrafficHost, stream: number): void {
    const transfer = this.lives.get(host.node)?.transfers.get(stream);
    if (transfer === undefined || transfer.isFinished || transfer.reading !== undefined || transfer.port === 0) return;
    if (transfer.port === REQUEST_PORT && transfer.head.length === 0) transfer.patternBytes = transfer.answerBytes;
    const total = transfer.head.length + transfer.patternBytes;
    while (transfer.written < total) {
      const size = this.load(transfer, total);
      const taken = host.stack.write(nowUs, stream, this.chunk.subarray(0, size));
      transfer.written += taken;
      if (taken < size) return; // streamWritable follows
    }
    transfer.isFinished = true;
    host.stack.finish(nowUs, stream);
  }

  /** The next bytes to write, into `chunk`. */
  private load(transfer: Transfer, total: number): number {
    const { head, written, flow } = transfer;
    if (written < head.length) {
      this.chunk.set(head.subarray(written));
      return head.length - written;
    }
    const size = Math.min(CHUNK_BYTES, total - written);
    fillPattern(this.chunk, 0, size, flow, written - head.length);
    return size;
  }

  private sendDatagram(nowUs: number, host: TrafficHost, sending: Sending): void {
    const { bytes, number, isCounted, flow } = sending;
    writeHeader(this.chunk, { flow: number, length: bytes - HEADER_BYTES, isCounted });
    fillPattern(this.chunk, HEADER_BYTES, bytes - HEADER_BYTES, number, 0);
    host.stack.sendDatagram(nowUs, flow, this.chunk.subarray(0, bytes));
    sending.left -= 1;
    sending.atUs += sending.gapUs;
  }
}

function emptyTransfer(stream: number, port: number): Transfer {
  return {
    stream,
    port,
    flow: 0,
    isCounted: false,
    head: new Uint8Array(0),
    patternBytes: 0,
    answerBytes: 0,
    written: 0,
    isFinished: false,
    reading: [],
    read: 0,
    unread: 0,
  };
}
