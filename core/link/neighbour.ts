import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { emptyHello, type Hello } from "../wire/hello.js";
import { costClass } from "./cost.js";

// Protocol constants: both ends must hold them.
export const HELLO_INTERVAL_US = 2 * SECOND_US;
export const LINK_DEAD_US = 4 * SECOND_US;

// Tuning constants.
/** Nothing heard for so long: the first miss. Then quick probes ask until it is time to blame: at 20 % loss all seven fail once in an hour. */
const MISSED_AFTER_US = HELLO_INTERVAL_US + 250 * MILLISECOND_US;
const PROBES_MAX = 7;
/**
 * Between probes, and between hellos while no echo came yet: a link is up within a round trip or two. It is more than TOGETHER_US, or
 * each hello of another link would send them before their time.
 */
const URGENT_INTERVAL_US = 250 * MILLISECOND_US;
/** The interval is shorter by up to this much, at random: nodes must not fall into step with each other. */
const JITTER_US = 200 * MILLISECOND_US;
/** A hello leaves so much early when another of the same node leaves: one awakening for all of them. */
export const TOGETHER_US = 200 * MILLISECOND_US;
/** A timer that rings so late shows that this node was asleep: it waits twice as long before it blames others. */
export const LAG_US = SECOND_US;
/** Once in doubt, a link must echo within this time and two round trips. */
const DOUBT_US = SECOND_US;

/** Probes that are answered at once: as many as an honest neighbour asks with, twice over. Beyond: the next hello answers. */
const ANSWERS_PER_SECOND = 8;
const ANSWERS_BURST = 16;

const SENT_TIMES = 32;
/** Both are powers of two. */
const SENT_TIMES_MIN = 2;
/** The cost class follows the least of so many round trips: a busy event loop is not a long cable. */
const COST_SAMPLES = 8;
const RTT_SHIFT = 3; // smoothed over 8 samples, as RFC 6298
const LOSS_SHIFT = 4; // smoothed over 16 hellos
/**
 * The loss that the cost class follows, smoothed over 64: at 2 % lost, chance alone brings two of sixteen hellos now and then, and
 * each change of a class is told of for all that lies behind the link.
 */
const STEADY_LOSS_SHIFT = 6;
const LOSS_WHOLE = 1_000_000;

export type NeighbourState = { kind: "greeting" } | { kind: "up"; sinceUs: number } | { kind: "dead" };

const GREETING: NeighbourState = { kind: "greeting" };
const DEAD: NeighbourState = { kind: "dead" };

/** Whether the link came up by a hello, and whether that asks for an answer at once. */
export interface HelloOutcome {
  readonly cameUp: boolean;
  readonly answer: boolean;
}

const NOTHING: HelloOutcome = { cameUp: false, answer: false };
const ASKED: HelloOutcome = { cameUp: false, answer: true };
const CAME_UP: HelloOutcome = { cameUp: true, answer: false };
const CAME_UP_AND_ASKED: HelloOutcome = { cameUp: true, answer: true };

export interface HelloFields {
  readonly routerId: Uint8Array;
  readonly networkTimeMs: number;
  /** What the sender makes of the link: no routes over it yet; and, its neighbour is a stub. */
  readonly held: boolean;
  readonly stub: boolean;
  readonly controlSent: number;
  readonly controlProcessed: number;
  readonly tableDigest: Uint8Array;
  readonly queueDelayMs: number;
  readonly load: number;
}

/**
 * One neighbour, as its hellos show it: is the link up both ways, how far is it, how much does it lose.
 *
 *   greeting --(a hello that echoes one of ours)--> up --(no new echo for 4 s, or for 1 s and 2 RTT when in doubt)--> dead
 *
 * A link is up only when both directions are echoed, so a one-way link never carries traffic.
 */
export class Neighbour {
  state: NeighbourState = GREETING;
  /** `state` is up: asked for with each record. */
  isUp = false;
  rttUs = 0;
  cost = 0;
  /** As its last hello says: how long a record waits there, and how busy it is, 0 to 255. */
  queueDelayMs = 0;
  load = 0;

  private readonly random32: () => number;
  private seqno = 0;
  /**
   * The newest COST_SAMPLES round trips, those that were not measured yet 0; then, by their numbers, when the hellos left
   * that were not echoed yet: as many of the newest as there are places.
   */
  private timesUs: number[] = new Array(COST_SAMPLES + SENT_TIMES_MIN).fill(0);
  private samples = 0;
  /** The least of the round trips; 0 when there is none. */
  private leastRttUs = 0;
  private heardSeqno = 0;
  private heardUs = 0;
  private echoedSeqno = 0;
  private echoedUs: number;
  private patienceUs = LINK_DEAD_US;
  private helloDueUs: number;
  private probes = 0;
  private readonly answers = new RateLimit(ANSWERS_PER_SECOND, ANSWERS_BURST);
  /** The neighbour's last hello echoes none of ours that it should have: that one was lost, it seems. */
  private isUnheard = false;
  /** Out of LOSS_WHOLE: finer than what is shown, so that it can fall to nothing. */
  private loss = 0;
  private steadyLoss = 0;
  /** Only an echo of a later hello than this takes the doubt away. */
  private doubtSeqno = 0;
  private doubtedUs = NEVER;

  constructor(nowUs: number, random32: () => number) {
    this.random32 = random32;
    this.echoedUs = nowUs;
    this.helloDueUs = nowUs;
  }

  /** Smoothed loss of the neighbour's hellos, 0..1000. */
  get lossPerMille(): number {
    return Math.floor((this.loss * 1000) / LOSS_WHOLE);
  }

  /** Absolute time at which handleTimeout wants to be called. */
  get nextTimeoutUs(): number {
    const firstProbeUs = this.isUp && this.probes === 0 ? this.heardUs + MISSED_AFTER_US : NEVER;
    return Math.min(this.helloDueUs, firstProbeUs, this.deadUs);
  }

  /** "hello": send one now (nextHello); "dead": no new echo for 4 s, or none in spite of a doubt. */
  handleTimeout(nowUs: number): "hello" | "dead" | undefined {
    const dueUs = this.nextTimeoutUs;
    if (nowUs - dueUs >= LAG_US) this.excuse(nowUs, nowUs - dueUs);
    if (nowUs >= this.deadUs) {
      this.state = DEAD;
      this.isUp = false;
      return "dead";
    }
    return nowUs >= dueUs ? "hello" : undefined;
  }

  /**
   * This node did nothing for the last `lagUs`: what the neighbour said meanwhile may still wait to be read. That time is
   * not held against it, the next one is twice as long, and it is asked at once. If the neighbour had to give us up
   * meanwhile, the answer tells soon.
   */
  excuse(nowUs: number, lagUs: number): void {
    if (this.state.kind === "dead") return;
    this.patienceUs = 2 * LINK_DEAD_US;
    this.echoedUs = Math.min(nowUs, this.echoedUs + lagUs);
    this.helloDueUs = Math.min(this.helloDueUs, nowUs);
    if (this.doubtedUs !== NEVER) this.doubtedUs = nowUs;
    if (lagUs < LINK_DEAD_US || this.state.kind !== "up") return;
    this.doubtedUs = nowUs + DOUBT_US; // twice as long, here too
    this.doubtSeqno = this.seqno;
  }

  /** The neighbour is on another path now: its round trip is measured anew. */
  handleMoved(): void {
    this.samples = 0;
    this.timesUs.fill(0, 0, COST_SAMPLES);
    this.leastRttUs = 0;
  }

  /** Something speaks against the link: it must echo within a second and two round trips, or is dead. A hello is due now. */
  doubt(nowUs: number): void {
    if (this.doubtedUs !== NEVER) return;
    this.doubtedUs = nowUs;
    this.doubtSeqno = this.seqno;
    this.helloDueUs = nowUs;
  }

  /** True when the next hello is due so soon that it may leave with another one, now. */
  isHelloNear(nowUs: number): boolean {
    return this.isUp && this.helloDueUs - nowUs <= TOGETHER_US && this.doubtedUs === NEVER;
  }

  /** The next HELLO, written into `hello`, which may be `fields` itself; it must leave now. */
  nextHello(nowUs: number, fields: HelloFields, hello: Hello = emptyHello()): Hello {
    this.seqno += 1;
    if (this.seqno - this.echoedSeqno > this.timesUs.length - COST_SAMPLES) this.growSent();
    this.timesUs[placeOf(this.seqno, this.timesUs)] = nowUs;
    const isMissed = this.isUp && (this.isUnheard || nowUs - this.heardUs >= MISSED_AFTER_US);
    const isProbing = isMissed && this.probes < PROBES_MAX;
    if (isProbing) this.probes += 1;
    const isUrgent = !this.isUp || isProbing || this.doubtedUs !== NEVER;
    this.helloDueUs = nowUs + (isUrgent ? URGENT_INTERVAL_US : HELLO_INTERVAL_US - (this.random32() % JITTER_US));
    if (hello !== fields) Object.assign(hello, fields);
    hello.seqno = this.seqno;
    hello.echoSeqno = this.heardSeqno;
    hello.echoDelayUs = this.heardSeqno === 0 ? 0 : Math.min(0xffff_ffff, nowUs - this.heardUs);
    hello.intervalMs = HELLO_INTERVAL_US / MILLISECOND_US;
    hello.probe = isUrgent;
    return hello;
  }

  /** What comes of a hello. A repeated or late one changes nothing. */
  handleHello(nowUs: number, hello: Readonly<Hello>): HelloOutcome {
    if (hello.seqno <= this.heardSeqno) return NOTHING;
    const first = this.heardSeqno === 0;
    if (!first) this.countLoss(hello.seqno - this.heardSeqno - 1); // what was said before we listened is not lost
    this.heardSeqno = hello.seqno;
    this.heardUs = nowUs;
    this.probes = 0;
    this.queueDelayMs = hello.queueDelayMs;
    this.load = hello.load;
    const cameUp = this.handleEcho(nowUs, hello);
    const answer = first || (hello.probe && this.answers.take(nowUs));
    if (cameUp) return answer ? CAME_UP_AND_ASKED : CAME_UP;
    return answer ? ASKED : NOTHING;
  }

  /** True when the cost class changed. */
  settleCost(): boolean {
    const cost = costClass(this.leastRttUs, this.steadyLossPerMille, this.cost);
    const changed = cost !== this.cost;
    this.cost = cost;
    return changed;
  }

  digest(into: Digest): void {
    into
      .number(this.state.kind === "up" ? 1 : 0)
      .number(this.seqno)
      .number(this.heardSeqno)
      .number(this.heardUs)
      .number(this.echoedSeqno)
      .number(this.echoedUs)
      .number(this.patienceUs)
      .number(this.helloDueUs)
      .number(this.doubtedUs);
    into
      .number(this.probes)
      .number(this.isUnheard ? 1 : 0)
      .number(this.rttUs)
      .number(this.loss)
      .number(this.steadyLoss)
      .number(this.cost);
    into.number(this.queueDelayMs).number(this.load);
    this.answers.digest(into);
  }

  private handleEcho(nowUs: number, hello: Readonly<Hello>): boolean {
    const echo = hello.echoSeqno;
    if (echo === this.echoedSeqno && this.isUp) this.handleOldEcho(nowUs);
    if (echo <= this.echoedSeqno || echo > this.seqno) return false;
    this.echoedSeqno = echo;
    this.isUnheard = false;
    this.echoedUs = nowUs;
    this.patienceUs = LINK_DEAD_US;
    if (echo > this.doubtSeqno) this.doubtedUs = NEVER;
    if (this.seqno - echo < SENT_TIMES)
      this.measure(nowUs - this.timesUs[placeOf(echo, this.timesUs)]! - hello.echoDelayUs);
    if (this.isUp || this.state.kind === "dead") return false;
    this.state = { kind: "up", sinceUs: nowUs };
    this.isUp = true;
    this.cost = costClass(this.leastRttUs, this.steadyLossPerMille, 0);
    this.helloDueUs = Math.max(this.helloDueUs, nowUs + HELLO_INTERVAL_US - (this.random32() % JITTER_US));
    return true;
  }

  /** Its hello echoes nothing new: there is nothing new that it could, or ours was lost. Then another asks at once. */
  private handleOldEcho(nowUs: number): void {
    this.isUnheard = !this.isAbreast(nowUs);
    if (this.isUnheard) this.helloDueUs = Math.min(this.helloDueUs, nowUs);
    else this.echoedUs = nowUs;
  }

  /**
   * All that we said was echoed, or the first that was not left so lately that its echo cannot be here: then a hello that
   * echoes nothing new shows no less than one that does. When the neighbour says hello a little more often than we do,
   * some of its hellos are such.
   */
  private isAbreast(nowUs: number): boolean {
    const first = this.echoedSeqno + 1;
    if (first > this.seqno) return true;
    return this.seqno - first < SENT_TIMES && nowUs - this.timesUs[placeOf(first, this.timesUs)]! <= 2 * this.rttUs;
  }

  private measure(sampleUs: number): void {
    const sample = Math.min(LINK_DEAD_US, Math.max(1, sampleUs)); // longer: this node was asleep
    this.timesUs[this.samples % COST_SAMPLES] = sample;
    this.samples += 1;
    let leastUs = sample;
    for (let i = 0; i < COST_SAMPLES; i += 1) {
      const one = this.timesUs[i]!;
      if (one > 0 && one < leastUs) leastUs = one;
    }
    this.leastRttUs = leastUs;
    this.rttUs = this.rttUs === 0 ? sample : this.rttUs + ((sample - this.rttUs) >> RTT_SHIFT);
  }

  /** Echoes are rarely more than one hello behind: only a neighbour that stays silent needs all the places. */
  private growSent(): void {
    const before = this.timesUs;
    const places = before.length - COST_SAMPLES;
    if (places >= SENT_TIMES) return;
    const grown: number[] = new Array(COST_SAMPLES + 2 * places).fill(0);
    for (let i = 0; i < COST_SAMPLES; i += 1) grown[i] = before[i]!;
    for (let seqno = Math.max(0, this.seqno - places); seqno < this.seqno; seqno += 1) {
      grown[placeOf(seqno, grown)] = before[placeOf(seqno, before)]!;
    }
    this.timesUs = grown;
  }

  private get deadUs(): number {
    const doubtUs = this.doubtedUs === NEVER ? NEVER : this.doubtedUs + DOUBT_US + 2 * this.rttUs;
    return Math.min(this.echoedUs + this.patienceUs, doubtUs);
  }

  private get steadyLossPerMille(): number {
    return Math.floor((this.steadyLoss * 1000) / LOSS_WHOLE);
  }

  private countLoss(missed: number): void {
    this.loss = smoothed(this.loss, missed, LOSS_SHIFT);
    this.steadyLoss = smoothed(this.steadyLoss, missed, STEADY_LOSS_SHIFT);
  }
}

/** Where `timesUs` has the time of a hello. */
function placeOf(seqno: number, timesUs: readonly number[]): number {
  return COST_SAMPLES + (seqno & (timesUs.length - COST_SAMPLES - 1));
}

/** A share of LOSS_WHOLE after `missed` hellos and one that came. */
function smoothed(loss: number, missed: number, shift: number): number {
  let share = loss;
  for (let i = 0; i < Math.min(missed, 1 << shift); i += 1) share += (LOSS_WHOLE - share) >> shift;
  return share - (share >> shift);
}
