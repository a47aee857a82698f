import type { NacDictionary } from "../address/dictionary.js";
import type { Digest } from "../collections/digest.js";
import type { TableAllocator } from "../collections/table-allocator.js";
import { AGE_OLD, METRIC_INFINITY, METRIC_NONE } from "./feasible.js";
import { Neighbour, wordAt } from "./neighbour.js";
import type { TableCounts } from "./table-search.js";

/** We are the origin of this destination. */
export const LOCAL = 0x01;
/** Heard of and not forgotten. */
export const KNOWN = 0x02;
/** In the queue of destinations that wait for a request in the background. */
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

const REPAIRS = 256;
/** Room for short ids of a new neighbour; it grows. */
const NAMED_FIRST = 64;

/**
 * What this node knows of each destination, as columns indexed by the destination's number in the dictionary, and the
 * neighbours whose own columns hold what they taught.
 *
 * The newest index heard of, from anybody, is kept exactly (epoch, slot, repair); all other indexes of a destination are
 * kept as ages behind it, two bytes instead of twelve. When a newer index comes, the ages grow: degree additions for a
 * rare event. The numbers of the dictionary say nothing about order, so whatever walks over all destinations walks in the
 * order in which this node first heard of them.
 */
export class RouteTable {
  epoch: Uint32Array;
  slot: Uint32Array;
  repair: Uint8Array;
  /** Link of the chosen route, or -1. */
  next: Int16Array;
  backup1: Int16Array;
  backup2: Int16Array;
  /** Of the chosen route, link cost included; METRIC_INFINITY without one; 0 at the origin. */
  metric: Uint8Array;
  distanceAge: Uint16Array;
  distanceMetric: Uint8Array;
  state: Uint8Array;

  /** Up neighbours in order of link number, and the same by link number. */
  readonly neighbours: Neighbour[] = [];
  readonly byLink: (Neighbour | undefined)[] = [];

  /** Destinations with a next hop. */
  count = 0;
  /** Destinations in order of first mention; those forgotten since stay until there are many. */
  order = new Uint32Array(64);
  listed = 0;
  capacity: number;
  /** What the digests of all neighbours came to. */
  readonly counts: TableCounts = { searches: 0, miscounts: 0, repeats: 0, refused: 0 };

  private readonly own: readonly [number, number];
  private readonly dictionary: NacDictionary;
  private readonly allocate: TableAllocator;
  private readonly spares: Neighbour["columns"][] = [];
  private forgotten = 0;

  constructor(routerId: Uint8Array, dictionary: NacDictionary, allocate: TableAllocator) {
    this.own = [wordAt(routerId, 0), wordAt(routerId, 4)];
    this.dictionary = dictionary;
    this.allocate = allocate;
    const capacity = Math.max(16, dictionary.size);
    this.capacity = capacity;
    this.epoch = allocate.u32(capacity);
    this.slot = allocate.u32(capacity);
    this.repair = allocate.u8(capacity);
    this.next = allocate.i16(capacity).fill(-1);
    this.backup1 = allocate.i16(capacity).fill(-1);
    this.backup2 = allocate.i16(capacity).fill(-1);
    this.metric = allocate.u8(capacity).fill(METRIC_INFINITY);
    this.distanceAge = allocate.u16(capacity).fill(AGE_OLD);
    this.distanceMetric = allocate.u8(capacity).fill(METRIC_NONE);
    this.state = allocate.u8(capacity);
  }

  /** True when this node has heard of the destination and not forgotten it. */
  knows(destination: number): boolean {
    return destination < this.capacity && (this.state[destination]! & KNOWN) !== 0;
  }

  isLocal(destination: number): boolean {
    return destination < this.capacity && (this.state[destination]! & LOCAL) !== 0;
  }

  /** The newest index heard of: slot * 256 + repair. */
  newestIndex(destination: number): number {
    return this.slot[destination]! * REPAIRS + this.repair[destination]!;
  }

  /** The index of the route in use, of the epoch in `epoch`; -1 without a route. */
  chosenIndex(destination: number): number {
    const newest = this.newestIndex(destination);
    if ((this.state[destination]! & LOCAL) !== 0) return newest;
    const link = this.next[destination]!;
    return link < 0 ? -1 : newest - this.byLink[link]!.columns.age[destination]!;
  }

  /** Makes room for a destination, puts it on the list and holds its number. */
  admit(destination: number): void {
    if (destination >= this.capacity) this.grow(destination + 1);
    const state = this.state[destination]!;
    if ((state & KNOWN) !== 0) return;
    this.dictionary.hold(destination);
    // Whose number it was then says nothing about this one: it goes to the end as any new one does.
    if ((state & PLACED) !== 0) this.tidy();
    this.state[destination] = state | KNOWN | PLACED;
    if (this.listed === this.order.length) this.makeRoomInOrder();
    this.order[this.listed] = destination;
    this.listed += 1;
  }

  /** An index was heard of: (epoch, index) becomes the newest if it is, and all ages behind it grow. */
  hear(destination: number, epoch: number, index: number): void {
    const known = this.epoch[destination]!;
    const step = epoch === known ? index - this.newestIndex(destination) : epoch > known ? AGE_OLD : 0;
    if (step <= 0) return;
    this.epoch[destination] = epoch;
    this.slot[destination] = Math.floor(index / REPAIRS);
    this.repair[destination] = index % REPAIRS;
    this.distanceAge[destination] = Math.min(AGE_OLD, this.distanceAge[destination]! + step);
    for (const neighbour of this.neighbours) {
      const age = neighbour.columns.age;
      age[destination] = Math.min(AGE_OLD, age[destination]! + step);
    }
  }

  /** The age of (epoch, index), which is not newer than the newest. */
  ageOf(destination: number, epoch: number, index: number): number {
    if (epoch !== this.epoch[destination]!) return AGE_OLD;
    return Math.min(AGE_OLD, this.newestIndex(destination) - index);
  }

  addNeighbour(link: number, isLower: boolean, routerId: Uint8Array, cost: number): Neighbour {
    const columns = this.spares.pop() ?? this.newColumns(this.capacity);
    if (columns.metric.length < this.capacity) this.growColumns(columns);
    const { own, dictionary, allocate, counts } = this;
    const neighbour = new Neighbour({
      link,
      isLower,
      routerId,
      cost,
      own,
      columns,
      table: this,
      dictionary,
      allocate,
      counts,
    });
    this.byLink[link] = neighbour;
    let place = this.neighbours.length;
    while (place > 0 && this.neighbours[place - 1]!.link > link) place -= 1;
    this.neighbours.splice(place, 0, neighbour);
    return neighbour;
  }

  /** No choice sees the neighbour from now on; what was chosen through it can still be read until `release`. */
  detach(neighbour: Neighbour): void {
    neighbour.isUp = false;
    this.neighbours.splice(this.neighbours.indexOf(neighbour), 1);
  }

  /** Gives up the neighbour's columns; they serve the next one. */
  release(neighbour: Neighbour): void {
    this.byLink[neighbour.link] = undefined;
    const { metric, age, told, flags, ids, named } = neighbour.columns;
    metric.fill(METRIC_NONE);
    age.fill(AGE_OLD);
    told.fill(METRIC_NONE);
    flags.fill(0);
    ids.fill(0);
    named.fill(0);
    this.spares.push(neighbour.columns);
  }

  /** The newest index heard of counts no longer: the next that is heard of is the newest. All offers stay old until then. */
  forgetIndex(destination: number): void {
    this.epoch[destination] = 0;
    this.slot[destination] = 0;
    this.repair[destination] = 0;
  }

  /** Nothing is known or remembered of it any more; its number may serve another NAC. It stays in `order` until that is tidied. */
  forget(destination: number): void {
    this.forgetIndex(destination);
    this.state[destination] = PLACED;
    this.forgotten += 1;
    this.dictionary.release(destination);
  }

  digest(into: Digest): void {
    for (let i = 0; i < this.listed; i += 1) {
      const destination = this.order[i]!;
      if ((this.state[destination]! & KNOWN) === 0) continue;
      into.bytes(this.dictionary.bytesOf(destination));
      into.number(this.epoch[destination]!).number(this.newestIndex(destination)).number(this.metric[destination]!);
      into.number(this.next[destination]!).number(this.backup1[destination]!).number(this.backup2[destination]!);
      into.number(this.distanceAge[destination]!).number(this.distanceMetric[destination]!);
      into.number(this.state[destination]!);
      for (const { columns } of this.neighbours) {
        into.number(columns.metric[destination]!).number(columns.age[destination]!);
        into.number(columns.told[destination]!).number(columns.flags[destination]!);
      }
    }
    for (const neighbour of this.neighbours) neighbour.digest(into);
  }

  private newColumns(capacity: number): Neighbour["columns"] {
    return {
      metric: this.allocate.u8(capacity).fill(METRIC_NONE),
      age: this.allocate.u16(capacity).fill(AGE_OLD),
      told: this.allocate.u8(capacity).fill(METRIC_NONE),
      flags: this.allocate.u8(capacity),
      ids: this.allocate.u16(capacity),
      named: this.allocate.u16(NAMED_FIRST),
    };
  }

  private growColumns(columns: Neighbour["columns"]): void {
    const larger = this.newColumns(this.capacity);
    larger.metric.set(columns.metric);
    larger.age.set(columns.age);
    larger.told.set(columns.told);
    larger.flags.set(columns.flags);
    larger.ids.set(columns.ids);
    Object.assign(columns, larger, { named: columns.named });
  }

  private grow(needed: number): void {
    this.capacity = Math.max(needed, this.dictionary.size, this.capacity + (this.capacity >> 1));
    const { allocate, capacity } = this;
    this.epoch = extend(allocate.u32(capacity), this.epoch);
    this.slot = extend(allocate.u32(capacity), this.slot);
    this.repair = extend(allocate.u8(capacity), this.repair);
    this.next = extend(allocate.i16(capacity).fill(-1), this.next);
    this.backup1 = extend(allocate.i16(capacity).fill(-1), this.backup1);
    this.backup2 = extend(allocate.i16(capacity).fill(-1), this.backup2);
    this.metric = extend(allocate.u8(capacity).fill(METRIC_INFINITY), this.metric);
    this.distanceAge = extend(allocate.u16(capacity).fill(AGE_OLD), this.distanceAge);
    this.distanceMetric = extend(allocate.u8(capacity).fill(METRIC_NONE), this.distanceMetric);
    this.state = extend(allocate.u8(capacity), this.state);
    for (const neighbour of this.neighbours) this.growColumns(neighbour.columns);
  }

  /** Takes all that were forgotten off the list. */
  private tidy(): void {
    let kept = 0;
    for (let i = 0; i < this.listed; i += 1) {
      const destination = this.order[i]!;
      if ((this.state[destination]! & KNOWN) !== 0) this.order[kept++] = destination;
      else this.state[destination] = 0;
    }
    this.listed = kept;
    this.forgotten = 0;
  }

  private makeRoomInOrder(): void {
    if (this.forgotten * 2 > this.listed) return this.tidy();
    const larger = new Uint32Array(this.order.length * 2);
    larger.set(this.order);
    this.order = larger;
  }
}

function extend<Column extends Uint8Array | Uint16Array | Uint32Array | Int16Array>(to: Column, from: Column): Column {
  to.set(from);
  return to;
}
