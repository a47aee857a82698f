import type { Digest } from "../collections/digest.js";
import { type Arrival, GapRegister } from "../collections/gap-register.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Feedback } from "../wire/feedback-frame.js";
import type { Rtt } from "./rtt.js";

/** A report at the latest after so many reliable cells. */
const CELLS_PER_FEEDBACK = 32;
const PUSH_SPACING_US = 1 * MILLISECOND_US;
/** Lists are repeated at growing intervals while nothing arrives; then it is the sender's turn to probe. */
const RELIST_MAX_US = SECOND_US;
const RELISTS_MAX = 32;
const GAP_DELAY_MAX_US = 25 * MILLISECOND_US;

/** What arrived and what is missing, and when the peer is to be told. */
export class Receiver {
  /** Cells opened in all. */
  receivedTotal = 0;
  /** FEEDBACK frames sent in all. */
  feedbackSent = 0;
  private readonly rtt: Rtt;
  private readonly gaps = new GapRegister(1);
  private newestPacket = -1;
  private newestUs = 0;
  /** Cells under the sender's window since the last report. */
  private owed = 0;
  private dueUs = NEVER;
  private reportedUs = -SECOND_US;
  /** Missing cells below this one are in the last report. */
  private listedBelow = 1;
  private relists = 0;

  constructor(rtt: Rtt) {
    this.rtt = rtt;
  }

  /** When the next report is due; NEVER when none is. */
  get feedbackDueUs(): number {
    return this.dueUs;
  }

  /** True when something arrived that the peer has not been told of. */
  get owesFeedback(): boolean {
    return this.owed > 0;
  }

  /** A cell of either kind opened under `packet`. */
  handleCell(nowUs: number, packet: number): void {
    this.receivedTotal += 1;
    if (packet <= this.newestPacket) return;
    this.newestPacket = packet;
    this.newestUs = nowUs;
  }

  /** "new": take its frames. Otherwise it is known or too far ahead, and is not to be looked at. */
  handleReliable(nowUs: number, seq: number, isPush: boolean): Arrival {
    const arrival = this.gaps.insert(seq, nowUs);
    this.relists = 0;
    this.owe(nowUs, isPush);
    if (this.gaps.hasGaps) this.reckonGaps(nowUs);
    return arrival;
  }

  /** A cell of datagrams came: nothing to repair, but the sender's window waits for a report. */
  handleDatagrams(nowUs: number, isPush: boolean): void {
    this.owe(nowUs, isPush);
  }

  /** Fills a report and takes it as sent. */
  report(nowUs: number, into: Feedback): void {
    const below = this.gaps.dueBelow(nowUs, this.gapDelayUs);
    into.floor = this.gaps.floor;
    into.newestPacket = Math.max(0, this.newestPacket);
    into.echoDelayUs = Math.min(nowUs - this.newestUs, 0xffff_ffff);
    into.receivedTotal = this.receivedTotal;
    into.rangeCount = this.gaps.missing(into.ranges, below);
    this.feedbackSent += 1;
    if (this.owed === 0) this.relists += 1;
    this.owed = 0;
    this.reportedUs = nowUs;
    this.listedBelow = below;
    this.dueUs = NEVER;
    if (this.gaps.hasGaps) this.reckonGaps(nowUs);
  }

  digest(into: Digest): void {
    this.gaps.digest(into);
    into
      .number(this.receivedTotal)
      .number(this.newestPacket + 1)
      .number(this.owed)
      .number(this.dueUs);
    into.number(this.listedBelow).number(this.relists).number(this.feedbackSent);
  }

  /** One more cell that the peer is to be told of. */
  private owe(nowUs: number, isPush: boolean): void {
    this.owed += 1;
    if (isPush) this.bring(Math.max(nowUs, this.reportedUs + PUSH_SPACING_US));
    else if (this.owed >= CELLS_PER_FEEDBACK) this.bring(nowUs);
    else this.bring(Math.max(nowUs + PUSH_SPACING_US, this.reportedUs + feedbackIntervalUs(this.rtt.smoothedUs)));
  }

  private get gapDelayUs(): number {
    return Math.min(this.rtt.smoothedUs >>> 3, GAP_DELAY_MAX_US);
  }

  private reckonGaps(nowUs: number): void {
    const delayUs = this.gapDelayUs;
    const below = this.gaps.dueBelow(nowUs, delayUs);
    const paceUs = Math.max(this.rtt.smoothedUs >>> 3, 5 * MILLISECOND_US);
    if (this.gaps.firstMissing(this.listedBelow, below) < below) {
      this.bring(Math.max(nowUs, this.reportedUs + paceUs));
      return;
    }
    const ripeUs = this.gaps.nextDueUs(delayUs);
    if (ripeUs !== NEVER) this.bring(Math.max(ripeUs, this.reportedUs + paceUs));
    if (this.relists >= RELISTS_MAX) return;
    const relistUs = this.rtt.smoothedUs + 4 * this.rtt.variationUs + 10 * MILLISECOND_US;
    this.bring(
      this.reportedUs + Math.min(relistUs * 2 ** Math.min(this.relists, 6), Math.max(relistUs, RELIST_MAX_US)),
    );
  }

  private bring(dueUs: number): void {
    if (dueUs < this.dueUs) this.dueUs = dueUs;
  }
}

/** How far apart reports are while new data arrives; the sender's probe timer allows for it. */
export function feedbackIntervalUs(rttUs: number): number {
  return Math.max(5 * MILLISECOND_US, Math.min(rttUs >>> 2, 250 * MILLISECOND_US));
}
