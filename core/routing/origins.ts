import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Decision } from "./decision.js";
import type { Elements } from "./elements.js";
import { AGE_OLD } from "./feasible.js";
import { GEAR_PERIODIC, gearFor, generationAt, nextGeneration } from "./gears.js";
import { AHEAD_SLOTS } from "./lives.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteTable } from "./route-table.js";

/** A newer index is given out at most this often, whoever asks. */
const RAISE_SPACING_US = 500 * MILLISECOND_US;
/** Two nodes with the same keys would outbid each other's epochs; they may do so only this often. */
const EPOCH_SPACING_US = 30 * SECOND_US;
/**
 * Up to here epochs are outbid: the end of 2097. What a lie drives an origin to is kept for ever, so it must leave room for
 * newer ones: one for each restart.
 */
export const OUTBID_EPOCH_MAX = 0xf000_0000;

/** Suspected a second time within this, though it lives: then it proves so to everybody, every 15 s, for a while. */
const ALARM_SLOTS = 60;
/** 10 minutes, doubled each time that it happens again, up to 2 hours. */
const PERIODIC_SLOTS_MIN = 120;
const PERIODIC_SLOTS_MAX = 1_440;
/** A generation that is late by more than this is not waited for any longer. */
const OVERSLEPT_SLOTS = 2;
/** Generations begin this long after their slot, spread by the NAC: no clock near ours may see one too early. */
const RELEASE_DELAY_US = SECOND_US;
const RELEASE_SPREAD_US = 3 * SECOND_US;
/** Chains are made in pieces of so many hashes, 2 ms, at once until what is announced now has its own, then one piece in this time. */
const WORK_HASHES = 5_000;
const WORK_SPACING_US = 50 * MILLISECOND_US;
/** Whether a stranger's epoch is one of ours takes 24,000 hashes: looked at so often at most. */
const RECOGNITION_SPACING_US = SECOND_US;

interface Origin {
  /** When the index was last raised. */
  raisedUs: number;
  /** Somebody waits for a newer index. */
  raiseAtUs: number;
  epochRaisedUs: number;
  /** When somebody's claim of a newer epoch was looked at last. */
  recognisedUs: number;
  /** The epoch is on disk. */
  isKept: boolean;
  /** Its chains are made, and it is announced. */
  isReady: boolean;
  /** The gear that the size of the table asks for. */
  gear: number;
  nextGeneration: number;
  /** When it is due on our clock; NEVER until its slot has begun. */
  releaseUs: number;
  /** Somebody waits for a proof of life in this slot; 0 for nobody. */
  wish: number;
  /** The last slot in which somebody suspected us. */
  suspectedSlot: number;
  periodicUntil: number;
  periodicSlots: number;
}

/** The epoch is about to be announced: it must be on disk before this returns, and never be used again. */
export type EpochUsed = (destination: number, epoch: number) => void;

/** The destinations that this node is: announced, taken back, and given newer indexes and epochs when others need them. */
export class Origins {
  nextTimeoutUs = NEVER;

  private readonly table: RouteTable;
  private readonly decision: Decision;
  private readonly elements: Elements;
  private readonly epochUsed: EpochUsed | undefined;
  private readonly isStrict: boolean;
  /** When the next piece of our chains is made; NEVER when all are. */
  private workUs = NEVER;
  private hasLostLink = false;
  private readonly origins = new Map<number, Origin>();

  constructor(args: {
    table: RouteTable;
    decision: Decision;
    elements: Elements;
    isStrict: boolean;
    epochUsed: EpochUsed | undefined;
  }) {
    this.table = args.table;
    this.decision = args.decision;
    this.elements = args.elements;
    this.isStrict = args.isStrict;
    this.epochUsed = args.epochUsed;
  }

  /** The present slot of network time. */
  get slot(): number {
    return this.decision.liveness.lives.slot;
  }

  /** What this node is the origin of. */
  get destinations(): Iterable<number> {
    return this.origins.keys();
  }

  /** @param isFresh  which epoch was the last is not known: state was lost, or there was none */
  originate(nowUs: number, destination: number, epoch: number, isFresh: boolean): void {
    if (!this.origins.has(destination)) {
      this.origins.set(destination, {
        raisedUs: -NEVER,
        raiseAtUs: NEVER,
        epochRaisedUs: -NEVER,
        recognisedUs: -NEVER,
        isKept: false,
        isReady: false,
        gear: this.isStrict ? GEAR_PERIODIC : gearFor(this.table.count, GEAR_PERIODIC),
        nextGeneration: 0,
        releaseUs: NEVER,
        wish: 0,
        suspectedSlot: -ALARM_SLOTS,
        periodicUntil: 0,
        periodicSlots: PERIODIC_SLOTS_MIN,
      });
    }
    this.begin(nowUs, destination, epoch, isFresh);
  }

  withdraw(nowUs: number, destination: number): void {
    if (this.origins.delete(destination)) this.decision.withdraw(nowUs, destination);
  }

  /**
   * Somebody speaks of a destination of ours. When in a newer epoch than ours, then our stored one was lost, or another
   * node has our keys: we must go beyond it to be heard. A liar's epoch is none that our keys make; nobody who holds ours believes it, and
   * going beyond it would leave them behind.
   */
  handleHeard(nowUs: number, destination: number, epoch: number, isOurs: () => boolean): void {
    const origin = this.origins.get(destination);
    if (origin === undefined || epoch <= this.table.records.epoch(destination)) return;
    if (this.elements.provesEpochs) {
      if (nowUs - Math.max(origin.epochRaisedUs + EPOCH_SPACING_US, origin.recognisedUs + RECOGNITION_SPACING_US) < 0)
        return;
      origin.recognisedUs = nowUs;
      if (!isOurs()) return;
    }
    this.goBeyond(nowUs, destination, origin, epoch);
  }

  /**
   * A neighbour asks for an index of ours. When it is of a newer epoch, or so far ahead of the newest that we cannot have
   * given it out, then others believe in what we never said, or do not say any more. A newer epoch undoes it. (Where epochs are proven
   * a request proves none, and nobody can believe in a newer one.)
   */
  handleAsked(nowUs: number, destination: number, epoch: number, index: number): void {
    const origin = this.origins.get(destination);
    const own = this.table.records.epoch(destination);
    if (origin === undefined || epoch < own) return;
    const isNewer = epoch > own;
    if (isNewer && this.elements.provesEpochs) return;
    const isAbsurd = index - this.table.records.index(destination) > AGE_OLD;
    if (isNewer || isAbsurd) this.goBeyond(nowUs, destination, origin, epoch);
  }

  private goBeyond(nowUs: number, destination: number, origin: Origin, epoch: number): void {
    if (epoch >= OUTBID_EPOCH_MAX) return; // forgotten once its liar is gone; see Decision.forget
    if (nowUs - origin.epochRaisedUs < EPOCH_SPACING_US) return;
    origin.epochRaisedUs = nowUs;
    this.begin(nowUs, destination, epoch + 1);
  }

  /** A newer index is wanted: raised now, or when the spacing allows. */
  wantRaise(nowUs: number, destination: number): void {
    const origin = this.origins.get(destination);
    if (origin === undefined) return;
    const atUs = origin.raisedUs + RAISE_SPACING_US;
    if (atUs <= nowUs) {
      this.raise(nowUs, destination, origin);
      return;
    }
    origin.raiseAtUs = atUs;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, atUs);
  }

  /** A link is gone: its neighbour may believe us dead. */
  handleLinkDown(): void {
    this.hasLostLink = true;
  }

  /** A link came up: its neighbour, or others behind it, may have believed us dead. It hears that we live with our first word. */
  handleLinkUp(nowUs: number): void {
    for (const [destination, origin] of this.origins) this.keep(destination, origin);
    if (!this.hasLostLink) return;
    for (const [destination, origin] of this.origins) {
      if (this.decision.liveness.lives.proven(destination) < this.slot) this.live(nowUs, destination, origin);
    }
  }

  /** We were away, and know the time again: neighbours that gave us up meanwhile hear that we live. */
  handleReturn(nowUs: number): void {
    for (const [destination, origin] of this.origins) {
      if (this.decision.liveness.lives.proven(destination) < this.slot) this.live(nowUs, destination, origin);
      for (const neighbour of this.table.neighbours) this.decision.tellLife(nowUs, neighbour, destination);
    }
  }

  /** A slot begins. Whoever waited for it hears that we live; the generation that falls into it comes a little later. */
  handleSlot(nowUs: number, startUs: number): void {
    for (const [destination, origin] of this.origins) {
      const epoch = this.table.records.epoch(destination);
      if (this.slot > this.elements.lastSlot(destination)) {
        this.begin(nowUs, destination, origin.isReady ? epoch + 1 : epoch); // the chains have ended, or were for another time
        continue;
      }
      if (origin.wish !== 0 && origin.wish <= this.slot) this.live(nowUs, destination, origin);
      if (this.decision.liveness.lives.generation(destination) > this.slot + AHEAD_SLOTS) {
        // Our clock was ahead by so much that nobody can believe the generation: a new epoch begins with a better one.
        if (origin.isReady) this.goBeyond(nowUs, destination, origin, epoch);
        else this.begin(nowUs, destination, epoch); // nobody has heard of it
        continue;
      }
      if (this.slot < origin.nextGeneration || origin.releaseUs !== NEVER) continue;
      if (this.slot > origin.nextGeneration + OVERSLEPT_SLOTS) {
        this.release(nowUs, destination, origin);
        continue;
      }
      const spreadUs = (this.phaseOf(destination) * 257) % RELEASE_SPREAD_US;
      origin.releaseUs = startUs + RELEASE_DELAY_US + spreadUs;
      this.nextTimeoutUs = Math.min(this.nextTimeoutUs, origin.releaseUs);
    }
  }

  /** A neighbour wants to know whether we live, in a slot that has begun or is about to. */
  handleLifeAsked(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void {
    const origin = this.origins.get(destination);
    if (origin === undefined || slot > this.slot + AHEAD_SLOTS) return;
    if (slot <= this.slot) {
      if (this.decision.liveness.lives.proven(destination) < slot) this.live(nowUs, destination, origin);
      this.decision.tellLife(nowUs, neighbour, destination);
      return;
    }
    origin.wish = Math.max(origin.wish, slot);
    this.decision.liveness.noteAsker(destination, slot, neighbour.link);
  }

  /** A neighbour says that somebody believes us dead. Once may be an accident of the network; twice is somebody's work. */
  handleSuspected(nowUs: number, neighbour: Neighbour, destination: number, slot: number): void {
    const origin = this.origins.get(destination);
    if (origin === undefined) return;
    this.handleLifeAsked(nowUs, neighbour, destination, slot);
    const since = this.slot - origin.suspectedSlot;
    if (since <= AHEAD_SLOTS) return; // the same wave, by another way
    origin.suspectedSlot = this.slot;
    if (since > ALARM_SLOTS || origin.periodicUntil > this.slot) return;
    if (this.slot - origin.periodicUntil < PERIODIC_SLOTS_MAX) {
      origin.periodicSlots = Math.min(PERIODIC_SLOTS_MAX, 2 * origin.periodicSlots);
    } else origin.periodicSlots = PERIODIC_SLOTS_MIN;
    origin.periodicUntil = this.slot + origin.periodicSlots;
    this.release(nowUs, destination, origin);
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.nextTimeoutUs) return;
    if (this.workUs <= nowUs) this.work(nowUs);
    this.nextTimeoutUs = this.workUs;
    for (const [destination, origin] of this.origins) {
      if (origin.raiseAtUs <= nowUs) this.raise(nowUs, destination, origin);
      if (origin.releaseUs <= nowUs) this.release(nowUs, destination, origin);
      this.nextTimeoutUs = Math.min(this.nextTimeoutUs, origin.raiseAtUs, origin.releaseUs);
    }
  }

  digest(into: Digest): void {
    into.number(this.slot).number(this.origins.size);
    for (const origin of this.origins.values()) {
      into.number(origin.raisedUs).number(origin.raiseAtUs).number(origin.releaseUs).number(origin.nextGeneration);
      into.number(origin.isKept ? 1 : 0).number(origin.isReady ? 1 : 0);
      into.number(origin.wish).number(origin.suspectedSlot).number(origin.periodicUntil).number(origin.gear);
    }
  }

  /** In a new epoch; its first generation is a slot that has begun already. Announced when its chains are made. */
  private begin(nowUs: number, destination: number, epoch: number, isFresh = false): void {
    const origin = this.origins.get(destination)!;
    const gear = this.gearOf(origin);
    const nacEnd = this.nacEnd(destination);
    const generation = generationAt(this.slot, gear, nacEnd);
    origin.nextGeneration = nextGeneration(generation, gear, nacEnd, this.phaseOf(destination));
    origin.releaseUs = NEVER;
    const slot = Math.max(0, generation); // one slot tells both, unless time has just begun
    const used = this.decision.originate(destination, epoch, slot, generation);
    const hasWork = this.elements.originate(destination, used, generation, isFresh);
    origin.isKept = false;
    if (this.table.neighbours.length > 0) this.keep(destination, origin);
    origin.isReady = this.elements.isReady(destination, used);
    if (origin.isReady) this.decision.announceOwn(nowUs, destination);
    if (!hasWork) return;
    this.workUs = origin.isReady ? Math.min(this.workUs, nowUs + WORK_SPACING_US) : nowUs;
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, this.workUs);
  }

  /** There is somebody to tell: from now on this epoch is used. One that nobody was told of may begin again after a restart. */
  private keep(destination: number, origin: Origin): void {
    if (origin.isKept) return;
    this.epochUsed?.(destination, this.table.records.epoch(destination));
    origin.isKept = true;
  }

  /** A piece of our chains. What is announced waits for no more than its own. */
  private work(nowUs: number): void {
    const hasMore = this.elements.work(WORK_HASHES);
    let isWaiting = false;
    for (const [destination, origin] of this.origins) {
      if (origin.isReady) continue;
      origin.isReady = this.elements.isReady(destination, this.table.records.epoch(destination));
      if (origin.isReady) this.decision.announceOwn(nowUs, destination);
      else isWaiting = true;
    }
    this.workUs = !hasMore ? NEVER : isWaiting ? nowUs : nowUs + WORK_SPACING_US;
  }

  /** Proves to everybody that we live: in this slot, or one of the last two, as the gear has it. */
  private release(nowUs: number, destination: number, origin: Origin): void {
    const { liveness } = this.decision;
    const nacEnd = this.nacEnd(destination);
    origin.gear = this.isStrict ? GEAR_PERIODIC : gearFor(this.table.count, origin.gear);
    const gear = this.gearOf(origin);
    const generation = generationAt(this.slot, gear, nacEnd);
    origin.nextGeneration = nextGeneration(this.slot, gear, nacEnd, this.phaseOf(destination));
    origin.releaseUs = NEVER;
    if (generation <= liveness.lives.generation(destination)) return;
    liveness.release(destination, generation);
    this.decision.passOn(nowUs, destination);
  }

  private live(nowUs: number, destination: number, origin: Origin): void {
    origin.wish = 0;
    this.decision.liveness.handleLife(nowUs, destination, this.slot);
  }

  private gearOf({ gear, periodicUntil }: Origin): number {
    return this.slot < periodicUntil ? GEAR_PERIODIC : gear;
  }

  /** The last byte of the NAC. */
  private nacEnd(destination: number): number {
    return this.table.dictionary.word(destination, 3) & 0xff;
  }

  /** Tells origins apart: the first two bytes of the NAC. */
  private phaseOf(destination: number): number {
    return this.table.dictionary.word(destination, 0) >>> 16;
  }

  private raise(nowUs: number, destination: number, origin: Origin): void {
    origin.raisedUs = nowUs;
    origin.raiseAtUs = NEVER;
    this.decision.raiseIndex(nowUs, destination);
  }
}
