/** A neighbour that exists only inside one stack, and tells it what was recorded. All that the stack tells others is its own. */
import type { Stack } from "../../core/stack/stack.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { encodeRouteStatus } from "../../core/wire/route-status.js";
import {
  ENTRY_LIFE,
  ENTRY_ORIGIN,
  ENTRY_PROOF,
  ENTRY_RETRACTION,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  ROUTE_BYTES,
  ROUTES_HEAD_BYTES,
  sealRoutes,
} from "../../core/wire/routes.js";
import { insideOf, type StackInside } from "../../sim/fault/stack-inside.js";
import { FeedOrigins } from "./feed-origins.js";
import { NO_ROUTE } from "./feed-recording.js";

/** No link of the stack has such a number. */
const LINK = 1_000;
const LINK_COST = 1;
const ROUTER_ID_BYTES = 8;
/** As many as fit into one datagram with their NACs in full. */
const ENTRIES_MAX = 24;
const NO_ID = 0xffff;
const REPAIRS = 256;
const LOW = 0xffff;
/** Frames that routing writes for the teller at once. Beyond: they are drained in the next call. */
const DRAINS_MAX = 64;

/** What a teller says of one destination. */
export interface Telling {
  readonly nac: Uint8Array;
  /** As the stack is to have it, or NO_ROUTE. */
  readonly metric: number;
  readonly epoch: number;
  readonly slot: number;
  readonly repair: number;
}

/** And in which slot its origin proved it. */
interface Told extends Telling {
  readonly generation: number;
}

/**
 * The stack's table becomes what is told here: it takes each route, and from its real neighbours only those to themselves.
 * For the routes of the recording were chosen by the rules once, from the offers of all neighbours, the listener's too. Elements of
 * what is told here are zeros: the stack believes them, and makes those that it tells from its own chains (feed-chains.ts).
 */
export class FeedTeller {
  private readonly inside: StackInside;
  private readonly told = new Map<string, Told>();
  private readonly wanted = new Map<string, { readonly index: number; readonly life: number }>();
  private readonly origins: FeedOrigins;
  private readonly drain = new Writer(new Uint8Array(1_200));
  private readonly frame = new Writer(new Uint8Array(ROUTES_HEAD_BYTES + ENTRIES_MAX * ROUTE_BYTES));
  private number = 0;
  private nowUs = 0;

  /** To be called before the stack starts. */
  constructor(stack: Stack, nodes: number) {
    this.inside = insideOf(stack);
    this.origins = new FeedOrigins(nodes);
    const { routing, decision, selection } = this.inside;
    selection.isFeasible = () => true;
    const learn = decision.learn.bind(decision);
    decision.learn = (nowUs, neighbour, destination, entry) => {
      const isBelieved = neighbour.link === LINK || (entry.flags & (ENTRY_ORIGIN | ENTRY_RETRACTION)) !== 0;
      if (isBelieved) return learn(nowUs, neighbour, destination, entry);
      return decision.overhear(neighbour, destination, entry);
    };
    const want = decision.requests.want.bind(decision.requests);
    // What it does not believe cannot be had by asking for something newer; whether somebody lives may be asked.
    decision.requests.want = (nowUs, destination, epoch, index, life = 0) =>
      life > 0 && want(nowUs, destination, epoch, index, life);
    const pollLink = routing.pollLink.bind(routing);
    routing.pollLink = () => {
      let link = pollLink();
      for (let i = 0; link === LINK && i < DRAINS_MAX; i += 1) {
        this.listen();
        link = pollLink();
      }
      return link;
    };
  }

  /** Destinations that have a route just now, as told. */
  get routes(): number {
    let count = 0;
    for (const { metric } of this.told.values()) if (metric !== NO_ROUTE) count += 1;
    return count;
  }

  /** The link of the teller comes up. */
  begin(nowUs: number): void {
    this.nowUs = nowUs;
    // The lowest router id of all: an equal offer of the teller's is feasible, too.
    this.inside.routing.linkUp(nowUs, LINK, new Uint8Array(ROUTER_ID_BYTES), LINK_COST);
  }

  /** Before each input of the stack: what is drained within it happens then. */
  setNow(nowUs: number): void {
    this.nowUs = nowUs;
  }

  /** To be followed by an input of the stack, so that what came of it leaves. */
  tell(nowUs: number, tellings: readonly Telling[]): void {
    this.nowUs = nowUs;
    this.sendAll(tellings, (telling) => this.write(telling));
  }

  /** Origins that were asked for a newer index give it, as they did in the network, and prove that they live. Returns how many. */
  answer(nowUs: number): number {
    this.nowUs = nowUs;
    const newer: Telling[] = [];
    const living: Told[] = [];
    for (const [name, { index, life }] of this.wanted) {
      const told = this.told.get(name);
      if (told !== undefined && told.metric !== NO_ROUTE) {
        if (life > this.slot) continue; // it is answered when that slot has begun
        if (life > 0) living.push(told);
        if (index > told.slot * REPAIRS + told.repair) {
          newer.push({ ...told, slot: Math.floor(index / REPAIRS), repair: index % REPAIRS });
        }
      }
      this.wanted.delete(name);
    }
    this.tell(nowUs, newer);
    this.sendAll(living, (told) => this.writeLife(told));
    return newer.length + living.length;
  }

  /** Origins whose time has come prove that they live. `msOfSlot`: how much of the slot has passed. Returns how many. */
  prove(nowUs: number, msOfSlot: number): number {
    this.nowUs = nowUs;
    const { slot, origins } = this;
    const due: Told[] = [];
    for (const [name, told] of this.told) {
      if (told.metric === NO_ROUTE || !origins.isOver(told.nac, told.generation, slot, msOfSlot)) continue;
      const proven = { ...told, generation: origins.generation(told.nac, slot) };
      this.told.set(name, proven);
      due.push(proven);
    }
    this.sendAll(due, (told) => this.writeProof(told));
    return due.length;
  }

  /** Of network time, as the stack has it. */
  private get slot(): number {
    return this.inside.decision.liveness.lives.slot;
  }

  private sendAll<Item>(items: readonly Item[], write: (item: Item) => void): void {
    const { frame } = this;
    for (let first = 0; first < items.length; first += ENTRIES_MAX) {
      const part = items.slice(first, first + ENTRIES_MAX);
      frame.offset = 0;
      this.number += 1;
      const start = openRoutes(frame, this.number);
      for (const item of part) write(item);
      sealRoutes(frame, start, part.length);
      const body = new Reader(frame.bytes, 1, frame.offset);
      if (!this.inside.routing.handleFrame(this.nowUs, LINK, ControlFrame.routes, body)) {
        throw new Error("the stack takes a message of the feed for malformed");
      }
    }
  }

  private write(telling: Telling): void {
    const { nac, metric, epoch } = telling;
    const name = nameOf(nac);
    const told = this.ofNow(telling, this.told.get(name));
    this.told.set(name, told);
    const isLost = metric === NO_ROUTE;
    const entry = { ...emptyRouteEntry(), id: NO_ID, bytes: nac, epoch, slot: told.slot, repair: told.repair };
    entry.flags = isLost ? ENTRY_RETRACTION : 0;
    entry.metric = isLost ? 0 : metric - LINK_COST;
    entry.generation = told.generation & LOW;
    encodeRouteEntry(this.frame, entry);
  }

  private writeProof(told: Told): void {
    const entry = { ...emptyRouteEntry(), id: NO_ID, bytes: told.nac, flags: ENTRY_PROOF };
    entry.generation = told.generation & LOW;
    encodeRouteEntry(this.frame, entry);
  }

  private writeLife(told: Told): void {
    const { slot } = this;
    const entry = { ...emptyRouteEntry(), id: NO_ID, bytes: told.nac, flags: ENTRY_LIFE, epoch: told.epoch, slot };
    encodeRouteEntry(this.frame, entry);
  }

  /** An index or a generation that was given out is not taken back by a row that knows nothing of it. */
  private ofNow(telling: Telling, before: Told | undefined): Told {
    const { nac } = telling;
    const { origins, slot } = this;
    if (before === undefined) return { ...telling, generation: origins.generation(nac, slot) };
    if (telling.metric === NO_ROUTE) return { ...before, metric: NO_ROUTE };
    if (before.epoch !== telling.epoch) return { ...telling, generation: origins.firstGeneration(nac, slot) };
    const { generation } = before;
    const isOlder = telling.slot * REPAIRS + telling.repair < before.slot * REPAIRS + before.repair;
    return isOlder ? { ...telling, slot: before.slot, repair: before.repair, generation } : { ...telling, generation };
  }

  /** What routing has for the teller: requests are kept, and all is confirmed, as a neighbour would. */
  private listen(): void {
    const { routing, table } = this.inside;
    const { requests } = table.byLink[LINK]!;
    for (const { destination, index, life } of requests.values()) {
      this.wanted.set(nameOf(table.dictionary.bytesOf(destination)), { index, life });
    }
    requests.clear();
    const { drain } = this;
    drain.offset = 0;
    routing.pollControl(this.nowUs, LINK, drain);
    drain.offset = 0;
    encodeRouteStatus(drain, { processed: routing.controlSent(LINK), missing: [] });
    routing.handleFrame(this.nowUs, LINK, ControlFrame.routeStatus, new Reader(drain.bytes, 1, drain.offset));
  }
}

function nameOf(nac: Uint8Array): string {
  return Buffer.from(nac).toString("latin1");
}
