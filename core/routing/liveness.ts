import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { METRIC_NONE } from "./feasible.js";
import { AHEAD_SLOTS, BARRED, BY_LIFE, DOUBTED, HEARSAY, Lives, NEXT_PROVEN, NOTED } from "./lives.js";
import { Marks } from "./marks.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteRecords } from "./records.js";
import type { Requests } from "./requests.js";
import { KNOWN, LOCAL, type RouteTable } from "./route-table.js";

/** A slot's work is done this long after its beginning, so that clocks may differ by as much. */
const WORK_DELAY_US = SECOND_US;
const WORK_JITTER_US = 500 * MILLISECOND_US;
/** A destination heard of for the first time in a generation not older than this is as good as met. */
const FRESH_SLOTS = 9;
/** A suspicion may demand the slot before the present one, up to AHEAD_SLOTS. */
const BEHIND_SLOTS = 1;
/** After a pause of our own nobody is declared dead for so long: what was said meanwhile has yet to be read. */
const PAUSE_GRACE_US = 5 * SECOND_US;
/** Notes end in slots that are multiples of this, so that the table is not gone through for each of them. */
const NOTE_END_SLOTS = 16;

/** An answer may take so long: the origin is not suspected sooner. */
const LIFE_PATIENCE_US = 3 * SECOND_US;

const ASKED_PHASE = 1;
const SUSPECTED_PHASE = 2;

interface Doubt {
  readonly destination: number;
  /** 0 to be asked, 1 asked, 2 suspected. */
  phase: number;
  askedUs: number;
}

/** What liveness asks of its surroundings. */
export interface LivenessUser {
  /** The origin proved that it lived after it was lost. */
  handleAlive(nowUs: number, destination: number): void;
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
  nextTimeoutUs: number = NEVER;
  readonly lives: Lives;
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
  private readonly requests: Requests;
  private readonly user: LivenessUser;
  private readonly trace: TraceSink;
  private readonly jitterUs: number;
  private slotStartUs = 0;
  private isWorkDue = false;
  private pausedUntilUs = -NEVER;
  private doubts: Doubt[] = [];
  /** There was no allowance to ask about all of them. */
  private hasUnasked = false;
  /** Up to this slot no proof grows too old of whom offers would be used, and no note ends. */
  private soonestEnd: number = NEVER;

  constructor(args: {
    table: RouteTable;
    requests: Requests;
    user: LivenessUser;
    isStrict: boolean;
    trace: TraceSink;
    random: () => number;
  }) {
    this.trace = args.trace;
    this.table = args.table;
    this.records = args.table.records;
    this.requests = args.requests;
    this.user = args.user;
    this.lives = new Lives(args.table, args.isStrict);
    this.jitterUs = Math.floor((args.random() / 2 ** 32) * WORK_JITTER_US);
  }

  /** The slot begins, or is found to have begun, at `startUs` of our clock. */
  setSlot(slot: number, startUs: number): void {
    this.lives.slot = slot;
    this.slotStartUs = startUs;
    this.isWorkDue = true;
    this.expectWork();
  }

  /** A generation of a destination that is ours begins. */
  release(destination: number, generation: number): void {
    this.lives.setGeneration(destination, generation);
    this.lives.set(destination, NEXT_PROVEN);
  }

  /** First mention, or a new epoch: what was known of its life counts no more. */
  handleBirth(destination: number, generation: number): void {
    const { lives } = this;
    this.forget(destination);
    this.release(destination, generation);
    if (lives.slot - generation > FRESH_SLOTS) lives.set(destination, HEARSAY);
    if (lives.slot <= generation + lives.lifetime(destination)) return this.expectEnd(destination);
    this.counts.expired += 1;
    this.demand(destination, lives.slot);
    lives.set(destination, BARRED);
    this.beginDoubt(destination);
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
    const { lives } = this;
    const known = lives.generation(destination);
    const next = this.records.next(destination);
    if (generation < known) {
      if (!isBetter || next < 0) return true;
      this.counts.stale += 1;
      return false;
    }
    this.renew(nowUs, neighbour, destination);
    if (generation === known) {
      if (neighbour.link === next) this.proveNext(nowUs, destination);
      return true;
    }
    const hop = this.table.byLink[next];
    const lags = hop !== undefined && hop !== neighbour && !lives.has(destination, NEXT_PROVEN);
    lives.setGeneration(destination, generation);
    lives.clear(destination, NEXT_PROVEN);
    if (lives.has(destination, BY_LIFE) && lives.proof(destination) <= generation) lives.clear(destination, BY_LIFE);
    this.prove(nowUs, destination, generation);
    if (lags) {
      this.counts.withheld += 1;
      this.user.demote(nowUs, hop, destination);
      // Who goes on with it all the same can at least tell others that the origin lives.
      if (this.table.byLink[this.records.next(destination)] === hop) this.tellLives(nowUs, destination);
    } else if (hop === neighbour) this.proveNext(nowUs, destination);
    return true;
  }

  /** The origin proved that it lived in the slot `told`, by its life chain. */
  handleLife(nowUs: number, destination: number, told: number): void {
    const { lives } = this;
    const slot = lives.provable(told);
    const isNoted = lives.has(destination, NOTED);
    if (isNoted ? slot < lives.wanted(destination) : slot <= lives.proven(destination)) return;
    lives.clear(destination, NOTED);
    lives.set(destination, BY_LIFE);
    lives.setProof(destination, slot);
    this.prove(nowUs, destination, slot, isNoted);
  }

  /** The route is lost, or our own link to its origin is: from now on it must prove that it lived later. */
  note(destination: number): void {
    if ((this.records.state(destination) & (KNOWN | LOCAL)) !== KNOWN) return;
    this.demand(destination, this.lives.slot + 1);
    this.beginDoubt(destination);
  }

  /** We asked for a route that we could use, and nobody answered: its origin may be dead, and who offers it may not know. */
  noteUnanswered(destination: number): void {
    if (!this.lives.has(destination, NOTED | BARRED)) this.note(destination);
  }

  /** A neighbour offers what was lost: it may know something that we do not. */
  handleOffer(nowUs: number, destination: number): void {
    const { lives } = this;
    if (!lives.has(destination, NOTED) || lives.has(destination, DOUBTED)) return;
    const wanted = lives.wanted(destination);
    const doubt = this.doubt(destination);
    if (lives.has(destination, BARRED) && lives.slot >= wanted) this.ask(nowUs, doubt, wanted);
    if (this.hasUnasked && !this.isWorkDue) {
      this.nextTimeoutUs = Math.min(this.nextTimeoutUs, this.requests.allowance.nextUs);
    }
  }

  /** The slot that the origin must prove before any offer of it is used; 0 for none. */
  lifeWanted(destination: number): number {
    const { lives } = this;
    if (!lives.has(destination, BARRED) || !lives.has(destination, NOTED)) return 0;
    const wanted = lives.wanted(destination);
    return lives.slot >= wanted ? wanted : 0;
  }

  /** The neighbour on `link` is told once the origin, which is this node, has proven the slot. */
  noteAsker(destination: number, slot: number, link: number): void {
    this.marks.add(destination, slot);
    this.marks.addAsker(destination, link);
  }

  /** Another node lost the destination and asks for a proof that we do not have. */
  handleDoubted(destination: number, slot: number): void {
    const { lives } = this;
    if (!lives.has(destination, HEARSAY) || slot > lives.slot + AHEAD_SLOTS) return;
    this.demand(destination, slot);
    this.beginDoubt(destination);
  }

  /** A neighbour demands that the origin prove `slot`. */
  handleSuspicion(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void {
    const { lives } = this;
    this.counts.suspicionsHeard += 1;
    if (lives.proven(destination) >= slot) {
      this.user.tellLife(nowUs, neighbour, destination);
      return;
    }
    if (slot < lives.slot - BEHIND_SLOTS || slot > lives.slot + AHEAD_SLOTS || lives.isPeriodic(destination)) {
      this.counts.suspicionsRefused += 1;
      return;
    }
    const isNew = this.marks.add(destination, slot);
    this.marks.addAsker(destination, neighbour.link);
    this.expectWork();
    if (isNew) this.spread(nowUs, destination, slot, neighbour);
  }

  /** Of what was known of its life nothing counts any more: whatever is heard next is a birth. */
  forget(destination: number): void {
    this.records.setLife(destination, this.records.life(destination) & DOUBTED);
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
    return this.lives.has(destination, NOTED | DOUBTED) || this.marks.has(destination);
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    this.hasUnasked = false;
    if (this.isWorkDue) this.work(nowUs);
    else this.askDoubts(nowUs);
    // With the allowance, so that those who starve, who are next, do not take all of it.
    this.nextTimeoutUs = this.hasUnasked ? this.requests.allowance.nextUs : NEVER;
  }

  digest(into: Digest): void {
    into.number(this.lives.slot).number(this.doubts.length).number(this.soonestEnd).number(this.nextTimeoutUs);
    for (const { phase } of this.doubts) into.number(phase);
    this.marks.digest(into);
  }

  /** All that is done once per slot. */
  private work(nowUs: number): void {
    this.isWorkDue = false;
    this.marks.handleSlot(this.lives.slot, (destination, unproven) => {
      this.counts.dropped += 1;
      this.bar(nowUs, destination, unproven);
    });
    this.handleDoubts(nowUs);
    if (this.lives.slot > this.soonestEnd) this.endOld(nowUs);
  }

  /**
   * The next hop proved its offer in the newest generation; or it is another now, whose offer counts as proven until the
   * next generation shows.
   */
  proveNext(nowUs: number, destination: number): void {
    if (this.lives.has(destination, NEXT_PROVEN)) return;
    this.lives.set(destination, NEXT_PROVEN);
    this.user.passOn(nowUs, destination);
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
    const { lives } = this;
    const wasBarred = lives.has(destination, BARRED);
    const isNoted = lives.has(destination, NOTED);
    const isAnswered = wasNoted || (isNoted ? slot >= lives.wanted(destination) : wasBarred);
    lives.clear(destination, isAnswered ? NOTED | BARRED | HEARSAY : HEARSAY);
    this.expectEnd(destination);
    this.marks.refute(destination, slot, (link) => {
      const asker = this.table.byLink[link];
      if (asker !== undefined) this.user.tellLife(nowUs, asker, destination);
    });
    this.requests.handleLife(destination, slot, (asker) => this.user.tellLife(nowUs, asker, destination));
    if (isAnswered) this.user.handleAlive(nowUs, destination);
    if (isAnswered && wasBarred) this.user.reconsider(nowUs, destination);
  }

  private demand(destination: number, slot: number): void {
    const { lives } = this;
    lives.clear(destination, BY_LIFE);
    lives.set(destination, NOTED);
    lives.setProof(destination, slot);
    this.expectEnd(destination);
  }

  private beginDoubt(destination: number): void {
    if (!this.lives.has(destination, DOUBTED)) this.doubt(destination);
  }

  private doubt(destination: number): Doubt {
    const doubt = { destination, phase: 0, askedUs: NEVER };
    this.lives.set(destination, DOUBTED);
    this.doubts.push(doubt);
    this.expectWork();
    return doubt;
  }

  private ask(nowUs: number, doubt: Doubt, wanted: number): void {
    const { requests } = this;
    if (requests.allowance.nextUs > nowUs) this.hasUnasked = true;
    else if (requests.wantLife(nowUs, doubt.destination, wanted)) {
      requests.allowance.take(nowUs);
      doubt.phase = ASKED_PHASE;
      doubt.askedUs = nowUs;
    }
  }

  private askDoubts(nowUs: number): void {
    const { lives } = this;
    for (const doubt of this.doubts) {
      if (this.hasUnasked) return;
      const wanted = lives.wanted(doubt.destination);
      if (doubt.phase === 0 && lives.has(doubt.destination, NOTED) && lives.slot >= wanted)
        this.ask(nowUs, doubt, wanted);
    }
  }

  private handleDoubts(nowUs: number): void {
    if (this.doubts.length === 0) return;
    const open = this.doubts;
    this.doubts = [];
    for (const doubt of open) {
      const { destination } = doubt;
      if (this.lives.has(destination, NOTED) && this.pursue(nowUs, doubt)) this.doubts.push(doubt);
      else this.lives.clear(destination, DOUBTED);
    }
  }

  /** One step of a doubt per slot. False when there is nothing more to do. */
  private pursue(nowUs: number, doubt: Doubt): boolean {
    const { lives } = this;
    const { destination } = doubt;
    const wanted = lives.wanted(destination);
    if (lives.slot < wanted) return true;
    if (!this.isOffered(destination)) {
      this.bar(nowUs, destination, wanted);
      return false;
    }
    switch (doubt.phase) {
      case 0:
        this.ask(nowUs, doubt, wanted);
        return true;
      case ASKED_PHASE: {
        if (nowUs - doubt.askedUs < LIFE_PATIENCE_US) return true;
        const isUnused = this.records.next(destination) < 0;
        const isPeriodic = lives.isPeriodic(destination);
        if (lives.has(destination, HEARSAY) || (isPeriodic && isUnused)) this.bar(nowUs, destination, wanted);
        if (isPeriodic) return false; // one in use ends by itself, unless its origin proves more
        const slot = lives.slot + 1;
        this.counts.suspected += 1;
        this.trace(Trace.suspected, destination, slot, 0);
        if (this.marks.add(destination, slot)) this.spread(nowUs, destination, slot, undefined);
        doubt.phase = SUSPECTED_PHASE;
        return true;
      }
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
    if ((this.records.state(destination) & (KNOWN | LOCAL)) !== KNOWN) return;
    this.lives.set(destination, BARRED);
    if (this.records.next(destination) >= 0) this.user.reconsider(nowUs, destination);
    this.demand(destination, slot);
  }

  /**
   * Destinations that proved nothing for longer than their gear allows are barred, also when they were lost a moment ago: they
   * may be offered again. Notes end when nothing that the origin proved before would be believed any more: from then on any
   * proof is new enough.
   */
  private endOld(nowUs: number): void {
    const { table, records, lives } = this;
    this.soonestEnd = NEVER;
    for (let i = 0; i < table.listed; i += 1) {
      const destination = table.order[i]!;
      if ((records.state(destination) & (KNOWN | LOCAL)) !== KNOWN) continue;
      const isNoted = lives.has(destination, NOTED);
      if (!lives.has(destination, BARRED) && lives.slot > lives.proven(destination) + lives.lifetime(destination)) {
        this.counts.expired += 1;
        this.bar(nowUs, destination, isNoted ? lives.wanted(destination) : lives.slot);
        this.beginDoubt(destination);
      } else if (isNoted && lives.slot > this.noteEnd(destination)) {
        lives.clear(destination, NOTED);
        lives.set(destination, BARRED);
      } else this.expectEnd(destination);
    }
  }

  private noteEnd(destination: number): number {
    const end = this.lives.wanted(destination) + this.lives.lifetime(destination);
    return Math.ceil(end / NOTE_END_SLOTS) * NOTE_END_SLOTS;
  }

  /** To be called whenever the destination is noted, or its newest proof is another. */
  private expectEnd(destination: number): void {
    const { lives } = this;
    if ((this.records.state(destination) & LOCAL) !== 0) return;
    const isBarred = lives.has(destination, BARRED);
    if (isBarred && !lives.has(destination, NOTED)) return;
    const end = isBarred ? this.noteEnd(destination) : lives.proven(destination) + lives.lifetime(destination);
    if (end >= this.soonestEnd) return;
    this.soonestEnd = end;
    this.expectWork();
  }

  /** The slot's work is due once, unless there is nothing to do in it. */
  private expectWork(): void {
    const isNeeded = this.lives.slot > this.soonestEnd || this.doubts.length > 0 || !this.marks.isEmpty;
    if (!this.isWorkDue || !isNeeded) return;
    this.nextTimeoutUs = Math.max(this.slotStartUs + WORK_DELAY_US + this.jitterUs, this.pausedUntilUs);
  }
}
