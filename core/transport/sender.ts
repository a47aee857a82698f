import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { SEQ_MAX } from "../wire/cell.js";
import { Feedback } from "../wire/feedback-frame.js";
import { CellStore } from "./cell-store.js";
import { Pacer } from "./pacer.js";
import { PacketHistory } from "./packet-history.js";
import { RateControl } from "./rate.js";
import { feedbackIntervalUs } from "./receiver.js";
import type { Rtt } from "./rtt.js";
import type { StoreBounds } from "./store-bounds.js";

const PROBE_MAX_US = SECOND_US;
const PROBE_DOUBLINGS_MAX = 10;
/** So long without any report while cells are outstanding, and the peer is gone. */
const DEAD_US = 30 * SECOND_US;
/** A repaired cell is lost again when this many later packets arrived and it did not. */
const LATER_PACKETS = 3;
/** So many probes in a row without an answer are persistent congestion (RFC 9002 section 7.6). */
const PERSISTENT_PROBES = 3;
/** Lists of missing cells are looked through at least so far apart, or an eighth of the round trip if that is less. */
const LIST_SPACING_US = 5 * MILLISECOND_US;
/** A report may be so much later than its interval explains: timers are coarse, and the peer's round trip is another. */
const ECHO_SLACK_US = 25 * MILLISECOND_US;
/** A cell with PUSH is reported at once: so late the report may be. */
const PUSH_SLACK_US = 10 * MILLISECOND_US;
/** From this loss on, per mille, the last cell of a burst is sent twice. */
const TAIL_LOSS = 10;
const TAIL_MIN_US = 2 * MILLISECOND_US;
/** One in so many new cells is kept back until the peer misses it, at random, where many are on their way. */
const WITHHELD_MEAN = 512;
/** Below this window a report is asked for whenever the window is used up, so that it never waits for a timer. */
const PUSH_WINDOW_CELLS = 64;

/**
 * Reliable cells until the peer reports them: what to send again, when to probe, how much may be on its way. Cells of
 * datagrams fly under the same window, and are forgotten when they have.
 */
export class Sender {
  readonly store: CellStore;
  readonly rate: RateControl;
  /** Reliable cells sent again, in all. */
  repaired = 0;
  /** Cells sent of either kind. */
  allSent = 0;
  private readonly rtt: Rtt;
  private readonly random32: () => number;
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
  /** Cells to be sent again by themselves, whether or not the window allows it; 0 when none. */
  private probeNewest = 0;
  private probeOldest = 0;
  /** The cell sent last was the last of a burst: the peer reports it at once. */
  private isBurstOver = false;
  /** When the last cell of a burst is sent a second time. */
  private tailDueUs: number = NEVER;
  private untilWithheld: number;
  /** The cell that is kept back; 0 when none is, or when the peer can have it. */
  private withheld = 0;
  /** Copies of cells that were listed as missing. */
  private lostTotal = 0;
  /** Total that the newest report told. */
  private reportedTotal = 0;
  private listUs = 0;
  /** A list that came too soon after another: it is looked through when it is time. */
  private readonly kept = new Feedback();
  private isKept = false;
  private isAbused = false;
  /** Lists that were never looked through, because newer ones came too soon. */
  listsIgnored = 0;

  constructor(rtt: Rtt, random32: () => number, stores: StoreBounds) {
    this.store = new CellStore(stores);
    this.rtt = rtt;
    this.random32 = random32;
    this.untilWithheld = 1 + (random32() % (2 * WITHHELD_MEAN));
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
    return this.probeOldest !== 0 ? this.probeOldest : this.probeNewest;
  }

  /** The oldest cell to send again; 0 when none. */
  get repair(): number {
    return this.store.repairs > 0 ? this.store.nextRepair() : 0;
  }

  /** @param isLast nothing more waits to be sent */
  handleSentNew(nowUs: number, packet: number, seq: number, isLast: boolean): void {
    if (seq === this.store.floor) this.waitingSinceUs = nowUs;
    this.handlePaced(nowUs, packet);
    this.pacer.handleSent();
    this.store.handleSentNew(seq, packet, nowUs);
    this.watchTail(nowUs, isLast);
  }

  /**
   * Is the new cell `seq` to be kept back? A receiver that hides its losses claims it too, and shows itself. To an honest
   * one it is a cell lost. Asked when another cell follows at once.
   */
  withholds(nowUs: number, seq: number): boolean {
    if (this.withheld !== 0 || this.rate.windowCells(nowUs) < PUSH_WINDOW_CELLS) return false;
    this.untilWithheld -= 1;
    if (this.untilWithheld > 0) return false;
    this.untilWithheld = 1 + (this.random32() % (2 * WITHHELD_MEAN));
    this.withheld = seq;
    this.store.withhold(seq, nowUs);
    return true;
  }

  handleSentProbe(nowUs: number, packet: number, seq: number): void {
    if (seq === this.probeOldest) this.probeOldest = 0;
    else this.probeNewest = 0;
    this.handlePaced(nowUs, packet);
    this.repaired += 1;
    this.store.handleSentAgain(seq, packet, nowUs);
  }

  /** @param isLast nothing more waits to be sent */
  handleRepaired(nowUs: number, packet: number, seq: number, isLast: boolean): void {
    this.handlePaced(nowUs, packet);
    this.pacer.handleSent();
    this.repaired += 1;
    this.store.handleSentAgain(seq, packet, nowUs);
    this.watchTail(nowUs, isLast);
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

  /** False when the report claims what cannot be: its peer lies, or is broken. */
  handleFeedback(nowUs: number, feedback: Feedback): boolean {
    if (this.isAbused || !this.isCredible(feedback)) return false;
    const { store } = this;
    this.lastHeardUs = nowUs;
    this.waitingSinceUs = nowUs;
    this.probes = 0;
    this.probeNewest = 0;
    this.probeOldest = 0;
    if (feedback.floor > store.floor) store.release(feedback.floor);
    if (feedback.floor > this.withheld) this.withheld = 0;
    const isFresh = feedback.newestPacket > this.newestReported && this.handleNewest(nowUs, feedback);
    if (store.isEmpty || store.packetOf(store.next - 1) <= this.newestReported) this.tailDueUs = NEVER;
    if (feedback.newestPacket === this.newestReported) this.handleList(nowUs, feedback);
    if (this.isIdle) this.writeOff();
    else if (this.inFlight === 0) this.silenceDueUs = NEVER;
    // Who tells nothing of the round trip is silent, as far as the rate goes.
    else if (isFresh || this.silenceDueUs === NEVER) this.silenceDueUs = nowUs + this.rate.silenceStepUs;
    this.pacer.setRate(nowUs, this.rate.cellsPerSecond(nowUs));
    return !this.isAbused;
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
    if (this.isKept && nowUs >= this.listUs) this.markRepairs(nowUs, this.kept);
    if (nowUs >= this.tailDueUs) {
      this.tailDueUs = NEVER;
      this.askProbes();
    }
    if (this.probeNewest === 0 && nowUs >= this.probeDueUs) {
      this.probes += 1;
      if (this.probes === PERSISTENT_PROBES) {
        this.rate.handlePersistent();
        this.rtt.forget();
        this.pacer.setRate(nowUs, this.rate.cellsPerSecond(nowUs));
      }
      if (this.store.isEmpty) this.writeOff();
      else this.askProbes();
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
    if (this.probeNewest !== 0) return 0;
    const deadUs = this.store.isEmpty ? NEVER : this.waitingSinceUs + DEAD_US;
    const listUs = this.isKept ? this.listUs : NEVER;
    return Math.min(nextUs, this.silenceDueUs, this.probeDueUs, this.tailDueUs, listUs, deadUs);
  }

  digest(into: Digest): void {
    this.store.digest(into);
    into.number(this.untilWithheld).number(this.withheld).number(this.lostTotal);
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
      .number(this.tailDueUs)
      .number(this.reportedTotal)
      .number(this.listUs)
      .number(this.isKept ? 1 : 0);
    into
      .number(this.datagramSent)
      .number(this.probes)
      .number(this.isBurstOver ? 1 : 0)
      .number(this.probeNewest)
      .number(this.probeOldest);
  }

  /** The end of a burst has nothing after it that would show its loss: where cells get lost, it is sent twice. */
  private watchTail(nowUs: number, isLast: boolean): void {
    this.isBurstOver = isLast;
    const isRisky = isLast && this.rate.lossPerMille >= TAIL_LOSS;
    this.tailDueUs = isRisky ? nowUs + Math.max(this.rtt.smoothedUs >>> 2, TAIL_MIN_US) : NEVER;
  }

  /** The newest cell shows the peer where the end is, the oldest is the one that it has missed longest. */
  private askProbes(): void {
    this.probeNewest = this.store.next - 1;
    this.probeOldest = this.store.floor < this.probeNewest ? this.store.floor : 0;
  }

  private get probeDueUs(): number {
    const { smoothedUs, variationUs } = this.rtt;
    const intervalUs = feedbackIntervalUs(smoothedUs);
    const reportUs = this.isBurstOver ? Math.min(intervalUs, PUSH_SLACK_US) : intervalUs;
    const baseUs = smoothedUs + Math.max(4 * variationUs, MILLISECOND_US) + reportUs;
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

  /**
   * What an honest receiver can say at all. A cell that it has, or that a later one of it shows to be missing, came in a
   * packet up to the newest one that it received; of the numbers up to that one some were never used.
   */
  private isCredible(feedback: Feedback): boolean {
    const { store, history } = this;
    const { newestPacket, floor, receivedTotal, rangeCount, ranges } = feedback;
    if (history.isUnsent(newestPacket) || floor > store.next) return false;
    if (floor > store.floor && store.firstPacketOf(floor - 1) > newestPacket) return false;
    const { withheld } = this;
    if (withheld !== 0 && floor > withheld && store.firstPacketOf(withheld) > newestPacket) return false;
    if (rangeCount > 0) {
      let end = ranges[rangeCount * 2 - 2]! + ranges[rangeCount * 2 - 1]!;
      if (end === withheld) end += 1; // what is missing there is not ripe yet, but what follows it has come
      if (end >= store.next || (end >= store.floor && store.firstPacketOf(end) > newestPacket)) return false;
    }
    const slot = history.find(newestPacket);
    if (slot >= 0 && receivedTotal > history.allSent(slot)) return false;
    // A later report never takes back what an earlier one said.
    return newestPacket <= this.newestReported || (floor >= store.floor && receivedTotal >= this.reportedTotal);
  }

  /** True when the report told the round trip. */
  private handleNewest(nowUs: number, feedback: Feedback): boolean {
    this.newestReported = feedback.newestPacket;
    this.reportedTotal = feedback.receivedTotal;
    const slot = this.history.find(feedback.newestPacket);
    if (slot < 0) return false;
    const elapsedUs = nowUs - this.history.sentUs(slot);
    const paced = this.history.pacedSent(slot);
    const all = this.history.allSent(slot);
    const passed = Math.max(0, paced - this.reportedPaced);
    this.reportedPaced += passed;
    // The longer the delay it claims, the shorter the round trip seems: no more than its rules explain is believed.
    if (feedback.echoDelayUs > feedbackIntervalUs(this.rtt.smoothedUs) + ECHO_SLACK_US) return false;
    const rttUs = Math.max(1, elapsedUs - Math.min(elapsedUs, feedback.echoDelayUs));
    this.rtt.handleSample(nowUs, rttUs);
    this.rate.handleReport(
      nowUs,
      feedback.newestPacket,
      this.history.newest + 1,
      rttUs,
      passed,
      all,
      Math.min(feedback.receivedTotal, all - this.lostTotal), // what it lists it cannot have received
    );
    return true;
  }

  /** Looks through the list now, or a little later if the last one was looked through just before. The newest counts. */
  private handleList(nowUs: number, feedback: Feedback): void {
    if (this.isKept) this.listsIgnored += 1;
    this.isKept = false;
    if (feedback.rangeCount === 0) return;
    if (nowUs >= this.listUs) this.markRepairs(nowUs, feedback);
    else {
      this.kept.copy(feedback);
      this.isKept = true;
    }
  }

  private markRepairs(nowUs: number, feedback: Feedback): void {
    const { store, rtt } = this;
    this.isKept = false;
    this.listUs = nowUs + Math.min(rtt.smoothedUs >>> 3, LIST_SPACING_US);
    for (let i = 0; i < feedback.rangeCount; i += 1) {
      const start = feedback.ranges[i * 2]!;
      const end = start + feedback.ranges[i * 2 + 1]!;
      for (let seq = Math.max(start, store.floor); seq < end; seq += 1) {
        if (!this.isLost(nowUs, seq, feedback.newestPacket, rtt.smoothedUs)) continue;
        if (!store.markRepair(seq)) this.isAbused = true;
        if (seq !== this.withheld) this.lostTotal += 1;
      }
    }
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
