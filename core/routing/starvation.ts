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

/** Destinations without traffic ask for newer indexes one at a time, this far apart. */
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
      this.waiting.push(destination);
      this.cap.note(this.waiting.length);
      if (this.nextTimeoutUs === NEVER) this.pace(nowUs);
    }
    if (this.wanted.has(nowUs, destination)) this.request(nowUs, destination);
  }

  /** Traffic of ours goes there: if it starves, we ask at once. */
  handleWanted(nowUs: number, destination: number): void {
    if (this.table.knows(destination) && (this.table.records.state(destination) & STARVING) !== 0) {
      this.request(nowUs, destination);
    }
  }

  /** One destination that starves still asks. */
  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    const { records } = this.table;
    this.nextTimeoutUs = NEVER;
    for (let i = 0; i < BACKGROUND_LOOK; i += 1) {
      const destination = this.waiting.shift();
      if (destination < 0) return;
      records.setState(destination, records.state(destination) & ~STARVING);
      this.selection.choose(destination);
      if (!this.isStarving(destination)) continue;
      records.setState(destination, records.state(destination) | STARVING);
      this.waiting.push(destination);
      this.request(nowUs, destination);
      break;
    }
    if (this.waiting.length > 0) this.pace(nowUs);
  }

  digest(into: Digest): void {
    into.number(this.waiting.length).number(this.nextTimeoutUs);
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
    this.nextTimeoutUs = nowUs + BACKGROUND_US + (this.random() & BACKGROUND_JITTER_MASK);
  }
}
