import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NumberQueue } from "../collections/number-queue.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { METRIC_NONE } from "./feasible.js";
import { GEAR_PERIODIC, gearOf, lifetimeSlots, periodSlots } from "./gears.js";
import { Marks } from "./marks.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteRecords } from "./records.js";
import type { Requests } from "./requests.js";
import { KNOWN, LOCAL, type RouteTable } from "./route-table.js";

/** Flags of a record's `life`; the gear of its origin stands above them. */
/** Lost once: the origin must prove that it lived in the slot `proof`, or later. */
export const NOTED = 0x01;
/** Offers are there, and are not used until the origin proves that it lives. */
export const BARRED = 0x02;
/** First heard of in an old generation, and nothing was proven since. */
export const HEARSAY = 0x04;
/** The next hop's offer was proven in the newest generation. */
export const NEXT_PROVEN = 0x08;
/** A proof of life is newer than the generation: its slot is `proof`. */
export const BY_LIFE = 0x10;
/** On the list of doubts. */
const DOUBTED = 0x20;
const GEAR_SHIFT = 6;
const FLAGS = 0x3f;

/** A slot's work is done this long after its beginning, so that clocks may differ by as much. */
const WORK_DELAY_US = SECOND_US;
const WORK_JITTER_US = 500 * MILLISECOND_US;
/** A destination heard of for the first time in a generation not older than this is as good as met. */
const FRESH_SLOTS = 9;
/** What a suspicion may demand, from here behind the present slot to here ahead of it. */
const SUSPECT_BEHIND = 1;
const SUSPECT_AHEAD = 2;
/** After a pause of our own nobody is declared dead for so long: what was said meanwhile has yet to be read. */
const PAUSE_GRACE_US = 5 * SECOND_US;
const LOW = 0x10000;
/** Notes are looked through for those that are over this often. */
const FORGET_SLOTS = 4;
/** As many as there are destinations. */
const NOTED_MAX = 262_144;

const ASKED_PHASE = 1;

interface Doubt {
  readonly destination: number;
  /** 0 to be asked, 1 asked, 2 suspected. */
  phase: number;
}

/** What liveness asks of its surroundings. */
export interface LivenessUser {
  /** Offers may be used again, or no longer: choose anew. */
  reconsider(nowUs: number, destination: number): void;
  /** The next hop keeps back what others have proven: they are used instead, if there are any. */
  demote(nowUs: number, neighbour: Neighbour, destination: number): void;
  /** What the next hop proved can be proven to all who were told. */
  passOn(nowUs: number, destination: number): void;
  tellLife(nowUs: number, neighbour: Neighbour, destination: number): void;
  tellSuspicion(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void;
}

/**
 * Who is alive, whatever others say. A dead node proves nothing any more: elements of its chains for slots that had not begun
 * when it died do not exist. So whoever lost a destination believes in it again only when its origin proves a later slot, asks
 * for that proof, and voices a suspicion when there is none. ROUTING.md argues why no ghost outlives a minute.
 *
 * All of it happens once per slot of 5 s, a second after its beginning, and only where something was lost: as long as
 * nothing is, liveness costs a comparison per generation.
 */
export class Liveness {
  /** The present slot of network time, and when it began on our clock. */
  slot = 0;
  nextTimeoutUs: number = NEVER;
  readonly cap = new Cap("notedDestinations", NOTED_MAX);
  readonly marks = new Marks();
  readonly counts = {
    /** Destinations given up because no proof came in time. */
    expired: 0,
    /** Suspicions that began here, and those that came from others. */
    suspected: 0,
    suspicionsHeard: 0,
    /** Suspicions of slots that cannot be, or of origins that prove themselves periodically. */
    suspicionsRefused: 0,
    /** Given up because a suspicion was not refuted. */
    dropped: 0,
    /** Next hops that kept a proof to themselves until others brought the one after it. */
    withheld: 0,
    /** Better offers of a generation that is over. */
    stale: 0,
  };
  private readonly table: RouteTable;
  private readonly records: RouteRecords;
  private readonly dictionary: NacDictionary;
  private readonly requests: Requests;
  private readonly user: LivenessUser;
  private readonly trace: TraceSink;
  private readonly isStrict: boolean;
  private readonly jitterUs: number;
  private slotStartUs = 0;
  private isWorkDue = false;
  private pausedUntilUs = -NEVER;
  /** Noted destinations, the longest noted first: until when they are. */
  private readonly noted = new NumberQueue();
  private doubts: Doubt[] = [];
  /** No usable destination's proof is older than its lifetime before this slot. */
  private soonestExpiry: number = NEVER;

  constructor(args: {
    table: RouteTable;
    dictionary: NacDictionary;
    requests: Requests;
    user: LivenessUser;
    isStrict: boolean;
    trace: TraceSink;
    random: () => number;
  }) {
    this.trace = args.trace;
    this.table = args.table;
    this.records = args.table.records;
    this.dictionary = args.dictionary;
    this.requests = args.requests;
    this.user = args.user;
    this.isStrict = args.isStrict;
    this.jitterUs = Math.floor((args.random() / 2 ** 32) * WORK_JITTER_US);
  }

  /** The slot begins, or is found to have begun, at `startUs` of our clock. */
  setSlot(slot: number, startUs: number): void {
    this.slot = slot;
    this.slotStartUs = startUs;
    this.isWorkDue = true;
    this.expectWork();
  }

  /** The whole number of a slot whose low bits are given: the one next to the present. */
  full(low: number): number {
    return this.slot + ((((low - this.slot) << 16) >> 16) | 0);
  }

  gear(destination: number): number {
    return this.records.life(destination) >> GEAR_SHIFT;
  }

  generation(destination: number): number {
    return this.full(this.records.generation(destination));
  }

  /** The newest slot in which the origin lived for certain. */
  proven(destination: number): number {
    const { records } = this;
    const generation = this.full(records.generation(destination));
    return (records.life(destination) & BY_LIFE) === 0
      ? generation
      : Math.max(generation, this.full(records.proof(destination)));
  }

  /** The generation that the route in use can be announced in. */
  generationTold(destination: number): number {
    const generation = this.generation(destination);
    if ((this.records.life(destination) & NEXT_PROVEN) !== 0) return generation;
    return generation - periodSlots(this.gear(destination));
  }

  /** A proof of life newer than what routes themselves prove is there: who hears of the route may want it. */
  hasLife(destination: number): boolean {
    return (this.records.life(destination) & BY_LIFE) !== 0;
  }

  /**
   * The whole number of a slot that an origin proved, which counts as the next one if it is later: no origin knows elements of
   * the future but one whose clock is ahead, or ours is behind. It lives now, and that is all that it proved.
   */
  provable(low: number): number {
    return Math.min(this.full(low), this.slot + 1);
  }

  /** The destination is ours, and lives. */
  originate(destination: number, generation: number): void {
    this.setGeneration(destination, generation, NEXT_PROVEN);
  }

  /** A generation of ours begins, or a slot of ours was asked for. */
  setGeneration(destination: number, generation: number, flags: number): void {
    const { records } = this;
    const gear = gearOf(generation, this.dictionary.bytesOf(destination)[15]!);
    records.setGeneration(destination, generation % LOW);
    const before = records.life(destination) & FLAGS;
    records.setLife(destination, (gear << GEAR_SHIFT) | (before & ~NEXT_PROVEN) | flags);
  }

  /** First mention, or a new epoch: what was known of its life counts no more. */
  handleBirth(destination: number, generation: number): void {
    const { records } = this;
    const isOld = this.slot - generation > FRESH_SLOTS;
    records.setLife(destination, records.life(destination) & DOUBTED);
    this.marks.forget(destination);
    this.setGeneration(destination, generation, NEXT_PROVEN | (isOld ? HEARSAY : 0));
    if (this.slot <= generation + this.lifetime(destination)) return this.expectExpiry(destination);
    this.counts.expired += 1;
    this.demand(destination, this.slot);
    records.setLife(destination, records.life(destination) | BARRED);
    this.doubt(destination);
  }

  /**
   * A neighbour proved its offer in `generation`, of the epoch that we know. Returns false when the offer is better than what
   * it offered, but of a generation that is over: then anybody may have made it up from a later one, and it is stale.
   */
  handleGeneration(
    nowUs: number,
    neighbour: Neighbour,
    destination: number,
    generation: number,
    isBetter: boolean,
  ): boolean {
    const { records } = this;
    const known = this.generation(destination);
    const next = records.next(destination);
    if (generation < known) {
      if (!isBetter || next < 0) return true;
      this.counts.stale += 1;
      return false;
    }
    this.renew(nowUs, neighbour, destination);
    if (generation === known) {
      const life = records.life(destination);
      if (neighbour.link === next && (life & NEXT_PROVEN) === 0) {
        records.setLife(destination, life | NEXT_PROVEN);
        this.user.passOn(nowUs, destination);
      }
      return true;
    }
    const hop = this.table.byLink[next];
    const lags = hop !== undefined && hop !== neighbour && (records.life(destination) & NEXT_PROVEN) === 0;
    this.setGeneration(destination, generation, hop === neighbour ? NEXT_PROVEN : 0);
    if ((records.life(destination) & BY_LIFE) !== 0 && this.full(records.proof(destination)) <= generation) {
      records.setLife(destination, records.life(destination) & ~BY_LIFE);
    }
    this.prove(nowUs, destination, generation);
    if (lags) {
      this.counts.withheld += 1;
      this.user.demote(nowUs, hop, destination);
      // Who goes on with it all the same can at least tell others that the origin lives.
      if (this.table.byLink[records.next(destination)] === hop) this.tellLives(nowUs, destination);
    } else if (hop === neighbour) this.user.passOn(nowUs, destination);
    return true;
  }

  /** The origin proved that it lived in `slot`, by its life chain. */
  handleLife(nowUs: number, destination: number, told: number): void {
    const { records } = this;
    const slot = this.provable(told);
    const life = records.life(destination);
    const isNoted = (life & NOTED) !== 0;
    if (isNoted ? slot < this.wanted(destination) : slot <= this.proven(destination)) return;
    records.setLife(destination, (life & ~NOTED) | BY_LIFE);
    records.setProof(destination, slot % LOW);
    this.prove(nowUs, destination, slot, isNoted);
  }

  /** The route is lost, or our own link to its origin is: from now on it must prove that it lived later. */
  note(destination: number): void {
    const { records } = this;
    const state = records.state(destination);
    if ((state & KNOWN) === 0 || (state & LOCAL) !== 0) return;
    this.demand(destination, this.slot + 1);
    this.doubt(destination);
  }

  /** A neighbour offers what was lost: it may know something that we do not. */
  handleOffer(nowUs: number, destination: number): void {
    const { records } = this;
    const life = records.life(destination);
    if ((life & (NOTED | DOUBTED)) !== NOTED) return;
    const wanted = this.wanted(destination);
    const mayAsk = (life & BARRED) !== 0 && this.slot >= wanted;
    this.doubt(destination, mayAsk && this.requests.wantLife(nowUs, destination, wanted) ? ASKED_PHASE : 0);
  }

  /** The neighbour on `link` is told once the origin, which is this node, has proven the slot. */
  noteAsker(destination: number, slot: number, link: number): void {
    this.marks.add(destination, slot);
    this.marks.addAsker(destination, link);
  }

  /** Another node lost the destination and asks for a proof that we do not have. */
  handleDoubted(destination: number, slot: number): void {
    if ((this.records.life(destination) & HEARSAY) === 0 || slot > this.slot + SUSPECT_AHEAD) return;
    this.demand(destination, slot);
    this.doubt(destination);
  }

  /** A neighbour demands that the origin prove `slot`. */
  handleSuspicion(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void {
    this.counts.suspicionsHeard += 1;
    if (this.proven(destination) >= slot) {
      this.user.tellLife(nowUs, neighbour, destination);
      return;
    }
    if (slot < this.slot - SUSPECT_BEHIND || slot > this.slot + SUSPECT_AHEAD || this.isPeriodic(destination)) {
      this.counts.suspicionsRefused += 1;
      return;
    }
    const isNew = this.marks.add(destination, slot);
    this.marks.addAsker(destination, neighbour.link);
    this.expectWork();
    if (isNew) this.spread(nowUs, destination, slot, neighbour);
  }

  /** The next hop is another, or there is one again: its offer counts as proven until the next generation shows. */
  handleSwitch(nowUs: number, destination: number): void {
    const { records } = this;
    const life = records.life(destination);
    if ((life & NEXT_PROVEN) !== 0) return;
    records.setLife(destination, life | NEXT_PROVEN);
    this.user.passOn(nowUs, destination);
  }

  /** What was known of its life was a lie, it seems: whatever is heard next is a birth. */
  forget(destination: number): void {
    const { records } = this;
    records.setLife(destination, records.life(destination) & DOUBTED);
    this.marks.forget(destination);
  }

  handleLinkDown(link: number): void {
    this.marks.forgetLink(link);
  }

  /** This node did nothing for a while: others may have said more than it has read. */
  handlePause(nowUs: number): void {
    this.pausedUntilUs = nowUs + PAUSE_GRACE_US;
    this.expectWork();
  }

  /** Still remembered as lost: it must not be forgotten. */
  isNoted(destination: number): boolean {
    return (this.records.life(destination) & (NOTED | DOUBTED)) !== 0 || this.marks.has(destination);
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.marks.handleSlot(this.slot, (destination, unproven) => {
      this.counts.dropped += 1;
      this.bar(nowUs, destination, unproven);
    });
    this.handleDoubts(nowUs);
    this.forgetOld();
    if (this.slot > this.soonestExpiry) this.expire(nowUs);
    this.isWorkDue = false;
    this.nextTimeoutUs = NEVER;
  }

  digest(into: Digest): void {
    into.number(this.slot).number(this.doubts.length).number(this.soonestExpiry).number(this.nextTimeoutUs);
    for (const { phase } of this.doubts) into.number(phase);
    into.number(this.noted.length);
    this.marks.digest(into);
  }

  /** What the neighbour offered once, in a generation that was over, holds in the present one. */
  private renew(nowUs: number, { slot }: Neighbour, destination: number): void {
    const { cells } = this.table;
    const cell = cells.at(destination, slot);
    if (!cells.isStale(cell)) return;
    cells.renew(cell);
    this.user.reconsider(nowUs, destination);
  }

  /** The origin lived in `slot`, so far as all questions go that are open here. */
  private prove(nowUs: number, destination: number, slot: number, wasNoted = false): void {
    const { records } = this;
    const life = records.life(destination);
    const wasBarred = (life & BARRED) !== 0;
    const isNoted = (life & NOTED) !== 0;
    const isAnswered = wasNoted || (isNoted ? slot >= this.wanted(destination) : wasBarred);
    if (isAnswered) records.setLife(destination, life & ~(NOTED | BARRED | HEARSAY));
    else records.setLife(destination, life & ~HEARSAY);
    this.expectExpiry(destination);
    this.marks.refute(destination, slot, (link) => {
      const asker = this.table.byLink[link];
      if (asker !== undefined) this.user.tellLife(nowUs, asker, destination);
    });
    this.requests.handleLife(destination, slot, (asker) => this.user.tellLife(nowUs, asker, destination));
    if (isAnswered && wasBarred) this.user.reconsider(nowUs, destination);
  }

  private isPeriodic(destination: number): boolean {
    return this.isStrict || this.gear(destination) === GEAR_PERIODIC;
  }

  private lifetime(destination: number): number {
    return lifetimeSlots(this.isStrict ? GEAR_PERIODIC : this.gear(destination));
  }

  /** The slot that a noted destination must prove. When network time was set back it may be one that nobody can prove for long. */
  private wanted(destination: number): number {
    const { records } = this;
    const wanted = this.full(records.proof(destination));
    if (wanted <= this.slot + SUSPECT_AHEAD) return wanted;
    records.setProof(destination, (this.slot + 1) % LOW);
    return this.slot + 1;
  }

  private demand(destination: number, slot: number): void {
    const { records } = this;
    const life = records.life(destination);
    records.setLife(destination, (life & ~BY_LIFE) | NOTED);
    records.setProof(destination, slot % LOW);
    if ((life & NOTED) !== 0) return;
    this.noted.push(destination);
    this.cap.note(this.noted.length);
  }

  private doubt(destination: number, phase = 0): void {
    const { records } = this;
    const life = records.life(destination);
    if ((life & DOUBTED) !== 0) return;
    records.setLife(destination, life | DOUBTED);
    this.doubts.push({ destination, phase });
    this.expectWork();
  }

  private handleDoubts(nowUs: number): void {
    const { records } = this;
    if (this.doubts.length === 0) return;
    const open = this.doubts;
    this.doubts = [];
    for (const doubt of open) {
      const { destination } = doubt;
      if ((records.life(destination) & NOTED) === 0 || !this.pursue(nowUs, doubt)) {
        records.setLife(destination, records.life(destination) & ~DOUBTED);
      } else this.doubts.push(doubt);
    }
  }

  /** One step of a doubt per slot. False when there is nothing more to do. */
  private pursue(nowUs: number, doubt: Doubt): boolean {
    const { records } = this;
    const { destination } = doubt;
    const wanted = this.wanted(destination);
    if (this.slot < wanted) return true;
    if (!this.isOffered(destination)) {
      this.bar(nowUs, destination, wanted);
      return false;
    }
    switch (doubt.phase) {
      case 0:
        if (this.requests.wantLife(nowUs, destination, wanted)) doubt.phase = ASKED_PHASE;
        return true;
      case ASKED_PHASE:
        if ((records.life(destination) & HEARSAY) !== 0) this.bar(nowUs, destination, wanted);
        if (this.isPeriodic(destination)) {
          if (records.next(destination) < 0) this.bar(nowUs, destination, wanted);
          return false; // one in use ends by itself, unless its origin proves more
        }
        this.counts.suspected += 1;
        this.trace(Trace.suspected, destination, this.slot + 1, 0);
        if (this.marks.add(destination, this.slot + 1)) this.spread(nowUs, destination, this.slot + 1, undefined);
        doubt.phase = 2;
        return true;
      default:
        return this.marks.has(destination);
    }
  }

  private spread(nowUs: number, destination: number, slot: number, except: Neighbour | undefined): void {
    const { cells } = this.table;
    for (const neighbour of this.table.neighbours) {
      if (neighbour === except) continue;
      const cell = cells.at(destination, neighbour.slot);
      const wasTold = cells.told(cell) !== METRIC_NONE;
      if (cells.metric(cell) === METRIC_NONE && !wasTold) continue;
      // It does not send the suspicion back, and may hear of the proof from nobody else.
      if (wasTold) this.marks.addAsker(destination, neighbour.link);
      this.user.tellSuspicion(nowUs, neighbour, destination, slot);
    }
  }

  private tellLives(nowUs: number, destination: number): void {
    for (const neighbour of this.table.neighbours) {
      if (neighbour.toldMetric(destination) !== METRIC_NONE) this.user.tellLife(nowUs, neighbour, destination);
    }
  }

  private isOffered(destination: number): boolean {
    return this.table.neighbours.some((neighbour) => neighbour.learnedMetric(destination) !== METRIC_NONE);
  }

  /** What is offered is not used until the origin proves `slot`. */
  private bar(nowUs: number, destination: number, slot: number): void {
    const { records } = this;
    if ((records.state(destination) & (KNOWN | LOCAL)) !== KNOWN) return;
    this.demand(destination, slot);
    const life = records.life(destination);
    records.setLife(destination, life | BARRED);
    if (records.next(destination) >= 0) this.user.reconsider(nowUs, destination);
  }

  /** Usable destinations that proved nothing for longer than their gear allows. */
  private expire(nowUs: number): void {
    const { table, records } = this;
    this.soonestExpiry = NEVER;
    for (let i = 0; i < table.listed; i += 1) {
      const destination = table.order[i]!;
      if (records.next(destination) < 0) continue;
      if (this.slot > this.proven(destination) + this.lifetime(destination)) {
        this.counts.expired += 1;
        this.bar(nowUs, destination, this.slot);
        this.doubt(destination);
      } else this.expectExpiry(destination);
    }
  }

  private expectExpiry(destination: number): void {
    const { records } = this;
    if ((records.state(destination) & LOCAL) !== 0) return;
    const expiry = this.proven(destination) + this.lifetime(destination);
    if (expiry >= this.soonestExpiry) return;
    this.soonestExpiry = expiry;
    this.expectWork();
  }

  /** A note ends when nothing that the origin proved before it would be believed any more; any later proof is, from then on. */
  private forgetOld(): void {
    const { records, noted } = this;
    for (let left = noted.length; left > 0; left -= 1) {
      const destination = noted.peek();
      const life = records.life(destination);
      if ((life & NOTED) !== 0) {
        if (this.slot <= this.wanted(destination) + this.lifetime(destination)) return;
        const isUnused = records.next(destination) < 0;
        records.setLife(destination, (life & ~NOTED) | (isUnused ? BARRED : 0));
      }
      noted.shift();
    }
  }

  /** The slot's work is due once, unless there is nothing to do in it. */
  private expectWork(): void {
    const isExpiring = this.slot > this.soonestExpiry || (this.noted.length > 0 && this.slot % FORGET_SLOTS === 0);
    if (!this.isWorkDue || !(isExpiring || this.doubts.length > 0 || !this.marks.isEmpty)) return;
    this.nextTimeoutUs = Math.max(this.slotStartUs + WORK_DELAY_US + this.jitterUs, this.pausedUntilUs);
  }
}
