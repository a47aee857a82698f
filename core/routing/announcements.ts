import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import type { Writer } from "../wire/cursor.js";
import {
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
import { UNPROCESSED_MAX } from "./control-stream.js";
import { METRIC_INFINITY, METRIC_NONE } from "./feasible.js";
import { ASKED, FORCED, type Neighbour, PENDING, Urgency } from "./neighbour.js";
import { LOCAL, OURS, type RouteTable } from "./route-table.js";
import { SHORT_IDS_MAX } from "./short-ids.js";

/** Lost, new and worse routes: the first leaves at once, what follows within this window leaves with the next batch. */
const URGENT_WINDOW_US = 50 * MILLISECOND_US;
/** Better routes wait for company. */
const NORMAL_WINDOW_US = 250 * MILLISECOND_US;
/** A snapshot leaves in steps, so that it never stands in front of news: about 1 MB/s. */
const SNAPSHOT_STEP_US = 10 * MILLISECOND_US;
const SNAPSHOT_STEP_ENTRIES = 256;

/**
 * Who is told what, and when. Split horizon: the next hop is told nothing, and what it was told before is retracted.
 *
 * Only destination numbers wait. What is told is read from the table when it leaves; a route that is again as the
 * neighbour knows it is not told at all.
 */
export class Announcements {
  private readonly table: RouteTable;
  private readonly dictionary: NacDictionary;
  private readonly trace: TraceSink;
  private readonly entry = emptyRouteEntry();
  private readonly nac = new Uint8Array(16);
  /** The message being written names a destination that is or was our own. A second one goes into a message of its own. */
  private namesOwn = false;
  private isCut = false;
  /** Entries written, and how many of them with a short id. */
  entries = 0;
  shortEntries = 0;
  readonly windowCap = new Cap("controlWindow", UNPROCESSED_MAX);
  readonly idsCap = new Cap("shortIds", SHORT_IDS_MAX);

  constructor(table: RouteTable, dictionary: NacDictionary, trace: TraceSink) {
    this.table = table;
    this.dictionary = dictionary;
    this.trace = trace;
    this.entry.bytes = this.nac;
  }

  tell(nowUs: number, neighbour: Neighbour, destination: number, urgency: Urgency, extraFlags = 0): void {
    neighbour.enqueue(destination, urgency, extraFlags);
    if (urgency === Urgency.snapshot) {
      if (neighbour.snapshotAtUs === NEVER) neighbour.snapshotAtUs = nowUs;
    } else {
      const dueUs = urgency === Urgency.normal ? nowUs + NORMAL_WINDOW_US : neighbour.lastBatchUs + URGENT_WINDOW_US;
      neighbour.batchAtUs = Math.min(neighbour.batchAtUs, Math.max(nowUs, dueUs));
    }
    if (neighbour.batchAtUs <= nowUs || neighbour.snapshotAtUs <= nowUs) neighbour.isReady = true;
  }

  /** Tells everybody: the route is new, changed its metric or its epoch, or is lost. */
  tellAll(nowUs: number, destination: number, urgency: Urgency, isForced: boolean): void {
    const next = this.table.next[destination]!;
    for (const neighbour of this.table.neighbours) {
      if (neighbour.link === next) {
        this.retract(nowUs, neighbour, destination, isForced ? FORCED : 0);
        continue;
      }
      const flags = neighbour.columns.flags[destination]!;
      const isUnknown = neighbour.columns.told[destination] === METRIC_NONE;
      if (urgency === Urgency.retraction && isUnknown) {
        neighbour.columns.flags[destination] = flags & ~(PENDING | FORCED); // what it never heard of need not be taken back
        continue;
      }
      const force = isForced || (flags & ASKED) !== 0 ? FORCED : 0;
      this.tell(nowUs, neighbour, destination, urgency, force);
    }
  }

  /** The next hop moved, at the same metric: the old one may now hear of the route, the new one may not. */
  tellMoved(nowUs: number, destination: number, before: number): void {
    const former = this.table.byLink[before];
    if (former?.isUp) this.tell(nowUs, former, destination, Urgency.normal);
    const next = this.table.byLink[this.table.next[destination]!];
    if (next !== undefined) this.retract(nowUs, next, destination, 0);
  }

  /** Only the index is newer: only those who asked for it are told, at once. */
  tellAskers(nowUs: number, destination: number): void {
    const next = this.table.next[destination]!;
    for (const neighbour of this.table.neighbours) {
      if (neighbour.link === next || (neighbour.columns.flags[destination]! & ASKED) === 0) continue;
      this.answer(nowUs, neighbour, destination);
    }
  }

  /** Tells one neighbour the newest state without waiting for a window. */
  answer(nowUs: number, neighbour: Neighbour, destination: number): void {
    neighbour.lastBatchUs = Math.min(neighbour.lastBatchUs, nowUs - URGENT_WINDOW_US);
    this.tell(nowUs, neighbour, destination, Urgency.urgent, FORCED);
  }

  /** A neighbour came up: our own destinations at once, those with traffic first, the rest behind. */
  tellSnapshot(nowUs: number, neighbour: Neighbour, isWanted: (destination: number) => boolean): void {
    const { order, listed, state, next } = this.table;
    for (let i = 0; i < listed; i += 1) {
      const destination = order[i]!;
      if ((state[destination]! & LOCAL) !== 0) this.tell(nowUs, neighbour, destination, Urgency.urgent);
      else if (next[destination]! >= 0 && isWanted(destination)) {
        this.tell(nowUs, neighbour, destination, Urgency.snapshot);
      }
    }
    for (let i = 0; i < listed; i += 1) {
      if (next[order[i]!]! >= 0) this.tell(nowUs, neighbour, order[i]!, Urgency.snapshot);
    }
  }

  /** True when something is to be told now, and may be. */
  isDue(nowUs: number, neighbour: Neighbour): boolean {
    if (neighbour.stream.isFull) return false;
    if (neighbour.answers.repeats.length > 0) return true;
    return neighbour.isDraining || neighbour.batchAtUs <= nowUs || neighbour.snapshotAtUs <= nowUs;
  }

  /** Writes at most one ROUTES message. Returns its number of entries; 0 when nothing is due or nothing fits. */
  write(nowUs: number, neighbour: Neighbour, out: Writer): number {
    if (neighbour.stream.isFull || out.room < ROUTES_HEAD_BYTES + ROUTE_BYTES) return 0;
    if (neighbour.batchAtUs <= nowUs) {
      neighbour.isDraining = true;
      neighbour.lastBatchUs = nowUs;
      neighbour.batchAtUs = NEVER;
    }
    const start = openRoutes(out, neighbour.stream.sent + 1);
    this.namesOwn = false;
    this.isCut = false;
    let count = this.writeRepeats(neighbour, out);
    if (neighbour.isDraining) {
      count = this.drain(neighbour, out, Urgency.retraction, count);
      count = this.drain(neighbour, out, Urgency.urgent, count);
      count = this.drain(neighbour, out, Urgency.normal, count);
      if (out.room >= ROUTE_BYTES && !this.isCut) neighbour.isDraining = false;
      if (!neighbour.isDraining) neighbour.batchAtUs = NEVER;
    }
    if (!neighbour.isDraining && neighbour.snapshotAtUs <= nowUs) {
      count = this.drain(neighbour, out, Urgency.snapshot, count);
      if (neighbour.queues[Urgency.snapshot].length === 0) neighbour.snapshotAtUs = NEVER;
      else neighbour.snapshotAtUs += stepOf(count);
    }
    if (count === 0) {
      out.offset = start;
      return 0;
    }
    sealRoutes(out, start, count);
    neighbour.stream.keep(nowUs, out.bytes.subarray(start, out.offset));
    this.windowCap.note(neighbour.stream.sent - neighbour.stream.acknowledged);
    this.idsCap.note(neighbour.outgoing.inUse);
    return count;
  }

  /** `extraFlags` in case the neighbour is the next hop no longer when this leaves. */
  private retract(nowUs: number, neighbour: Neighbour, destination: number, extraFlags: number): void {
    if (neighbour.columns.told[destination] === METRIC_NONE) return;
    this.tell(nowUs, neighbour, destination, Urgency.normal, extraFlags);
  }

  private drain(neighbour: Neighbour, out: Writer, urgency: Urgency, before: number): number {
    let count = before;
    while (out.room >= ROUTE_BYTES && !this.isCut) {
      const destination = neighbour.dequeue(urgency);
      if (destination < 0) return count;
      const isOwn = (this.table.state[destination]! & OURS) !== 0;
      if (isOwn && this.namesOwn) {
        this.isCut = true;
        neighbour.enqueue(destination, urgency, 0);
        return count;
      }
      if (!this.writeEntry(neighbour, destination, out, urgency, false)) continue;
      count += 1;
      if (isOwn) this.namesOwn = true;
    }
    return count;
  }

  /** What the neighbour asked to hear again, NACs in full. Returns the number of entries. */
  private writeRepeats(neighbour: Neighbour, out: Writer): number {
    const { repeats } = neighbour.answers;
    let count = 0;
    while (repeats.length > 0 && out.room >= ROUTE_BYTES) {
      const repeat = repeats[0]!;
      if ("nac" in repeat) {
        this.writeUnsaid(repeat.nac, out);
        count += 1;
      } else {
        const isOwn = (this.table.state[repeat.destination]! & OURS) !== 0;
        if (isOwn && this.namesOwn) {
          this.isCut = true;
          break;
        }
        this.namesOwn ||= isOwn;
        const isToldNow = neighbour.columns.told[repeat.destination]! < METRIC_INFINITY;
        if (isToldNow && this.writeEntry(neighbour, repeat.destination, out, Urgency.normal, true)) count += 1;
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
      id: 0,
      bytes: nac,
      nacAt: 0,
      epoch: 0,
      slot: 0,
      repair: 0,
      metric: METRIC_NONE,
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
    const { told, flags } = neighbour.columns;
    const { outgoing } = neighbour;
    const table = this.table;
    const isForced = isRepeat || (flags[destination]! & FORCED) !== 0;
    flags[destination] = flags[destination]! & ~(PENDING | FORCED);
    const isLocal = (table.state[destination]! & LOCAL) !== 0;
    const next = table.next[destination]!;
    const metric = isLocal || (next >= 0 && next !== neighbour.link) ? table.metric[destination]! : METRIC_NONE;
    if (metric === told[destination] && (metric === METRIC_NONE || !isForced)) return false;
    const isRetraction = metric >= METRIC_INFINITY;
    const index = next < 0 ? table.newestIndex(destination) : table.chosenIndex(destination);
    const entry = this.entry;
    const id = isRepeat && !isRetraction ? -1 : outgoing.idOf(destination);
    entry.flags = isRetraction ? ENTRY_RETRACTION : isLocal ? ENTRY_ORIGIN : 0;
    if (id >= 0) {
      entry.flags |= ENTRY_SHORT;
      entry.id = id;
      this.shortEntries += 1;
    }
    entry.epoch = table.epoch[destination]!;
    entry.slot = Math.floor(index / 256);
    entry.repair = index % 256;
    entry.metric = metric;
    if (id < 0) this.dictionary.write(destination, this.nac);
    const start = out.offset;
    encodeRouteEntry(out, entry);
    this.entries += 1;
    this.trace(Trace.entryWritten, destination, out.offset - start, urgency);
    if (isRetraction) outgoing.end(destination);
    else if (id < 0) outgoing.give(destination);
    neighbour.announced.change(destination, told[destination]!, metric);
    told[destination] = metric;
    return true;
  }
}

/** So many entries take so long; the rest of the snapshot waits. */
function stepOf(entries: number): number {
  return Math.ceil((entries * SNAPSHOT_STEP_US) / SNAPSHOT_STEP_ENTRIES);
}
