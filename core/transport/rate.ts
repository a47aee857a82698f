import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, SECOND_US } from "../time/instant.js";
import type { Rtt } from "./rtt.js";

/**
 * Rate control: how many reliable cells may be on their way, and how fast they leave.
 *
 * At the start the window doubles each round trip until a queue shows. Then it holds the round-trip time at a target
 * a little above the smallest one seen, in the manner of Swift (Kumar et al., SIGCOMM 2020): it grows while below, and
 * shrinks in proportion to the excess at most once per round. Loss alone is no signal, since links lose at random; loss
 * with rising round-trip time is. All in integers; a window is counted in 1/256 cells.
 */
export const WINDOW_CELLS_MIN = 4;
export const WINDOW_CELLS_MAX = 8_192;
const WINDOW_CELLS_START = 32;

const UNIT = 256;
/** A share in per mille of a round's cells: below it loss is never a signal. */
const LOSS_IGNORED = 20;
/** Above it the window is held to what arrives, whatever the round-trip time says. */
const LOSS_CAPPED = 150;
/** Rounds are joined until they hold this many cells, so that a share means something. */
const LOSS_CELLS_MIN = 40;
/** A mean round trip this much above the smallest, or a quarter of it, is a queue and not jitter. */
const RISE_MIN_US = 500;
/**
 * Held above the smallest round trip, or an eighth of that if more. A relay that waits for its turn on a busy core adds
 * milliseconds that are no queue: with 5 ms here, five daemons and two other programs on two cores halved their goodput.
 */
const EXCESS_MIN_US = 10 * MILLISECOND_US;
/** The best of so many loss rounds is what the path can deliver. */
const DELIVERED_ROUNDS = 8;
const SILENCE_MIN_US = 50 * MILLISECOND_US;
/** Without a fresh smallest rtt for so long, the window is lowered for two round trips to let the queue drain. */
const DRAIN_EVERY_US = 10 * SECOND_US;

export class RateControl {
  private readonly rtt: Rtt;
  private window = WINDOW_CELLS_START * UNIT;
  /** Below it the window doubles each round trip. */
  private threshold = WINDOW_CELLS_MAX * UNIT;
  private roundEndPacket = 0;
  private roundMinUs = 0;
  private roundSumUs = 0;
  private roundSamples = 0;
  private roundLimited = false;
  private highSamples = 0;
  private lossSent = 0;
  private lossReceived = 0;
  /** In eighths of a per mille. */
  private lossMean = 0;
  private intervalStartUs = 0;
  private readonly delivered = new Float64Array(DELIVERED_ROUNDS);
  private deliveredAt = 0;
  private freshUs = 0;
  private drainUntilUs = 0;

  constructor(rtt: Rtt) {
    this.rtt = rtt;
  }

  /** Reliable cells that may be on their way at `nowUs`. */
  windowCells(nowUs: number): number {
    const cells = Math.floor(this.window / UNIT);
    if (nowUs >= this.drainUntilUs) return cells;
    const drained = Math.floor((cells * this.rtt.minUs * 3) / (this.rtt.smoothedUs * 4));
    return Math.max(WINDOW_CELLS_MIN, Math.min(cells, drained));
  }

  /**
   * Cells per second at which they leave: a window per round trip, two while doubling. A report comes later than a round
   * trip, so the window still decides; a faster pace (1.25 was tried) gains nothing and overflows shallow queues.
   */
  cellsPerSecond(nowUs: number): number {
    const gain = this.isDoubling ? 2 : 1;
    return Math.floor((this.windowCells(nowUs) * gain * SECOND_US) / this.rtt.smoothedUs) + 1;
  }

  /** Share of the cells that the last rounds lost, per mille. */
  get lossPerMille(): number {
    return this.lossMean >>> 3;
  }

  /** The round-trip time that is held. */
  get targetUs(): number {
    return this.rtt.minUs + this.excessUs;
  }

  get isDoubling(): boolean {
    return this.window < this.threshold;
  }

  /** A cell waited for the window, not for the application: only then does a larger window make sense. */
  handleLimited(): void {
    this.roundLimited = true;
  }

  /**
   * The peer reported a newer packet.
   *
   * @param packet the newest packet it received  @param nextPacket the next one to be sent
   * @param rttUs this report's sample  @param reliableCells reliable cells sent between the last report and this one
   * @param sentCells cells sent up to that packet  @param receivedCells cells the peer received in all
   */
  handleReport(
    nowUs: number,
    packet: number,
    nextPacket: number,
    rttUs: number,
    reliableCells: number,
    sentCells: number,
    receivedCells: number,
  ): void {
    if (this.roundSamples === 0 || rttUs < this.roundMinUs) this.roundMinUs = rttUs;
    this.roundSumUs += rttUs;
    this.roundSamples += 1;
    if (rttUs <= this.rtt.minUs + (this.rtt.minUs >>> 4) + 200) this.freshUs = nowUs;
    if (this.isDoubling) {
      this.highSamples = rttUs > this.targetUs ? this.highSamples + 1 : 0;
      if (this.roundLimited) this.setWindow(Math.min(this.window + reliableCells * UNIT, this.threshold));
      if (this.highSamples >= 2) this.leaveDoubling(rttUs);
    }
    if (packet >= this.roundEndPacket) {
      this.handleRound(nowUs, sentCells, receivedCells);
      this.roundEndPacket = nextPacket;
    }
  }

  /** Reliable cells were on their way for `silenceStepUs` and nothing was heard: the window is halved. */
  handleSilence(): void {
    // What it was is reached again by doubling, short of the last quarter.
    if (!this.isDoubling) this.threshold = Math.max(WINDOW_CELLS_MIN * UNIT, Math.floor((this.window * 3) / 4));
    this.setWindow(Math.floor(this.window / 2));
  }

  /** Persistent congestion: several probes in a row were not answered. Nothing is known of the path any more. */
  handlePersistent(): void {
    if (!this.isDoubling) this.threshold = Math.max(WINDOW_CELLS_MIN * UNIT, Math.floor((this.window * 3) / 4));
    this.setWindow(WINDOW_CELLS_MIN * UNIT);
  }

  get silenceStepUs(): number {
    // Before the first sample the round-trip time is a guess.
    return this.rtt.samples === 0 ? SECOND_US : Math.max(2 * this.rtt.smoothedUs, SILENCE_MIN_US);
  }

  digest(into: Digest): void {
    into.number(this.window).number(this.threshold).number(this.roundEndPacket).number(this.roundSumUs);
    into
      .number(this.lossMean)
      .number(this.lossSent)
      .number(this.lossReceived)
      .number(this.drainUntilUs)
      .number(this.deliveredAt);
  }

  private get excessUs(): number {
    return Math.max(EXCESS_MIN_US, this.rtt.minUs >>> 3);
  }

  private handleRound(nowUs: number, sentCells: number, receivedCells: number): void {
    const minUs = this.roundMinUs;
    const meanUs = Math.floor(this.roundSumUs / this.roundSamples);
    const isRising = meanUs > this.rtt.minUs + Math.max(RISE_MIN_US, this.rtt.minUs >>> 2);
    const shrunk = this.judgeLoss(nowUs, sentCells, receivedCells, isRising);
    if (minUs > this.targetUs) {
      if (this.isDoubling) this.leaveDoubling(minUs);
      else if (!shrunk) {
        // Swift's beta 0.8, at most by half.
        const cut = Math.floor((this.window * 4 * (minUs - this.targetUs)) / (5 * minUs));
        this.setWindow(this.window - Math.min(cut, Math.floor(this.window / 2)));
        this.threshold = this.window;
      }
    } else if (!this.isDoubling && !shrunk && this.roundLimited) {
      // One cell per round, and up to an eighth more the further below the target we are.
      const share = Math.min(this.excessUs, this.targetUs - minUs);
      const step = UNIT + Math.floor((this.window * share) / (8 * this.excessUs));
      this.setWindow(this.window + step);
      this.threshold = this.window;
    }
    if (!this.isDoubling && nowUs - this.freshUs > DRAIN_EVERY_US) {
      this.freshUs = nowUs;
      this.drainUntilUs = nowUs + 2 * this.rtt.smoothedUs;
    }
    this.roundSamples = 0;
    this.roundSumUs = 0;
    this.roundLimited = false;
  }

  /** True when loss made the window smaller. */
  private judgeLoss(nowUs: number, sentCells: number, receivedCells: number, isRising: boolean): boolean {
    const sent = sentCells - this.lossSent;
    if (sent < LOSS_CELLS_MIN) return false;
    const received = Math.min(sent, Math.max(0, receivedCells - this.lossReceived));
    const elapsedUs = Math.max(1, nowUs - this.intervalStartUs);
    const lost = Math.floor(((sent - received) * 1_000) / sent);
    this.lossMean += lost - (this.lossMean >>> 3);
    this.lossSent = sentCells;
    this.lossReceived = receivedCells;
    this.intervalStartUs = nowUs;
    // Cells per second.
    this.delivered[this.deliveredAt] = Math.floor((received * SECOND_US) / elapsedUs);
    this.deliveredAt = (this.deliveredAt + 1) % DELIVERED_ROUNDS;
    if (lost <= LOSS_IGNORED) return false;
    if (isRising) {
      if (this.isDoubling) this.leaveDoubling(this.rtt.smoothedUs);
      this.setWindow(Math.floor((this.window * 7) / 8));
      this.threshold = this.window;
      return true;
    }
    if (lost <= LOSS_CAPPED) return false;
    // What the path delivers in a round trip and a report's delay, and as much more as may be lost without a cap.
    let best = 0;
    for (const rate of this.delivered) best = Math.max(best, rate);
    const cells = Math.floor((best * this.rtt.smoothedUs * 5) / (4 * SECOND_US));
    const wanted = Math.floor((cells * UNIT * 1_000) / (1_000 - LOSS_CAPPED));
    const capped = Math.max(wanted, Math.floor((this.window * 3) / 4));
    if (capped >= this.window) return false;
    this.setWindow(capped);
    this.threshold = this.window;
    return true;
  }

  private leaveDoubling(rttUs: number): void {
    const fitting = Math.floor((this.window * this.targetUs) / Math.max(this.targetUs, rttUs));
    this.setWindow(Math.max(fitting, Math.floor(this.window / 2)));
    this.threshold = this.window;
    this.highSamples = 0;
  }

  private setWindow(window: number): void {
    this.window = Math.max(WINDOW_CELLS_MIN * UNIT, Math.min(window, WINDOW_CELLS_MAX * UNIT));
  }
}
