import seedrandom from "seedrandom";
import { Digest } from "../../core/collections/digest.js";
import { StreamBounds } from "../../core/stream/bounds.js";
import { type StreamEvents, Streams } from "../../core/stream/streams.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { StoreBounds } from "../../core/transport/store-bounds.js";
import { Transport, type TransportFault } from "../../core/transport/transport.js";
import { CELL_BYTES } from "../../core/wire/cell.js";
import type { Reader } from "../../core/wire/cursor.js";

/** What one direction does to cells. Shares are 0..1. */
export interface PathOptions {
  readonly megabitsPerSecond?: number;
  readonly delayUs?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  /** Share of cells that come up to `reorderUs` late. */
  readonly reorder?: number;
  readonly reorderUs?: number;
  /** Cells that wait for the bottleneck; more are dropped. */
  readonly queueCells?: number;
}

export interface PairOptions {
  readonly seed: string;
  readonly path?: PathOptions;
  /** The way back, where it differs. */
  readonly back?: PathOptions;
  /** Timers fire at multiples of this. */
  readonly timerGrainUs?: number;
  readonly sessionCreditBytes?: number;
  readonly streamsMax?: number;
}

/** UDP payload bytes of one cell on a link. */
const WIRE_BYTES = 1200;

interface Event {
  readonly atUs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What an application at one end saw of one stream. */
export interface Seen {
  readonly chunks: Uint8Array[];
  bytes: number;
  port: number;
  accepted: boolean;
  finished: boolean;
  reset: number | undefined;
  stopped: number | undefined;
  closed: boolean;
  writable: number;
}

/** One end: a transport, its streams, and an application that takes what comes unless told otherwise. */
export class End implements StreamEvents {
  readonly seen = new Map<number, Seen>();
  readonly pongs: { id: number; rttUs: number }[] = [];
  readonly faults: TransportFault[] = [];
  readonly bounds = new StreamBounds();
  readonly stores = new StoreBounds();
  readonly streams: Streams;
  readonly transport: Transport;
  /** False: delivered bytes are not consumed. */
  reads = true;
  /** False: only counts bytes. */
  keeps = true;
  onFrame: (type: number, input: Reader) => boolean = () => false;
  onOpened: (id: number, port: number) => void = (id) => this.streams.accept(id);
  onData: (id: number) => void = () => undefined;
  onWritable: (id: number) => void = () => undefined;
  onFinished: (id: number) => void = () => undefined;
  packet = 0;
  /** Numbers that were left out, and those that opened here: as the session does it, each opens once. */
  readonly skipped: number[] = [];
  readonly openedPackets = new Set<number>();
  timerUs = NEVER;
  timerOrder = 0;
  bufferedMax = 0;
  reportsSent = 0;

  constructor(initiator: boolean, creditBytes: number, streamsMax: number, random32: () => number) {
    const session = initiator ? 1 : 2;
    this.streams = new Streams(
      {
        initiator,
        session,
        trace: traceNothing,
        localCreditBytes: creditBytes,
        peerCreditBytes: creditBytes,
        streamsMax,
        bounds: this.bounds,
      },
      this,
    );
    this.transport = new Transport({ session, trace: traceNothing, random32, stores: this.stores }, this.streams, {
      pong: (id, rttUs) => this.pongs.push({ id, rttUs }),
      handleUnreliableFrame: (_nowUs, type, input) => this.onFrame(type, input),
    });
  }

  of(id: number): Seen {
    let seen = this.seen.get(id);
    if (seen === undefined) {
      seen = {
        chunks: [],
        bytes: 0,
        port: -1,
        accepted: false,
        finished: false,
        reset: undefined,
        stopped: undefined,
        closed: false,
        writable: 0,
      };
      this.seen.set(id, seen);
    }
    if (seen.closed) throw new Error(`stream ${id} was told of after it was closed`);
    return seen;
  }

  received(id: number): Uint8Array {
    const seen = this.seen.get(id);
    const all = new Uint8Array(seen?.bytes ?? 0);
    let at = 0;
    for (const chunk of seen?.chunks ?? []) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  opened(id: number, port: number): void {
    this.of(id).port = port;
    this.onOpened(id, port);
  }
  accepted(id: number): void {
    this.of(id).accepted = true;
  }
  data(id: number, bytes: Uint8Array, at: number, length: number): void {
    const seen = this.of(id);
    if (this.keeps) seen.chunks.push(bytes.slice(at, at + length));
    seen.bytes += length;
    if (this.reads) this.streams.consume(id, length);
    this.onData(id);
  }
  writable(id: number, bytes: number): void {
    this.of(id).writable = bytes;
    this.onWritable(id);
  }
  finished(id: number): void {
    this.of(id).finished = true;
    this.onFinished(id);
  }
  reset(id: number, code: number): void {
    this.of(id).reset = code;
  }
  stopped(id: number, code: number): void {
    this.of(id).stopped = code;
  }
  closed(id: number): void {
    this.of(id).closed = true;
  }
}

/** Two ends joined by a network in virtual time. */
export class TransportPair {
  readonly client: End;
  readonly server: End;
  nowUs = SECOND_US;
  path: PathOptions;
  back: PathOptions;
  /** Cells that reached the other end, and that were lost, client to server first. */
  readonly carried = [0, 0];
  readonly lost = [0, 0];
  /** Drops what this says, besides random loss. */
  drops: (fromClient: boolean, cell: Uint8Array) => boolean = () => false;
  /** What really leaves: an end that lies is an honest one whose cells are changed here. */
  tampers: (fromClient: boolean, cell: Uint8Array) => Uint8Array = (_fromClient, cell) => cell;
  private readonly random: () => number;
  private readonly grainUs: number;
  private readonly events = new EventQueue();
  private readonly freeUs = [0, 0];
  private readonly out = new Uint8Array(CELL_BYTES);

  constructor(options: PairOptions) {
    this.random = seedrandom.alea(options.seed);
    this.path = options.path ?? {};
    this.back = options.back ?? this.path;
    this.grainUs = options.timerGrainUs ?? 1;
    const credit = options.sessionCreditBytes ?? 4 << 20;
    const numbers = seedrandom.alea(`${options.seed} numbers`);
    const random32 = (): number => numbers.int32() >>> 0;
    this.client = new End(true, credit, options.streamsMax ?? 256, random32);
    this.server = new End(false, credit, options.streamsMax ?? 256, random32);
  }

  /** Lets an application act at this end now, and sends what that gives. */
  act<T>(end: End, action: (streams: Streams) => T): T {
    const result = action(end.streams);
    this.drain(end);
    return result;
  }

  at(atUs: number, run: () => void): void {
    this.events.push(atUs, run);
  }

  /** Runs until `done`, at most `spanUs` long. Returns whether it was done. */
  run(spanUs: number, done: () => boolean = () => false): boolean {
    const endUs = this.nowUs + spanUs;
    this.drain(this.client);
    this.drain(this.server);
    while (!done()) {
      const event = this.events.peek();
      if (event === undefined || event.atUs > endUs) {
        this.nowUs = endUs;
        return done();
      }
      this.events.shift();
      this.nowUs = Math.max(this.nowUs, event.atUs);
      event.run();
    }
    return true;
  }

  /** Writes `bytes` as room allows, then finishes. */
  send(end: End, id: number, bytes: Uint8Array, finish = true): void {
    let at = 0;
    const previous = end.onWritable;
    const push = (): void => {
      at += end.streams.write(id, bytes, at);
      if (at < bytes.length) return;
      end.onWritable = previous;
      if (finish) end.streams.finish(id);
    };
    end.onWritable = (which) => (which === id ? push() : previous(which));
    push();
    this.drain(end);
  }

  digest(): string {
    const digest = new Digest();
    for (const end of [this.client, this.server]) {
      end.transport.digest(digest);
      end.streams.digest(digest);
    }
    return digest.hex();
  }

  drain(end: End): void {
    const { transport } = end;
    while (transport.pollCell(this.nowUs, end.packet, this.out, 0)) {
      this.transmit(end, end.packet, this.tampers(end === this.client, this.out));
      end.packet += 1;
      if (transport.takeSkip()) {
        end.skipped.push(end.packet);
        end.packet += 1;
      }
    }
    end.bufferedMax = Math.max(end.bufferedMax, end.streams.bufferedBytes);
    const dueUs = Math.min(transport.nextTimeoutUs, end.streams.nextTimeoutUs);
    if (dueUs === NEVER) {
      end.timerUs = NEVER;
      return;
    }
    const grained = Math.ceil(Math.max(dueUs, this.nowUs) / this.grainUs) * this.grainUs;
    const atUs = grained <= this.nowUs ? this.nowUs + this.grainUs : grained;
    if (atUs === end.timerUs) return;
    end.timerUs = atUs;
    end.timerOrder += 1;
    const order = end.timerOrder;
    this.events.push(atUs, () => {
      if (order !== end.timerOrder) return;
      end.timerUs = NEVER;
      transport.handleTimeout(this.nowUs);
      end.streams.handleTimeout(this.nowUs);
      this.drain(end);
    });
  }

  /** How long a cell that left now would wait for the bottleneck. */
  backlogUs(way: 0 | 1): number {
    return Math.max(0, this.freeUs[way]! - this.nowUs);
  }

  private transmit(from: End, packet: number, cell: Uint8Array): void {
    const isForward = from === this.client;
    const way = isForward ? 0 : 1;
    const path = isForward ? this.path : this.back;
    const perCellUs = path.megabitsPerSecond === undefined ? 0 : (WIRE_BYTES * 8) / path.megabitsPerSecond;
    const startUs = Math.max(this.nowUs, this.freeUs[way]!);
    const isFull = perCellUs > 0 && (startUs - this.nowUs) / perCellUs > (path.queueCells ?? 200);
    if (isFull || this.drops(isForward, cell)) {
      this.lost[way]! += 1;
      return;
    }
    this.freeUs[way] = startUs + perCellUs;
    if (this.random() < (path.loss ?? 0)) {
      this.lost[way]! += 1;
      return;
    }
    const copies = this.random() < (path.duplicate ?? 0) ? 2 : 1;
    for (let i = 0; i < copies; i += 1) {
      const late = this.random() < (path.reorder ?? 0) ? this.random() * (path.reorderUs ?? 20 * MILLISECOND_US) : 0;
      const atUs = Math.ceil(this.freeUs[way]! + (path.delayUs ?? 0) + late);
      const bytes = cell.slice();
      this.events.push(atUs, () => this.arrive(isForward ? this.server : this.client, way, packet, bytes));
    }
  }

  private arrive(to: End, way: number, packet: number, cell: Uint8Array): void {
    this.carried[way]! += 1;
    if (to.openedPackets.has(packet)) return;
    to.openedPackets.add(packet);
    const fault = to.transport.handleCell(this.nowUs, packet, cell, 0, cell.length);
    if (fault !== undefined) to.faults.push(fault);
    this.drain(to);
  }
}

/** A binary heap in the order (time, order of arrival). */
class EventQueue {
  private readonly heap: Event[] = [];
  private order = 0;

  peek(): Event | undefined {
    return this.heap[0];
  }

  push(atUs: number, run: () => void): void {
    this.order += 1;
    const event = { atUs, order: this.order, run };
    let at = this.heap.length;
    this.heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, this.heap[parent]!)) break;
      this.heap[at] = this.heap[parent]!;
      at = parent;
    }
    this.heap[at] = event;
  }

  shift(): void {
    const last = this.heap.pop()!;
    if (this.heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.heap.length) break;
      if (child + 1 < this.heap.length && isBefore(this.heap[child + 1]!, this.heap[child]!)) child += 1;
      if (!isBefore(this.heap[child]!, last)) break;
      this.heap[at] = this.heap[child]!;
      at = child;
    }
    this.heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}

/** Bytes that differ from place to place and from seed to seed. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let word = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = word >>> 24;
  }
  return bytes;
}

export interface BenchResult {
  /** User data per second of virtual time. */
  readonly megabitsPerSecond: number;
  readonly seconds: number;
  /** Cells of data the client sent per feedback cell of the server. */
  readonly dataPerFeedback: number;
  readonly repairShare: number;
  readonly windowCells: number;
  readonly minRttUs: number;
  readonly rttUs: number;
}

/** Sends `bytes` one way through a pair and measures goodput. */
export function measureGoodput(options: PairOptions, bytes: number, spanUs = 600 * SECOND_US): BenchResult {
  const pair = new TransportPair(options);
  pair.server.keeps = false;
  const id = pair.act(pair.client, (streams) => streams.open(1));
  const startUs = pair.nowUs;
  pair.send(pair.client, id, new Uint8Array(bytes));
  const isDone = pair.run(spanUs, () => pair.server.seen.get(id)?.finished === true);
  const seconds = (pair.nowUs - startUs) / SECOND_US;
  const got = pair.server.seen.get(id)?.bytes ?? 0;
  const sent = pair.client.transport.status;
  const back = pair.server.transport.status;
  if (isDone && got !== bytes) throw new Error(`${got} of ${bytes} bytes arrived`);
  return {
    megabitsPerSecond: (got * 8) / seconds / 1e6,
    seconds,
    dataPerFeedback: sent.sentCells / back.feedbackSent,
    repairShare: sent.repairedCells / sent.sentCells,
    windowCells: sent.windowCells,
    minRttUs: sent.minRttUs,
    rttUs: sent.rttUs,
  };
}
