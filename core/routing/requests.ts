import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { ASKED } from "./cells.js";
import { METRIC_INFINITY } from "./feasible.js";
import type { Neighbour, OutgoingRequest } from "./neighbour.js";
import { REQUESTED, type RouteTable } from "./route-table.js";

export const HOPS_MAX = 32;

/** Requests open at a time. Beyond: those of neighbours are not opened; whoever asked asks again. */
const OPEN_MAX = 2048;
/** So many more for ourselves: neighbours must not keep us from asking. Beyond: not opened; asked again by and by. */
const OPEN_OWN = 1024;
/** The same request is passed on again only after this, when somebody asks again. One that may go farther is passed on at once. */
const DEDUP_US = 2 * SECOND_US;
/** Who asked is remembered this long after the last asking: round trips, repairs and the origin's spacing fit in. */
const ANSWER_US = 4 * SECOND_US;
/** A request is not numbered and may be lost: repeated at +0.5 s, +1 s and +1.5 s while unanswered. */
const REPEAT_US = 500 * MILLISECOND_US;
const TRIES_MAX = 4;
/**
 * Asked for ourselves where no traffic waits: so many at once after a rest, and so many a second. It is less than what a
 * neighbour takes from anybody (neighbour.ts).
 */
const OWN_PER_SECOND = 200;
const OWN_BURST = 512;
/** Neighbours asked at a time by a node without a route. */
const FAN_OUT = 2;
/** Neighbours asked at a time for what traffic waits for and nobody offers. */
const ALOUD_MAX = 8;

/** A route at least as new as (epoch, index), and a proof that its origin lived in the slot `life` or later, unless 0. */
export interface Wish {
  readonly destination: number;
  readonly epoch: number;
  readonly index: number;
  readonly life: number;
}

interface OpenRequest {
  readonly destination: number;
  readonly epoch: number;
  readonly index: number;
  /** The slot that the origin must prove to have lived in, or later; 0 for none. */
  readonly life: number;
  isIndexKnown: boolean;
  isLifeKnown: boolean;
  /** As arrived, or HOPS_MAX for our own. */
  hops: number;
  /** We want it ourselves. */
  isOwn: boolean;
  /** Where nobody offers anything, neighbours are asked all the same until then. Who only passes it on does not ask so. */
  aloudUntilUs: number;
  tries: number;
  /** Offers are asked in turn: how many were asked so far. */
  asked: number;
  forwardedUs: number;
  repeatAtUs: number;
  closeAtUs: number;
}

/**
 * Open ROUTE_REQUESTs, at most one per destination: who asked, what for, and when to repeat. A request goes to the next hop,
 * or where there is none to neighbours whose offers are not feasible; never back to one who asks. The links that asked are
 * flagged, and the answer, a newer index, is told to them alone.
 */
export class Requests {
  private readonly table: RouteTable;
  private readonly open = new Map<number, OpenRequest>();
  /** Not later than the earliest deadline. */
  nextTimeoutUs = NEVER;
  refused = 0;
  /** Of what we ask for ourselves, though no traffic waits for it. */
  readonly allowance = new RateLimit(OWN_PER_SECOND, OWN_BURST);
  readonly cap = new Cap("routeRequests", OPEN_MAX + OPEN_OWN);

  constructor(table: RouteTable) {
    this.table = table;
  }

  /**
   * We want at least (epoch, index), and a proof of life in `life` or later unless 0. True when a request goes out for it now; to
   * some neighbours, if `isAloud`, even though nobody offers anything.
   */
  want(nowUs: number, destination: number, epoch: number, index: number, life = 0, isAloud = false): boolean {
    const request = this.obtain(nowUs, { destination, epoch, index, life }, HOPS_MAX, OPEN_MAX + OPEN_OWN);
    if (request === undefined) return false;
    const isRecent = nowUs - request.forwardedUs < DEDUP_US;
    const isRepeat = isRecent && request.hops >= HOPS_MAX;
    request.isOwn = true;
    if (isAloud) request.aloudUntilUs = nowUs + ANSWER_US;
    request.hops = HOPS_MAX;
    request.closeAtUs = nowUs + ANSWER_US;
    if (isRepeat) return false;
    if (!isRecent) this.forgetAskers(request);
    this.begin(nowUs, request);
    return true;
  }

  /**
   * The neighbour tells of a newer index than before, but not of the one that we asked for. It may have passed on less than we asked for, since
   * nobody asks for more than one beyond what he has heard of (PROTOCOL.md 9.5): now it has heard of more.
   */
  handleProgress(neighbour: Neighbour, destination: number, told: { epoch: number; index: number }): void {
    const request = this.open.get(destination);
    if (request === undefined || !request.isOwn || request.isIndexKnown || this.asks(neighbour, destination)) return;
    if (reaches(told.epoch, told.index, request)) return;
    const { epoch, index, life } = request;
    neighbour.addRequest({ hops: HOPS_MAX - 1, destination, epoch, index, life });
  }

  /** Is the origin alive? A route that is in use already needs no newer index for that. False when too many requests are open. */
  wantLife(nowUs: number, destination: number, life: number): boolean {
    const { records } = this.table;
    const index = records.next(destination) >= 0 ? 0 : this.table.wantedIndex(destination);
    this.want(nowUs, destination, records.epoch(destination), index, life);
    return this.open.has(destination);
  }

  /** `asker` wants what we do not have. `hops` are those left, ours included. */
  pass(nowUs: number, asker: Neighbour, wanted: Wish, hops: number): void {
    const { destination } = wanted;
    const request = this.obtain(nowUs, wanted, hops, OPEN_MAX);
    if (request === undefined) return;
    request.closeAtUs = nowUs + ANSWER_US;
    const isRecent = nowUs - request.forwardedUs < DEDUP_US;
    const isRepeat = isRecent && hops <= request.hops; // what went less far may not have come to the origin
    if (!isRecent) this.forgetAskers(request);
    this.mark(asker, destination, true);
    if (isRepeat) return;
    request.hops = request.isOwn ? HOPS_MAX : hops;
    this.begin(nowUs, request);
  }

  /** The route in use reached (epoch, index): an answer, if somebody waits for it. */
  handleIndex(destination: number, epoch: number, index: number): void {
    const request = this.open.get(destination);
    if (request === undefined || !reaches(epoch, index, request)) return;
    request.isIndexKnown = true;
    if (request.isLifeKnown) this.close(request);
  }

  /** The origin proved that it lived in `slot`. Calls `answer` with each neighbour that waits for this. */
  handleLife(destination: number, slot: number, answer: (asker: Neighbour) => void): void {
    const request = this.open.get(destination);
    if (request === undefined || request.isLifeKnown || slot < request.life) return;
    request.isLifeKnown = true;
    for (const neighbour of this.table.neighbours) if (this.asks(neighbour, destination)) answer(neighbour);
    if (request.isIndexKnown) this.close(request);
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.nextTimeoutUs = NEVER;
    for (const request of this.open.values()) {
      if (request.closeAtUs <= nowUs) {
        this.close(request);
        continue;
      }
      if (request.repeatAtUs <= nowUs) this.forward(nowUs, request);
      this.expect(request);
    }
  }

  digest(into: Digest): void {
    this.allowance.digest(into);
    into.number(this.open.size);
    for (const request of this.open.values()) {
      into
        .number(request.epoch)
        .number(request.index)
        .number(request.life)
        .number(request.tries)
        .number(request.closeAtUs);
    }
  }

  private obtain(nowUs: number, wanted: Wish, hops: number, openMax: number): OpenRequest | undefined {
    const { destination } = wanted;
    const known = this.open.get(destination);
    if (known !== undefined && reaches(known.epoch, known.index, wanted) && known.life >= wanted.life) return known;
    if (known === undefined && this.open.size >= openMax) {
      this.refused += 1;
      return undefined;
    }
    // One request for all that is wanted: the newest index that anybody asked for, and the latest sign of life.
    const isOlder = known !== undefined && reaches(known.epoch, known.index, wanted);
    const { epoch, index } = isOlder ? known : wanted;
    const life = Math.max(wanted.life, known?.life ?? 0);
    const request: OpenRequest = {
      destination,
      epoch,
      index,
      life,
      isIndexKnown: (index === 0 && wanted.life > 0) || (isOlder && known.isIndexKnown),
      isLifeKnown: life === 0,
      hops,
      isOwn: known?.isOwn ?? false,
      aloudUntilUs: known?.aloudUntilUs ?? 0,
      tries: 0,
      asked: known?.asked ?? 0,
      forwardedUs: -NEVER,
      repeatAtUs: NEVER,
      closeAtUs: nowUs + ANSWER_US,
    };
    this.open.set(destination, request);
    this.cap.note(this.open.size);
    this.setRequested(destination, true);
    return request;
  }

  private begin(nowUs: number, request: OpenRequest): void {
    request.tries = 0;
    request.forwardedUs = nowUs;
    this.forward(nowUs, request);
    this.expect(request);
  }

  private forward(nowUs: number, request: OpenRequest): void {
    request.tries += 1;
    request.repeatAtUs = request.tries < TRIES_MAX ? nowUs + REPEAT_US : NEVER;
    const hops = request.hops - 1;
    if (hops <= 0 && !request.isOwn) return;
    const { destination, epoch, index, life } = request;
    const message = { hops: Math.max(1, hops), destination, epoch, index, life };
    const { records, byLink } = this.table;
    const next = byLink[records.next(destination)];
    const isAsked = next !== undefined && !this.asks(next, destination);
    if (isAsked && !request.isOwn) {
      next.addRequest(message);
      return;
    }
    // A node that wants a better route asks those who offer one; the others ask whoever offers anything.
    const limit = request.isOwn ? records.metric(destination) : METRIC_INFINITY;
    const offers = this.offers(destination, next, limit);
    if (offers.length > 0) this.askInTurn(request, offers, FAN_OUT, message);
    else if (isAsked) next.addRequest(message);
    else if (nowUs < request.aloudUntilUs) this.askInTurn(request, this.strangers(destination), ALOUD_MAX, message);
  }

  private askInTurn(
    request: OpenRequest,
    neighbours: readonly Neighbour[],
    count: number,
    message: OutgoingRequest,
  ): void {
    for (let i = 0; i < Math.min(count, neighbours.length); i += 1) {
      neighbours[request.asked % neighbours.length]!.addRequest(message);
      request.asked += 1;
    }
  }

  /** Neighbours that do not ask themselves, nearest first. */
  private strangers(destination: number): Neighbour[] {
    return this.table.neighbours
      .filter((neighbour) => !this.asks(neighbour, destination))
      .sort((a, b) => a.cost - b.cost || (a.precedes(b) ? -1 : 1));
  }

  /** Neighbours with an offer below `limit` that we do not use and who do not ask themselves, best first. */
  private offers(destination: number, next: Neighbour | undefined, limit: number): Neighbour[] {
    const metricOf = (neighbour: Neighbour) => neighbour.learnedMetric(destination) + neighbour.cost;
    return this.table.neighbours
      .filter((neighbour) => neighbour !== next && metricOf(neighbour) < limit && !this.asks(neighbour, destination))
      .sort((a, b) => metricOf(a) - metricOf(b) || (a.precedes(b) ? -1 : 1));
  }

  private close(request: OpenRequest): void {
    const { destination } = request;
    this.open.delete(destination);
    this.setRequested(destination, false);
    for (const neighbour of this.table.neighbours) this.mark(neighbour, destination, false);
  }

  /** A new round of the same request: who asked in an older one was served, asks again, or is now the one to ask. */
  private forgetAskers({ destination, forwardedUs }: OpenRequest): void {
    if (forwardedUs < 0) return; // never forwarded: the askers are those of a request that this one replaced
    for (const neighbour of this.table.neighbours) this.mark(neighbour, destination, false);
  }

  private asks({ slot }: Neighbour, destination: number): boolean {
    const { cells } = this.table;
    return (cells.flags(cells.at(destination, slot)) & ASKED) !== 0;
  }

  private mark({ slot }: Neighbour, destination: number, asks: boolean): void {
    const { cells } = this.table;
    const cell = cells.at(destination, slot);
    cells.setFlags(cell, asks ? cells.flags(cell) | ASKED : cells.flags(cell) & ~ASKED);
  }

  private setRequested(destination: number, isRequested: boolean): void {
    const { records } = this.table;
    const state = records.state(destination);
    records.setState(destination, isRequested ? state | REQUESTED : state & ~REQUESTED);
  }

  private expect(request: OpenRequest): void {
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, request.repeatAtUs, request.closeAtUs);
  }
}

function reaches(epoch: number, index: number, wanted: { readonly epoch: number; readonly index: number }): boolean {
  return epoch > wanted.epoch || (epoch === wanted.epoch && index >= wanted.index);
}
