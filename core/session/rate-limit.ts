import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/**
 * So many per second, and a few at once after a rest. Kept as one number, the time at which the allowance is whole again
 * (the "generic cell rate algorithm" of ITU-T I.371), so that it is exact in whole microseconds.
 */
export class RateLimit {
  private readonly intervalUs: number;
  private readonly creditUs: number;
  private wholeUs = 0;

  /** @param perSecond  a divisor of 10^6  @param burst  how many at once */
  constructor(perSecond: number, burst: number) {
    this.intervalUs = SECOND_US / perSecond;
    this.creditUs = (burst - 1) * this.intervalUs;
  }

  /** When the next `take` succeeds. */
  get nextUs(): number {
    return this.wholeUs - this.creditUs;
  }

  /** False, and nothing changes, when there is none left. */
  take(nowUs: number): boolean {
    const nextUs = advance(this.wholeUs, nowUs, this.intervalUs, this.creditUs);
    if (nextUs < 0) return false;
    this.wholeUs = nextUs;
    return true;
  }

  digest(into: Digest): void {
    into.number(this.wholeUs);
  }
}

/**
 * One RateLimit for each of many keys, without an object for each. Keys whose allowance is whole again are forgotten when
 * room is needed; when every key is in use a new one gets nothing.
 */
export class KeyedRateLimit {
  private readonly keysMax: number;
  private readonly intervalUs: number;
  private readonly creditUs: number;
  private readonly wholeUs = new Map<number, number>();

  constructor(perSecond: number, burst: number, keysMax: number) {
    this.keysMax = keysMax;
    this.intervalUs = SECOND_US / perSecond;
    this.creditUs = (burst - 1) * this.intervalUs;
  }

  get size(): number {
    return this.wholeUs.size;
  }

  take(nowUs: number, key: number): boolean {
    const known = this.wholeUs.get(key);
    if (known === undefined && this.wholeUs.size >= this.keysMax) this.forget(nowUs);
    if (known === undefined && this.wholeUs.size >= this.keysMax) return false;
    const nextUs = advance(known ?? 0, nowUs, this.intervalUs, this.creditUs);
    if (nextUs < 0) return false;
    this.wholeUs.set(key, nextUs);
    return true;
  }

  /** Forgets those who may take a whole burst again: nothing is lost with them. */
  private forget(nowUs: number): void {
    for (const [key, wholeUs] of this.wholeUs) if (wholeUs <= nowUs) this.wholeUs.delete(key);
  }

  digest(into: Digest): void {
    into.number(this.wholeUs.size);
    for (const [key, wholeUs] of this.wholeUs) into.number(key).number(wholeUs);
  }
}

/** More than so many a second: in the second under way, or in the whole one before it, so that it does not flicker. */
export class LoadMeter {
  private readonly perSecond: number;
  private sinceUs = 0;
  private count = 0;
  private before = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  /** Counts one more. True when that is too many. */
  isOver(nowUs: number): boolean {
    const passedUs = nowUs - this.sinceUs;
    if (passedUs >= SECOND_US) {
      this.before = passedUs < 2 * SECOND_US ? this.count : 0;
      this.sinceUs = passedUs < 2 * SECOND_US ? this.sinceUs + SECOND_US : nowUs;
      this.count = 0;
    }
    this.count += 1;
    return Math.max(this.count, this.before) > this.perSecond;
  }

  digest(into: Digest): void {
    into.number(this.sinceUs).number(this.count).number(this.before);
  }
}

/** The time at which the allowance is whole again after one more; -1 when there is none left. */
function advance(wholeUs: number, nowUs: number, intervalUs: number, creditUs: number): number {
  return nowUs < wholeUs - creditUs ? -1 : Math.max(wholeUs, nowUs) + intervalUs;
}
