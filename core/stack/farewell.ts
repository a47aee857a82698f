import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER } from "../time/instant.js";

/** What was said last, such as resets, is repaired for so long before the session ends. */
const REPAIR_US = 150 * MILLISECOND_US;
/** Nobody reports a CLOSE: it is said three times, so spaced, to a peer that may have missed the rest as well. */
const CLOSE_AGAIN_US = 70 * MILLISECOND_US;
const FAREWELL_CLOSES = 3;

/** When a session that takes its leave says CLOSE: once, as soon as the peer has reported everything; 0.3 s in all if not. */
export class Farewell {
  /** When CLOSE is due; NEVER before `begin` and after the last. */
  nextUs: number = NEVER;
  private closesLeft = 0;

  get isUnderWay(): boolean {
    return this.closesLeft > 0;
  }

  begin(nowUs: number): void {
    if (this.isUnderWay) return;
    this.nextUs = nowUs + REPAIR_US;
    this.closesLeft = FAREWELL_CLOSES;
  }

  /** Whether CLOSE is to be said now. `isHeard`: nothing is left to repair. */
  takeClose(nowUs: number, isHeard: boolean): boolean {
    if (!this.isUnderWay || (nowUs < this.nextUs && !isHeard)) return false;
    this.closesLeft = isHeard ? 0 : this.closesLeft - 1;
    this.nextUs = this.isUnderWay ? nowUs + CLOSE_AGAIN_US : NEVER;
    return true;
  }

  digest(into: Digest): void {
    into.number(this.closesLeft).number(this.nextUs);
  }
}
