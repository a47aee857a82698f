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
const HEAD_REPEAT_MAX_US = SECOND_US;
const STATUS_REPEAT_MAX_US = 500 * MILLISECOND_US;
/** A copy sent this recently may still be on its way; doubled round trips of a good link. */
const RESEND_MIN_US = 20 * MILLISECOND_US;
/** Messages sent again. Beyond: they wait; a neighbour that lists everything again and again costs no more than this. */
const RESENDS_PER_SECOND = 1_000;
const RESENDS_BURST = 256;
const RANGES_MAX = WAITING_MAX / 2 + 1;

/**
 * One neighbour session's control stream, both directions: numbered messages, processed in order, repaired by lists of
 * what is missing. There is no acknowledgement per message: hellos and ROUTE_STATUS carry how far the neighbour got, and
 * a ROUTE_HEAD asks when they stay away. A new session starts a new stream.
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

  private readonly kept: (Uint8Array | undefined)[] = [];
  private readonly keptAtUs = new Float64Array(UNPROCESSED_MAX);
  private readonly keptFirstUs = new Float64Array(UNPROCESSED_MAX);
  private readonly repeat = new Uint8Array(UNPROCESSED_MAX);
  private repeats = 0;
  private readonly resends = new RateLimit(RESENDS_PER_SECOND, RESENDS_BURST);
  private headAtUs = NEVER;
  private headWaitUs = 0;
  private progressUs = 0;

  private readonly register = new GapRegister(1, UNPROCESSED_MAX);
  private readonly waiting: (Uint8Array | undefined)[] = [];
  private readonly ranges = new Uint32Array(RANGES_MAX * 2);
  /** The newest number the neighbour says it sent. */
  private promised = 0;
  private statusAtUs = NEVER;
  private statusWaitUs = 0;

  /** No new message may be sent until the neighbour has processed some. */
  get isFull(): boolean {
    return this.sent - this.acknowledged >= UNPROCESSED_MAX;
  }

  /** True when repairs, a status or a head are to be written now. */
  isDue(nowUs: number): boolean {
    return this.nextTimeoutUs <= nowUs;
  }

  get nextTimeoutUs(): number {
    return Math.min(this.statusAtUs, this.headAtUs, this.repeats > 0 ? this.resends.nextUs : NEVER);
  }

  isStalled(nowUs: number): boolean {
    return this.sent > this.acknowledged && nowUs - this.progressUs > STALL_US;
  }

  /** True when the neighbour processed everything that was first sent at or before `timeUs`. */
  hasProcessedUntil(timeUs: number): boolean {
    return this.sent === this.acknowledged || this.keptFirstUs[slotOf(this.acknowledged + 1)]! > timeUs;
  }

  /** Takes a copy of message `sent + 1`, just written, and makes it the newest. */
  keep(nowUs: number, frame: Uint8Array): void {
    if (this.sent === this.acknowledged) this.progressUs = nowUs;
    this.sent += 1;
    const slot = slotOf(this.sent);
    this.kept[slot] = frame.slice();
    this.keptAtUs[slot] = nowUs;
    this.keptFirstUs[slot] = nowUs;
    if (this.headAtUs === NEVER) {
      this.headWaitUs = this.repeatUs();
      this.headAtUs = nowUs + this.headWaitUs;
    }
  }

  /** The neighbour says it processed all up to `number`. False when it cannot have. */
  acknowledge(nowUs: number, number: number): boolean {
    if (number > this.sent) return false;
    if (number <= this.acknowledged) return true;
    for (let n = this.acknowledged + 1; n <= number; n += 1) {
      const slot = slotOf(n);
      this.kept[slot] = undefined;
      this.repeats -= this.repeat[slot]!;
      this.repeat[slot] = 0;
    }
    this.acknowledged = number;
    this.progressUs = nowUs;
    this.headWaitUs = this.repeatUs();
    this.headAtUs = number === this.sent ? NEVER : nowUs + this.headWaitUs;
    return true;
  }

  /** ROUTE_STATUS arrived: forget what was processed, send again what is missing. False when it makes no sense. */
  handleStatus(nowUs: number, status: RouteStatus): boolean {
    if (!this.acknowledge(nowUs, status.processed)) return false;
    const guardUs = Math.max(RESEND_MIN_US, this.rttUs);
    for (const range of status.missing) {
      const from = Math.max(range.start, this.acknowledged + 1);
      const end = Math.min(range.start + range.length - 1, this.sent);
      for (let n = from; n <= end; n += 1) {
        const slot = slotOf(n);
        if (this.repeat[slot] === 1 || nowUs - this.keptAtUs[slot]! < guardUs) continue;
        this.repeat[slot] = 1;
        this.repeats += 1;
      }
    }
    return true;
  }

  /** The neighbour's newest number, from a ROUTE_HEAD (which wants an answer) or from a hello (which does not). */
  handleHead(nowUs: number, sent: number, wantsAnswer: boolean): void {
    if (sent > this.promised) this.promised = sent;
    if (wantsAnswer) this.statusAtUs = nowUs;
    else this.expectMissing(nowUs);
  }

  /**
   * A message arrived. "next": process `body` now, then ask `next()` for those that waited behind it.
   * "kept": an earlier one is missing. "old": seen before. "beyond": too far ahead, dropped.
   * With `mustWait` also the next one is kept, until `next()` is asked for it: the neighbour talks too fast.
   */
  receive(nowUs: number, number: number, body: Uint8Array, mustWait = false): "next" | "kept" | "old" | "beyond" {
    if (number > this.promised) this.promised = number;
    if (number <= this.processed) {
      // A repeat of what we have: our status was lost. The neighbour's head or our hello tells it.
      return "old";
    }
    if (number > this.processed + WAITING_MAX) {
      this.expectMissing(nowUs);
      return "beyond";
    }
    if (this.register.insert(number, nowUs) !== "new") return "old";
    if (mustWait || number !== this.processed + 1) {
      this.waiting[number % WAITING_MAX] = body.slice();
      this.expectMissing(nowUs);
      return "kept";
    }
    this.processed = number;
    this.statusWaitUs = 0;
    if (this.processed >= this.promised) this.statusAtUs = NEVER;
    return "next";
  }

  /** True when the next message in order is here and waits. */
  get hasNext(): boolean {
    return this.waiting[(this.processed + 1) % WAITING_MAX] !== undefined;
  }

  /** The body of the next message in order that had to wait, or undefined. */
  next(): Uint8Array | undefined {
    const slot = (this.processed + 1) % WAITING_MAX;
    const body = this.waiting[slot];
    if (body === undefined) return undefined;
    this.waiting[slot] = undefined;
    this.processed += 1;
    if (this.processed >= this.promised) this.statusAtUs = NEVER;
    return body;
  }

  /** Something the neighbour sent is not here: list it after a grace, unless a list is due already. */
  expectMissing(nowUs: number): void {
    if (this.promised <= this.processed) return;
    const isSureLoss = this.register.highest >= this.processed + 4 && this.statusWaitUs === 0;
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
      this.headWaitUs = Math.min(HEAD_REPEAT_MAX_US, this.headWaitUs * 2);
      this.headAtUs = nowUs + this.headWaitUs;
    }
    for (let n = this.acknowledged + 1; this.repeats > 0 && n <= this.sent; n += 1) {
      const slot = slotOf(n);
      if (this.repeat[slot] === 0) continue;
      const frame = this.kept[slot]!;
      if (frame.length > out.room || !this.resends.take(nowUs)) return;
      out.raw(frame);
      this.repeat[slot] = 0;
      this.repeats -= 1;
      this.keptAtUs[slot] = nowUs;
      this.repaired += 1;
    }
  }

  digest(into: Digest): void {
    into.number(this.sent).number(this.acknowledged).number(this.processed).number(this.promised);
    into.number(this.repeats).number(this.headAtUs).number(this.statusAtUs);
    this.register.digest(into);
    this.resends.digest(into);
  }

  private writeStatus(nowUs: number, out: Writer): void {
    const fits = Math.floor((out.room - ROUTE_STATUS_HEAD_BYTES) / ROUTE_STATUS_RANGE_BYTES);
    const listed = Math.min(fits, this.register.missing(this.ranges));
    const missing: MissingRange[] = [];
    for (let i = 0; i < listed; i += 1) {
      missing.push({ start: this.ranges[i * 2]!, length: this.ranges[i * 2 + 1]! });
    }
    // Behind the last that came, as far as we have room to keep it.
    const start = Math.max(this.register.highest, this.processed) + 1;
    const end = Math.min(this.promised, this.processed + WAITING_MAX);
    if (start <= end && missing.length < fits) missing.push({ start, length: end - start + 1 });
    encodeRouteStatus(out, { processed: this.processed, missing });
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

function slotOf(number: number): number {
  return number % UNPROCESSED_MAX;
}
