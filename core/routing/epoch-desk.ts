import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Writer } from "../wire/cursor.js";
import { EPOCH_REQUEST_BYTES, type EpochRequest, EpochWant, encodeEpochRequest } from "../wire/epoch-request.js";
import type { Announcements } from "./announcements.js";
import { NAMED } from "./cells.js";
import { type Elements, EPOCH_PROOF_BYTES, type VouchedEpoch } from "./elements.js";
import { AGE_OLD, METRIC_NONE } from "./feasible.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteTable } from "./route-table.js";

/** Destinations whose epoch is asked for at a time. Beyond: not asked; whoever tells of it again is. */
const WISHES_MAX = 1_024;
/** Of these, those that one neighbour told of first: a liar must not keep the others from being asked for. */
const WISHES_EACH = 128;
/** Neighbours that told of one epoch, and such that want its proof from us: as many as a node has. Beyond: not asked; they ask again. */
const PARTIES_MAX = 64;
/** A request is not numbered and may be lost, or its neighbour has no proof: the next is asked 0.2, 0.4, 0.8, 1.6 and 3.2 s later. */
const REPEAT_US = 200 * MILLISECOND_US;
const TRIES_MAX = 6;
/** Who gave a proof that does not hold is not asked again for so long. */
const REFUSED_US = 30 * SECOND_US;
/** Requests that wait for one neighbour. Beyond: dropped; repeated in time. */
const REQUESTS_MAX = 64;
/** Epochs that were proven while their first route is on its way. Beyond: the one that was proven first is asked for again. */
const PROVEN_MAX = 1_024;
/** Epochs that one answer leads over: who missed more waits until the destination is forgotten. */
const STEPS_MAX = 4;
/** Our own proofs from another epoch than the one before: 27,000 hashes each, 12 ms. Beyond: not answered; whoever asked asks again. */
const LEAPS_PER_SECOND = 4;
const LEAPS_BURST = 32;

interface Wish {
  readonly epoch: number;
  /** The epoch that is to vouch for it, or for one between. */
  previous: number;
  /** The epoch that was known at first. */
  readonly origin: number;
  /** Who told a route in it, or is our next hop: they are asked in turn. */
  readonly offers: Neighbour[];
  /** Of those, whose proof did not hold. */
  readonly refused: Neighbour[];
  /** Who asked us. */
  readonly askers: Neighbour[];
  /** What came so far, for those who asked us. */
  readonly steps: VouchedEpoch[];
  tries: number;
  repeatUs: number;
  /** Only the routes of those who told of it are still to come. */
  isProven: boolean;
}

/** An EPOCH_REQUEST to write to a neighbour. */
export interface OutgoingEpochRequest {
  readonly want: number;
  readonly destination: number;
  readonly epoch: number;
  readonly known: number;
}

/**
 * Whose successor an epoch is. A route in a newer epoch than the one that is known is not believed before its proof was seen. The proof
 * is asked for, of who told the route, and comes with the route once more, in the control stream: so each node receives it once, and those
 * who had never heard of the destination not at all. Who was asked and has no proof, since he first heard of the destination
 * in this epoch, asks his next hop.
 *
 * Nobody is told a proof that he did not ask for, and none is looked at that was not asked for: 26 bytes of a liar cost 371, once for
 * each time that he asks, within the budget of what we tell him.
 */
export class EpochDesk {
  nextTimeoutUs: number = NEVER;
  readonly cap = new Cap("epochWishes", WISHES_MAX);
  readonly counts = {
    /** Proofs of epochs that we asked for, that held, and that nobody had asked for or that did not hold. */
    epochsAsked: 0,
    epochsProven: 0,
    epochsRefused: 0,
  };
  private readonly table: RouteTable;
  private readonly dictionary: NacDictionary;
  private readonly announcements: Announcements;
  private readonly elements: Elements;
  private readonly wishes = new Map<number, Wish>();
  private readonly proven = new Map<number, number>();
  private readonly leaps = new RateLimit(LEAPS_PER_SECOND, LEAPS_BURST);

  constructor(args: {
    table: RouteTable;
    dictionary: NacDictionary;
    announcements: Announcements;
    elements: Elements;
  }) {
    this.table = args.table;
    this.dictionary = args.dictionary;
    this.announcements = args.announcements;
    this.elements = args.elements;
  }

  /** The epoch that a route in `epoch` is judged by: the one that we know the destination in, or `epoch` once it is proven; -1 for none. */
  judgedBy(destination: number, epoch: number): number {
    if (this.proven.get(destination) === epoch) return epoch;
    if (!this.table.knows(destination)) return -1;
    const known = this.table.records.epoch(destination);
    return known === 0 ? -1 : known;
  }

  /** The neighbour told a route in an epoch that is not proven here. */
  want(nowUs: number, neighbour: Neighbour, destination: number, epoch: number): void {
    const known = this.judgedBy(destination, epoch);
    if (known < 0) return this.send(neighbour, EpochWant.route, destination, epoch, 0); // forgotten since: the whole route, please
    const wish = this.obtain(neighbour, destination, epoch, known);
    if (wish === undefined || wish.refused.includes(neighbour)) return;
    if (wish.offers.length === 0) wish.tries = 0; // all others that told of it were refused
    if (!wish.offers.includes(neighbour) && wish.offers.length < PARTIES_MAX) wish.offers.push(neighbour);
    if (wish.tries === 0) this.ask(nowUs, destination, wish);
  }

  /** A neighbour wants to know why we state this epoch. */
  handleRequest(nowUs: number, neighbour: Neighbour, { want, nac, epoch, known }: EpochRequest): void {
    const { table } = this;
    const destination = this.dictionary.find(nac);
    if (destination < 0 || !table.knows(destination) || table.records.epoch(destination) !== epoch) return;
    const next = table.byLink[table.records.next(destination)];
    if (next === neighbour || (next === undefined && !table.isLocal(destination))) return;
    if (want === EpochWant.route) return this.tell(nowUs, neighbour, destination);
    if (known >= epoch) return;
    if (next === undefined && known !== epoch - 1 && !this.leaps.take(nowUs)) return;
    const vouched = this.stepsTo(destination, epoch, known);
    if (vouched !== undefined) {
      neighbour.obtainOutbox().prove(destination, vouched);
      return this.tell(nowUs, neighbour, destination);
    }
    const wish = next === undefined ? undefined : this.obtain(next, destination, epoch, known);
    if (wish === undefined || wish.refused.includes(next!)) return; // we are the origin, and it is not made yet, or cannot be: to be asked again
    if (!wish.askers.includes(neighbour) && wish.askers.length < PARTIES_MAX) wish.askers.push(neighbour);
    if (!wish.offers.includes(next!) && wish.offers.length < PARTIES_MAX) wish.offers.push(next!);
    if (wish.tries === 0) this.ask(nowUs, destination, wish);
  }

  /** Whether we asked the neighbour for it, or it is a step on the way there: only then a proof is looked at. */
  isAwaited(neighbour: Neighbour, destination: number, epoch: number, previous: number): boolean {
    const wish = this.wishes.get(destination);
    if (wish === undefined || wish.isProven || !wish.offers.includes(neighbour)) return false;
    return epoch <= wish.epoch && wish.previous === previous;
  }

  /** It came and holds. The neighbour tells its route behind it; the others who told of the epoch are asked to, and who asked us is answered. */
  handleProven(
    nowUs: number,
    neighbour: Neighbour,
    destination: number,
    proven: number,
    bytes: Uint8Array,
    at: number,
  ): void {
    const wish = this.wishes.get(destination);
    if (wish === undefined) return;
    const { epoch, previous } = wish;
    if (wish.askers.length > 0) {
      wish.steps.push({ epoch: proven, previous, proof: bytes.slice(at, at + EPOCH_PROOF_BYTES) });
    }
    if (proven < epoch) {
      wish.previous = proven; // the next step comes behind it, or is asked for
      return;
    }
    this.counts.epochsProven += 1;
    this.proven.delete(destination);
    for (const first of this.proven.keys()) {
      if (this.proven.size < PROVEN_MAX) break;
      this.proven.delete(first);
    }
    this.proven.set(destination, epoch);
    for (const asker of wish.askers) {
      asker.obtainOutbox().prove(destination, wish.steps.slice());
      this.tell(nowUs, asker, destination);
    }
    wish.askers.length = 0;
    wish.offers.splice(wish.offers.indexOf(neighbour), 1);
    wish.isProven = true;
    wish.tries = 0;
    this.askRoutes(nowUs, destination, wish);
  }

  /** It came and does not hold, or was not asked for. */
  handleRefused(nowUs: number, neighbour: Neighbour, destination: number): void {
    this.counts.epochsRefused += 1;
    const wish = this.wishes.get(destination);
    const place = wish?.offers.indexOf(neighbour) ?? -1;
    if (wish === undefined || wish.isProven || place < 0) return;
    wish.offers.splice(place, 1);
    wish.refused.push(neighbour);
    if (wish.offers.length > 0) return this.ask(nowUs, destination, wish);
    wish.repeatUs = nowUs + REFUSED_US;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, wish.repeatUs);
  }

  /** A route in a new epoch is in the table. */
  handleLearned(destination: number): void {
    this.proven.delete(destination);
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.nextTimeoutUs = NEVER;
    for (const [destination, wish] of this.wishes) {
      if (wish.repeatUs > nowUs) this.nextTimeoutUs = Math.min(this.nextTimeoutUs, wish.repeatUs);
      else if (wish.tries >= TRIES_MAX || wish.offers.length === 0) this.wishes.delete(destination);
      else if (wish.isProven) this.askRoutes(nowUs, destination, wish);
      else this.ask(nowUs, destination, wish);
    }
  }

  handleDown(neighbour: Neighbour): void {
    for (const [destination, { offers, askers, refused }] of this.wishes) {
      for (const list of [offers, askers, refused]) {
        const place = list.indexOf(neighbour);
        if (place >= 0) list.splice(place, 1);
      }
      if (offers.length + refused.length === 0) this.wishes.delete(destination);
    }
  }

  /** Its number may mean another soon. */
  forget(destination: number): void {
    this.wishes.delete(destination);
    this.proven.delete(destination);
  }

  /** The requests that wait for the neighbour, as many as fit. */
  write({ epochRequests }: Neighbour, out: Writer): void {
    let written = 0;
    for (const { want, destination, epoch, known } of epochRequests) {
      if (out.room < EPOCH_REQUEST_BYTES) break;
      encodeEpochRequest(out, { want, nac: this.dictionary.bytesOf(destination), epoch, known });
      written += 1;
    }
    epochRequests.splice(0, written);
  }

  digest(into: Digest): void {
    into.number(this.wishes.size).number(this.proven.size).number(this.nextTimeoutUs);
    this.leaps.digest(into);
    for (const { epoch, previous, offers, askers, tries, refused } of this.wishes.values()) {
      into
        .number(epoch)
        .number(previous)
        .number(offers.length)
        .number(askers.length)
        .number(tries)
        .number(refused.length);
    }
    for (const epoch of this.proven.values()) into.number(epoch);
  }

  /** The wish for the proof of this epoch; undefined while another is asked for, or there are too many. */
  private obtain(neighbour: Neighbour, destination: number, epoch: number, previous: number): Wish | undefined {
    const open = this.wishes.get(destination);
    if (open !== undefined) return open.epoch === epoch && open.origin === previous ? open : undefined;
    if (this.wishes.size >= WISHES_MAX || this.countOf(neighbour) >= WISHES_EACH) return undefined;
    const wish: Wish = {
      epoch,
      previous,
      origin: previous,
      offers: [],
      refused: [],
      steps: [],
      askers: [],
      tries: 0,
      repeatUs: NEVER,
      isProven: false,
    };
    this.wishes.set(destination, wish);
    this.cap.note(this.wishes.size);
    return wish;
  }

  /** From `known` to `epoch`, each vouched for by the one before; undefined when we do not have them. */
  private stepsTo(destination: number, epoch: number, known: number): VouchedEpoch[] | undefined {
    const steps: VouchedEpoch[] = [];
    for (let to = epoch; to !== known; to = steps[0]!.previous) {
      if (steps.length === STEPS_MAX) return undefined;
      const proof = new Uint8Array(EPOCH_PROOF_BYTES);
      const previous = [known, to - 1].find((from) => this.elements.proveEpoch(destination, to, proof, 0, from));
      if (previous === undefined) return undefined;
      steps.unshift({ epoch: to, previous, proof });
    }
    return steps;
  }

  /** Wishes that the neighbour's word began. */
  private countOf(neighbour: Neighbour): number {
    if (this.wishes.size < WISHES_EACH) return 0;
    let count = 0;
    for (const { offers, refused } of this.wishes.values()) {
      if (offers[0] === neighbour || (offers.length === 0 && refused[0] === neighbour)) count += 1;
    }
    return count;
  }

  private ask(nowUs: number, destination: number, wish: Wish): void {
    const { offers } = wish;
    this.counts.epochsAsked += 1;
    this.send(offers[wish.tries % offers.length]!, EpochWant.proof, destination, wish.epoch, wish.previous);
    this.expect(nowUs, wish);
  }

  /** Those who told of the epoch before it was proven are asked for their routes again, until these are here. */
  private askRoutes(nowUs: number, destination: number, wish: Wish): void {
    const { table } = this;
    for (const offer of [...wish.offers]) {
      const cell = table.cells.at(destination, offer.slot);
      const isMissing = table.cells.age(cell) === AGE_OLD && table.cells.metric(cell) !== METRIC_NONE;
      if (wish.tries > 0 && !isMissing) wish.offers.splice(wish.offers.indexOf(offer), 1);
      else this.send(offer, EpochWant.route, destination, wish.epoch, wish.previous);
    }
    if (wish.offers.length === 0) this.wishes.delete(destination);
    else this.expect(nowUs, wish);
  }

  private expect(nowUs: number, wish: Wish): void {
    wish.repeatUs = nowUs + REPEAT_US * 2 ** wish.tries;
    wish.tries += 1;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, wish.repeatUs);
  }

  private send(neighbour: Neighbour, want: number, destination: number, epoch: number, known: number): void {
    if (neighbour.epochRequests.length >= REQUESTS_MAX) return;
    neighbour.epochRequests.push({ want, destination, epoch, known });
    this.table.makeReady(neighbour);
    this.table.watch(neighbour);
  }

  /** Our route, once more and whole: of an epoch that was not believed nothing was kept. */
  private tell(nowUs: number, neighbour: Neighbour, destination: number): void {
    const { cells } = this.table;
    const cell = cells.at(destination, neighbour.slot);
    cells.setFlags(cell, cells.flags(cell) & ~NAMED);
    this.announcements.answer(nowUs, neighbour, destination);
  }
}
