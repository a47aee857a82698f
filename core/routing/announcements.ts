import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import type { Writer } from "../wire/cursor.js";
import {
  ELEMENT_BYTES,
  ENTRY_FRESH,
  ENTRY_ORIGIN,
  ENTRY_RETRACTION,
  ENTRY_SHORT,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  ROUTE_BYTES,
  ROUTES_HEAD_BYTES,
  sealRoutes,
} from "../wire/routes.js";
import { ASKED, type Cells, FORCED, NAMED, OWED, PENDING } from "./cells.js";
import { Share } from "./control-budget.js";
import { UNPROCESSED_MAX } from "./control-stream.js";
import type { Elements } from "./elements.js";
import { METRIC_INFINITY, METRIC_NONE } from "./feasible.js";
import { GEAR_PERIODIC, periodSlots } from "./gears.js";
import { LifeWriter } from "./life-writer.js";
import { BY_LIFE, type Lives } from "./lives.js";
import { mayHelp } from "./may-help.js";
import { type Neighbour, Urgency } from "./neighbour.js";
import type { RouteRecords } from "./records.js";
import { LOCAL, OURS, type RouteTable } from "./route-table.js";
import type { Settling } from "./settling.js";
import { ID_NONE, SHORT_IDS_MAX } from "./short-ids.js";

/** The first leaves at once, what follows within this window leaves with the next batch. */
const BATCH_WINDOW_US = 50 * MILLISECOND_US;
/** Proofs of origins that prove themselves every 15 s: so much is gathered. */
const PROOF_WINDOW_US = 500 * MILLISECOND_US;
/** A snapshot leaves in steps, so that it never stands in front of news: about 1 MB/s. */
const SNAPSHOT_STEP_US = 10 * MILLISECOND_US;
const SNAPSHOT_STEP_ENTRIES = 256;
/** A node of last resort gives the others the lead: what they tell of it need not tell. They tell their table in messages of so many entries at least. */
const SNAPSHOT_LEAD_US = 500 * MILLISECOND_US;
const SNAPSHOT_ENTRIES_MIN = 8;
/** It keeps the lead no longer, however much it has to tell: it may lack what only we have. */
const SNAPSHOT_LEAD_MAX_US = 5 * SECOND_US;
/** So much of the snapshot leaves at a time: some ten messages, and then a pause. */
const SNAPSHOT_BURST_US = 10 * MILLISECOND_US;
/** About as many as fit into one message. */
const AHEAD_MAX = 40;
/** Destinations that a snapshot passes over in one go; looking at so many takes the time of one told. */
const SNAPSHOT_LOOKS_MAX = 2048;
const SNAPSHOT_LOOKS_PER_ENTRY = 16;

/**
 * Who is told what, and when. Split horizon: the next hop is told nothing, and what it was told before is retracted. Nor is
 * anybody told whom it cannot help (may-help.ts).
 *
 * Only destination numbers wait. What is told is read from the table when it leaves; a route that is again as the
 * neighbour knows it is not told at all.
 */
export class Announcements {
  private readonly table: RouteTable;
  private readonly records: RouteRecords;
  private readonly cells: Cells;
  private readonly dictionary: NacDictionary;
  private readonly settling: Settling;
  private readonly lives: Lives;
  private readonly elements: Elements;
  private readonly lifeWriter: LifeWriter;
  private readonly trace: TraceSink;
  /** Added to what is passed on. */
  private readonly transitCost: number;
  private readonly entry = emptyRouteEntry();
  /** What proves the entry being written, and of which generation. */
  private readonly element = new Uint8Array(ELEMENT_BYTES);
  private generation = 0;
  /** Destinations that are about to be told. */
  private readonly ahead = new Int32Array(AHEAD_MAX);
  /** The message being written names a destination that is or was our own. A second one goes into a message of its own. */
  private namesOwn = false;
  private isCut = false;
  /** Lost destinations whose origin may be dead: a neighbour of it lost it. Those who are told of the loss are told so. */
  readonly originLost = new Set<number>();
  /** Entries written, and how many of them with a short id. */
  entries = 0;
  shortEntries = 0;
  /** Of the message that was written last, the bytes that belong to a snapshot. */
  snapshotBytes = 0;
  readonly windowCap = new Cap("controlWindow", UNPROCESSED_MAX);
  readonly idsCap = new Cap("shortIds", SHORT_IDS_MAX);

  constructor(args: {
    table: RouteTable;
    settling: Settling;
    lives: Lives;
    dictionary: NacDictionary;
    elements: Elements;
    trace: TraceSink;
    transitCost: number;
  }) {
    const { table, settling, lives, dictionary, elements, trace } = args;
    this.table = table;
    this.transitCost = args.transitCost;
    this.settling = settling;
    this.lives = lives;
    this.elements = elements;
    const offered = (destination: number) => this.offered(destination);
    const mayName = (destination: number) => this.claimName(destination);
    this.lifeWriter = new LifeWriter({ table, lives, dictionary, elements, trace, offered, mayName });
    this.records = table.records;
    this.cells = table.cells;
    this.dictionary = dictionary;
    this.trace = trace;
  }

  tell(nowUs: number, neighbour: Neighbour, destination: number, urgency: Urgency, extraFlags = 0): void {
    this.tellCell(nowUs, neighbour, destination, this.cells.at(destination, neighbour.slot), urgency, extraFlags);
  }

  /** Tells all whom it may help, and all who were told before: the route is new, changed its metric or its epoch, or is lost. */
  tellAll(nowUs: number, destination: number, urgency: Urgency, isForced: boolean): void {
    const { cells, records } = this;
    const next = records.next(destination);
    const metric = this.offered(destination);
    const age = this.table.chosenAge(destination);
    const first = cells.at(destination, 0);
    const force = isForced ? FORCED : 0;
    for (const neighbour of this.table.neighbours) {
      const cell = first + neighbour.slot;
      const told = cells.told(cell);
      const isUnknown = told === METRIC_NONE;
      if (neighbour.link === next) {
        // Forced in case it is the next hop no longer when this leaves.
        if (!isUnknown) this.tellCell(nowUs, neighbour, destination, cell, urgency, force);
        continue;
      }
      const flags = cells.flags(cell);
      if (urgency === Urgency.retraction && isUnknown) {
        cells.setFlags(cell, flags & ~(PENDING | FORCED | OWED)); // what it never heard of need not be taken back
        continue;
      }
      if ((flags & ASKED) !== 0) {
        this.tellCell(nowUs, neighbour, destination, cell, urgency, FORCED | OWED);
        continue;
      }
      if (isUnknown && next >= 0 && neighbour.isSpared) continue;
      if (isUnknown && next >= 0 && this.transitCost > 0 && neighbour.awaitsSnapshot(nowUs)) {
        neighbour.extendSnapshot();
        continue;
      }
      const isNews = isUnknown
        ? mayHelp(cells.age(cell), cells.metric(cell), age, metric)
        : isForced || told !== metric;
      if (isNews) this.tellCell(nowUs, neighbour, destination, cell, urgency, force);
    }
  }

  /**
   * The neighbour changed its own announcement: true when it was not told of our route because that could not help it, and
   * now may be.
   */
  mayHelpNow(neighbour: Neighbour, destination: number, hasWorsened: boolean): boolean {
    const { cells, records } = this;
    const cell = cells.at(destination, neighbour.slot);
    if (cells.told(cell) !== METRIC_NONE) return false;
    if ((cells.flags(cell) & PENDING) !== 0 && !hasWorsened) return false; // it is told in time
    const next = records.next(destination);
    return next >= 0 && next !== neighbour.link && this.mayHelp(neighbour, destination);
  }

  /** Only the index is newer: only those who asked for it are told, at once. */
  tellAskers(nowUs: number, destination: number): void {
    const { cells } = this;
    const next = this.records.next(destination);
    for (const neighbour of this.table.neighbours) {
      if (neighbour.link === next) continue;
      if ((cells.flags(cells.at(destination, neighbour.slot)) & ASKED) === 0) continue;
      this.answer(nowUs, neighbour, destination);
    }
  }

  /** Tells one neighbour the newest state without waiting for a window. */
  answer(nowUs: number, neighbour: Neighbour, destination: number): void {
    const cell = this.cells.at(destination, neighbour.slot);
    neighbour.enqueue(destination, cell, Urgency.news, FORCED | OWED);
    neighbour.batchAtUs = nowUs;
    this.table.watch(neighbour);
    this.table.makeReady(neighbour);
  }

  /**
   * A new generation proves what was told of the route: all who were told hear it, soon or with the next hello. In slower gears
   * only those to whom our route is better than what they announce: for the others it is a backup, which counts as proven when
   * it becomes the next hop.
   */
  tellProof(nowUs: number, destination: number): void {
    const { cells, records } = this;
    const next = records.next(destination);
    const isPeriodic = this.lives.gear(destination) === GEAR_PERIODIC;
    const first = cells.at(destination, 0);
    for (const neighbour of this.table.neighbours) {
      const cell = first + neighbour.slot;
      const told = cells.told(cell);
      if (neighbour.link === next || told === METRIC_NONE) continue;
      if (!isPeriodic && cells.metric(cell) <= told) continue;
      neighbour.obtainOutbox().proofs.add(destination);
      if (isPeriodic) this.hurry(nowUs, neighbour, nowUs + PROOF_WINDOW_US);
    }
  }

  tellLife(nowUs: number, neighbour: Neighbour, destination: number): void {
    neighbour.obtainOutbox().lives.add(destination);
    this.hurry(nowUs, neighbour, nowUs);
  }

  tellSuspicion(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void {
    neighbour.obtainOutbox().suspect(destination, slot);
    this.hurry(nowUs, neighbour, Math.max(nowUs, neighbour.lastBatchUs + BATCH_WINDOW_US));
  }

  /** A hello leaves: what waits for company goes with it. */
  joinHello(nowUs: number, neighbour: Neighbour): void {
    if (neighbour.outbox !== undefined && !neighbour.outbox.isEmpty) this.hurry(nowUs, neighbour, nowUs);
  }

  private hurry(nowUs: number, neighbour: Neighbour, atUs: number): void {
    if (atUs >= neighbour.batchAtUs) return;
    neighbour.batchAtUs = atUs;
    this.table.watch(neighbour);
    if (atUs <= nowUs) this.table.makeReady(neighbour);
  }

  /** A neighbour came up: our own destinations at once, those with traffic first, the rest behind. */
  tellSnapshot(nowUs: number, neighbour: Neighbour, own: Iterable<number>, wanted: Iterable<number>): void {
    for (const destination of own) this.tell(nowUs, neighbour, destination, Urgency.news);
    for (const destination of wanted) {
      if (this.table.knows(destination) && this.records.next(destination) >= 0) {
        this.tell(nowUs, neighbour, destination, Urgency.snapshot);
      }
    }
    if (this.transitCost > 0) neighbour.beginSnapshot(nowUs + SNAPSHOT_LEAD_US, nowUs + SNAPSHOT_LEAD_MAX_US);
    else neighbour.beginSnapshot(nowUs);
    this.table.watch(neighbour);
    if (neighbour.snapshotAtUs <= nowUs) this.table.makeReady(neighbour);
  }

  /** The neighbour told us so many entries in one message: as long as it goes on, it keeps the lead. */
  handleTold(nowUs: number, neighbour: Neighbour, entries: number): void {
    if (entries >= SNAPSHOT_ENTRIES_MIN) neighbour.deferSnapshot(nowUs, nowUs + SNAPSHOT_LEAD_US);
  }

  /** True when something is to be told now, and may be. */
  isDue(nowUs: number, neighbour: Neighbour): boolean {
    if (neighbour.stream.isFull) return false;
    const { answers, budget } = neighbour;
    if (answers !== undefined && answers.repeats.length > 0 && budget.opensUs(Share.answer) <= nowUs) return true;
    const isBatchDue = neighbour.isDraining || neighbour.batchAtUs <= nowUs;
    return (isBatchDue && budget.opensUs(neighbour.share) <= nowUs) || this.isSnapshotDue(nowUs, neighbour);
  }

  private isSnapshotDue(nowUs: number, { stream, snapshotAtUs, snapshotBurstUs }: Neighbour): boolean {
    return !stream.isAhead && (snapshotAtUs <= nowUs || snapshotAtUs < snapshotBurstUs);
  }

  /** Writes at most one ROUTES message. Returns its number of entries; 0 when nothing is due or nothing fits. */
  write(nowUs: number, neighbour: Neighbour, out: Writer): number {
    this.snapshotBytes = 0;
    if (neighbour.stream.isFull || out.room < ROUTES_HEAD_BYTES + ROUTE_BYTES) return 0;
    const { budget } = neighbour;
    if (neighbour.batchAtUs <= nowUs && budget.opensUs(neighbour.share) <= nowUs) {
      neighbour.isDraining = true;
      neighbour.lastBatchUs = nowUs;
      neighbour.prompt.take(nowUs);
      neighbour.batchAtUs = NEVER;
    }
    const start = openRoutes(out, neighbour.stream.sent + 1);
    this.namesOwn = false;
    this.isCut = false;
    const mayAnswer = budget.opensUs(Share.answer) <= nowUs;
    const mayTellNews = budget.opensUs(Share.news) <= nowUs;
    let proofs = 0;
    let count = mayAnswer ? this.writeRepeats(neighbour, out) : 0;
    if (neighbour.isDraining && budget.opensUs(Share.retraction) <= nowUs) {
      count = this.drain(neighbour, out, Urgency.retraction, count);
      if (mayAnswer) count += this.lifeWriter.writeUrgent(neighbour, out);
      if (neighbour.outbox !== undefined && neighbour.outbox.epochs.size > 0) this.isCut = true; // their routes come behind them
      if (mayTellNews) {
        // Where more waits than there is room for, proofs have half of it: what is not proven in time is given up, though it lives.
        proofs = this.lifeWriter.writeProofs(neighbour, out, out.offset + (out.room >> 1));
        count = this.drain(neighbour, out, Urgency.news, count + proofs);
        const others = this.lifeWriter.writeProofs(neighbour, out, out.offset + out.room);
        proofs += others;
        count += others;
      }
      if (mayTellNews && out.room >= ROUTE_BYTES && !this.isCut) neighbour.isDraining = false;
      if (!neighbour.isDraining) neighbour.batchAtUs = neighbour.outbox?.isUrgent ? nowUs + BATCH_WINDOW_US : NEVER;
    }
    if ((!neighbour.isDraining || !mayTellNews) && this.isSnapshotDue(nowUs, neighbour)) {
      if (neighbour.snapshotAtUs <= nowUs) neighbour.snapshotBurstUs = nowUs + SNAPSHOT_BURST_US;
      const snapshotStart = count === 0 ? start : out.offset;
      count = this.writeSnapshot(nowUs, neighbour, out, count);
      this.snapshotBytes = out.offset - snapshotStart;
    }
    if (count === 0) {
      out.offset = start;
      this.snapshotBytes = 0;
      return 0;
    }
    sealRoutes(out, start, count);
    neighbour.stream.keep(nowUs, out.bytes, start, out.offset, count > proofs);
    this.windowCap.note(neighbour.stream.sent - neighbour.stream.acknowledged);
    this.idsCap.note(this.table.ids.inUse);
    return count;
  }

  private tellCell(
    nowUs: number,
    neighbour: Neighbour,
    destination: number,
    cell: number,
    urgency: Urgency,
    extraFlags: number,
  ): void {
    neighbour.enqueue(destination, cell, urgency, extraFlags);
    if (urgency === Urgency.snapshot) {
      if (neighbour.snapshotAtUs !== NEVER) return;
      neighbour.snapshotAtUs = nowUs;
    } else {
      const dueUs = Math.max(nowUs, neighbour.lastBatchUs + BATCH_WINDOW_US, neighbour.prompt.nextUs);
      if (dueUs < neighbour.batchAtUs) neighbour.batchAtUs = dueUs;
      else if (neighbour.batchAtUs > nowUs) return;
    }
    this.table.watch(neighbour);
    if (neighbour.batchAtUs <= nowUs || neighbour.snapshotAtUs <= nowUs) this.table.makeReady(neighbour);
  }

  /** A step of the snapshot: those with traffic from their list, the others in the table's order. */
  private writeSnapshot(nowUs: number, neighbour: Neighbour, out: Writer, before: number): number {
    let count = this.drain(neighbour, out, Urgency.snapshot, before);
    const { order } = this.table;
    const { records, cells } = this;
    let looks = 0;
    while (neighbour.hasSnapshot && out.room >= ROUTE_BYTES && !this.isCut && looks < SNAPSHOT_LOOKS_MAX) {
      this.table.touchAhead(neighbour.snapshotPlace);
      const destination = order[neighbour.snapshotPlace]!;
      const cell = cells.at(destination, neighbour.slot);
      looks += 1;
      const isTold = cells.told(cell) !== METRIC_NONE || (cells.flags(cell) & PENDING) !== 0;
      if (!isTold && records.next(destination) >= 0 && !this.settling.isSoon(nowUs, destination)) {
        const isOwn = (records.state(destination) & OURS) !== 0;
        if (isOwn && this.namesOwn) {
          this.isCut = true;
          break;
        }
        if (this.writeEntry(neighbour, destination, out, Urgency.snapshot, false)) {
          count += 1;
          this.namesOwn ||= isOwn;
        }
      }
      neighbour.snapshotPlace += 1;
    }
    const isOver = !neighbour.hasSnapshot && neighbour.waitingAt(Urgency.snapshot) === 0;
    if (isOver) neighbour.snapshotAtUs = NEVER;
    else neighbour.snapshotAtUs += stepOf(Math.max(1, count + looks / SNAPSHOT_LOOKS_PER_ENTRY));
    return count;
  }

  private drain(neighbour: Neighbour, out: Writer, urgency: Urgency, before: number): number {
    let count = before;
    this.table.touchAll(this.ahead, neighbour.peek(urgency, this.ahead));
    while (out.room >= ROUTE_BYTES && !this.isCut) {
      const destination = neighbour.dequeue(urgency);
      if (destination < 0) return count;
      const isOwn = (this.records.state(destination) & OURS) !== 0;
      if (isOwn && this.namesOwn) {
        this.isCut = true;
        neighbour.enqueue(destination, this.cells.at(destination, neighbour.slot), urgency, 0);
        return count;
      }
      if (!this.writeEntry(neighbour, destination, out, urgency, false)) continue;
      count += 1;
      if (isOwn) this.namesOwn = true;
    }
    return count;
  }

  /** False when the message names one of our own already, and this is another; the message ends then. */
  private claimName(destination: number): boolean {
    const isOwn = this.table.knows(destination) && (this.records.state(destination) & OURS) !== 0;
    if (isOwn && this.namesOwn) {
      this.isCut = true;
      return false;
    }
    this.namesOwn ||= isOwn;
    return true;
  }

  /** What the neighbour asked to hear again, NACs in full. Returns the number of entries. */
  private writeRepeats(neighbour: Neighbour, out: Writer): number {
    if (neighbour.answers === undefined) return 0;
    const { repeats } = neighbour.answers;
    let count = 0;
    while (repeats.length > 0 && out.room >= ROUTE_BYTES) {
      const repeat = repeats[0]!;
      if ("nac" in repeat) {
        this.writeUnsaid(repeat.nac, out);
        count += 1;
      } else {
        const isOwn = (this.records.state(repeat.destination) & OURS) !== 0;
        if (isOwn && this.namesOwn) {
          this.isCut = true;
          break;
        }
        this.namesOwn ||= isOwn;
        const isToldNow = neighbour.toldMetric(repeat.destination) < METRIC_INFINITY;
        if (isToldNow && this.writeEntry(neighbour, repeat.destination, out, Urgency.news, true)) count += 1;
      }
      repeats.shift();
    }
    this.table.counts.repeats += count;
    return count;
  }

  /** The neighbour believes that we announced this NAC. */
  private writeUnsaid(nac: Uint8Array, out: Writer): void {
    encodeRouteEntry(out, {
      flags: ENTRY_RETRACTION,
      id: ID_NONE,
      bytes: nac,
      nacAt: 0,
      epoch: 0,
      slot: 0,
      repair: 0,
      metric: METRIC_NONE,
      generation: 0,
      elementAt: 0,
    });
    this.entries += 1;
  }

  /** False when the neighbour knows it already. A repeat is written all the same, and with the NAC in full. */
  private writeEntry(
    neighbour: Neighbour,
    destination: number,
    out: Writer,
    urgency: Urgency,
    isRepeat: boolean,
  ): boolean {
    const { records, cells, entry, table } = this;
    const cell = cells.at(destination, neighbour.slot);
    const flags = cells.flags(cell);
    const told = cells.told(cell);
    const isForced = isRepeat || (flags & FORCED) !== 0;
    const isLocal = (records.state(destination) & LOCAL) !== 0;
    const next = records.next(destination);
    const isOffered = isLocal || (next >= 0 && next !== neighbour.link);
    let metric = isOffered ? this.offered(destination) : METRIC_NONE;
    if (metric === told && !isForced) {
      cells.setFlags(cell, flags & ~(PENDING | OWED));
      return false;
    }
    const mustTell = isRepeat || (flags & OWED) !== 0;
    if (isOffered && !mustTell && !this.mayHelp(neighbour, destination)) metric = METRIC_NONE;
    if (metric < METRIC_INFINITY && !this.prove(destination, metric)) metric = METRIC_NONE;
    if (metric === METRIC_NONE && told === METRIC_NONE) {
      cells.setFlags(cell, flags & ~(PENDING | FORCED | OWED));
      return false;
    }
    const isRetraction = metric >= METRIC_INFINITY;
    const index = next < 0 ? records.index(destination) : table.chosenIndex(destination);
    const isShort = (flags & NAMED) !== 0 && (isRetraction || !isRepeat);
    const isOrigin = isRetraction ? !isOffered && this.originLost.has(destination) : isLocal;
    entry.flags = (isRetraction ? ENTRY_RETRACTION : 0) | (isOrigin ? ENTRY_ORIGIN : 0) | (isShort ? ENTRY_SHORT : 0);
    const id = isShort || isRetraction ? records.id(destination) : this.idFor(destination);
    entry.id = id < 0 ? ID_NONE : id;
    entry.epoch = records.epoch(destination);
    entry.slot = Math.floor(index / 256);
    if (!isRetraction && entry.slot === this.generation) entry.flags |= ENTRY_FRESH;
    entry.repair = index % 256;
    entry.metric = metric;
    if (isShort) this.shortEntries += 1;
    else this.dictionary.write(destination, entry.bytes);
    entry.generation = isRetraction ? 0 : this.generation & 0xffff;
    const start = out.offset;
    const elementAt = encodeRouteEntry(out, entry);
    this.entries += 1;
    this.trace(Trace.entryWritten, destination, out.offset - start, urgency);
    if (!isRetraction) {
      out.bytes.set(this.element, elementAt);
      if (!isShort) this.elements.writeTag(destination, entry.epoch, out.bytes, elementAt + ELEMENT_BYTES);
      if (told === METRIC_NONE && this.lives.has(destination, BY_LIFE)) {
        neighbour.obtainOutbox().lives.add(destination); // it may have lost the destination, and doubt it
        neighbour.batchAtUs = Math.min(neighbour.batchAtUs, neighbour.lastBatchUs + BATCH_WINDOW_US);
      }
    }
    const isNamed = !isRetraction && id >= 0;
    cells.setFlags(cell, (flags & ~(PENDING | FORCED | OWED | NAMED)) | (isNamed ? NAMED : 0));
    neighbour.announced.change(destination, told, metric);
    cells.setTold(cell, metric);
    if (!isRetraction) table.keepDistance(destination);
    return true;
  }

  /**
   * Makes the element for our route, and its generation: where nobody proved the route in its newest one to us, an older one can be
   * claimed. False when there is none: an own chain is not made yet, or what is held of the destination is not what the route came from.
   */
  private prove(destination: number, metric: number): boolean {
    const { elements, lives, element } = this;
    const epoch = this.records.epoch(destination);
    this.generation = lives.generationTold(destination);
    if (elements.writeMetric(destination, epoch, this.generation, metric, element, 0)) return true;
    this.generation -= periodSlots(lives.gear(destination));
    return elements.writeMetric(destination, epoch, this.generation, metric, element, 0);
  }

  /** The metric that our route is announced at; METRIC_NONE when nobody could hold such a route. */
  private offered(destination: number): number {
    const { records } = this;
    const metric = records.metric(destination);
    if (records.next(destination) < 0) return metric;
    return metric + this.transitCost < METRIC_INFINITY ? metric + this.transitCost : METRIC_NONE;
  }

  private mayHelp(neighbour: Neighbour, destination: number): boolean {
    const { cells } = this;
    const cell = cells.at(destination, neighbour.slot);
    const isOwn = (this.records.state(destination) & LOCAL) !== 0;
    if (neighbour.isSpared && !isOwn && cells.told(cell) === METRIC_NONE) return false;
    return mayHelp(cells.age(cell), cells.metric(cell), this.table.chosenAge(destination), this.offered(destination));
  }

  /** The destination's short id, its first if it had none; -1 when all are in use. */
  private idFor(destination: number): number {
    const { records } = this;
    const known = records.id(destination);
    if (known >= 0) return known;
    const id = this.table.ids.take();
    records.setId(destination, id);
    return id;
  }
}

/** So many entries take so long; the rest of the snapshot waits. */
function stepOf(entries: number): number {
  return Math.ceil((entries * SNAPSHOT_STEP_US) / SNAPSHOT_STEP_ENTRIES);
}
