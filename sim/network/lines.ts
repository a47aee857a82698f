import { isHit, scaled, weather } from "../random/weather.js";
import { crossesBurst } from "./burst-loss.js";
import type { LinkModels } from "./link-models.js";
import { queueThrough } from "./rate-queue.js";

/** What each draw of one packet on one line is for. New ones at the end: the weather of old scenarios stays. */
const Purpose = {
  loss: 1,
  burst: 2,
  jitterKeeps: 3,
  jitter: 4,
  duplicate: 5,
  copyJitter: 6,
  reorder: 7,
  corrupt: 8,
  corruptBit: 9,
} as const;

export const LOST = -1;
export const QUEUE_FULL = -2;
export const TOO_LARGE = -3;

/**
 * Lines: things that a datagram crosses in one direction, each with a little memory (good or bad times, the last jitter,
 * what waits for the rate). A line has a number and, at each crossing, a model: models change when a line degrades.
 *
 * Order of what happens to a datagram: too large, queue and rate, loss, then delay with jitter, held back, bit flipped,
 * copied. So a lost datagram has used its share of the rate, as on a wire behind a modem.
 */
export class Lines {
  /** Of the latest crossing: the flipped bit or -1, and when a copy gets through or -1. */
  corruptBit = -1;
  copyUs = -1;

  private readonly models: LinkModels;
  private isBad: Uint8Array;
  /** Parts per million of the model's jitter, plus 1; 0: none drawn yet. */
  private jitter: Int32Array;
  /** When what waits for the rate will have left, nanoseconds. */
  private freeNs: Float64Array;

  constructor(models: LinkModels, count: number) {
    this.models = models;
    this.isBad = new Uint8Array(count);
    this.jitter = new Int32Array(count);
    this.freeNs = new Float64Array(count);
  }

  /** Makes room for lines below `count`. */
  grow(count: number): void {
    const room = this.isBad.length;
    if (count <= room) return;
    const next = Math.max(count, room * 2);
    const [isBad, jitter, freeNs] = [this.isBad, this.jitter, this.freeNs];
    this.isBad = new Uint8Array(next);
    this.isBad.set(isBad);
    this.jitter = new Int32Array(next);
    this.jitter.set(jitter);
    this.freeNs = new Float64Array(next);
    this.freeNs.set(freeNs);
  }

  /** A line without a past. */
  clear(line: number): void {
    this.isBad[line] = 0;
    this.jitter[line] = 0;
    this.freeNs[line] = 0;
  }

  /**
   * Sends `length` bytes over `line` at `atUs`; (`key`, `n`) is the datagram's weather. Answers when it gets through, or
   * LOST, QUEUE_FULL, TOO_LARGE. `extraUs` is added to the model's delay.
   */
  cross(line: number, model: number, key: number, n: number, atUs: number, length: number, extraUs: number): number {
    const models = this.models;
    this.corruptBit = -1;
    this.copyUs = -1;
    if (length > models.mtuBytes[model]!) return TOO_LARGE;
    const delayUs = models.delayUs[model]! + extraUs;
    if (models.isPlain[model] === 1) return atUs + delayUs;

    let leftUs = atUs;
    if (models.rate[model]! > 0) {
      leftUs = queueThrough(this.freeNs, line, atUs, length, models.rate[model]!, models.queueBytes[model]!);
      if (leftUs < 0) return QUEUE_FULL;
    }
    if (models.isRandom[model] === 0) return leftUs + delayUs;
    if (this.isLost(line, model, key, n)) return LOST;

    const through = leftUs + delayUs;
    let dueUs = through;
    const jitterUs = models.jitterUs[model]!;
    if (jitterUs > 0) dueUs += this.jitterOf(line, model, key, n);
    if (models.reorderPpm[model]! > 0 && isHit(weather(key, n, Purpose.reorder), models.reorderPpm[model]!)) {
      dueUs += models.reorderUs[model]!;
    }
    if (
      models.corruptPpm[model]! > 0 &&
      length > 0 &&
      isHit(weather(key, n, Purpose.corrupt), models.corruptPpm[model]!)
    ) {
      this.corruptBit = scaled(weather(key, n, Purpose.corruptBit), length * 8);
    }
    if (models.duplicatePpm[model]! > 0 && isHit(weather(key, n, Purpose.duplicate), models.duplicatePpm[model]!)) {
      const share = scaled(weather(key, n, Purpose.copyJitter), 1_000_001);
      this.copyUs = through + Math.floor((jitterUs * share) / 1_000_000);
    }
    return dueUs;
  }

  private isLost(line: number, model: number, key: number, n: number): boolean {
    const models = this.models;
    if (models.isBursty[model] === 0) {
      return models.lossPpm[model]! > 0 && isHit(weather(key, n, Purpose.loss), models.lossPpm[model]!);
    }
    const isBad = crossesBurst(this.isBad[line] === 1, weather(key, n, Purpose.burst), models, model);
    this.isBad[line] = isBad ? 1 : 0;
    const lossPpm = isBad ? models.badLossPpm[model]! : models.goodLossPpm[model]!;
    return isHit(weather(key, n, Purpose.loss), lossPpm);
  }

  /**
   * Correlated and yet uniform: with the share of the correlation a datagram meets the jitter of the one before, else a
   * fresh draw (a DAR(1) process, Jacobs and Lewis 1978). So two datagrams k apart correlate by correlation^k, as with
   * netem, whose weighted mean however squeezes the spread.
   */
  private jitterOf(line: number, model: number, key: number, n: number): number {
    const models = this.models;
    const last = this.jitter[line]!;
    const keepPpm = models.jitterCorrelationPpm[model]!;
    if (last === 0 || keepPpm === 0 || !isHit(weather(key, n, Purpose.jitterKeeps), keepPpm)) {
      this.jitter[line] = scaled(weather(key, n, Purpose.jitter), 1_000_001) + 1;
    }
    return Math.floor((models.jitterUs[model]! * (this.jitter[line]! - 1)) / 1_000_000);
  }
}
