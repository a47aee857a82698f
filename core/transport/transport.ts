import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import {
  CELL_BYTES,
  CELL_FRAMES_BYTES,
  CELL_HEADER_BYTES,
  decodeCellHeader,
  EndCode,
  encodeCellHeader,
  FrameType,
  isUnreliableType,
} from "../wire/cell.js";
import { Reader, Writer } from "../wire/cursor.js";
import { DATAGRAM_BYTES_MAX } from "../wire/datagram-frame.js";
import { decodeFeedback, encodeFeedback, Feedback } from "../wire/feedback-frame.js";
import {
  decodeClose,
  decodePing,
  encodeClose,
  encodePing,
  encodePong,
  PING_FRAME_BYTES,
} from "../wire/session-frames.js";
import type { CellSink, CellSource, TransportEvents } from "./cell-user.js";
import { DatagramQueue } from "./datagram-queue.js";
import { Receiver } from "./receiver.js";
import { Rtt } from "./rtt.js";
import { Sender } from "./sender.js";
import { StoreBounds } from "./store-bounds.js";

export interface TransportConfig {
  /** Names the session in traces. */
  readonly session: number;
  readonly trace: TraceSink;
  /** Which packet numbers are left out: the peer must not guess it. */
  readonly random32: () => number;
  /** Round-trip time as the handshake measured it, microseconds. */
  readonly rttUs?: number;
  /** Shared with the other sessions of a stack. */
  readonly stores?: StoreBounds;
}

export type TransportState =
  | { readonly kind: "open" }
  /** Ended from here: CLOSE is said, and said again to whoever goes on sending. */
  | { readonly kind: "closing"; readonly code: number; saidUs: number; timesLeft: number; isDue: boolean }
  /** Ended by the peer (CLOSE) or because it was silent too long (sessionLost). */
  | { readonly kind: "closed"; readonly code: number };

/** Why a cell ended the session. */
export type TransportFault = "header" | "frame" | "frameKind" | "feedback" | "user";

/** Frames that wait for an unreliable cell; one more is not taken. */
const FRAMES_MAX = 64;
/** One in so many packet numbers is left out on average, so that a peer that reports what it has not received is found. */
const SKIP_MEAN = 64;
const PINGS_MAX = 32;
const PING_LIFE_US = 10 * SECOND_US;
const RTT_FRESH_US = SECOND_US;
const CLOSES_MAX = 8;
const CLOSE_SPACING_US = 100 * MILLISECOND_US;
/** A ping of our own, to keep the round-trip time fresh where only data comes in. */
const OWN_PING = -1;

interface Ping {
  readonly wireId: number;
  readonly id: number;
  /** -1: not sent yet. */
  sentUs: number;
}

/**
 * One end of an end-to-end session: makes cells out of what a CellSource has to say, repairs what the peer misses, and
 * tells the peer what is missing here. No acknowledgement per packet: FEEDBACK names everything missing, each time.
 * Knows nothing of addresses, links or circuits. (research/anonymity.md section 4)
 *
 * After each input: `pollCell` until it is false, then ask `nextTimeoutUs`.
 */
export class Transport {
  state: TransportState = { kind: "open" };
  private readonly config: TransportConfig;
  private readonly user: CellSource & CellSink;
  private readonly events: TransportEvents;
  private readonly rtt: Rtt;
  private readonly sender: Sender;
  private readonly receiver: Receiver;
  private readonly feedback = new Feedback();
  private readonly reader = new Reader(new Uint8Array(0));
  private readonly frames = new Writer(new Uint8Array(CELL_FRAMES_BYTES));
  private readonly datagrams = new DatagramQueue();
  /** Datagrams and streams take turns, a cell each. */
  private isDatagramTurn = false;
  private readonly queued: Uint8Array[] = [];
  private readonly pongs: number[] = [];
  private pings: Ping[] = [];
  private nextPing = 1;
  private untilSkip: number;
  private measuredUs = 0;
  private nowUs = 0;

  constructor(config: TransportConfig, user: CellSource & CellSink, events: TransportEvents) {
    this.config = config;
    this.user = user;
    this.events = events;
    this.untilSkip = 1 + (config.random32() % (2 * SKIP_MEAN));
    this.rtt = new Rtt(config.rttUs);
    this.sender = new Sender(this.rtt, config.random32, config.stores ?? new StoreBounds());
    this.receiver = new Receiver(this.rtt);
  }

  get isOpen(): boolean {
    return this.state.kind === "open";
  }

  /** True when the peer has reported every reliable cell, and none waits. */
  get isHeard(): boolean {
    return this.sender.isIdle && !this.user.isReady;
  }

  /** True when besides nothing else waits. */
  get isIdle(): boolean {
    return this.isHeard && this.datagrams.length === 0 && !this.receiver.owesFeedback;
  }

  get rttUs(): number {
    return this.rtt.smoothedUs;
  }

  get status(): TransportStatus {
    return {
      rttUs: this.rtt.smoothedUs,
      minRttUs: this.rtt.minUs,
      windowCells: this.sender.rate.windowCells(this.nowUs),
      inFlightCells: this.sender.inFlight,
      unreportedCells: this.sender.store.next - this.sender.store.floor,
      storeBytes: this.sender.store.bytes,
      sentCells: this.sender.allSent,
      repairedCells: this.sender.repaired,
      receivedCells: this.receiver.receivedTotal,
      feedbackSent: this.receiver.feedbackSent,
      listsIgnored: this.sender.listsIgnored,
      datagramsWaiting: this.datagrams.length,
      datagramsDropped: this.datagrams.dropped,
    };
  }

  /**
   * The plaintext `bytes[at, at + length)` that opened under packet number `packet`, once per packet (the session drops
   * replays). Returns why it ended the session, if it did; never throws.
   */
  handleCell(nowUs: number, packet: number, bytes: Uint8Array, at: number, length: number): TransportFault | undefined {
    this.nowUs = nowUs;
    if (this.state.kind === "closed") return undefined;
    if (this.state.kind === "closing") {
      this.repeatClose(nowUs, this.state);
      return undefined;
    }
    const input = this.reader;
    input.bytes = bytes;
    input.offset = at;
    input.end = at + length;
    input.ok = true;
    const header = decodeCellHeader(input);
    if (header === undefined || length !== CELL_BYTES) return this.fail("header");
    this.receiver.handleCell(nowUs, packet);
    if (!header.isReliable) return this.handleUnreliable(nowUs, input, header.isPush);
    if (this.receiver.handleReliable(nowUs, header.seq, header.isPush) !== "new") return undefined;
    while (this.isOpen && input.remaining > 0) {
      const type = input.u8();
      if (type === FrameType.pad) return undefined;
      if (isUnreliableType(type)) return this.fail("frameKind");
      if (!this.user.handleFrame(nowUs, type, input)) return this.fail("user");
    }
    return undefined;
  }

  /**
   * Writes the cell that is due at `nowUs` into out[at, at + CELL_BYTES) and returns true; false when none is due.
   * `packet` is the number it will be sealed with: the caller must send it.
   */
  pollCell(nowUs: number, packet: number, out: Uint8Array, at: number): boolean {
    this.nowUs = nowUs;
    switch (this.state.kind) {
      case "closed":
        return false;
      case "closing": {
        if (!this.state.isDue) return false;
        this.state.isDue = false;
        this.frames.offset = 0;
        encodeClose(this.frames, this.state.code);
        this.writeCell(out, at, false, false, 0);
        return true;
      }
      case "open":
        return this.pollFeedback(nowUs, packet, out, at) || this.pollPaced(nowUs, packet, out, at);
    }
  }

  /** After each cell sent: is the next packet number to be left out? */
  takeSkip(): boolean {
    this.untilSkip -= 1;
    if (this.untilSkip > 0) return false;
    this.untilSkip = 1 + (this.config.random32() % (2 * SKIP_MEAN));
    return true;
  }

  /** When `handleTimeout` and `pollCell` are to be called next; in the past when at once. */
  get nextTimeoutUs(): number {
    if (this.state.kind === "closed") return NEVER;
    if (this.state.kind === "closing") return this.state.isDue ? 0 : NEVER;
    if (this.queued.length > 0 || this.pongs.length > 0 || this.pings.some((ping) => ping.sentUs < 0)) return 0;
    return Math.min(
      this.receiver.feedbackDueUs,
      this.sender.nextTimeoutUs(this.nowUs, this.user.isReady, this.datagrams.length > 0),
    );
  }

  handleTimeout(nowUs: number): void {
    this.nowUs = nowUs;
    if (!this.isOpen || this.sender.handleTimeout(nowUs)) return;
    this.state = { kind: "closed", code: EndCode.sessionLost };
    this.end(EndCode.sessionLost);
  }

  /** Asks the peer for a sign of life; `events.pong(id)` tells. Not repeated: an answer may be lost. */
  ping(nowUs: number, id: number): void {
    this.nowUs = nowUs;
    if (this.isOpen) this.addPing(nowUs, id);
  }

  /**
   * Queues one whole frame, its type byte included, for the next unreliable cell: it leaves at once and is not repeated.
   * Copies. False: 64 wait already, or the session is over. The frame must be one that an unreliable cell may hold.
   */
  queueFrame(frame: Uint8Array): boolean {
    if (frame.length > CELL_FRAMES_BYTES)
      throw new RangeError(`Transport: a frame of ${frame.length} bytes fits no cell`);
    if (!this.isOpen || this.queued.length >= FRAMES_MAX) return false;
    const copy = new Uint8Array(frame.length);
    copy.set(frame);
    this.queued.push(copy);
    return true;
  }

  /**
   * Queues one datagram of at most DATAGRAM_BYTES_MAX: it leaves when the window allows and is not repaired. Copies.
   * False when an older one was dropped for it, or when the session is over.
   */
  sendDatagram(flow: number, port: number, data: Uint8Array): boolean {
    if (data.length > DATAGRAM_BYTES_MAX) throw new RangeError(`Transport: a datagram of ${data.length} bytes`);
    return this.isOpen && this.datagrams.push(flow, port, data);
  }

  /** Ends the session: CLOSE is sent, all streams end with `code`. Asked again, CLOSE is sent again. */
  close(nowUs: number, code: number): void {
    this.nowUs = nowUs;
    if (this.state.kind === "closing") this.state.isDue = true;
    if (!this.isOpen) return;
    this.state = { kind: "closing", code, saidUs: nowUs, timesLeft: CLOSES_MAX, isDue: true };
    this.end(code);
  }

  digest(into: Digest): void {
    this.sender.digest(into);
    this.receiver.digest(into);
    this.rtt.digest(into);
    this.datagrams.digest(into);
    into
      .number(this.isDatagramTurn ? 1 : 0)
      .number(this.queued.length)
      .number(this.pongs.length)
      .number(this.pings.length)
      .number(this.nextPing)
      .number(this.untilSkip);
    into.number(this.state.kind === "open" ? 0 : this.state.kind === "closing" ? 1 : 2);
  }

  private handleUnreliable(nowUs: number, input: Reader, isPush: boolean): TransportFault | undefined {
    let holdsDatagrams = false;
    while (this.isOpen && input.remaining > 0) {
      const type = input.u8();
      switch (type) {
        case FrameType.pad:
          return undefined;
        case FrameType.feedback: {
          if (!decodeFeedback(input, this.feedback)) return this.fail("feedback");
          if (!this.sender.handleFeedback(nowUs, this.feedback)) return this.fail("feedback");
          this.measuredUs = nowUs;
          break;
        }
        case FrameType.ping: {
          const id = decodePing(input);
          if (id === undefined) return this.fail("frame");
          if (this.pongs.length < PINGS_MAX) this.pongs.push(id);
          break;
        }
        case FrameType.pong: {
          const id = decodePing(input);
          if (id === undefined) return this.fail("frame");
          this.handlePong(nowUs, id);
          break;
        }
        case FrameType.close: {
          const code = decodeClose(input);
          if (code === undefined) return this.fail("frame");
          this.state = { kind: "closed", code };
          this.end(code);
          return undefined;
        }
        default:
          if (!isUnreliableType(type)) return this.fail("frameKind");
          if (type === FrameType.datagram && !holdsDatagrams) {
            holdsDatagrams = true;
            this.receiver.handleDatagrams(nowUs, isPush);
          }
          if (!this.events.handleUnreliableFrame(nowUs, type, input)) return this.fail("user");
      }
    }
    return undefined;
  }

  private pollFeedback(nowUs: number, packet: number, out: Uint8Array, at: number): boolean {
    const isDue = nowUs >= this.receiver.feedbackDueUs;
    const hasPing = this.pings.some((ping) => ping.sentUs < 0);
    if (!isDue && !hasPing && this.pongs.length === 0 && this.queued.length === 0) return false;
    this.frames.offset = 0;
    if (isDue || this.receiver.owesFeedback) {
      this.receiver.report(nowUs, this.feedback);
      encodeFeedback(this.frames, this.feedback);
      this.config.trace(Trace.feedbackSent, this.config.session, this.feedback.rangeCount, 0);
      // A cell is never smaller, so a ping in it costs nothing.
      if (nowUs - this.measuredUs >= RTT_FRESH_US) {
        this.measuredUs = nowUs;
        this.addPing(nowUs, OWN_PING);
      }
    }
    for (const ping of this.pings) {
      if (ping.sentUs >= 0 || this.frames.room < PING_FRAME_BYTES) continue;
      ping.sentUs = nowUs;
      encodePing(this.frames, ping.wireId);
    }
    while (this.pongs.length > 0 && this.frames.room >= PING_FRAME_BYTES) encodePong(this.frames, this.pongs.shift()!);
    while (this.queued.length > 0 && this.frames.room >= this.queued[0]!.length) this.frames.raw(this.queued.shift()!);
    this.writeCell(out, at, false, false, 0);
    this.sender.handleSentUnreliable(nowUs, packet);
    return true;
  }

  private pollPaced(nowUs: number, packet: number, out: Uint8Array, at: number): boolean {
    const isTurn = this.isDatagramTurn && this.datagrams.length > 0;
    if (!isTurn && this.pollReliable(nowUs, packet, out, at)) {
      this.isDatagramTurn = true;
      return true;
    }
    if (this.pollDatagrams(nowUs, packet, out, at)) {
      this.isDatagramTurn = false;
      return true;
    }
    return isTurn && this.pollReliable(nowUs, packet, out, at);
  }

  private pollDatagrams(nowUs: number, packet: number, out: Uint8Array, at: number): boolean {
    if (this.datagrams.length === 0 || !this.sender.mayFly(nowUs)) return false;
    this.frames.offset = 0;
    this.datagrams.fill(this.frames);
    this.writeCell(out, at, false, this.sender.needsPush(nowUs, false), 0);
    this.sender.handleSentDatagrams(nowUs, packet);
    return true;
  }

  private pollReliable(nowUs: number, packet: number, out: Uint8Array, at: number): boolean {
    const { sender, user } = this;
    const probe = sender.probe;
    if (probe !== 0) {
      this.writeAgain(out, at, probe, true);
      sender.handleSentProbe(nowUs, packet, probe);
      return true;
    }
    const repair = sender.repair;
    const hasNew = repair === 0 && user.isReady && sender.takesNew;
    if ((repair === 0 && !hasNew) || !sender.mayFly(nowUs)) return false;
    if (repair !== 0) {
      const isLast = sender.store.repairs === 1 && !user.isReady;
      this.writeAgain(out, at, repair, sender.needsPush(nowUs, isLast));
      sender.handleRepaired(nowUs, packet, repair, isLast);
      return true;
    }
    for (;;) {
      this.frames.offset = 0;
      user.fillCell(nowUs, this.rtt.smoothedUs, this.frames);
      if (this.frames.offset === 0 || !this.isOpen) return false;
      this.frames.bytes.fill(0, this.frames.offset);
      const seq = sender.store.push(this.frames.bytes);
      if (user.isReady && sender.takesNew && sender.withholds(nowUs, seq)) continue;
      this.writeCell(out, at, true, sender.needsPush(nowUs, !user.isReady), seq);
      sender.handleSentNew(nowUs, packet, seq, !user.isReady);
      return true;
    }
  }

  private writeAgain(out: Uint8Array, at: number, seq: number, isPush: boolean): void {
    this.writeHeader(out, at, true, isPush, seq);
    out.set(this.sender.store.frames(seq), at + CELL_HEADER_BYTES);
    this.config.trace(Trace.cellRepaired, this.config.session, seq, 0);
  }

  /** Header, the frames written so far, zeros. */
  private writeCell(out: Uint8Array, at: number, isReliable: boolean, isPush: boolean, seq: number): void {
    this.frames.bytes.fill(0, this.frames.offset);
    this.writeHeader(out, at, isReliable, isPush, seq);
    out.set(this.frames.bytes, at + CELL_HEADER_BYTES);
  }

  private writeHeader(out: Uint8Array, at: number, isReliable: boolean, isPush: boolean, seq: number): void {
    encodeCellHeader(new Writer(out, at, at + CELL_HEADER_BYTES), { isReliable, isPush, seq });
    out.fill(0, at + CELL_HEADER_BYTES + CELL_FRAMES_BYTES, at + CELL_BYTES);
  }

  private addPing(nowUs: number, id: number): void {
    // The oldest makes room: its answer, if it still comes, is not noticed.
    this.pings = this.pings.filter((ping) => ping.sentUs < 0 || nowUs - ping.sentUs < PING_LIFE_US);
    if (this.pings.length >= PINGS_MAX) this.pings.shift();
    this.pings.push({ wireId: this.nextPing, id, sentUs: -1 });
    this.nextPing = (this.nextPing + 1) >>> 0;
  }

  private handlePong(nowUs: number, wireId: number): void {
    const index = this.pings.findIndex((ping) => ping.wireId === wireId && ping.sentUs >= 0);
    if (index < 0) return;
    const ping = this.pings[index]!;
    this.pings.splice(index, 1);
    const rttUs = Math.max(1, nowUs - ping.sentUs);
    this.rtt.handleSample(nowUs, rttUs);
    this.measuredUs = nowUs;
    if (ping.id !== OWN_PING) this.events.pong(ping.id, rttUs);
  }

  private repeatClose(nowUs: number, state: TransportState & { kind: "closing" }): void {
    if (state.timesLeft === 0 || nowUs - state.saidUs < CLOSE_SPACING_US) return;
    state.timesLeft -= 1;
    state.saidUs = nowUs;
    state.isDue = true;
  }

  private fail(fault: TransportFault): TransportFault {
    this.close(this.nowUs, EndCode.protocol);
    return fault;
  }

  private end(code: number): void {
    this.datagrams.clear();
    this.queued.length = 0;
    this.sender.store.close();
    this.config.trace(Trace.sessionClosed, this.config.session, code, 0);
    this.user.handleSessionEnd(code);
  }
}

/** Numbers for status pages and tests. */
export interface TransportStatus {
  readonly rttUs: number;
  readonly minRttUs: number;
  readonly windowCells: number;
  readonly inFlightCells: number;
  /** Reliable cells that the peer has not covered with its floor. */
  readonly unreportedCells: number;
  readonly storeBytes: number;
  readonly sentCells: number;
  readonly repairedCells: number;
  readonly receivedCells: number;
  readonly feedbackSent: number;
  /** Lists of missing cells that came too soon after others. */
  readonly listsIgnored: number;
  readonly datagramsWaiting: number;
  /** Those that made room for newer ones before they could leave. */
  readonly datagramsDropped: number;
}
