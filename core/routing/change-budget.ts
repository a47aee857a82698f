import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/** Changes of one destination that are told: so many in a row, and then one in each interval, which makes four in ten seconds. */
const CHANGES_BURST = 4;
const CHANGE_INTERVAL_US = 2.5 * SECOND_US;

/** A destination that comes back once too often is held so long, twice as long each time it does so again, thirty seconds at most. */
const HOLD_FIRST_US = SECOND_US;
const HOLD_MAX_US = 30 * SECOND_US;
/** Holds are forgotten when nothing changed for so long. */
const CALM_US = 60 * SECOND_US;

/**
 * Destinations whose changes are counted. Beyond: the others are not; where more than this change at a time it is not one
 * destination that makes the noise, and the bytes of a neighbour bound it (control-budget.ts).
 */
const CHANGING_MAX = 64;
/** Between two lookings for those that have calmed down. */
const TIDY_US = SECOND_US;

interface Hold {
  lastUs: number;
  untilUs: number;
}

/**
 * How often a node tells of one destination. A loss is told at once, always: to hold it would make a hole for packets. What
 * is held is what can be done without: that a metric changed, and that a destination came back which comes and goes.
 *
 * Only what is told counts, so the search for a new best way costs nothing, however many offers are gone through: damping
 * that counts them punishes the network for its own convergence (RFC 7196). Behind the first node that holds, the others see
 * a calm destination.
 *
 * A destination that does not change has no place here; one that did leaves it when its allowance is whole again.
 */
export class ChangeBudget {
  /** Changes that had to wait. */
  held = 0;
  readonly cap = new Cap("changing", CHANGING_MAX);
  /** When the allowance of a destination is whole again (the cell rate algorithm, as rate-limit.ts). */
  private readonly wholeUs = new Map<number, number>();
  /** Those that came back too often. */
  private readonly holds = new Map<number, Hold>();
  private tidiedUs = -TIDY_US;

  /** False when the destination changed too often of late, or came back too often. */
  mayTell(nowUs: number, destination: number): boolean {
    const wholeUs = this.wholeUs.get(destination);
    if (wholeUs === undefined) return true;
    return (
      nowUs >= wholeUs - (CHANGES_BURST - 1) * CHANGE_INTERVAL_US &&
      nowUs >= (this.holds.get(destination)?.untilUs ?? 0)
    );
  }

  /** Counts a change that is told now. False when it may not be: ask again later. */
  take(nowUs: number, destination: number, isBack: boolean): boolean {
    if (this.mayTell(nowUs, destination)) {
      this.count(nowUs, destination);
      return true;
    }
    this.held += 1;
    if (isBack) this.hold(nowUs, destination);
    return false;
  }

  /** Something is told whether there is an allowance left or not. */
  count(nowUs: number, destination: number): void {
    const { wholeUs } = this;
    const known = wholeUs.get(destination);
    if (known === undefined && wholeUs.size >= CHANGING_MAX) this.tidy(nowUs);
    if (known === undefined && wholeUs.size >= CHANGING_MAX) return;
    wholeUs.set(destination, Math.max(known ?? 0, nowUs) + CHANGE_INTERVAL_US);
    this.cap.note(wholeUs.size);
  }

  /** Its number will be another destination's. */
  forget(destination: number): void {
    this.wholeUs.delete(destination);
    this.holds.delete(destination);
  }

  digest(into: Digest): void {
    into.number(this.wholeUs.size).number(this.holds.size);
    for (const wholeUs of this.wholeUs.values()) into.number(wholeUs);
    for (const { untilUs } of this.holds.values()) into.number(untilUs);
  }

  private hold(nowUs: number, destination: number): void {
    const before = this.holds.get(destination);
    if (before !== undefined && nowUs < before.untilUs) return;
    const isAgain = before !== undefined && nowUs - before.untilUs < CALM_US;
    const lastUs = isAgain ? Math.min(HOLD_MAX_US, 2 * before.lastUs) : HOLD_FIRST_US;
    this.holds.set(destination, { lastUs, untilUs: nowUs + lastUs }); // its changes are counted, so these are as few
  }

  /** Forgets those whose allowance is whole again: nothing is lost with them. */
  private tidy(nowUs: number): void {
    if (nowUs - this.tidiedUs < TIDY_US) return;
    this.tidiedUs = nowUs;
    for (const [destination, wholeUs] of this.wholeUs) {
      const hold = this.holds.get(destination);
      if (wholeUs > nowUs || (hold !== undefined && nowUs - hold.untilUs < CALM_US)) continue;
      this.wholeUs.delete(destination);
      this.holds.delete(destination);
    }
  }
}
