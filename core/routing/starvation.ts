import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NumberQueue } from "../collections/number-queue.js";
import { WaitingLine } from "../collections/waiting-line.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { METRIC_INFINITY } from "./feasible.js";
import type { Liveness } from "./liveness.js";
import type { Requests } from "./requests.js";
import { OURS, REQUESTED, type RouteTable, STARVING } from "./route-table.js";
import type { Selection } from "./selection.js";
import type { Wanted } from "./wanted.js";

/** As many as there are destinations, each once with a route and once without. */
const STARVING_MAX = 2 * 262_144;

/**
 * A destination without any route asks so long after the loss, traffic or not: until then others may still offer what is feasible, as they
 * do after most losses, and a request that meets nodes in disorder is in the way of the next one. Whoever loses its way to many at once asks for
 * some at once and for the others one after the other (requests.ts).
 */
const PATIENCE_US = 1_500 * MILLISECOND_US;
/** Nobody answered, and no request is open any more. */
const ASK_AGAIN_US = 4 * SECOND_US;
/** Destinations with a route that could be better ask for newer indexes one at a time, this far apart. */
const BACKGROUND_US = 500 * MILLISECOND_US;
const BACKGROUND_JITTER_MASK = 0x1_ffff; // up to 131 ms
/** Looked at in one go to find one that is starving still. */
const BACKGROUND_LOOK = 64;
/** Those without a route, looked at in one go: the rest is due at once again. */
const ROUTELESS_LOOK = 256;

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
  private readonly liveness: Liveness;
  private readonly wanted: Wanted;
  private readonly trace: TraceSink;
  private readonly random: () => number;
  /** Those with a route. */
  private readonly waiting = new NumberQueue();
  private backgroundUs: number = NEVER;
  /** Without any route: lost of late, and lost some time ago, so that whatever is offered is asked for at once. */
  private readonly routeless = new WaitingLine(PATIENCE_US);
  private readonly asked = new WaitingLine(ASK_AGAIN_US);
  /** To be asked for as soon as there is an allowance again. */
  private readonly late = new WaitingLine(0);

  constructor(args: {
    table: RouteTable;
    selection: Selection;
    requests: Requests;
    liveness: Liveness;
    wanted: Wanted;
    trace: TraceSink;
    random: () => number;
  }) {
    this.table = args.table;
    this.selection = args.selection;
    this.requests = args.requests;
    this.liveness = args.liveness;
    this.wanted = args.wanted;
    this.trace = args.trace;
    this.random = args.random;
  }

  /** It has no route any more, and nobody need offer one: whom traffic waits for is asked for all the same. */
  handleLost(nowUs: number, destination: number): void {
    this.asked.remove(destination);
    this.late.remove(destination);
    this.routeless.add(nowUs, destination);
    this.noteCap();
    if (this.wanted.has(nowUs, destination)) this.request(nowUs, destination, true);
    this.refresh();
  }

  /** Uses what `choose` just found: is there an offer that a newer index would make usable, and better? */
  check(nowUs: number, destination: number): void {
    if (!this.isStarving(destination)) return;
    if (this.table.records.next(destination) >= 0) this.queue(nowUs, destination);
    else if (this.asked.has(destination)) this.askLate(nowUs, destination);
    else this.routeless.add(nowUs, destination);
    this.noteCap();
    if (this.wanted.has(nowUs, destination)) this.request(nowUs, destination);
    this.refresh();
  }

  /** Some queue names it. */
  has(destination: number): boolean {
    const isWaiting = (this.table.records.state(destination) & STARVING) !== 0;
    return isWaiting || this.routeless.has(destination) || this.asked.has(destination) || this.late.has(destination);
  }

  /** Traffic of ours goes there: if it starves, or was lost of late, we ask at once. */
  handleWanted(nowUs: number, destination: number): void {
    if (!this.table.knows(destination) || !this.has(destination)) return;
    this.request(nowUs, destination, this.table.records.next(destination) < 0);
  }

  /** Those without a route that waited long enough ask, and one of the others. */
  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.askRouteless(nowUs, this.routeless);
    this.askRouteless(nowUs, this.late);
    this.askRouteless(nowUs, this.asked);
    if (this.backgroundUs <= nowUs) {
      this.backgroundUs = NEVER;
      this.askNext(nowUs);
    }
    this.refresh();
  }

  digest(into: Digest): void {
    into.number(this.waiting.length).number(this.nextTimeoutUs);
    this.routeless.digest(into);
    this.asked.digest(into);
    this.late.digest(into);
  }

  private askRouteless(nowUs: number, line: WaitingLine): void {
    for (let i = 0; i < ROUTELESS_LOOK && this.requests.allowance.nextUs <= nowUs; i += 1) {
      const destination = line.take(nowUs);
      if (destination < 0) return;
      const isStarving = this.starves(destination);
      const hasRoute = this.table.records.next(destination) >= 0;
      if (isStarving && hasRoute) this.queue(nowUs, destination);
      if (hasRoute) continue;
      if (isStarving && line === this.asked) this.liveness.noteUnanswered(destination);
      if (isStarving || line === this.routeless) this.asked.add(nowUs, destination);
      if (isStarving) this.askLate(nowUs, destination);
    }
  }

  /** What is asked for already, as every further offer would have it, costs nothing more. */
  private askLate(nowUs: number, destination: number): void {
    if ((this.table.records.state(destination) & REQUESTED) !== 0) return;
    if (this.requests.allowance.take(nowUs)) this.request(nowUs, destination);
    else this.late.add(nowUs, destination);
  }

  private askNext(nowUs: number): void {
    const { waiting } = this;
    const { records } = this.table;
    for (let i = 0; i < BACKGROUND_LOOK && waiting.length > 0; i += 1) {
      const destination = waiting.shift();
      records.setState(destination, records.state(destination) & ~STARVING);
      if (!this.starves(destination)) continue;
      this.request(nowUs, destination);
      return this.queue(nowUs, destination);
    }
    if (waiting.length > 0) this.pace(nowUs);
  }

  private starves(destination: number): boolean {
    this.selection.choose(destination);
    return this.isStarving(destination);
  }

  /** To the end of those that wait. */
  private queue(nowUs: number, destination: number): void {
    const { records } = this.table;
    const state = records.state(destination);
    if ((state & STARVING) === 0) {
      records.setState(destination, state | STARVING);
      this.waiting.push(destination);
    }
    if (this.backgroundUs === NEVER) this.pace(nowUs);
  }

  private isStarving(destination: number): boolean {
    const { infeasibleMetric, hasOld } = this.selection;
    if (infeasibleMetric === METRIC_INFINITY && !hasOld) return false;
    const { records } = this.table;
    if ((records.state(destination) & OURS) !== 0) return false; // nobody else knows more of it
    return infeasibleMetric < records.metric(destination) || (records.next(destination) < 0 && hasOld);
  }

  private request(nowUs: number, destination: number, isAloud = false): void {
    const { records } = this.table;
    const index = this.table.wantedIndex(destination);
    const life = this.liveness.lifeWanted(destination);
    if (this.requests.want(nowUs, destination, records.epoch(destination), index, life, isAloud)) {
      this.trace(Trace.routeRequested, destination, index, 0);
    }
  }

  private pace(nowUs: number): void {
    this.backgroundUs = nowUs + BACKGROUND_US + (this.random() & BACKGROUND_JITTER_MASK);
  }

  private noteCap(): void {
    this.cap.note(this.waiting.length + this.routeless.length + this.asked.length + this.late.length);
  }

  private refresh(): void {
    const dueUs = Math.min(this.routeless.nextUs, this.late.nextUs, this.asked.nextUs);
    const routelessUs = Math.max(this.requests.allowance.nextUs, dueUs);
    this.nextTimeoutUs = Math.min(routelessUs, this.backgroundUs);
  }
}
