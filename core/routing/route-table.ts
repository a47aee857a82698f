import type { NacDictionary } from "../address/dictionary.js";
import type { Digest } from "../collections/digest.js";
import { type NumberColumn, type TableAllocator, withRoom } from "../collections/table-allocator.js";
import { DeadlineHeap } from "../time/deadline-heap.js";
import { NEVER } from "../time/instant.js";
import { Cells, NAMED } from "./cells.js";
import { AGE_OLD, METRIC_NONE } from "./feasible.js";
import { BREACHES } from "./ingress.js";
import { KeptFrames } from "./kept-frames.js";
import { Neighbour, wordAt } from "./neighbour.js";
import { PendingLists } from "./pending-lists.js";
import { RouteRecords } from "./records.js";
import { OutgoingIds } from "./short-ids.js";
import type { TableCounts } from "./table-search.js";

/** We are the origin of this destination. */
export const LOCAL = 0x01;
/** Heard of and not forgotten. */
export const KNOWN = 0x02;
/** It has a route, and is in the queue of those that ask for a better one in the background. */
export const STARVING = 0x04;
/** In the queue of lost destinations whose feasibility distance is still remembered. */
export const LOST = 0x08;
/** Lost once more while in that queue. */
export const LOST_AGAIN = 0x10;
/** A request for a newer index is open here. */
export const REQUESTED = 0x20;
/** Has a place in `order`; a forgotten destination keeps it until the list is tidied. */
const PLACED = 0x40;
/** We are or were the origin. */
export const OURS = 0x80;

/** Destinations whose memory is asked for at once. */
const AHEAD = 32;
/** By how much the table grows, as a part of what it has. */
const GROWTH_PARTS = 4;

/**
 * What this node knows of each destination (`records`), what passed between it and each neighbour about each destination
 * (`cells`), and the neighbours themselves.
 *
 * The newest index heard of, from anybody, is kept exactly (epoch, slot, repair); all other indexes of a destination are
 * kept as ages behind it, two bytes instead of twelve. When a newer index comes, the ages grow: degree additions for a
 * rare event. The numbers of the dictionary say nothing about order, so whatever walks over all destinations walks in the
 * order in which this node first heard of them.
 */
export class RouteTable {
  /** What neighbours did that no honest one does, in the order of BREACHES. */
  readonly breaches: number[] = BREACHES.map(() => 0);
  readonly records: RouteRecords;
  readonly cells: Cells;

  /** Up neighbours in order of link number, and the same by link number. */
  readonly neighbours: Neighbour[] = [];
  readonly byLink: (Neighbour | undefined)[] = [];
  /** What waits to be told, by neighbour and urgency. */
  readonly pending: PendingLists;
  /** Copies of control messages that are not acknowledged yet. */
  readonly frames: KeptFrames;
  /** The short ids that this node gives. */
  readonly ids = new OutgoingIds();

  /** Destinations with a next hop. */
  count = 0;
  /** Destinations in order of first mention; those forgotten since stay until there are many. */
  order: NumberColumn;
  listed = 0;
  /** What the digests of all neighbours came to. */
  readonly counts: TableCounts = { searches: 0, miscounts: 0, repeats: 0, refused: 0 };

  readonly dictionary: NacDictionary;
  private readonly own: readonly [number, number];
  private readonly allocate: TableAllocator;
  private readonly freeSlots: number[] = [];
  private slots = 0;
  private forgotten = 0;
  /** Means nothing: that it is written keeps loads from being left out. */
  touched = 0;
  /** By slot: when the neighbour wants time. */
  private readonly deadlines = new DeadlineHeap();
  private readonly bySlot: (Neighbour | undefined)[] = [];
  /** Neighbours with something to write now, the first to be ready first; some may not be ready any more. */
  private readonly ready: Neighbour[] = [];

  constructor(routerId: Uint8Array, dictionary: NacDictionary, allocate: TableAllocator) {
    this.own = [wordAt(routerId, 0), wordAt(routerId, 4)];
    this.dictionary = dictionary;
    this.allocate = allocate;
    this.frames = new KeptFrames(allocate);
    this.pending = new PendingLists(allocate);
    this.order = allocate.u16(0);
    const capacity = Math.max(16, dictionary.size);
    this.records = new RouteRecords(capacity, allocate);
    this.cells = new Cells(capacity, allocate);
  }

  /** True when this node has heard of the destination and not forgotten it. */
  knows(destination: number): boolean {
    return destination < this.records.capacity && (this.records.state(destination) & KNOWN) !== 0;
  }

  isLocal(destination: number): boolean {
    return destination < this.records.capacity && (this.records.state(destination) & LOCAL) !== 0;
  }

  /** The index of the route in use, of the newest epoch; -1 without a route. */
  chosenIndex(destination: number): number {
    if (this.records.next(destination) < 0 && !this.isLocal(destination)) return -1;
    return this.records.index(destination) - this.chosenAge(destination);
  }

  /** There is a feasibility distance: somebody was told of the destination since it was forgotten, or its origin may have died. */
  hasDistance(destination: number): boolean {
    return this.records.distanceMetric(destination) !== METRIC_NONE;
  }

  /** From here on there is a feasibility distance, as there must be when the route is told: the route in use, if there was none. */
  keepDistance(destination: number): void {
    if (this.hasDistance(destination)) return; // it falls at each choice
    this.records.setDistance(destination, this.chosenAge(destination), this.records.metric(destination));
  }

  /** An index that would make any offer feasible: one newer than our distance; with none in this epoch, the newest told of. */
  wantedIndex(destination: number): number {
    const age = this.records.distanceAge(destination);
    const newest = this.records.index(destination);
    return age === AGE_OLD ? newest : newest - age + 1;
  }

  /** How far the route in use is behind the newest index; 0 at the origin, AGE_OLD without a route. */
  chosenAge(destination: number): number {
    const link = this.records.next(destination);
    if (link < 0) return (this.records.state(destination) & LOCAL) === 0 ? AGE_OLD : 0;
    return this.cells.age(this.cells.at(destination, this.byLink[link]!.slot));
  }

  /**
   * Brings what is held of destinations near; those below 0 are none. Who goes over many does so a message ahead: these loads wait
   * for memory all at once, while those of the work itself would wait one after the other.
   */
  touchAll(destinations: Int32Array, count: number): void {
    let sum = 0;
    for (let i = 0; i < count; i += 1) {
      const destination = destinations[i]!;
      if (destination >= 0 && destination < this.records.capacity) sum ^= this.load(destination);
    }
    this.touched = sum;
  }

  /** The same for a walk over `order` that has come to `place`: to be called at each, it acts at some. */
  touchAhead(place: number): void {
    if (place % AHEAD !== 0) return;
    const end = Math.min(place + AHEAD, this.listed);
    let sum = 0;
    for (let i = place; i < end; i += 1) sum ^= this.load(this.order[i]!);
    this.touched = sum;
  }

  /** Makes room for a destination, puts it on the list and holds its number. */
  admit(destination: number): void {
    const { records } = this;
    if (destination >= records.capacity) this.grow(destination + 1);
    const state = records.state(destination);
    if ((state & KNOWN) !== 0) return;
    this.dictionary.hold(destination);
    // Whose number it was then says nothing about this one: it goes to the end as any new one does.
    if ((state & PLACED) !== 0) this.tidy();
    records.setState(destination, KNOWN | PLACED);
    if (this.listed === this.order.length && this.forgotten * 2 > this.listed) this.tidy();
    this.order = withRoom(this.order, this.listed, destination, Number.POSITIVE_INFINITY, this.allocate);
    this.order[this.listed] = destination;
    this.listed += 1;
  }

  /**
   * An index was heard of: (epoch, index) becomes the newest if it is, and all ages behind it grow. Returns by how much: 0
   * when it is not newer.
   */
  hear(destination: number, epoch: number, index: number): number {
    const { records } = this;
    const known = records.epoch(destination);
    if (epoch < known) return 0;
    const step = epoch === known ? index - records.index(destination) : AGE_OLD;
    if (step <= 0) return 0;
    records.setNewest(destination, epoch, index);
    records.growDistanceAge(destination, step);
    this.cells.growAges(destination, step);
    return step;
  }

  /** The age of (epoch, index), which is not newer than the newest. */
  ageOf(destination: number, epoch: number, index: number): number {
    if (epoch !== this.records.epoch(destination)) return AGE_OLD;
    return Math.min(AGE_OLD, this.records.index(destination) - index);
  }

  addNeighbour(link: number, isLower: boolean, routerId: Uint8Array, cost: number): Neighbour {
    const slot = this.freeSlots.pop() ?? this.slots++;
    this.cells.widen(this.slots, this.order, this.listed);
    const neighbour = new Neighbour({
      link,
      slot,
      isLower,
      routerId,
      cost,
      own: this.own,
      table: this,
      allocate: this.allocate,
    });
    this.byLink[link] = neighbour;
    this.bySlot[slot] = neighbour;
    const place = this.neighbours.findIndex((other) => other.link > link);
    this.neighbours.splice(place < 0 ? this.neighbours.length : place, 0, neighbour);
    return neighbour;
  }

  /** Takes the neighbour off the list; it can still be asked about until `release`. */
  detach(neighbour: Neighbour): void {
    neighbour.isUp = false;
    neighbour.isReady = false;
    this.neighbours.splice(this.neighbours.indexOf(neighbour), 1);
  }

  /** Gives up the neighbour's slot, whose cells the caller has cleared; it serves the next one. */
  release(neighbour: Neighbour): void {
    const { slot } = neighbour;
    this.byLink[neighbour.link] = undefined;
    this.bySlot[slot] = undefined;
    neighbour.close();
    this.deadlines.set(slot, NEVER);
    this.freeSlots.push(slot);
  }

  /** When the first neighbour wants time; NEVER when none does. */
  get nextTimeoutUs(): number {
    return this.deadlines.soonestUs;
  }

  /** To be called whenever the neighbour's deadline may have moved. */
  watch(neighbour: Neighbour): void {
    const timeoutUs = neighbour.nextTimeoutUs;
    if (timeoutUs === neighbour.watchedUs || !neighbour.isUp) return;
    neighbour.watchedUs = timeoutUs;
    this.deadlines.set(neighbour.slot, timeoutUs);
  }

  /** The neighbours whose time has come, the soonest first. `watch` each afterwards: until then the table does not know their deadlines. */
  takeDue(nowUs: number): Neighbour[] {
    const due: Neighbour[] = [];
    for (let slot = this.deadlines.due(nowUs); slot >= 0; slot = this.deadlines.due(nowUs)) {
      const neighbour = this.bySlot[slot]!;
      neighbour.watchedUs = NEVER;
      this.deadlines.set(slot, NEVER);
      due.push(neighbour);
    }
    return due;
  }

  /** The neighbour has something to write now. */
  makeReady(neighbour: Neighbour): void {
    if (neighbour.isReady) return;
    neighbour.isReady = true;
    this.ready.push(neighbour);
  }

  /** The link that has been ready longest, or -1. */
  nextReady(): number {
    const { ready } = this;
    while (ready.length > 0 && !ready[0]!.isReady) ready.shift();
    return ready.length === 0 ? -1 : ready[0]!.link;
  }

  /** The next entries about it name the NAC in full: what belongs to its epoch has to be told with it. */
  unname(destination: number): void {
    const { cells } = this;
    for (const { slot } of this.neighbours) {
      const cell = cells.at(destination, slot);
      cells.setFlags(cell, cells.flags(cell) & ~NAMED);
    }
  }

  /** The newest index heard of counts no longer: the next that is heard of is the newest. All offers stay old until then. */
  forgetIndex(destination: number): void {
    this.records.setNewest(destination, 0, 0);
  }

  /**
   * Nothing is known or remembered of it any more; its number may serve another NAC. No list names it, no cell of it holds
   * anything. It stays in `order` until that is tidied.
   */
  forget(destination: number): void {
    const { records } = this;
    this.forgetIndex(destination);
    records.setState(destination, PLACED);
    const id = records.id(destination);
    if (id >= 0) this.ids.giveBack(id);
    records.setId(destination, -1);
    records.setLife(destination, 0);
    records.setGeneration(destination, 0);
    records.setProof(destination, 0);
    this.forgotten += 1;
    this.dictionary.release(destination);
  }

  digest(into: Digest): void {
    const { records, cells } = this;
    for (let i = 0; i < this.listed; i += 1) {
      const destination = this.order[i]!;
      if ((records.state(destination) & KNOWN) === 0) continue;
      into.bytes(this.dictionary.bytesOf(destination));
      into.number(records.epoch(destination)).number(records.index(destination)).number(records.metric(destination));
      into.number(records.next(destination)).number(records.id(destination)).number(records.state(destination));
      into
        .number(records.settling(destination))
        .number(records.life(destination))
        .number(records.generation(destination))
        .number(records.proof(destination))
        .number(records.distanceAge(destination))
        .number(records.distanceMetric(destination));
      for (const { slot } of this.neighbours) {
        const cell = cells.at(destination, slot);
        into.number(cells.metric(cell)).number(cells.age(cell)).number(cells.told(cell)).number(cells.flags(cell));
      }
    }
    this.ids.digest(into);
    for (const neighbour of this.neighbours) neighbour.digest(into);
  }

  private load(destination: number): number {
    const { records, cells } = this;
    const first = cells.at(destination, 0);
    return records.state(destination) ^ cells.flags(first) ^ cells.flags(first + cells.stride - 1);
  }

  private grow(needed: number): void {
    const { capacity } = this.records;
    const larger = Math.max(needed, this.dictionary.size, capacity + Math.floor(capacity / GROWTH_PARTS));
    this.records.grow(larger);
    this.cells.grow(larger);
  }

  /** Takes all that were forgotten off the list. Snapshots under way begin again: what was told is not told twice. */
  private tidy(): void {
    const { records } = this;
    let kept = 0;
    for (let i = 0; i < this.listed; i += 1) {
      const destination = this.order[i]!;
      if ((records.state(destination) & KNOWN) !== 0) this.order[kept++] = destination;
      else records.setState(destination, 0);
    }
    this.listed = kept;
    this.forgotten = 0;
    for (const neighbour of this.neighbours) neighbour.restartSnapshot(kept);
  }
}
