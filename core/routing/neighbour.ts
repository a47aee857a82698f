import type { Digest } from "../collections/digest.js";
import type { TableAllocator } from "../collections/table-allocator.js";
import { RateLimit } from "../session/rate-limit.js";
import { NEVER } from "../time/instant.js";
import { PENDING, QUEUED_FIRST } from "./cells.js";
import { ControlBudget, Share } from "./control-budget.js";
import { ControlStream } from "./control-stream.js";
import type { OutgoingEpochRequest } from "./epoch-desk.js";
import type { HeldBody } from "./held-body.js";
import { BREACHES, type Breach, Ingress } from "./ingress.js";
import { Outbox } from "./outbox.js";
import type { Wish } from "./requests.js";
import type { RouteTable } from "./route-table.js";
import { IncomingIds } from "./short-ids.js";
import { TableAnswers } from "./table-answers.js";
import { TableDigest, TableHash } from "./table-digest.js";
import { TableSearch } from "./table-search.js";

/** How soon a change is told, and in which order within a batch. */
export const Urgency = { retraction: 0, news: 1, snapshot: 2 } as const;
export type Urgency = (typeof Urgency)[keyof typeof Urgency];
const URGENCIES = 3;

/** A ROUTE_REQUEST to write to a neighbour. */
export interface OutgoingRequest extends Wish {
  readonly hops: number;
}

/** Requests waiting for one neighbour. Beyond: dropped; whoever asked asks again. */
const REQUESTS_MAX = 1024;
/** ROUTE_REQUESTs taken from one neighbour. Beyond: dropped; whoever asked asks again. */
const REQUESTS_PER_SECOND = 250;
const REQUESTS_BURST = 1024;

/** Batches of changes told to one neighbour. Beyond: changes wait for the next, merged by destination. */
const BATCHES_PER_SECOND = 5;
const BATCHES_BURST = 8;

/**
 * One up neighbour: its control stream, the digests of what it taught and was told, and what waits to be told. What it
 * taught and was told stands in the table's cells of its slot. A list holds a destination at most once, so each is bounded
 * by the table; what is told is looked up when it leaves, so the newest state wins.
 */
export class Neighbour {
  readonly link: number;
  /** Of its cells; another neighbour's once it is gone. */
  readonly slot: number;
  /** Its router id is lower than ours. */
  readonly isLower: boolean;
  readonly routerHigh: number;
  readonly routerLow: number;
  cost: number;
  readonly stream: ControlStream;
  readonly budget = new ControlBudget();
  readonly messages = new Ingress();
  /** It is told of ourselves alone, and what it says of others is ignored: it is one too many here, or is not believed. */
  isStub = false;
  /** So are we there: all that we cannot reach goes by it. */
  isHost = false;
  readonly requested = new RateLimit(REQUESTS_PER_SECOND, REQUESTS_BURST);
  /** Key of both digests. */
  readonly hash: TableHash;
  /** Of what it taught. */
  readonly learned: TableDigest;
  /** Of what it was told. */
  readonly announced: TableDigest;
  readonly incoming: IncomingIds;
  /** While its digest disagrees with ours, and a while longer. */
  search: TableSearch | undefined;
  /** From its first question on. */
  answers: TableAnswers | undefined;
  /** Signs of life and suspicions to tell, from the first on. */
  outbox: Outbox | undefined;
  /** Destinations it has a metric for. */
  taught = 0;

  /** By destination, the first to leave first. */
  readonly requests = new Map<number, OutgoingRequest>();
  /** Only the epoch desk adds to them. */
  readonly epochRequests: OutgoingEpochRequest[] = [];
  /** What of its messages waits for hashes; all that comes later waits behind it. */
  held: HeldBody | undefined;
  /** There is something to write now. Only the table sets it. */
  isReady = false;
  /** The deadline that the table knows. */
  watchedUs: number = NEVER;
  /** When the next batch of changes is due; NEVER when nothing waits. */
  batchAtUs: number = NEVER;
  /** When more of the snapshot may leave; NEVER when none waits. */
  snapshotAtUs: number = NEVER;
  /** And when it may at the latest, however much the neighbour tells meanwhile. */
  private snapshotLatestUs: number = NEVER;
  /** What is due until then leaves at once: the burst under way. */
  snapshotBurstUs = 0;
  /** The places in the table's order that the snapshot has yet to go over. */
  snapshotPlace = 0;
  snapshotEnd = 0;
  /** When the last batch began to leave. */
  lastBatchUs: number = -NEVER;
  /** Batches that need not wait for company. While more happens than that, each takes along what a fifth of a second brought. */
  readonly prompt = new RateLimit(BATCHES_PER_SECOND, BATCHES_BURST);
  /** A batch is being written: all that waits leaves, not only the urgent. */
  isDraining = false;
  /** False once its link went down; it may still be named as a former next hop while the table is put right. */
  isUp = true;

  private readonly table: RouteTable;

  constructor(args: {
    link: number;
    slot: number;
    isLower: boolean;
    routerId: Uint8Array;
    cost: number;
    /** The two words of our own router id. */
    own: readonly [number, number];
    table: RouteTable;
    allocate: TableAllocator;
  }) {
    const { link, slot, isLower, routerId, cost, table } = args;
    this.link = link;
    this.slot = slot;
    this.isLower = isLower;
    this.routerHigh = wordAt(routerId, 0);
    this.routerLow = wordAt(routerId, 4);
    this.cost = cost;
    this.table = table;
    this.stream = new ControlStream(table.frames);
    this.hash = new TableHash(table.dictionary, this.routerHigh ^ args.own[0], this.routerLow ^ args.own[1]);
    this.learned = new TableDigest(this.hash);
    this.announced = new TableDigest(this.hash);
    this.incoming = new IncomingIds(args.allocate);
  }

  /** Order of router ids; of two links to the same router, the lower link number comes first. */
  precedes(other: Neighbour): boolean {
    if (this.routerHigh !== other.routerHigh) return this.routerHigh < other.routerHigh;
    if (this.routerLow !== other.routerLow) return this.routerLow < other.routerLow;
    return this.link < other.link;
  }

  /** What it taught of a destination that the table knows. */
  learnedMetric(destination: number): number {
    return this.table.cells.metric(this.table.cells.at(destination, this.slot));
  }

  /** What it was told of a destination that the table knows. */
  toldMetric(destination: number): number {
    return this.table.cells.told(this.table.cells.at(destination, this.slot));
  }

  get nextTimeoutUs(): number {
    const { stream, search, snapshotAtUs, budget } = this;
    let answerUs = search?.nextTimeoutUs ?? NEVER;
    if (this.requests.size > 0 || this.epochRequests.length > 0) answerUs = 0;
    let soonestUs = Math.min(
      Math.max(answerUs, budget.opensUs(Share.answer)),
      Math.max(stream.nextTimeoutUs, budget.opensUs(Share.retraction)),
    );
    if (this.held !== undefined) soonestUs = Math.min(soonestUs, this.held.retryUs);
    else if (stream.hasNext && this.messages.nextUs < soonestUs) soonestUs = this.messages.nextUs;
    if (stream.isFull) return soonestUs;
    const batchUs = Math.max(this.isDraining ? 0 : this.batchAtUs, budget.opensUs(this.share));
    if (batchUs < soonestUs) soonestUs = batchUs;
    return snapshotAtUs < soonestUs && !stream.isAhead ? snapshotAtUs : soonestUs;
  }

  /** Of the budget, for the most urgent of the changes that wait. */
  get share(): number {
    if (this.waitingAt(Urgency.retraction) > 0) return Share.retraction;
    return this.outbox?.isUrgent ? Share.answer : Share.news;
  }

  /** It did what no honest neighbour does. */
  blame(nowUs: number, breach: Breach): void {
    if (this.messages.blame(nowUs)) this.table.breaches[BREACHES.indexOf(breach)]! += 1;
  }

  /** Only our own destinations are told, and what it asks for. */
  get isSpared(): boolean {
    return this.isStub || this.isHost;
  }

  enqueue(destination: number, cell: number, urgency: Urgency, extraFlags: number): void {
    const { cells, pending } = this.table;
    const bit = QUEUED_FIRST << urgency;
    const before = cells.flags(cell);
    cells.setFlags(cell, before | bit | PENDING | extraFlags);
    if ((before & bit) === 0) pending.push(this.listOf(urgency), destination);
  }

  /** The next destination to tell of at this urgency, or -1. Those already told by a more urgent queue are skipped. */
  dequeue(urgency: Urgency): number {
    const { cells, pending } = this.table;
    const bit = QUEUED_FIRST << urgency;
    for (;;) {
      const destination = pending.shift(this.listOf(urgency));
      if (destination < 0) return -1;
      const cell = cells.at(destination, this.slot);
      const before = cells.flags(cell);
      cells.setFlags(cell, before & ~bit);
      if ((before & PENDING) !== 0) return destination;
    }
  }

  /** The first that wait at this urgency, as many as `into` has room for; they go on waiting. Returns how many. */
  peek(urgency: Urgency, into: Int32Array): number {
    const { pending } = this.table;
    let count = 0;
    for (let at = pending.first(this.listOf(urgency)); at >= 0 && count < into.length; at = pending.after(at)) {
      into[count] = pending.destinationAt(at);
      count += 1;
    }
    return count;
  }

  waitingAt(urgency: Urgency): number {
    return this.table.pending.length(this.listOf(urgency));
  }

  /** All destinations listed now are to be told, except what was told when their turn comes, which may be deferred until `latestUs`. */
  beginSnapshot(atUs: number, latestUs = atUs): void {
    this.snapshotLatestUs = latestUs;
    this.snapshotPlace = 0;
    this.snapshotEnd = this.table.listed;
    if (this.hasSnapshot) this.snapshotAtUs = atUs;
  }

  /** Its snapshot has yet to begin: it may know all the same by then. */
  awaitsSnapshot(nowUs: number): boolean {
    return this.hasSnapshot && this.snapshotPlace === 0 && this.snapshotAtUs > nowUs;
  }

  /** It is telling us its own table: what it knows it need not be told. */
  deferSnapshot(nowUs: number, untilUs: number): void {
    if (!this.awaitsSnapshot(nowUs)) return;
    this.snapshotAtUs = Math.max(this.snapshotAtUs, Math.min(untilUs, this.snapshotLatestUs));
  }

  /** What was heard of since is part of it, too. */
  extendSnapshot(): void {
    this.snapshotEnd = this.table.listed;
  }

  endSnapshot(): void {
    this.snapshotPlace = this.snapshotEnd;
  }

  /** Some of the table has yet to be gone over. */
  get hasSnapshot(): boolean {
    return this.snapshotPlace < this.snapshotEnd;
  }

  /** The places of the list are others now: one under way begins again, and goes over what it told without a word. */
  restartSnapshot(listed: number): void {
    if (!this.hasSnapshot) return;
    this.snapshotPlace = 0;
    this.snapshotEnd = listed;
  }

  /** Puts a request on its way; a newer one for the same destination replaces the older. */
  addRequest(request: OutgoingRequest): void {
    const { requests } = this;
    if (requests.size < REQUESTS_MAX || requests.has(request.destination)) requests.set(request.destination, request);
    this.table.makeReady(this);
  }

  /**
   * A hello came whose digest is of the state that we have processed. As long as they agree there is no search, and nothing
   * of one is kept.
   */
  compare(nowUs: number, high: number, low: number): void {
    const { table, learned } = this;
    if (learned.isAuditDue(table.listed) && this.recountLearned()) table.counts.miscounts += 1;
    if (this.search === undefined && learned.isEqual(high, low)) return;
    this.search ??= new TableSearch(table, this);
    this.search.compare(nowUs, high, low);
    if (this.search.isOver(nowUs)) this.search = undefined;
  }

  /** True when the sum kept in passing was wrong. */
  recountLearned(): boolean {
    const { order, listed } = this.table;
    return this.learned.recount(order, listed, (destination) => this.learnedMetric(destination));
  }

  /** True when the sum kept in passing was wrong. */
  recountAnnounced(): boolean {
    const { order, listed } = this.table;
    return this.announced.recount(order, listed, (destination) => this.toldMetric(destination));
  }

  obtainOutbox(): Outbox {
    this.outbox ??= new Outbox();
    return this.outbox;
  }

  obtainAnswers(): TableAnswers {
    this.answers ??= new TableAnswers(this.table, this);
    return this.answers;
  }

  /** It is gone: nothing waits for it any more. */
  close(): void {
    for (let urgency = 0; urgency < URGENCIES; urgency += 1) this.table.pending.clear(this.slot * URGENCIES + urgency);
    this.stream.close();
    this.incoming.close();
  }

  digest(into: Digest): void {
    into.number(this.link).number(this.routerHigh).number(this.routerLow).number(this.cost).number(this.taught);
    into.number(this.isStub ? 1 : 0).number(this.isHost ? 1 : 0);
    into.number(this.epochRequests.length).number(this.held?.bytes.length ?? 0);
    into.number(this.batchAtUs).number(this.requests.size);
    into.number(this.snapshotAtUs).number(this.snapshotLatestUs).number(this.snapshotPlace);
    for (let urgency = 0; urgency < URGENCIES; urgency += 1) into.number(this.waitingAt(urgency as Urgency));
    for (const part of [
      this.stream,
      this.budget,
      this.messages,
      this.prompt,
      this.requested,
      this.learned,
      this.announced,
    ])
      part.digest(into);
    this.incoming.digest(into);
    for (const part of [this.search, this.answers, this.outbox]) {
      into.number(part === undefined ? 0 : 1);
      part?.digest(into);
    }
  }

  private listOf(urgency: Urgency): number {
    return this.slot * URGENCIES + urgency;
  }
}

export function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
