import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { SEQ_MAX } from "../wire/cell.js";
import type { Feedback } from "../wire/feedback-frame.js";
import { CellStore } from "./cell-store.js";
import { Pacer } from "./pacer.js";
import { PacketHistory } from "./packet-history.js";
import { RateControl } from "./rate.js";
import { feedbackIntervalUs } from "./receiver.js";
import type { Rtt } from "./rtt.js";

const PROBE_MAX_US = SECOND_US;
const PROBE_DOUBLINGS_MAX = 10;
/** So long without any report while cells are outstanding, and the peer is gone. */
const DEAD_US = 30 * SECOND_US;
/** A repaired cell is lost again when this many later packets arrived and it did not. */
const LATER_PACKETS = 3;
/** Below this window a report is asked for whenever the window is used up, so that it never waits for a timer. */
const PUSH_WINDOW_CELLS = 64;

/**
 * Reliable cells until the peer reports them: what to send again, when to probe, how much may be on its way. Cells of
 * datagrams fly under the same window, and are forgotten when they have.
 */
export class Sender {
  readonly store = new CellStore();
  readonly rate: RateControl;
  /** Reliable cells sent again, in all. */
  repaired = 0;
  /** Cells sent of either kind. */
  allSent = 0;
  private readonly rtt: Rtt;
  private readonly history = new PacketHistory();
  private readonly pacer = new Pacer();
  /** Cells sent under the window: reliable ones and datagrams. */
  private pacedSent = 0;
  /** As many of them as had been sent up to the newest packet that the peer reported. */
  private reportedPaced = 0;
  /** As many as had been sent with the last datagram. */
  private datagramSent = 0;
  private newestReported = -1;
  private lastSentUs = 0;
  private lastHeardUs = 0;
  private waitingSinceUs = 0;
  private silenceDueUs = NEVER;
  private probes = 0;
  private probeWaits = false;

  constructor(rtt: Rtt) {
    this.rtt = rtt;
    this.rate = new RateControl(rtt);
  }

  /** Cells sent after the newest packet that the peer reported: earlier ones arrived or are known as missing. */
  get inFlight(): number {
    return this.pacedSent - this.reportedPaced;
  }

  /** True when a new cell may be made. */
  get takesNew(): boolean {
    return !this.store.isFull && this.store.next <= SEQ_MAX;
  }

  /** True when nothing is on its way that a report should follow. */
  get isIdle(): boolean {
    return this.store.isEmpty && this.reportedPaced >= this.datagramSent;
  }

  /** May a cell leave now? Asked only when one is waiting. */
  mayFly(nowUs: number): boolean {
    if (this.inFlight >= this.rate.windowCells(nowUs)) {
      this.rate.handleLimited();
      return false;
    }
    return this.pacer.allows(nowUs);
  }

  /** Should the cell that leaves now ask for a report at once? */
  needsPush(nowUs: number, isLast: boolean): boolean {
    if (isLast) return true;
    const window = this.rate.windowCells(nowUs);
    return window < PUSH_WINDOW_CELLS && this.inFlight + 1 >= window;
  }

  /** The cell to send whether or not the window allows it; 0 when none. */
  get probe(): number {
    return this.probeWaits && !this.store.isEmpty ? this.store.next - 1 : 0;
  }

  /** The oldest cell to send again; 0 when none. */
  get repair(): number {
    return this.store.repairs > 0 ? this.store.nextRepair() : 0;
  }

  handleSentNew(nowUs: number, packet: number, seq: number): void {
    if (seq === this.store.floor) this.waitingSinceUs = nowUs;
    this.handlePaced(nowUs, packet);
    this.pacer.handleSent();
    this.store.handleSent(seq, packet, nowUs);
  }

  handleSentAgain(nowUs: number, packet: number, seq: number): void {
    this.handlePaced(nowUs, packet);
    if (this.probeWaits) this.probeWaits = false;
    else this.pacer.handleSent();
    this.repaired += 1;
    this.store.handleSentAgain(seq, packet, nowUs);
  }

  handleSentDatagrams(nowUs: number, packet: number): void {
    this.handlePaced(nowUs, packet);
    this.pacer.handleSent();
    this.datagramSent = this.pacedSent;
  }

  handleSentUnreliable(nowUs: number, packet: number): void {
    this.allSent += 1;
    this.history.record(packet, nowUs, this.pacedSent, this.allSent, this.newestReported);
  }

  /** Returns the number of cells marked for repair, or -1: the report claims what cannot be. */
  handleFeedback(nowUs: number, feedback: Feedback): number {
    const { store } = this;
    if (feedback.newestPacket > this.history.newest || feedback.floor > store.next) return -1;
    const last = feedback.rangeCount - 1;
    if (last >= 0 && feedback.ranges[last * 2]! + feedback.ranges[last * 2 + 1]! > store.next) return -1;
    this.lastHeardUs = nowUs;
    this.waitingSinceUs = nowUs;
    this.probes = 0;
    this.probeWaits = false;
    if (feedback.floor > store.floor) store.release(feedback.floor);
    if (feedback.newestPacket > this.newestReported) this.handleNewest(nowUs, feedback);
    const marked = feedback.newestPacket === this.newestReported ? this.markRepairs(nowUs, feedback) : 0;
    if (this.isIdle) this.writeOff();
    else this.silenceDueUs = this.inFlight > 0 ? nowUs + this.rate.silenceStepUs : NEVER;
    this.pacer.setRate(nowUs, this.rate.cellsPerSecond(nowUs));
    return marked;
  }

  /** False when the peer is gone. */
  handleTimeout(nowUs: number): boolean {
    if (this.isIdle) return true;
    if (!this.store.isEmpty && nowUs >= this.waitingSinceUs + DEAD_US) return false;
    if (nowUs >= this.silenceDueUs) {
      this.rate.handleSilence();
      this.silenceDueUs = nowUs + this.rate.silenceStepUs;
      this.pacer.setRate(nowUs, this.rate.cellsPerSecond(nowUs));
    }
    if (!this.probeWaits && nowUs >= this.probeDueUs) {
      this.probes += 1;
      if (this.store.isEmpty) this.writeOff();
      else this.probeWaits = true;
    }
    return true;
  }

  /** When something is due. @param hasNew a new cell waits to be made  @param hasDatagrams so does one of datagrams */
  nextTimeoutUs(nowUs: number, hasNew: boolean, hasDatagrams: boolean): number {
    let nextUs = NEVER;
    if (this.store.repairs > 0 || hasDatagrams || (hasNew && this.takesNew)) {
      if (this.inFlight < this.rate.windowCells(nowUs)) nextUs = this.pacer.nextUs;
    }
    if (this.isIdle) return nextUs;
    if (this.probeWaits) return 0;
    const deadUs = this.store.isEmpty ? NEVER : this.waitingSinceUs + DEAD_US;
    return Math.min(nextUs, this.silenceDueUs, this.probeDueUs, deadUs);
  }

  digest(into: Digest): void {
    this.store.digest(into);
    this.rate.digest(into);
    this.pacer.digest(into);
    this.history.digest(into);
    into
      .number(this.pacedSent)
      .number(this.reportedPaced)
      .number(this.newestReported + 1)
      .number(this.repaired);
    into.number(this.lastSentUs).number(this.lastHeardUs).number(this.waitingSinceUs).number(this.silenceDueUs);
    into
      .number(this.datagramSent)
      .number(this.probes)
      .number(this.probeWaits ? 1 : 0);
  }

  private get probeDueUs(): number {
    const { smoothedUs, variationUs } = this.rtt;
    const baseUs = smoothedUs + Math.max(4 * variationUs, MILLISECOND_US) + feedbackIntervalUs(smoothedUs);
    const backedUs = baseUs * 2 ** Math.min(this.probes, PROBE_DOUBLINGS_MAX);
    return Math.max(this.lastSentUs, this.lastHeardUs) + Math.min(backedUs, Math.max(baseUs, PROBE_MAX_US));
  }

  private handlePaced(nowUs: number, packet: number): void {
    this.pacedSent += 1;
    this.allSent += 1;
    this.lastSentUs = nowUs;
    if (this.silenceDueUs === NEVER) this.silenceDueUs = nowUs + this.rate.silenceStepUs;
    this.history.record(packet, nowUs, this.pacedSent, this.allSent, this.newestReported);
  }

  /** What is on its way needs no report: every reliable cell has arrived, and datagrams are not worth the waiting. */
  private writeOff(): void {
    this.reportedPaced = this.pacedSent;
    this.silenceDueUs = NEVER;
  }

  private handleNewest(nowUs: number, feedback: Feedback): void {
    this.newestReported = feedback.newestPacket;
    const slot = this.history.find(feedback.newestPacket);
    if (slot < 0) return;
    const elapsedUs = nowUs - this.history.sentUs(slot);
    const rttUs = Math.max(1, elapsedUs - Math.min(elapsedUs, feedback.echoDelayUs));
    const paced = this.history.pacedSent(slot);
    const all = this.history.allSent(slot);
    const passed = Math.max(0, paced - this.reportedPaced);
    this.reportedPaced += passed;
    this.rtt.handleSample(nowUs, rttUs);
    this.rate.handleReport(
      nowUs,
      feedback.newestPacket,
      this.history.newest + 1,
      rttUs,
      passed,
      all,
      feedback.receivedTotal,
    );
  }

  private markRepairs(nowUs: number, feedback: Feedback): number {
    const { store, rtt } = this;
    const before = store.repairs;
    for (let i = 0; i < feedback.rangeCount; i += 1) {
      const start = feedback.ranges[i * 2]!;
      const end = start + feedback.ranges[i * 2 + 1]!;
      for (let seq = Math.max(start, store.floor); seq < end; seq += 1) {
        if (this.isLost(nowUs, seq, feedback.newestPacket, rtt.smoothedUs)) store.markRepair(seq);
      }
    }
    return store.repairs - before;
  }

  /** The peer misses `seq`: is the copy sent last lost, or may it still be on its way? */
  private isLost(nowUs: number, seq: number, newestPacket: number, rttUs: number): boolean {
    const { store } = this;
    const packet = store.packetOf(seq);
    if (packet > newestPacket) return false;
    if (!store.wasSentAgain(seq)) return true;
    const agoUs = nowUs - store.sentUsOf(seq);
    if (agoUs * 10 < rttUs * 9) return false;
    return newestPacket >= packet + LATER_PACKETS || agoUs * 8 > rttUs * 9;
  }
}
