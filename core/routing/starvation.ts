import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NumberQueue } from "../collections/number-queue.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { METRIC_INFINITY } from "./feasible.js";
import type { Requests } from "./requests.js";
import { OURS, type RouteTable, STARVING } from "./route-table.js";
import type { Selection } from "./selection.js";
import type { Wanted } from "./wanted.js";

/** As many as there are destinations: each waits here once at most. */
const STARVING_MAX = 262_144;

/**
 * A destination without any route asks after this, traffic or not: until then others may still offer what is feasible, as they do after
 * most losses. Those that did not are asked for this far apart.
 */
const PATIENCE_US = 1_500 * MILLISECOND_US;
const ROUTELESS_US = 50 * MILLISECOND_US;
/** Destinations with a route that could be better ask for newer indexes one at a time, this far apart. */
const BACKGROUND_US = 500 * MILLISECOND_US;
const BACKGROUND_JITTER_MASK = 0x1_ffff; // up to 131 ms
/** Looked at in one go to find one that is starving still. */
const BACKGROUND_LOOK = 64;

/**
 * Destinations that starve: some offer would be better than the route in use, or there is none, but no such offer is feasible.
 * A newer index would make it so; it is asked for at once while traffic wants the destination, else by and by.
 */
export class Starvation {
  readonly cap = new Cap("starving", STARVING_MAX);
  nextTimeoutUs: number = NEVER;
  private readonly table: RouteTable;
  private readonly selection: Selection;
  private readonly requests: Requests;
  private readonly wanted: Wanted;
  private readonly trace: TraceSink;
  private readonly random: () => number;
  private readonly waiting = new NumberQueue();
  private backgroundUs: number = NEVER;
  /** Without any route, the longest without first, and since which millisecond. */
  private readonly routeless = new NumberQueue();
  private readonly sinceMs = new NumberQueue();
  private routelessUs: number = NEVER;

  constructor(args: {
    table: RouteTable;
    selection: Selection;
    requests: Requests;
    wanted: Wanted;
    trace: TraceSink;
    random: () => number;
  }) {
    this.table = args.table;
    this.selection = args.selection;
    this.requests = args.requests;
    this.wanted = args.wanted;
    this.trace = args.trace;
    this.random = args.random;
  }

  /** Uses what `choose` just found: is there an offer that a newer index would make usable, and better? */
  check(nowUs: number, destination: number): void {
    if (!this.isStarving(destination)) return;
    const { records } = this.table;
    const state = records.state(destination);
    if ((state & STARVING) === 0) {
      records.setState(destination, state | STARVING);
      if (records.next(destination) < 0) this.waitForOffers(nowUs, destination);
      else this.queue(nowUs, destination);
      this.cap.note(this.waiting.length + this.routeless.length);
    }
    if (this.wanted.has(nowUs, destination)) this.request(nowUs, destination);
  }

  /** Traffic of ours goes there: if it starves, we ask at once. */
  handleWanted(nowUs: number, destination: number): void {
    if (this.table.knows(destination) && (this.table.records.state(destination) & STARVING) !== 0) {
      this.request(nowUs, destination);
    }
  }

  /** Of each kind, one destination that starves still asks. */
  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    if (this.routelessUs <= nowUs) this.askRouteless(nowUs);
    if (this.backgroundUs <= nowUs) {
      this.backgroundUs = NEVER;
      this.askNext(nowUs, this.waiting, BACKGROUND_LOOK);
      if (this.waiting.length > 0) this.pace(nowUs);
    }
    this.nextTimeoutUs = Math.min(this.routelessUs, this.backgroundUs);
  }

  digest(into: Digest): void {
    into.number(this.waiting.length).number(this.routeless.length).number(this.nextTimeoutUs);
  }

  private askRouteless(nowUs: number): void {
    const looked = Math.min(this.routeless.length, BACKGROUND_LOOK);
    let due = 0;
    while (due < looked && this.sinceMs.at(due) * MILLISECOND_US + PATIENCE_US <= nowUs) due += 1;
    this.askNext(nowUs, this.routeless, due);
    while (this.sinceMs.length > this.routeless.length) this.sinceMs.shift();
    this.routelessUs = NEVER;
    if (this.routeless.length === 0) return;
    this.routelessUs = Math.max(nowUs + ROUTELESS_US, this.sinceMs.peek() * MILLISECOND_US + PATIENCE_US);
  }

  /** The first of the queue that starves still is asked for, and goes to the end of those that wait. */
  private askNext(nowUs: number, queue: NumberQueue, looked: number): void {
    const { records } = this.table;
    for (let i = 0; i < looked; i += 1) {
      const destination = queue.shift();
      if (destination < 0) return;
      records.setState(destination, records.state(destination) & ~STARVING);
      this.selection.choose(destination);
      if (!this.isStarving(destination)) continue;
      records.setState(destination, records.state(destination) | STARVING);
      this.queue(nowUs, destination);
      this.request(nowUs, destination);
      return;
    }
  }

  private waitForOffers(nowUs: number, destination: number): void {
    this.routeless.push(destination);
    this.sinceMs.push(Math.ceil(nowUs / MILLISECOND_US));
    if (this.routelessUs === NEVER) this.routelessUs = nowUs + PATIENCE_US + MILLISECOND_US;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, this.routelessUs);
  }

  private queue(nowUs: number, destination: number): void {
    this.waiting.push(destination);
    if (this.backgroundUs === NEVER) this.pace(nowUs);
  }

  private isStarving(destination: number): boolean {
    const { infeasibleMetric, hasOld } = this.selection;
    if (infeasibleMetric === METRIC_INFINITY && !hasOld) return false;
    const { records } = this.table;
    if ((records.state(destination) & OURS) !== 0) return false; // nobody else knows more of it
    return infeasibleMetric < records.metric(destination) || (records.next(destination) < 0 && hasOld);
  }

  private request(nowUs: number, destination: number): void {
    const { records } = this.table;
    const index = this.table.wantedIndex(destination);
    if (this.requests.want(nowUs, destination, records.epoch(destination), index)) {
      this.trace(Trace.routeRequested, destination, index, 0);
    }
  }

  private pace(nowUs: number): void {
    this.backgroundUs = nowUs + BACKGROUND_US + (this.random() & BACKGROUND_JITTER_MASK);
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, this.backgroundUs);
  }
}
