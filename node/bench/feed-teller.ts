/** A neighbour that exists only inside one stack, and tells it what was recorded. All that the stack tells others is its own. */
import type { Stack } from "../../core/stack/stack.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { encodeRouteStatus } from "../../core/wire/route-status.js";
import {
  ENTRY_ORIGIN,
  ENTRY_RETRACTION,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  ROUTE_BYTES,
  ROUTES_HEAD_BYTES,
  sealRoutes,
} from "../../core/wire/routes.js";
import { insideOf, type StackInside } from "../../sim/fault/stack-inside.js";
import { NO_ROUTE } from "./feed-recording.js";

/** No link of the stack has such a number. */
const LINK = 1_000;
const LINK_COST = 1;
const ROUTER_ID_BYTES = 8;
/** As many as fit into one datagram with their NACs in full. */
const ENTRIES_MAX = 24;
const NO_ID = 0xffff;
const REPAIRS = 256;
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

/** The 16 bytes behind a route: real ones where chains are verified. */
export type WriteElement = (telling: Telling, bytes: Uint8Array, at: number) => void;

const noElement: WriteElement = () => undefined; // zeros are written already

/**
 * The stack's table becomes what is told here: it takes each route, and from its real neighbours only those to themselves.
 * For the routes of the recording were chosen by the rules once, from the offers of all neighbours, the listener's too.
 */
export class FeedTeller {
  private readonly inside: StackInside;
  private readonly writeElement: WriteElement;
  private readonly told = new Map<string, Telling>();
  private readonly wanted = new Map<string, { readonly nac: Uint8Array; readonly index: number }>();
  private readonly drain = new Writer(new Uint8Array(1_200));
  private readonly frame = new Writer(new Uint8Array(ROUTES_HEAD_BYTES + ENTRIES_MAX * ROUTE_BYTES));
  private number = 0;
  private nowUs = 0;

  /** To be called before the stack starts. */
  constructor(stack: Stack, writeElement = noElement) {
    this.inside = insideOf(stack);
    this.writeElement = writeElement;
    const { routing, decision, selection } = this.inside;
    selection.isFeasible = () => true;
    const learn = decision.learn.bind(decision);
    decision.learn = (nowUs, neighbour, destination, entry) => {
      const isBelieved = neighbour.link === LINK || (entry.flags & (ENTRY_ORIGIN | ENTRY_RETRACTION)) !== 0;
      if (isBelieved) return learn(nowUs, neighbour, destination, entry);
      return decision.overhear(neighbour, destination, entry);
    };
    decision.requests.want = () => false; // what it does not believe cannot be had by asking for something newer
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
    for (let i = 0; i < tellings.length; i += ENTRIES_MAX) this.send(tellings.slice(i, i + ENTRIES_MAX));
  }

  /** Origins that were asked for a newer index give it, as they did in the network. Returns how many. */
  answer(nowUs: number): number {
    const answers: Telling[] = [];
    for (const [name, { index }] of this.wanted) {
      const telling = this.told.get(name);
      if (telling === undefined || telling.metric === NO_ROUTE) continue;
      if (index <= telling.slot * REPAIRS + telling.repair) continue;
      answers.push({ ...telling, slot: Math.floor(index / REPAIRS), repair: index % REPAIRS });
    }
    this.wanted.clear();
    this.tell(nowUs, answers);
    return answers.length;
  }

  private send(tellings: readonly Telling[]): void {
    const { frame } = this;
    frame.offset = 0;
    this.number += 1;
    const start = openRoutes(frame, this.number);
    for (const telling of tellings) this.write(telling);
    sealRoutes(frame, start, tellings.length);
    const body = new Reader(frame.bytes, 1, frame.offset);
    if (!this.inside.routing.handleFrame(this.nowUs, LINK, ControlFrame.routes, body)) {
      throw new Error("the stack takes a message of the feed for malformed");
    }
  }

  private write(telling: Telling): void {
    const { nac, metric, epoch } = telling;
    const name = nameOf(nac);
    const now = newer(telling, this.told.get(name));
    this.told.set(name, now);
    const isLost = metric === NO_ROUTE;
    const entry = { ...emptyRouteEntry(), id: NO_ID, bytes: nac, epoch, slot: now.slot, repair: now.repair };
    entry.flags = isLost ? ENTRY_RETRACTION : 0;
    entry.metric = isLost ? 0 : metric - LINK_COST;
    encodeRouteEntry(this.frame, entry);
    if (!isLost) this.writeElement(now, this.frame.bytes, this.frame.offset - 16);
  }

  /** What routing has for the teller: requests are kept, and all is confirmed, as a neighbour would. */
  private listen(): void {
    const { routing, table } = this.inside;
    const { requests } = table.byLink[LINK]!;
    for (const { destination, index } of requests.splice(0)) {
      const nac = table.dictionary.bytesOf(destination);
      this.wanted.set(nameOf(nac), { nac, index });
    }
    const { drain } = this;
    drain.offset = 0;
    routing.pollControl(this.nowUs, LINK, drain);
    drain.offset = 0;
    encodeRouteStatus(drain, { processed: routing.controlSent(LINK), missing: [] });
    routing.handleFrame(this.nowUs, LINK, ControlFrame.routeStatus, new Reader(drain.bytes, 1, drain.offset));
  }
}

/** An index that was given out is not taken back by a row that knows nothing of it. */
function newer(telling: Telling, before: Telling | undefined): Telling {
  if (before === undefined || before.epoch !== telling.epoch) return telling;
  const isOlder = telling.slot * REPAIRS + telling.repair < before.slot * REPAIRS + before.repair;
  return isOlder ? { ...telling, slot: before.slot, repair: before.repair } : telling;
}

function nameOf(nac: Uint8Array): string {
  return Buffer.from(nac).toString("latin1");
}
