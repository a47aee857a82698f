import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NumberQueue } from "../collections/number-queue.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { ENTRY_ORIGIN, ENTRY_RETRACTION, type RouteEntry } from "../wire/routes.js";
import { Announcements } from "./announcements.js";
import { AGE_OLD, type Feasibility, METRIC_INFINITY, METRIC_NONE } from "./feasible.js";
import { LostSources } from "./lost-sources.js";
import { FROM_ORIGIN, type Neighbour, Urgency } from "./neighbour.js";
import { OUTBID_EPOCH_MAX } from "./origins.js";
import { Requests } from "./requests.js";
import { KNOWN, LOCAL, LOST, OURS, REQUESTED, type RouteTable, STARVING } from "./route-table.js";
import { Selection } from "./selection.js";
import { Wanted } from "./wanted.js";

/** Destinations that one neighbour session may teach. Beyond: ignored and counted. */
export const TAUGHT_MAX = 65_536;
/** Destinations in the dictionary. Beyond: new ones are ignored and counted. */
export const DESTINATIONS_MAX = 262_144;

/** The last that fit the wire: only a liar names them, and going beyond must not begin at zero. */
const EPOCH_MAX = 0xffff_ffff;
const INDEX_MAX = EPOCH_MAX * 256 + 255;

/** Destinations without traffic ask for newer indexes one at a time, this far apart. */
const BACKGROUND_US = 500 * MILLISECOND_US;
const BACKGROUND_JITTER_MASK = 0x1_ffff; // up to 131 ms
/** Looked at in one go to find one that is starving still. */
const BACKGROUND_LOOK = 64;

/**
 * What happens to a destination when somebody teaches something about it: choose, remember, tell, ask. All changes of
 * routes go through `decide`.
 */
export class Decision {
  readonly announcements: Announcements;
  readonly requests: Requests;
  readonly lost: LostSources;
  readonly wanted: Wanted;
  /** Entries ignored because a bound was reached. */
  ignored = 0;
  readonly caps: readonly Cap[];
  private readonly taughtCap = new Cap("routesPerNeighbour", TAUGHT_MAX);
  private readonly heldCap = new Cap("destinations", DESTINATIONS_MAX);
  private readonly starvingCap = new Cap("starving", DESTINATIONS_MAX);

  private readonly table: RouteTable;
  private readonly selection: Selection;
  private readonly trace: TraceSink;
  private readonly random: () => number;
  private readonly dictionary: NacDictionary;
  private readonly onIgnored: () => void;
  private readonly starving = new NumberQueue();
  private backgroundAtUs = NEVER;

  // The route in use before a change, read by `decide`.
  private beforeNext = -1;
  private beforeMetric = METRIC_INFINITY;
  private beforeEpoch = 0;
  private beforeIndex = -1;

  constructor(
    table: RouteTable,
    dictionary: NacDictionary,
    isFeasible: Feasibility,
    trace: TraceSink,
    random: () => number,
    onIgnored: () => void,
  ) {
    this.table = table;
    this.dictionary = dictionary;
    this.onIgnored = onIgnored;
    this.wanted = new Wanted(dictionary);
    this.selection = new Selection(table, isFeasible);
    this.announcements = new Announcements(table, dictionary, trace);
    this.requests = new Requests(table);
    this.lost = new LostSources(table);
    this.trace = trace;
    this.random = random;
    const { announcements, requests, lost, wanted } = this;
    this.caps = [
      this.taughtCap,
      this.heldCap,
      this.starvingCap,
      announcements.windowCap,
      announcements.idsCap,
      requests.cap,
      lost.cap,
      wanted.cap,
    ];
  }

  get nextTimeoutUs(): number {
    return Math.min(this.backgroundAtUs, this.requests.nextTimeoutUs, this.lost.nextTimeoutUs);
  }

  handleTimeout(nowUs: number): void {
    this.requests.handleTimeout(nowUs);
    this.lost.handleTimeout(nowUs, (destination) => this.forget(nowUs, destination));
    if (this.backgroundAtUs <= nowUs) this.askInBackground(nowUs);
  }

  isTaught(neighbour: Neighbour, destination: number): boolean {
    return this.table.knows(destination) && neighbour.columns.metric[destination] !== METRIC_NONE;
  }

  /** Whether the neighbour may still teach a destination; counts a refusal. */
  mayTeachMore(neighbour: Neighbour): boolean {
    if (neighbour.taught < TAUGHT_MAX) return true;
    this.ignore();
    return false;
  }

  /** A bound refused an entry. The digests find it once there is room. */
  ignore(): void {
    this.ignored += 1;
    this.onIgnored();
  }

  /** True while a bound keeps us from learning all that the neighbour says: its digest cannot be ours then. */
  isFull(neighbour: Neighbour): boolean {
    return neighbour.taught >= TAUGHT_MAX || this.dictionary.held >= DESTINATIONS_MAX;
  }

  /** An entry about a destination of our own: kept for the digest, and used for nothing. */
  overhear(neighbour: Neighbour, destination: number, entry: RouteEntry): boolean {
    if ((entry.flags & ENTRY_RETRACTION) !== 0) {
      this.unlearn(neighbour, destination);
      return true;
    }
    if (!this.admit(neighbour, destination)) return false;
    this.setMetric(neighbour, destination, entry.metric);
    neighbour.columns.age[destination] = AGE_OLD;
    return true;
  }

  /** One entry of a neighbour's ROUTES about a destination that is not ours. False when a bound refuses it. */
  learn(nowUs: number, neighbour: Neighbour, destination: number, entry: RouteEntry): boolean {
    const table = this.table;
    const { columns } = neighbour;
    if ((entry.flags & ENTRY_RETRACTION) !== 0) {
      if (!table.knows(destination) || columns.metric[destination] === METRIC_NONE) return true;
      this.note(destination);
      this.unlearn(neighbour, destination);
      this.decide(nowUs, destination);
      this.dropOrphan(nowUs, destination);
      return true;
    }
    if (!this.admit(neighbour, destination)) return false;
    this.note(destination);
    const index = entry.slot * 256 + entry.repair;
    table.hear(destination, entry.epoch, index);
    this.setMetric(neighbour, destination, entry.metric);
    columns.age[destination] = table.ageOf(destination, entry.epoch, index);
    if ((entry.flags & ENTRY_ORIGIN) !== 0) columns.flags[destination]! |= FROM_ORIGIN;
    else columns.flags[destination]! &= ~FROM_ORIGIN;
    const isSameEpoch = table.epoch[destination] === this.beforeEpoch;
    // A route in use that grew old has no index any more that we could announce: it must go.
    const hasGrownOld = table.byLink[table.next[destination]!]?.columns.age[destination] === AGE_OLD;
    const isKept = isSameEpoch && !hasGrownOld && this.selection.keepsChoice(destination, neighbour);
    if (!isKept) this.decide(nowUs, destination);
    return true;
  }

  /** The neighbour is detached already: everything that used it is chosen anew. */
  handleDown(nowUs: number, neighbour: Neighbour): void {
    const { order, listed, next, backup1, backup2 } = this.table;
    const link = neighbour.link;
    for (let i = 0; i < listed; i += 1) {
      const destination = order[i]!;
      if (next[destination] === link || backup1[destination] === link || backup2[destination] === link) {
        this.note(destination);
        this.decide(nowUs, destination);
      } else if (next[destination]! < 0) this.dropOrphan(nowUs, destination);
    }
  }

  handleCost(nowUs: number, neighbour: Neighbour, cost: number): void {
    neighbour.cost = cost;
    const { order, listed } = this.table;
    for (let i = 0; i < listed; i += 1) {
      const destination = order[i]!;
      if (neighbour.columns.metric[destination] === METRIC_NONE) continue;
      this.note(destination);
      this.decide(nowUs, destination);
    }
  }

  /** We become the origin, with an index that is newer than all heard of. Returns the epoch, raised where it had to be. */
  originate(nowUs: number, destination: number, epoch: number, slot: number): number {
    const table = this.table;
    table.admit(destination);
    for (const { columns } of table.neighbours) columns.age[destination] = AGE_OLD; // nobody leads us to ourselves
    if (table.next[destination]! >= 0) table.count -= 1;
    table.next[destination] = -1;
    table.backup1[destination] = -1;
    table.backup2[destination] = -1;
    table.state[destination]! |= LOCAL | OURS;
    table.metric[destination] = 0;
    if (table.epoch[destination]! > Math.max(epoch, OUTBID_EPOCH_MAX)) table.forgetIndex(destination); // a lie
    const known = table.epoch[destination]!;
    const newest = table.newestIndex(destination);
    const isSpent = epoch < known || (epoch === known && newest >= INDEX_MAX);
    const raised = isSpent ? Math.min(EPOCH_MAX, known + 1) : epoch;
    const index = raised === known ? Math.min(INDEX_MAX, Math.max(slot * 256, newest + 1)) : slot * 256;
    this.renew(destination, raised, index);
    this.announcements.tellAll(nowUs, destination, Urgency.urgent, true);
    return raised;
  }

  withdraw(nowUs: number, destination: number): void {
    const table = this.table;
    table.state[destination]! &= ~LOCAL;
    table.metric[destination] = METRIC_INFINITY;
    this.announcements.tellAll(nowUs, destination, Urgency.retraction, false);
    this.lost.add(nowUs, destination);
  }

  /** The origin's answer to requests: a newer index, told to those who asked. */
  raiseIndex(nowUs: number, destination: number): void {
    const table = this.table;
    this.renew(destination, table.epoch[destination]!, Math.min(INDEX_MAX, table.newestIndex(destination) + 1));
    this.announcements.tellAskers(nowUs, destination);
    this.requests.handleIndex(destination, table.epoch[destination]!, table.newestIndex(destination));
  }

  /** Traffic of ours goes there: a destination that starves asks at once. */
  want(nowUs: number, destination: number): void {
    this.wanted.add(nowUs, destination);
    if (this.table.knows(destination) && (this.table.state[destination]! & STARVING) !== 0) {
      this.request(nowUs, destination);
    }
  }

  digest(into: Digest): void {
    this.requests.digest(into);
    this.lost.digest(into);
    this.wanted.digest(into);
    into.number(this.starving.length).number(this.backgroundAtUs);
  }

  /** Remembers the route in use; what follows may change columns, then calls `decide`. */
  private note(destination: number): void {
    const table = this.table;
    this.beforeNext = table.next[destination]!;
    this.beforeMetric = table.metric[destination]!;
    this.beforeEpoch = table.epoch[destination]!;
    this.beforeIndex = table.chosenIndex(destination);
  }

  private decide(nowUs: number, destination: number): void {
    const table = this.table;
    this.selection.choose(destination);
    const next = table.next[destination]!;
    const metric = table.metric[destination]!;
    if (next < 0) {
      if (this.beforeNext >= 0) this.lose(nowUs, destination);
    } else {
      const epoch = table.epoch[destination]!;
      const index = table.chosenIndex(destination);
      const isNew = this.beforeNext < 0 || epoch !== this.beforeEpoch;
      if (isNew || metric !== this.beforeMetric) {
        const urgency = isNew || metric > this.beforeMetric ? Urgency.urgent : Urgency.normal;
        this.announcements.tellAll(nowUs, destination, urgency, isNew);
      } else if (next !== this.beforeNext) {
        this.announcements.tellMoved(nowUs, destination, this.beforeNext);
      }
      if (isNew || metric !== this.beforeMetric || next !== this.beforeNext) {
        this.trace(Trace.routeSelected, destination, next, metric);
      }
      if ((table.state[destination]! & REQUESTED) !== 0) {
        if (isNew || index > this.beforeIndex) this.announcements.tellAskers(nowUs, destination);
        this.requests.handleIndex(destination, epoch, index);
      }
    }
    this.checkStarving(nowUs, destination);
  }

  private lose(nowUs: number, destination: number): void {
    this.announcements.tellAll(nowUs, destination, Urgency.retraction, false);
    this.lost.add(nowUs, destination);
    this.trace(Trace.routeLost, destination, 0, 0);
  }

  /** No neighbour can hold an advert of ours any more: the feasibility distance may go. */
  private forget(nowUs: number, destination: number): void {
    const table = this.table;
    table.distanceAge[destination] = AGE_OLD;
    table.distanceMetric[destination] = METRIC_NONE;
    const offers = table.neighbours.filter(({ columns }) => columns.metric[destination] !== METRIC_NONE);
    if (offers.length > 0) {
      // All offers are older than the newest index ever heard of, and nobody tells of that any more: it may have been a lie.
      if (offers.every(({ columns }) => columns.age[destination] === AGE_OLD)) table.forgetIndex(destination);
      this.note(destination);
      this.decide(nowUs, destination);
    } else if ((table.state[destination]! & (STARVING | REQUESTED)) === 0) {
      table.forget(destination);
    } else {
      this.lost.add(nowUs, destination); // a queue still names it
    }
  }

  private renew(destination: number, epoch: number, index: number): void {
    this.table.hear(destination, epoch, index);
    this.table.distanceAge[destination] = 0;
    this.table.distanceMetric[destination] = 0;
  }

  private unlearn(neighbour: Neighbour, destination: number): void {
    const { columns } = neighbour;
    if (columns.metric[destination] === METRIC_NONE) return;
    this.setMetric(neighbour, destination, METRIC_NONE);
    columns.age[destination] = AGE_OLD;
    columns.flags[destination]! &= ~FROM_ORIGIN;
  }

  /** The one place that changes what a neighbour taught, so that its digest and its count follow. */
  private setMetric(neighbour: Neighbour, destination: number, metric: number): void {
    const { metric: metrics } = neighbour.columns;
    const before = metrics[destination]!;
    neighbour.learned.change(destination, before, metric);
    if (before === METRIC_NONE) neighbour.taught += 1;
    if (metric === METRIC_NONE) neighbour.taught -= 1;
    metrics[destination] = metric;
    this.taughtCap.note(neighbour.taught);
  }

  /** Without a route, and nobody offers one: to be forgotten in time, though it never was in use. */
  private dropOrphan(nowUs: number, destination: number): void {
    const { state, next, neighbours } = this.table;
    const isKept = (state[destination]! & KNOWN) === 0 || (state[destination]! & (LOCAL | LOST)) !== 0;
    if (isKept || next[destination]! >= 0) return;
    if (neighbours.some(({ columns }) => columns.metric[destination] !== METRIC_NONE)) return;
    this.lost.add(nowUs, destination);
  }

  private admit(neighbour: Neighbour, destination: number): boolean {
    if (!this.isTaught(neighbour, destination) && !this.mayTeachMore(neighbour)) return false;
    this.table.admit(destination);
    this.heldCap.note(this.dictionary.held);
    return true;
  }

  /** Uses what `choose` just found: is there an offer that a newer index would make usable, and better? */
  private checkStarving(nowUs: number, destination: number): void {
    if (!this.isStarving(destination)) return;
    const state = this.table.state[destination]!;
    if ((state & STARVING) === 0) {
      this.table.state[destination] = state | STARVING;
      this.starving.push(destination);
      this.starvingCap.note(this.starving.length);
      if (this.backgroundAtUs === NEVER) this.paceBackground(nowUs);
    }
    if (this.wanted.has(nowUs, destination)) this.request(nowUs, destination);
  }

  private isStarving(destination: number): boolean {
    if ((this.table.state[destination]! & OURS) !== 0) return false; // nobody else knows more of it
    const { infeasibleMetric, hasOld } = this.selection;
    return infeasibleMetric < this.table.metric[destination]! || (this.table.next[destination]! < 0 && hasOld);
  }

  private request(nowUs: number, destination: number): void {
    const table = this.table;
    const age = table.distanceAge[destination]!;
    const newest = table.newestIndex(destination);
    // One newer than our distance; with no distance in this epoch, the newest that anybody told of.
    const index = age === AGE_OLD ? newest : newest - age + 1;
    if (this.requests.want(nowUs, destination, table.epoch[destination]!, index)) {
      this.trace(Trace.routeRequested, destination, index, 0);
    }
  }

  private askInBackground(nowUs: number): void {
    this.backgroundAtUs = NEVER;
    for (let i = 0; i < BACKGROUND_LOOK; i += 1) {
      const destination = this.starving.shift();
      if (destination < 0) return;
      this.table.state[destination]! &= ~STARVING;
      this.selection.choose(destination);
      if (!this.isStarving(destination)) continue;
      this.table.state[destination]! |= STARVING;
      this.starving.push(destination);
      this.request(nowUs, destination);
      break;
    }
    if (this.starving.length > 0) this.paceBackground(nowUs);
  }

  private paceBackground(nowUs: number): void {
    this.backgroundAtUs = nowUs + BACKGROUND_US + (this.random() & BACKGROUND_JITTER_MASK);
  }
}
