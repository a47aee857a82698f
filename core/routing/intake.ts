import type { NacDictionary } from "../address/dictionary.js";
import { ControlFrame } from "../wire/control-frame.js";
import type { Reader } from "../wire/cursor.js";
import { decodeEpochRequest } from "../wire/epoch-request.js";
import { decodeRouteHead } from "../wire/route-head.js";
import { decodeRouteRequest } from "../wire/route-request.js";
import { decodeRouteStatus } from "../wire/route-status.js";
import {
  decodeRoutesHead,
  ENTRY_EPOCH,
  ENTRY_LIFE,
  ENTRY_ORIGIN,
  ENTRY_PROOF,
  ENTRY_RETRACTION,
  ENTRY_SHORT,
  ENTRY_SUSPICION,
  emptyRouteEntry,
  nacOfEntryAt,
  readRouteEntry,
  routeEntryBytes,
  shortIdAt,
  skipRouteEntries,
} from "../wire/routes.js";
import { decodeTableQuery } from "../wire/table-query.js";
import { decodeTableSums } from "../wire/table-sums.js";
import { UNPROCESSED_MAX } from "./control-stream.js";
import { DESTINATIONS_MAX, type Decision } from "./decision.js";
import type { Elements, Verdict } from "./elements.js";
import { AGE_OLD, METRIC_NONE } from "./feasible.js";
import { HeldBody } from "./held-body.js";
import { METRIC_LAST } from "./life-writer.js";
import type { Neighbour } from "./neighbour.js";
import type { Origins } from "./origins.js";
import type { RouteTable } from "./route-table.js";

/** Entries that say nothing of routes. */
const ENTRY_LIVES = ENTRY_PROOF | ENTRY_LIFE | ENTRY_SUSPICION | ENTRY_EPOCH;
/** Looked at ahead: short retractions of a message may be more. */
const NAMED_MAX = 48;

/** What neighbours say: control frames are checked, put in order, and handed to those whom they concern. */
export class Intake {
  private readonly table: RouteTable;
  private readonly decision: Decision;
  private readonly origins: Origins;
  private readonly dictionary: NacDictionary;
  private readonly elements: Elements;
  private readonly entry = emptyRouteEntry();
  /** Destinations of the message at hand, -1 and less for none. */
  private readonly named = new Int32Array(NAMED_MAX);
  /** The entry at hand could not be checked for want of hashes. */
  private isBusy = false;
  /** Entries with an id that stands for nothing: no honest neighbour writes one. */
  senseless = 0;
  /** ROUTES messages that came faster than they are taken from one neighbour. */
  hurried = 0;

  readonly counts = {
    /** Entries whose element was not of their origin's chain. */
    forged: 0,
    /** Entries that were not believed, since their neighbour has used up its share of hashes, or because chains disagree. */
    unchecked: 0,
    /** Messages that had to wait for hashes. */
    held: 0,
  };

  constructor(args: {
    table: RouteTable;
    decision: Decision;
    origins: Origins;
    dictionary: NacDictionary;
    elements: Elements;
  }) {
    this.table = args.table;
    this.decision = args.decision;
    this.origins = args.origins;
    this.dictionary = args.dictionary;
    this.elements = args.elements;
  }

  /** False when the frame is malformed. Without a neighbour the frame is checked and ignored: repairs bring it again. */
  handleFrame(nowUs: number, neighbour: Neighbour | undefined, type: number, input: Reader): boolean {
    switch (type) {
      case ControlFrame.routes:
        return this.handleRoutes(nowUs, neighbour, input);
      case ControlFrame.routeStatus: {
        const status = decodeRouteStatus(input);
        return status !== undefined && (neighbour?.stream.handleStatus(nowUs, status) ?? true);
      }
      case ControlFrame.routeHead: {
        const sent = decodeRouteHead(input);
        if (sent !== undefined) neighbour?.stream.handleHead(nowUs, sent, true);
        return sent !== undefined;
      }
      case ControlFrame.routeRequest:
        return this.handleRequest(nowUs, neighbour, input);
      case ControlFrame.epochRequest: {
        const request = decodeEpochRequest(input);
        if (request === undefined || neighbour === undefined) return request !== undefined;
        if (neighbour.requested.take(nowUs)) this.decision.epochs.handleRequest(nowUs, neighbour, request);
        else this.decision.requests.refused += 1;
        return true;
      }
      case ControlFrame.tableQuery: {
        const query = decodeTableQuery(input);
        if (query !== undefined) neighbour?.obtainAnswers().handleQuery(nowUs, query);
        return query !== undefined;
      }
      case ControlFrame.tableSums: {
        const sums = decodeTableSums(input);
        if (sums !== undefined) neighbour?.search?.handleSums(nowUs, sums);
        return sums !== undefined;
      }
      default:
        return false;
    }
  }

  private handleRoutes(nowUs: number, neighbour: Neighbour | undefined, input: Reader): boolean {
    const head = decodeRoutesHead(input);
    if (head === undefined) return false;
    const start = input.offset;
    if (!skipRouteEntries(input, head.count)) return false;
    if (neighbour === undefined) return true;
    this.decision.announcements.handleTold(nowUs, neighbour, head.count);
    const { bytes, offset: end } = input;
    const isFast = neighbour.messages.nextUs > nowUs;
    const mustWait = isFast || neighbour.held !== undefined;
    const arrival = neighbour.stream.receive(nowUs, head.number, bytes, mustWait, start, end);
    if (isFast) this.hurried += 1;
    if (isFast && neighbour.messages.isSpent) neighbour.blame(nowUs, "rate");
    if (head.number > neighbour.stream.processed + UNPROCESSED_MAX) neighbour.blame(nowUs, "window");
    if (arrival === "next") {
      neighbour.messages.take(nowUs);
      this.learnAll(nowUs, neighbour, bytes, start, end);
    }
    this.process(nowUs, neighbour);
    return true;
  }

  /** Messages that wait in order, as far as the neighbour's rate allows: the rest is processed later, and acknowledged then. */
  process(nowUs: number, neighbour: Neighbour): void {
    const { stream, messages, held } = neighbour;
    if (held !== undefined && held.retryUs <= nowUs) {
      neighbour.held = undefined;
      this.learnAll(nowUs, neighbour, held.bytes, 0, held.bytes.length, held.untilUs);
    }
    if (!stream.hasNext) return;
    while (stream.hasNext && neighbour.held === undefined && messages.take(nowUs)) {
      const body = stream.next(nowUs)!;
      this.learnAll(nowUs, neighbour, body, 0, body.length);
    }
    if (!stream.hasNext) stream.expectMissing(nowUs); // there is room now for what came too early
  }

  /** Entries that were checked when they came; until `untilUs` they may wait for hashes. */
  private learnAll(
    nowUs: number,
    neighbour: Neighbour,
    bytes: Uint8Array,
    start: number,
    end: number,
    untilUs?: number,
  ): void {
    const { entry } = this;
    this.touchAll(neighbour, bytes, start, end);
    let entries = 0;
    for (let at = start; at < end; entries += 1) {
      const from = at;
      at = readRouteEntry(bytes, at, entry);
      this.isBusy = false;
      if ((entry.flags & ENTRY_SHORT) !== 0) this.learnShort(nowUs, neighbour);
      else this.learnFull(nowUs, neighbour);
      if (!this.isBusy || (untilUs !== undefined && nowUs >= untilUs)) continue;
      if (untilUs === undefined) this.counts.held += 1;
      neighbour.held = new HeldBody(nowUs, bytes.slice(from, end), untilUs);
      break;
    }
    neighbour.messages.charge(nowUs, entries);
  }

  /** First whom the entries are about, then what is held of them: so that nothing but the memory itself is waited for. */
  private touchAll(neighbour: Neighbour, bytes: Uint8Array, start: number, end: number): void {
    const { table, dictionary, named } = this;
    const { incoming } = neighbour;
    let count = 0;
    for (let at = start; at < end && count < named.length; at += routeEntryBytes(bytes, at)) {
      const id = shortIdAt(bytes, at);
      named[count] = id < 0 ? dictionary.find(bytes, nacOfEntryAt(at)) : incoming.destinationOf(id);
      count += 1;
    }
    table.touchAll(named, count);
  }

  private learnShort(nowUs: number, neighbour: Neighbour): void {
    const { entry, decision } = this;
    const { incoming } = neighbour;
    if ((entry.flags & ENTRY_LIVES) !== 0) {
      const named = incoming.destinationOf(entry.id);
      if (named >= 0) this.hearOf(nowUs, neighbour, named);
      return;
    }
    const isRetraction = (entry.flags & ENTRY_RETRACTION) !== 0;
    const destination = incoming.destinationOf(entry.id);
    if (destination === -2) {
      this.senseless += 1;
      return;
    }
    if (destination === -1) {
      if (!isRetraction) decision.ignore();
    } else if (decision.isTaught(neighbour, destination)) this.learn(nowUs, neighbour, destination);
    else this.senseless += 1; // taken back in full meanwhile: the number may be another NAC's by now
    if (isRetraction) incoming.end(entry.id);
  }

  private learnFull(nowUs: number, neighbour: Neighbour): void {
    const { entry, dictionary, decision } = this;
    const known = dictionary.find(entry.bytes, entry.nacAt);
    if ((entry.flags & ENTRY_LIVES) !== 0) {
      if (known >= 0) this.hearOf(nowUs, neighbour, known);
      return;
    }
    if ((entry.flags & ENTRY_RETRACTION) !== 0) {
      if (known >= 0) this.learn(nowUs, neighbour, known);
      return; // nobody is interned for a retraction
    }
    if (known < 0 && (!decision.mayTeachMore(neighbour) || !this.mayIntern())) {
      return neighbour.incoming.give(entry.id, -1);
    }
    const destination = known < 0 ? dictionary.intern(entry.bytes, entry.nacAt) : known;
    const isTaken = this.learn(nowUs, neighbour, destination);
    neighbour.incoming.give(entry.id, isTaken ? destination : -1);
    if (!isTaken && !this.table.knows(destination)) this.elements.forget(destination); // of what is not in the table nothing is held
    if (known < 0) dictionary.release(destination); // held by the table now, if it was taken
  }

  /** False when a bound refuses the entry. */
  private learn(nowUs: number, neighbour: Neighbour, destination: number): boolean {
    if (neighbour.isStub && (this.entry.flags & (ENTRY_RETRACTION | ENTRY_ORIGIN)) === 0) return false; // hearsay
    const isRetraction = (this.entry.flags & ENTRY_RETRACTION) !== 0;
    if (this.table.isLocal(destination)) {
      if (!isRetraction) this.handleOwn(nowUs, destination);
      return this.decision.overhear(neighbour, destination, this.entry);
    }
    const verdict = isRetraction ? "sound" : this.judge(nowUs, neighbour, destination);
    if (this.isSound(nowUs, neighbour, verdict)) {
      return this.decision.learn(nowUs, neighbour, destination, this.entry);
    }
    if (verdict === "unproven") this.decision.epochs.want(nowUs, neighbour, destination, this.entry.epoch);
    if (verdict === "forged" || verdict === "busy" || !this.table.knows(destination)) return false;
    const { records } = this.table;
    if (this.entry.epoch < records.epoch(destination)) {
      return this.decision.learn(nowUs, neighbour, destination, this.entry); // too old to be chosen
    }
    // What is used is kept as it was: it may be that this is the lie. It ends with its proofs.
    if (records.next(destination) === neighbour.link) return false;
    return this.decision.overhear(neighbour, destination, this.entry);
  }

  /** Others speak of what we are. */
  private handleOwn(nowUs: number, destination: number): void {
    const { epoch, bytes, elementAt, flags } = this.entry;
    const generation = this.decision.liveness.lives.full(this.entry.generation);
    const isTagged = (flags & ENTRY_SHORT) === 0;
    this.origins.handleHeard(nowUs, destination, epoch, () =>
      this.elements.isOwnEpoch(destination, epoch, generation, bytes, elementAt, isTagged),
    );
  }

  /** A proof, a sign of life or a suspicion, or whose successor an epoch is: about what somebody spoke of before. */
  private hearOf(nowUs: number, neighbour: Neighbour, destination: number): void {
    const { entry, table, decision, elements } = this;
    const { liveness } = decision;
    if (!table.knows(destination)) return;
    const isLocal = table.isLocal(destination);
    const epoch = table.records.epoch(destination);
    const { bytes, elementAt: at, slot } = entry;
    if ((entry.flags & ENTRY_SUSPICION) !== 0) {
      if (entry.epoch !== epoch) return;
      if (isLocal) this.origins.handleSuspected(nowUs, neighbour, destination, slot);
      else liveness.handleSuspicion(nowUs, neighbour, destination, slot);
      return;
    }
    if (isLocal) return;
    if ((entry.flags & ENTRY_EPOCH) !== 0) return this.handleEpoch(nowUs, neighbour, destination);
    if ((entry.flags & ENTRY_LIFE) !== 0) {
      if (entry.epoch !== epoch) return;
      const isMetric = (entry.flags & ENTRY_PROOF) !== 0;
      const verdict = isMetric
        ? elements.checkMetric(nowUs, neighbour.link, destination, epoch, slot, METRIC_LAST, bytes, at)
        : elements.checkLife(nowUs, neighbour.link, destination, epoch, slot, bytes, at);
      if (this.isSound(nowUs, neighbour, verdict)) liveness.handleLife(nowUs, destination, slot);
      return;
    }
    const metric = neighbour.learnedMetric(destination);
    const generation = liveness.lives.full(entry.generation);
    const proven = liveness.lives.provable(entry.generation);
    if (metric === METRIC_NONE) return;
    const cell = table.cells.at(destination, neighbour.slot);
    if (table.cells.age(cell) === AGE_OLD && !table.cells.isStale(cell)) return; // of an older epoch
    const verdict = elements.checkMetric(nowUs, neighbour.link, destination, epoch, generation, metric, bytes, at);
    if (this.isSound(nowUs, neighbour, verdict))
      liveness.handleGeneration(nowUs, neighbour, destination, proven, false);
  }

  /** The proof of an epoch, which was asked for. */
  private handleEpoch(nowUs: number, neighbour: Neighbour, destination: number): void {
    const { epochs } = this.decision;
    const { epoch, slot: previous, bytes, elementAt: at } = this.entry;
    if (!epochs.isAwaited(neighbour, destination, epoch, previous))
      return epochs.handleRefused(nowUs, neighbour, destination);
    const verdict = this.elements.checkEpoch(nowUs, neighbour.link, destination, epoch, bytes, at, previous);
    if (this.isSound(nowUs, neighbour, verdict)) {
      epochs.handleProven(nowUs, neighbour, destination, epoch, bytes, at);
    } else if (verdict !== "busy") epochs.handleRefused(nowUs, neighbour, destination);
  }

  /** Whether the route that an entry tells of is one that the neighbour can have. */
  private judge(nowUs: number, neighbour: Neighbour, destination: number): Verdict {
    const { epoch, metric, bytes, elementAt, flags } = this.entry;
    const generation = this.decision.liveness.lives.full(this.entry.generation);
    const isTagged = (flags & ENTRY_SHORT) === 0;
    const { elements } = this;
    const known = elements.provesEpochs ? this.decision.epochs.judgedBy(destination, epoch) : -1;
    const { link } = neighbour;
    return elements.checkMetric(nowUs, link, destination, epoch, generation, metric, bytes, elementAt, isTagged, known);
  }

  private isSound(nowUs: number, neighbour: Neighbour, verdict: Verdict): boolean {
    if (verdict === "sound") return true;
    if (verdict === "forged") {
      this.counts.forged += 1;
      neighbour.blame(nowUs, "element");
    } else this.counts.unchecked += 1;
    this.isBusy = verdict === "busy";
    return false;
  }

  private mayIntern(): boolean {
    if (this.dictionary.held < DESTINATIONS_MAX) return true;
    this.decision.ignore();
    return false;
  }

  private handleRequest(nowUs: number, neighbour: Neighbour | undefined, input: Reader): boolean {
    const request = decodeRouteRequest(input);
    if (request === undefined) return false;
    if (neighbour === undefined) return true;
    if (!neighbour.requested.take(nowUs)) {
      this.decision.requests.refused += 1;
      return true;
    }
    const destination = this.dictionary.find(request.nac);
    if (destination < 0 || !this.table.knows(destination)) return true;
    const asked = request.slot * 256 + request.repair;
    const { life } = request;
    const { table, decision } = this;
    const isLocal = table.isLocal(destination);
    if (isLocal) this.origins.handleAsked(nowUs, destination, request.epoch, asked);
    // Nobody needs more than one beyond the newest. So a request for more can do no more than a sensible one: each hop
    // that has heard of no such epoch or index asks for what there can be.
    const known = table.records.epoch(destination);
    const epoch = Math.min(request.epoch, known);
    const one = table.records.index(destination) + 1;
    const index = request.epoch < known ? asked : request.epoch > known ? one : Math.min(asked, one);
    const has = table.chosenIndex(destination);
    const hasIndex = (asked === 0 && life > 0) || (has >= 0 && (known > epoch || has >= index));
    const hasLife = life === 0 || decision.liveness.lives.proven(destination) >= life;
    if (!(asked === 0 && life > 0) && hasIndex && table.records.next(destination) !== neighbour.link) {
      decision.announcements.answer(nowUs, neighbour, destination);
    }
    if (isLocal) {
      if (life > 0) this.origins.handleLifeAsked(nowUs, neighbour, destination, life);
      if (hasIndex) return true;
      decision.requests.pass(nowUs, neighbour, { destination, epoch, index, life: 0 }, 1);
      this.origins.wantRaise(nowUs, destination);
      return true;
    }
    if (life > 0 && hasLife) decision.tellLife(nowUs, neighbour, destination);
    if (hasIndex && hasLife) return true;
    if (!hasLife) decision.liveness.handleDoubted(destination, life);
    const wish = { destination, epoch, index: hasIndex ? 0 : index, life: hasLife ? 0 : life };
    decision.requests.pass(nowUs, neighbour, wish, request.hops);
    return true;
  }
}
