import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { ENTRY_FRESH, ENTRY_ORIGIN, ENTRY_RETRACTION, type RouteEntry } from "../wire/routes.js";
import { Announcements } from "./announcements.js";
import { type Cells, FROM_ORIGIN } from "./cells.js";
import type { Elements } from "./elements.js";
import { EpochDesk } from "./epoch-desk.js";
import { AGE_OLD, type Feasibility, METRIC_INFINITY, METRIC_NONE } from "./feasible.js";
import { Liveness, type LivenessUser } from "./liveness.js";
import { BARRED, NOTED } from "./lives.js";
import { LostSources } from "./lost-sources.js";
import { type Neighbour, Urgency } from "./neighbour.js";
import { OUTBID_EPOCH_MAX } from "./origins.js";
import type { RouteRecords } from "./records.js";
import { Requests } from "./requests.js";
import { KNOWN, LOCAL, LOST, OURS, REQUESTED, type RouteTable } from "./route-table.js";
import { Selection } from "./selection.js";
import { Settling } from "./settling.js";
import { Spread } from "./spread.js";
import { Starvation } from "./starvation.js";
import { Wanted } from "./wanted.js";

/** Destinations that one neighbour session may teach. Beyond: ignored and counted. */
export const TAUGHT_MAX = 65_536;
/** Destinations in the dictionary. Beyond: new ones are ignored and counted. */
export const DESTINATIONS_MAX = 262_144;

/** The last that fit the wire: only a liar names them, and going beyond must not begin at zero. */
const EPOCH_MAX = 0xffff_ffff;
const INDEX_MAX = EPOCH_MAX * 256 + 255;

/**
 * What happens to a destination when somebody teaches something about it: choose, remember, tell, ask. All changes of
 * routes go through `decide`.
 */
export class Decision implements LivenessUser {
  readonly announcements: Announcements;
  readonly requests: Requests;
  readonly lost: LostSources;
  readonly wanted: Wanted;
  readonly liveness: Liveness;
  readonly epochs: EpochDesk;
  private readonly spread: Spread;
  private readonly starvation: Starvation;
  /** Entries ignored because a bound was reached. */
  ignored = 0;
  readonly caps: readonly Cap[];
  private readonly taughtCap = new Cap("routesPerNeighbour", TAUGHT_MAX);
  private readonly heldCap = new Cap("destinations", DESTINATIONS_MAX);

  readonly selection: Selection;
  private readonly table: RouteTable;
  private readonly records: RouteRecords;
  private readonly cells: Cells;
  private readonly trace: TraceSink;
  private readonly dictionary: NacDictionary;
  private readonly elements: Elements;
  private readonly onIgnored: () => void;

  /** What is lost now is lost with the link to its origin, ours or that of whoever was heard of: it may be dead. Else the way there is. */
  private isOriginLost = false;

  // The route in use before a change, read by `decide`.
  private beforeNext = -1;
  private beforeMetric = METRIC_INFINITY;
  private beforeEpoch = 0;
  private beforeIndex = -1;

  constructor(args: {
    table: RouteTable;
    dictionary: NacDictionary;
    isFeasible: Feasibility;
    transitCost: number;
    elements: Elements;
    isStrict: boolean;
    trace: TraceSink;
    random: () => number;
    onIgnored: () => void;
  }) {
    const { table, dictionary, elements, isStrict, trace, random, transitCost } = args;
    this.table = table;
    this.records = table.records;
    this.cells = table.cells;
    this.dictionary = dictionary;
    this.elements = elements;
    this.onIgnored = args.onIgnored;
    this.wanted = new Wanted(dictionary);
    this.selection = new Selection(table, args.isFeasible);
    const settling = new Settling(table.records);
    this.requests = new Requests(table);
    this.liveness = new Liveness({ table, requests: this.requests, user: this, isStrict, trace, random });
    const { lives } = this.liveness;
    this.announcements = new Announcements({ table, settling, lives, dictionary, elements, trace, transitCost });
    this.epochs = new EpochDesk({ table, dictionary, announcements: this.announcements, elements });
    this.spread = new Spread(table, settling, this.announcements, transitCost);
    this.lost = new LostSources(table);
    this.trace = trace;
    const { selection, announcements, requests, liveness, lost, wanted } = this;
    this.starvation = new Starvation({ table, selection, requests, liveness, wanted, trace, random });
    this.caps = [
      this.taughtCap,
      this.heldCap,
      this.starvation.cap,
      announcements.windowCap,
      announcements.idsCap,
      requests.cap,
      this.epochs.cap,
      this.liveness.marks.cap,
      this.spread.budget.cap,
      lost.cap,
      wanted.cap,
    ];
  }

  get nextTimeoutUs(): number {
    const { spread, starvation, requests, liveness, lost, epochs } = this;
    return Math.min(
      epochs.nextTimeoutUs,
      spread.nextTimeoutUs,
      starvation.nextTimeoutUs,
      requests.nextTimeoutUs,
      liveness.nextTimeoutUs,
      lost.nextTimeoutUs,
    );
  }

  handleTimeout(nowUs: number): void {
    this.spread.handleTimeout(nowUs);
    this.requests.handleTimeout(nowUs);
    this.epochs.handleTimeout(nowUs);
    this.liveness.handleTimeout(nowUs);
    this.lost.handleTimeout(nowUs, (destination) => this.forget(nowUs, destination));
    this.starvation.handleTimeout(nowUs);
  }

  isTaught(neighbour: Neighbour, destination: number): boolean {
    return this.table.knows(destination) && neighbour.learnedMetric(destination) !== METRIC_NONE;
  }

  /** Whether the neighbour may still teach a destination; counts a refusal. */
  mayTeachMore(neighbour: Neighbour): boolean {
    if (neighbour.taught < TAUGHT_MAX) return true;
    this.ignore();
    return false;
  }

  /** Changes that were not told when they happened, for there had been too many. */
  get heldChanges(): number {
    return this.spread.budget.held;
  }

  /** A bound refused an entry. The digests find it once there is room. */
  ignore(): void {
    this.ignored += 1;
    this.onIgnored();
  }

  /** True while a bound keeps us from learning all that the neighbour says: its digest cannot be ours then. */
  isFull(neighbour: Neighbour): boolean {
    return neighbour.isStub || neighbour.taught >= TAUGHT_MAX || this.dictionary.held >= DESTINATIONS_MAX;
  }

  /** An entry about a destination of our own, or one that may be a lie: kept for the digest, and used for nothing. */
  overhear(neighbour: Neighbour, destination: number, entry: RouteEntry): boolean {
    if ((entry.flags & ENTRY_RETRACTION) !== 0) {
      this.unlearn(neighbour, destination);
      return true;
    }
    if (!this.admit(neighbour, destination)) return false;
    const cell = this.cells.at(destination, neighbour.slot);
    this.setMetric(neighbour, destination, cell, entry.metric);
    this.cells.setAge(cell, AGE_OLD);
    return true;
  }

  /** One entry of a neighbour's ROUTES about a destination that is not ours. False when a bound refuses it. */
  learn(nowUs: number, neighbour: Neighbour, destination: number, entry: RouteEntry): boolean {
    if ((entry.flags & ENTRY_RETRACTION) !== 0) {
      if (this.isTaught(neighbour, destination))
        this.learnRetraction(nowUs, neighbour, destination, (entry.flags & ENTRY_ORIGIN) !== 0);
      return true;
    }
    const { table, records, cells, liveness } = this;
    const isKnown = table.knows(destination);
    if (!this.admit(neighbour, destination)) return false;
    const cell = cells.at(destination, neighbour.slot);
    const generation = liveness.lives.provable(entry.generation);
    const known = records.epoch(destination);
    const isBetter = entry.metric < cells.metric(cell);
    const isStale =
      isKnown &&
      entry.epoch === known &&
      !liveness.handleGeneration(nowUs, neighbour, destination, generation, isBetter);
    this.note(destination);
    const slot = (entry.flags & ENTRY_FRESH) === 0 ? entry.slot : liveness.lives.full(entry.generation);
    const index = slot * 256 + entry.repair;
    // Of what may be made up not even the index is believed.
    const step = isStale ? 0 : table.hear(destination, entry.epoch, index);
    if (!isKnown || entry.epoch > known) {
      this.epochs.handleLearned(destination);
      liveness.handleBirth(destination, generation);
      table.unname(destination);
    }
    const before = this.setMetric(neighbour, destination, cell, entry.metric);
    const isAhead = isStale && index > records.index(destination);
    const ageBefore = cells.age(cell);
    cells.setAge(cell, isAhead ? 0 : table.ageOf(destination, entry.epoch, index));
    if (isStale) cells.makeStale(cell);
    const flags = cells.flags(cell);
    const isFromOrigin = (entry.flags & ENTRY_ORIGIN) !== 0;
    cells.setFlags(cell, isFromOrigin ? flags | FROM_ORIGIN : flags & ~FROM_ORIGIN);
    // An offer that is not in use, and no better than the one that is, changes nothing. But a route in use that grew old has
    // no index any more that we could announce: it must go.
    const next = records.next(destination);
    const isKept =
      next >= 0 &&
      next !== neighbour.link &&
      entry.metric + neighbour.cost >= records.metric(destination) &&
      (step === 0 || (records.epoch(destination) === this.beforeEpoch && !this.hasGrownOld(destination)));
    if (before === METRIC_NONE) liveness.handleOffer(nowUs, destination);
    if (!isKept) this.decide(nowUs, destination);
    if (records.next(destination) < 0 && before !== METRIC_NONE && cells.age(cell) < ageBefore)
      this.requests.handleProgress(neighbour, destination, { epoch: entry.epoch, index });
    this.spread.handleHeard(nowUs, neighbour, destination, before !== METRIC_NONE && entry.metric > before);
    return true;
  }

  /** @param isOriginLost  the neighbour says that the origin may be dead */
  private learnRetraction(nowUs: number, neighbour: Neighbour, destination: number, isOriginLost: boolean): void {
    this.isOriginLost = isOriginLost;
    if (this.records.next(destination) === neighbour.link) {
      this.note(destination);
      this.unlearn(neighbour, destination);
      this.decide(nowUs, destination);
    } else this.unlearn(neighbour, destination);
    this.isOriginLost = false;
    if (isOriginLost) this.spread.handleOriginLost(nowUs, neighbour, destination);
    else this.spread.handleHeard(nowUs, neighbour, destination, true);
    this.dropOrphan(nowUs, destination);
  }

  /** Liveness: the origin proved that it lives, or did not. */
  reconsider(nowUs: number, destination: number): void {
    this.note(destination);
    this.decide(nowUs, destination);
  }

  /** Liveness: others proved what the neighbour, our next hop, did not. It is used only where nobody else offers anything. */
  demote(nowUs: number, neighbour: Neighbour, destination: number): void {
    const cell = this.cells.at(destination, neighbour.slot);
    this.note(destination);
    this.cells.makeStale(cell);
    this.selection.choose(destination);
    if (this.records.next(destination) < 0) this.cells.renew(cell);
    this.decide(nowUs, destination);
  }

  /** Liveness: the origin lives, as was asked. */
  handleAlive(nowUs: number, destination: number): void {
    this.spread.handleAlive(nowUs, destination);
  }

  passOn(nowUs: number, destination: number): void {
    this.announcements.tellProof(nowUs, destination);
  }

  tellLife(nowUs: number, neighbour: Neighbour, destination: number): void {
    this.announcements.tellLife(nowUs, neighbour, destination);
  }

  tellSuspicion(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void {
    this.announcements.tellSuspicion(nowUs, neighbour, destination, slot);
  }

  /** What the neighbour taught of others than itself counts no longer. */
  dropHearsay(nowUs: number, neighbour: Neighbour): void {
    const { cells } = this;
    const { order, listed } = this.table;
    for (let i = 0; i < listed; i += 1) {
      this.table.touchAhead(i);
      const destination = order[i]!;
      const isOwn = (cells.flags(cells.at(destination, neighbour.slot)) & FROM_ORIGIN) !== 0;
      if (!isOwn && this.isTaught(neighbour, destination)) this.learnRetraction(nowUs, neighbour, destination, false);
    }
  }

  /** The neighbour is detached already: everything that used it is chosen anew, and its cells are cleared for the next. */
  handleDown(nowUs: number, neighbour: Neighbour, isMerged: boolean): void {
    const { records, cells } = this;
    const { order, listed } = this.table;
    const { link, slot } = neighbour;
    for (let i = 0; i < listed; i += 1) {
      this.table.touchAhead(i);
      const destination = order[i]!;
      const cell = cells.at(destination, slot);
      const wasOffered = cells.metric(cell) !== METRIC_NONE;
      // A link that is another one now proves that the neighbour is there.
      this.isOriginLost = !isMerged && (cells.flags(cell) & FROM_ORIGIN) !== 0;
      if (records.next(destination) === link) {
        this.note(destination);
        cells.clear(cell);
        this.decide(nowUs, destination);
      } else {
        cells.clear(cell);
        if (wasOffered) this.dropOrphan(nowUs, destination);
      }
      if (this.isOriginLost) this.liveness.note(destination);
    }
    this.isOriginLost = false;
    this.liveness.handleLinkDown(link);
    this.epochs.handleDown(neighbour);
    this.elements.forgetLink(link);
  }

  handleCost(nowUs: number, neighbour: Neighbour, cost: number): void {
    neighbour.cost = cost;
    const { order, listed } = this.table;
    for (let i = 0; i < listed; i += 1) {
      this.table.touchAhead(i);
      const destination = order[i]!;
      if (neighbour.learnedMetric(destination) === METRIC_NONE) continue;
      this.note(destination);
      this.decide(nowUs, destination);
    }
  }

  /** We become the origin, with an index that is newer than all heard of. Returns the epoch, raised where it had to be. Not announced yet. */
  originate(destination: number, epoch: number, slot: number, generation: number): number {
    const { table, records, cells } = this;
    table.admit(destination);
    for (const { slot } of table.neighbours) cells.setAge(cells.at(destination, slot), AGE_OLD); // nobody leads us to ourselves
    if (records.next(destination) >= 0) table.count -= 1;
    records.setNext(destination, -1);
    records.setState(destination, records.state(destination) | LOCAL | OURS);
    records.setMetric(destination, 0);
    if (records.epoch(destination) > Math.max(epoch, OUTBID_EPOCH_MAX)) table.forgetIndex(destination); // a lie
    const known = records.epoch(destination);
    const newest = records.index(destination);
    const isSpent = epoch < known || (epoch === known && newest >= INDEX_MAX);
    const raised = isSpent ? Math.min(EPOCH_MAX, known + 1) : epoch;
    const index = raised === known ? Math.min(INDEX_MAX, Math.max(slot * 256, newest + 1)) : slot * 256;
    this.renew(destination, raised, index);
    this.liveness.release(destination, generation);
    table.unname(destination);
    return raised;
  }

  announceOwn(nowUs: number, destination: number): void {
    this.announcements.tellAll(nowUs, destination, Urgency.news, true);
  }

  withdraw(nowUs: number, destination: number): void {
    const { records } = this;
    records.setState(destination, records.state(destination) & ~LOCAL);
    records.setMetric(destination, METRIC_INFINITY);
    this.announcements.originLost.add(destination);
    this.announcements.tellAll(nowUs, destination, Urgency.retraction, false);
    this.lost.add(nowUs, destination);
  }

  /** The origin's answer to requests: a newer index, told to those who asked. */
  raiseIndex(nowUs: number, destination: number): void {
    const { records } = this;
    this.renew(destination, records.epoch(destination), Math.min(INDEX_MAX, records.index(destination) + 1));
    this.announcements.tellAskers(nowUs, destination);
    this.requests.handleIndex(destination, records.epoch(destination), records.index(destination));
  }

  /** Traffic of ours goes there: a destination that starves asks at once. */
  want(nowUs: number, destination: number): void {
    this.wanted.add(nowUs, destination);
    this.starvation.handleWanted(nowUs, destination);
  }

  digest(into: Digest): void {
    this.requests.digest(into);
    this.epochs.digest(into);
    this.lost.digest(into);
    this.wanted.digest(into);
    this.spread.digest(into);
    into.number(this.announcements.originLost.size);
    this.liveness.digest(into);
    this.starvation.digest(into);
  }

  /** Remembers the route in use; what follows may change the table, then calls `decide`. */
  private note(destination: number): void {
    const { records } = this;
    this.beforeNext = records.next(destination);
    this.beforeMetric = records.metric(destination);
    this.beforeEpoch = records.epoch(destination);
    this.beforeIndex = (records.state(destination) & REQUESTED) === 0 ? -1 : this.table.chosenIndex(destination);
    // What else is offered of one that may be dead are ghosts, each longer than the last.
    if (this.isOriginLost && this.beforeNext >= 0) this.table.keepDistance(destination);
  }

  private decide(nowUs: number, destination: number): void {
    const { records } = this;
    this.selection.choose(destination);
    const next = records.next(destination);
    const metric = records.metric(destination);
    if (next < 0) {
      if (this.beforeNext >= 0) this.lose(nowUs, destination);
    } else {
      const epoch = records.epoch(destination);
      const isNew = this.beforeNext < 0 || epoch !== this.beforeEpoch;
      const wasOriginLost = isNew && this.announcements.originLost.delete(destination);
      if (isNew || metric !== this.beforeMetric || next !== this.beforeNext) {
        if (isNew) {
          const mayBeDead = wasOriginLost && epoch === this.beforeEpoch && this.isUnproven(destination);
          this.spread.handleNew(nowUs, destination, mayBeDead);
        } else this.spread.handleChanged(nowUs, destination, metric > this.beforeMetric);
        if (next !== this.beforeNext) this.liveness.proveNext(nowUs, destination);
        this.trace(Trace.routeSelected, destination, next, metric);
      }
      if ((records.state(destination) & REQUESTED) !== 0) {
        const index = this.table.chosenIndex(destination);
        const isNewer = isNew || index > this.beforeIndex;
        if (isNewer && this.spread.budget.mayTell(nowUs, destination))
          this.announcements.tellAskers(nowUs, destination);
        this.requests.handleIndex(destination, epoch, index);
      }
    }
    this.starvation.check(nowUs, destination);
  }

  /** Its origin has not proven yet that it lived after the loss, and it is not the origin that leads us there. */
  private isUnproven(destination: number): boolean {
    const { slot } = this.table.byLink[this.records.next(destination)]!;
    const isFromOrigin = (this.cells.flags(this.cells.at(destination, slot)) & FROM_ORIGIN) !== 0;
    return !isFromOrigin && this.liveness.lives.has(destination, NOTED);
  }

  /** The route in use is of an older epoch than the newest heard of, or too far behind it. */
  private hasGrownOld(destination: number): boolean {
    const { slot } = this.table.byLink[this.records.next(destination)]!;
    return this.cells.age(this.cells.at(destination, slot)) === AGE_OLD;
  }

  private lose(nowUs: number, destination: number): void {
    if (this.isOriginLost) {
      this.announcements.originLost.add(destination);
      if (!this.liveness.lives.has(destination, BARRED)) this.liveness.note(destination);
    }
    this.spread.handleLost(nowUs, destination);
    this.lost.add(nowUs, destination);
    this.starvation.handleLost(nowUs, destination);
    this.trace(Trace.routeLost, destination, 0, 0);
  }

  /** No neighbour can hold an advert of ours any more: the feasibility distance may go. */
  private forget(nowUs: number, destination: number): void {
    const { table, records, cells } = this;
    records.setDistance(destination, AGE_OLD, METRIC_NONE);
    const offers = table.neighbours.filter((neighbour) => neighbour.learnedMetric(destination) !== METRIC_NONE);
    if (offers.length > 0) {
      const isStale = offers.some(({ slot }) => cells.isStale(cells.at(destination, slot)));
      const isOld = offers.every(({ slot }) => cells.age(cells.at(destination, slot)) === AGE_OLD);
      if (isStale) {
        this.lost.add(nowUs, destination); // of the newest epoch, but proven by nobody: what it has to prove is not forgotten
      } else if (isOld) {
        // All offers are older than the newest index ever heard of, and nobody tells of that any more: it may have been a lie.
        table.forgetIndex(destination);
        this.liveness.forget(destination);
        this.elements.forget(destination);
        this.epochs.forget(destination);
      }
      this.note(destination);
      this.decide(nowUs, destination);
    } else if (
      (records.state(destination) & REQUESTED) === 0 &&
      !this.starvation.has(destination) &&
      !this.spread.isWaiting(destination) &&
      !this.liveness.isNoted(destination)
    ) {
      this.elements.forget(destination);
      this.epochs.forget(destination);
      this.spread.budget.forget(destination);
      this.announcements.originLost.delete(destination);
      table.forget(destination);
    } else {
      this.lost.add(nowUs, destination); // a queue still names it
    }
  }

  private renew(destination: number, epoch: number, index: number): void {
    this.table.hear(destination, epoch, index);
    this.records.setDistance(destination, 0, 0);
  }

  private unlearn(neighbour: Neighbour, destination: number): void {
    const { cells } = this;
    if (!this.isTaught(neighbour, destination)) return;
    const cell = cells.at(destination, neighbour.slot);
    this.setMetric(neighbour, destination, cell, METRIC_NONE);
    cells.setAge(cell, AGE_OLD);
    cells.setFlags(cell, cells.flags(cell) & ~FROM_ORIGIN);
  }

  /** The one place that changes what a neighbour taught, so that its digest and its count follow. Returns what was before. */
  private setMetric(neighbour: Neighbour, destination: number, cell: number, metric: number): number {
    const before = this.cells.metric(cell);
    if (before === metric) return before;
    neighbour.learned.change(destination, before, metric);
    this.cells.setMetric(cell, metric);
    if (before !== METRIC_NONE && metric !== METRIC_NONE) return before;
    neighbour.taught += metric === METRIC_NONE ? -1 : 1;
    this.taughtCap.note(neighbour.taught);
    return before;
  }

  /** Without a route, and nobody offers one: to be forgotten in time, though it never was in use. */
  private dropOrphan(nowUs: number, destination: number): void {
    const { records } = this;
    if (records.next(destination) >= 0) return;
    const state = records.state(destination);
    if ((state & KNOWN) === 0 || (state & (LOCAL | LOST)) !== 0) return;
    const { neighbours } = this.table;
    if (neighbours.some((neighbour) => neighbour.learnedMetric(destination) !== METRIC_NONE)) return;
    this.lost.add(nowUs, destination);
  }

  private admit(neighbour: Neighbour, destination: number): boolean {
    if (this.table.knows(destination)) {
      return neighbour.learnedMetric(destination) !== METRIC_NONE || this.mayTeachMore(neighbour);
    }
    if (!this.mayTeachMore(neighbour)) return false;
    this.table.admit(destination);
    this.heldCap.note(this.dictionary.held);
    return true;
  }
}
