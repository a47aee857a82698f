import type { Digest } from "../collections/digest.js";
import { GapRegister } from "../collections/gap-register.js";
import { RateLimit } from "../session/rate-limit.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Writer } from "../wire/cursor.js";
import { encodeRouteHead, ROUTE_HEAD_BYTES } from "../wire/route-head.js";
import {
  encodeRouteStatus,
  type MissingRange,
  ROUTE_STATUS_HEAD_BYTES,
  ROUTE_STATUS_RANGE_BYTES,
  type RouteStatus,
} from "../wire/route-status.js";
import { type KeptFrame, KeptFrames } from "./kept-frames.js";

/** Messages that the neighbour has not processed yet. Beyond: nothing new is sent; changes wait, merged by destination. */
export const UNPROCESSED_MAX = 256;
/** Messages kept while an earlier one is missing. Beyond: dropped, and listed as missing later. */
export const WAITING_MAX = 64;
/** A neighbour that processes nothing for this long while something is outstanding is stalled (RFC 9687). */
export const STALL_US = 10 * SECOND_US;

/** A gap may be mere reordering: it is listed when this old, or when three later messages came. */
const REORDER_GRACE_US = 20 * MILLISECOND_US;
/** The least time before the same thing is asked again. */
const REPEAT_MIN_US = 100 * MILLISECOND_US;
/** The second ROUTE_HEAD: by then a hello has told how far the neighbour got, unless it was lost. */
const HEAD_REPEAT_US = 2_500 * MILLISECOND_US;
/** So many processed messages are reported at once: their copies need not be kept for hellos to tell. */
const REPORT_MESSAGES = 32;
const STATUS_REPEAT_MAX_US = 500 * MILLISECOND_US;
/** A copy sent this recently may still be on its way; doubled round trips of a good link. */
const RESEND_MIN_US = 20 * MILLISECOND_US;
/** Messages sent again. Beyond: they wait; a neighbour that lists everything again and again costs no more than this. */
const RESENDS_PER_SECOND = 1_000;
const RESENDS_BURST = 256;
const RANGES_MAX = WAITING_MAX / 2 + 1;

/**
 * One neighbour session's control stream, both directions: numbered messages, processed in order, repaired by lists of
 * what is missing. There is no acknowledgement per message: hellos carry how far the neighbour got, and a ROUTE_STATUS after
 * many messages. A ROUTE_HEAD follows the last message of news, and is answered only by who misses something: what is lost at
 * the end is repaired as soon as what is lost before it. What is no news can wait for the next hello, which says as much. A new
 * session starts a new stream.
 */
export class ControlStream {
  /** Our newest message number; 0 before the first. */
  sent = 0;
  /** The neighbour processed all of ours up to this number. */
  acknowledged = 0;
  /** We processed all of the neighbour's up to this number. */
  processed = 0;
  /** Messages of ours that were sent again. */
  repaired = 0;
  /** Smoothed round trip of the link, microseconds; 0 while unknown. */
  rttUs = 0;

  /** Messages `acknowledged + 1` to `sent`. */
  private readonly kept: KeptFrame[] = [];
  private readonly frames: KeptFrames;
  private repeats = 0;
  private readonly resends = new RateLimit(RESENDS_PER_SECOND, RESENDS_BURST);
  private headAtUs = NEVER;
  /** The last message that is news. */
  private news = 0;
  private progressUs = 0;

  /** What came beyond a gap, or has to wait; undefined while all that came is processed. */
  private register: GapRegister | undefined;
  /** Bodies that wait, by number. */
  private waiting: Map<number, Uint8Array> | undefined;
  /** The newest number the neighbour says it sent. */
  private promised = 0;
  private statusAtUs = NEVER;
  /** What the last ROUTE_STATUS said to be processed. */
  private reported = 0;
  private statusWaitUs = 0;

  /** @param frames where kept copies come from; all streams of a node share one */
  constructor(frames = new KeptFrames()) {
    this.frames = frames;
  }

  /** No new message may be sent until the neighbour has processed some. */
  get isFull(): boolean {
    return this.sent - this.acknowledged >= UNPROCESSED_MAX;
  }

  /** As much is under way as the neighbour keeps when the first of it is lost: what is not urgent waits. */
  get isAhead(): boolean {
    return this.sent - this.acknowledged >= WAITING_MAX;
  }

  /** True when repairs, a status or a head are to be written now. */
  isDue(nowUs: number): boolean {
    return this.nextTimeoutUs <= nowUs;
  }

  get nextTimeoutUs(): number {
    const soonestUs = this.statusAtUs < this.headAtUs ? this.statusAtUs : this.headAtUs;
    return this.repeats > 0 ? Math.min(soonestUs, this.resends.nextUs) : soonestUs;
  }

  isStalled(nowUs: number): boolean {
    return this.sent > this.acknowledged && nowUs - this.progressUs > STALL_US;
  }

  /** True when the neighbour processed everything that was first sent at or before `timeUs`. */
  hasProcessedUntil(timeUs: number): boolean {
    return this.sent === this.acknowledged || this.kept[0]!.firstUs > timeUs;
  }

  /** Takes a copy of message `sent + 1`, just written at `bytes[start, end)`, and makes it the newest. */
  keep(nowUs: number, bytes: Uint8Array, start = 0, end = bytes.length, isNews = true): void {
    if (this.sent === this.acknowledged) this.progressUs = nowUs;
    this.sent += 1;
    this.kept.push(this.frames.keep(nowUs, bytes, start, end));
    if (!isNews) return;
    this.news = this.sent;
    // It stands for those before it, too: the head that they were to have may wait for this one's.
    this.headAtUs = nowUs + this.repeatUs();
  }

  /** The neighbour says it processed all up to `number`. False when it cannot have. */
  acknowledge(nowUs: number, number: number): boolean {
    if (number > this.sent) return false;
    if (number <= this.acknowledged) return true;
    for (const frame of this.kept.splice(0, number - this.acknowledged)) {
      if (frame.isMissing) this.repeats -= 1;
      this.frames.giveBack(frame);
    }
    this.acknowledged = number;
    this.progressUs = nowUs;
    this.headAtUs = number >= this.news ? NEVER : nowUs + this.repeatUs();
    return true;
  }

  /** ROUTE_STATUS arrived: forget what was processed, send again what is missing. False when it makes no sense. */
  handleStatus(nowUs: number, status: RouteStatus): boolean {
    if (!this.acknowledge(nowUs, status.processed)) return false;
    const guardUs = Math.max(RESEND_MIN_US, this.rttUs);
    for (const range of status.missing) {
      const from = Math.max(range.start, this.acknowledged + 1);
      const end = Math.min(range.start + range.length - 1, this.sent);
      for (let number = from; number <= end; number += 1) {
        const frame = this.kept[number - this.acknowledged - 1]!;
        if (frame.isMissing || nowUs - frame.atUs < guardUs) continue;
        frame.isMissing = true;
        this.repeats += 1;
      }
    }
    return true;
  }

  /** Whether a hello that says these of the neighbour is news to us, or something of the neighbour's is missing. */
  isNews(sent: number, processed: number): boolean {
    return sent !== this.processed || this.promised > this.processed || processed !== this.acknowledged;
  }

  /** The neighbour's newest number, from a ROUTE_HEAD (nothing is on its way any more: what is missing is lost) or from a hello. */
  handleHead(nowUs: number, sent: number, isSure: boolean): void {
    if (sent > this.promised) this.promised = sent;
    if (!isSure) this.expectMissing(nowUs);
    else if (this.promised > this.processed) this.statusAtUs = nowUs;
  }

  /**
   * A message arrived. "next": process its body, `bytes[start, end)`, now, then ask `next()` for those that waited behind it.
   * "kept": an earlier one is missing. "old": seen before. "beyond": too far ahead, dropped.
   * With `mustWait` also the next one is kept, until `next()` is asked for it: the neighbour talks too fast.
   */
  receive(
    nowUs: number,
    number: number,
    bytes: Uint8Array,
    mustWait = false,
    start = 0,
    end = bytes.length,
  ): "next" | "kept" | "old" | "beyond" {
    if (number > this.promised) this.promised = number;
    if (number <= this.processed) {
      // A repeat of what we have: our status was lost. The neighbour's head or our hello tells it.
      return "old";
    }
    if (number > this.processed + WAITING_MAX) {
      this.expectMissing(nowUs);
      return "beyond";
    }
    const isNext = number === this.processed + 1;
    if (this.register !== undefined || mustWait || !isNext) {
      this.register ??= new GapRegister(this.processed + 1, UNPROCESSED_MAX);
      if (this.register.insert(number, nowUs) !== "new") return "old";
      if (mustWait || !isNext) {
        this.waiting ??= new Map();
        this.waiting.set(number, bytes.slice(start, end));
        this.expectMissing(nowUs);
        return "kept";
      }
    }
    this.statusWaitUs = 0;
    this.advance(nowUs);
    return "next";
  }

  /** True when the next message in order is here and waits. */
  get hasNext(): boolean {
    return this.waiting?.has(this.processed + 1) ?? false;
  }

  /** The body of the next message in order that had to wait, or undefined. */
  next(nowUs: number): Uint8Array | undefined {
    const body = this.waiting?.get(this.processed + 1);
    if (body === undefined) return undefined;
    this.waiting!.delete(this.processed + 1);
    this.advance(nowUs);
    return body;
  }

  /** Something the neighbour sent is not here: list it after a grace, unless a list is due already. */
  expectMissing(nowUs: number): void {
    if (this.promised <= this.processed) return;
    const isSureLoss = this.highest >= this.processed + 4 && this.statusWaitUs === 0;
    const atUs = isSureLoss ? nowUs : nowUs + REORDER_GRACE_US;
    if (this.statusAtUs === NEVER || (isSureLoss && this.statusAtUs > atUs)) this.statusAtUs = atUs;
  }

  /** Writes repairs, status and head, as far as due and as far as they fit. */
  write(nowUs: number, out: Writer): void {
    if (this.statusAtUs <= nowUs && out.room >= ROUTE_STATUS_HEAD_BYTES + ROUTE_STATUS_RANGE_BYTES) {
      this.writeStatus(nowUs, out);
    }
    if (this.headAtUs <= nowUs && out.room >= ROUTE_HEAD_BYTES) {
      encodeRouteHead(out, this.sent);
      this.headAtUs = nowUs + HEAD_REPEAT_US;
    }
    if (this.repeats === 0) return;
    for (const frame of this.kept) {
      if (!frame.isMissing) continue;
      if (frame.length > out.room || !this.resends.take(nowUs)) return;
      out.raw(frame.bytes);
      frame.isMissing = false;
      frame.atUs = nowUs;
      this.repeats -= 1;
      this.repaired += 1;
    }
  }

  /** The session is over: what was kept for it serves others. */
  close(): void {
    for (const frame of this.kept.splice(0)) this.frames.giveBack(frame);
    this.acknowledged = this.sent;
    this.repeats = 0;
  }

  digest(into: Digest): void {
    into.number(this.sent).number(this.acknowledged).number(this.processed).number(this.reported).number(this.promised);
    into.number(this.repeats).number(this.headAtUs).number(this.news).number(this.statusAtUs);
    if (this.register === undefined) into.number(0);
    else this.register.digest(into);
    this.resends.digest(into);
  }

  /** The newest number that came. */
  private get highest(): number {
    return this.register?.highest ?? this.processed;
  }

  private advance(nowUs: number): void {
    this.processed += 1;
    if (this.processed >= this.promised) this.statusAtUs = NEVER;
    if (this.processed - this.reported >= REPORT_MESSAGES) this.statusAtUs = nowUs;
    if (this.register === undefined || this.register.highest > this.processed) return;
    this.register = undefined;
    this.waiting = undefined;
  }

  private writeStatus(nowUs: number, out: Writer): void {
    const fits = Math.floor((out.room - ROUTE_STATUS_HEAD_BYTES) / ROUTE_STATUS_RANGE_BYTES);
    const missing: MissingRange[] = [];
    if (this.register !== undefined) {
      const ranges = new Uint32Array(RANGES_MAX * 2);
      const listed = Math.min(fits, this.register.missing(ranges));
      for (let i = 0; i < listed; i += 1) missing.push({ start: ranges[i * 2]!, length: ranges[i * 2 + 1]! });
    }
    // Behind the last that came, as far as we have room to keep it.
    const start = Math.max(this.highest, this.processed) + 1;
    const end = Math.min(this.promised, this.processed + WAITING_MAX);
    if (start <= end && missing.length < fits) missing.push({ start, length: end - start + 1 });
    encodeRouteStatus(out, { processed: this.processed, missing });
    this.reported = this.processed;
    this.statusWaitUs = Math.min(
      STATUS_REPEAT_MAX_US,
      this.statusWaitUs === 0 ? this.repeatUs() : this.statusWaitUs * 2,
    );
    this.statusAtUs = missing.length > 0 ? nowUs + this.statusWaitUs : NEVER;
  }

  private repeatUs(): number {
    return Math.max(REPEAT_MIN_US, 2 * this.rttUs);
  }
}
