import type { NacDictionary } from "../address/dictionary.js";
import type { Digest } from "../collections/digest.js";
import { NumberQueue } from "../collections/number-queue.js";
import type { TableAllocator } from "../collections/table-allocator.js";
import { RateLimit } from "../session/rate-limit.js";
import { NEVER } from "../time/instant.js";
import { ControlStream } from "./control-stream.js";
import type { RouteTable } from "./route-table.js";
import { IncomingIds, OutgoingIds } from "./short-ids.js";
import { TableAnswers } from "./table-answers.js";
import { TableDigest, TableHash } from "./table-digest.js";
import { type TableCounts, TableSearch } from "./table-search.js";

/** Something waits to be told about this destination. */
export const PENDING = 0x01;
/** Tell it even when the metric is what the neighbour was told last: the index or the epoch is newer. */
export const FORCED = 0x02;
/** The neighbour asked for a newer index of this destination. */
export const ASKED = 0x04;
/** The neighbour says that it is the origin. */
export const FROM_ORIGIN = 0x08;
const QUEUED_FIRST = 0x10;

/** How soon a change is told, and in which order within a batch. */
export const Urgency = { retraction: 0, urgent: 1, normal: 2, snapshot: 3 } as const;
export type Urgency = (typeof Urgency)[keyof typeof Urgency];

/** A ROUTE_REQUEST to write to a neighbour. */
export interface OutgoingRequest {
  readonly hops: number;
  readonly destination: number;
  readonly epoch: number;
  readonly index: number;
}

/** Requests waiting for one neighbour. Beyond: dropped; whoever asked asks again. */
const REQUESTS_MAX = 128;
/**
 * ROUTES messages processed per neighbour. Beyond: they wait, 64 of them, and the neighbour is told of none, so that it
 * sends nothing new once 256 are under way. A snapshot of 50,000 destinations takes two seconds.
 */
const MESSAGES_PER_SECOND = 1_000;
const MESSAGES_BURST = 1_000;
/** ROUTE_REQUESTs taken from one neighbour. Beyond: dropped; whoever asked asks again. */
const REQUESTS_PER_SECOND = 100;
const REQUESTS_BURST = 256;

/**
 * One up neighbour: what it taught (`metric`, `age`), what it was told (`told`), and what waits to be told. A queue
 * holds a destination at most once, so each is bounded by the table; what is told is looked up when it leaves, so the
 * newest state wins.
 */
export class Neighbour {
  readonly link: number;
  /** Its router id is lower than ours. */
  readonly isLower: boolean;
  readonly routerHigh: number;
  readonly routerLow: number;
  cost: number;
  readonly columns: {
    /** As announced; METRIC_NONE when it has no route or never said. */
    metric: Uint8Array;
    /** Indexes behind the newest known; see route-table.ts. */
    age: Uint16Array;
    /** The metric it was told last; METRIC_NONE when never, or retracted. */
    told: Uint8Array;
    flags: Uint8Array;
    /** By destination: the short id we gave it, plus one; 0 for none. */
    ids: Uint16Array;
    /** By the neighbour's short id; see short-ids.ts. Grows with the ids it gives. */
    named: Uint16Array | Uint32Array;
  };
  readonly stream = new ControlStream();
  readonly messages = new RateLimit(MESSAGES_PER_SECOND, MESSAGES_BURST);
  readonly requested = new RateLimit(REQUESTS_PER_SECOND, REQUESTS_BURST);
  /** Key of both digests. */
  readonly hash: TableHash;
  /** Of `metric`. */
  readonly learned: TableDigest;
  /** Of `told`. */
  readonly announced: TableDigest;
  readonly outgoing: OutgoingIds;
  readonly incoming: IncomingIds;
  readonly search: TableSearch;
  readonly answers: TableAnswers;
  /** Destinations it has a metric for. */
  taught = 0;

  /** By urgency. */
  readonly queues = [new NumberQueue(), new NumberQueue(), new NumberQueue(), new NumberQueue()] as const;
  readonly requests: OutgoingRequest[] = [];
  /** There is something to write now. */
  isReady = false;
  /** When the next batch of changes is due; NEVER when nothing waits. */
  batchAtUs = NEVER;
  /** When more of the snapshot may leave; NEVER when none waits. */
  snapshotAtUs = NEVER;
  /** When the last batch began to leave. */
  lastBatchUs: number = -NEVER;
  /** A batch is being written: all that waits leaves, not only the urgent. */
  isDraining = false;
  /** False once its link went down; it may still be named as a former next hop while the table is put right. */
  isUp = true;

  constructor(args: {
    link: number;
    isLower: boolean;
    routerId: Uint8Array;
    cost: number;
    /** The two words of our own router id. */
    own: readonly [number, number];
    columns: Neighbour["columns"];
    table: RouteTable;
    dictionary: NacDictionary;
    allocate: TableAllocator;
    counts: TableCounts;
  }) {
    const { link, isLower, routerId, cost, columns, table, dictionary, counts } = args;
    this.link = link;
    this.isLower = isLower;
    this.routerHigh = wordAt(routerId, 0);
    this.routerLow = wordAt(routerId, 4);
    this.cost = cost;
    this.columns = columns;
    this.hash = new TableHash(dictionary, this.routerHigh ^ args.own[0], this.routerLow ^ args.own[1]);
    this.learned = new TableDigest(this.hash);
    this.announced = new TableDigest(this.hash);
    this.outgoing = new OutgoingIds(columns);
    this.incoming = new IncomingIds(columns, args.allocate);
    this.search = new TableSearch({ table, dictionary, counts, neighbour: this });
    this.answers = new TableAnswers({ table, dictionary, counts, neighbour: this });
  }

  /** Order of router ids; of two links to the same router, the lower link number comes first. */
  precedes(other: Neighbour): boolean {
    if (this.routerHigh !== other.routerHigh) return this.routerHigh < other.routerHigh;
    if (this.routerLow !== other.routerLow) return this.routerLow < other.routerLow;
    return this.link < other.link;
  }

  enqueue(destination: number, urgency: Urgency, extraFlags: number): void {
    const flags = this.columns.flags;
    const bit = QUEUED_FIRST << urgency;
    const before = flags[destination]!;
    flags[destination] = before | bit | PENDING | extraFlags;
    if ((before & bit) === 0) this.queues[urgency].push(destination);
  }

  /** The next destination to tell of at this urgency, or -1. Those already told by a more urgent queue are skipped. */
  dequeue(urgency: Urgency): number {
    const queue = this.queues[urgency];
    const flags = this.columns.flags;
    const bit = QUEUED_FIRST << urgency;
    for (;;) {
      const destination = queue.shift();
      if (destination < 0) return -1;
      const before = flags[destination]!;
      flags[destination] = before & ~bit;
      if ((before & PENDING) !== 0) return destination;
    }
  }

  /** Puts a request on its way; a newer one for the same destination replaces the older. */
  addRequest(request: OutgoingRequest): void {
    const same = this.requests.findIndex((waiting) => waiting.destination === request.destination);
    if (same >= 0) this.requests[same] = request;
    else if (this.requests.length < REQUESTS_MAX) this.requests.push(request);
    this.isReady = true;
  }

  digest(into: Digest): void {
    into.number(this.link).number(this.routerHigh).number(this.routerLow).number(this.cost).number(this.taught);
    into.number(this.batchAtUs).number(this.snapshotAtUs).number(this.requests.length);
    for (const queue of this.queues) into.number(queue.length);
    for (const part of [this.stream, this.messages, this.requested, this.learned, this.announced]) part.digest(into);
    for (const part of [this.outgoing, this.incoming, this.search, this.answers]) part.digest(into);
  }
}

export function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
