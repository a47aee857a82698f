import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NumberQueue } from "../collections/number-queue.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { PENDING, QUEUED_ANY } from "./cells.js";
import { METRIC_NONE } from "./feasible.js";
import { LOCAL, LOST, LOST_AGAIN, type RouteTable } from "./route-table.js";

/** A lost destination's feasibility distance is remembered at least this long: longer than any neighbour needs to find
 * a link dead, so that nobody routes through us by an advert that we have forgotten. */
export const REMEMBER_US = 60 * SECOND_US;
/** Then the retraction must have been processed; asked again this often. */
const SETTLE_US = 5 * SECOND_US;
/** As many as there are destinations: each waits here once at most. */
const LOST_MAX = 262_144;
/** Looked at in one go; the rest a moment later. */
const BATCH_MAX = 1024;

/**
 * Lost destinations whose feasibility distance is still remembered. Forgetting one is safe when no neighbour can hold an
 * advert of ours: 60 s went by, and every up neighbour has processed the retraction. Bounded by the table: a destination is
 * in here once.
 */
export class LostSources {
  private readonly table: RouteTable;
  readonly cap = new Cap("lostSources", LOST_MAX);
  nextTimeoutUs: number = NEVER;
  private readonly waiting = new NumberQueue();
  private readonly sinceS = new NumberQueue();
  /** Waited long enough; their retractions must have been sent before the second given here. */
  private readonly settling = new NumberQueue();
  private readonly settledS = new NumberQueue();

  constructor(table: RouteTable) {
    this.table = table;
  }

  /** The route to `destination` is lost; what we announced stays remembered. */
  add(nowUs: number, destination: number): void {
    const state = this.table.records.state(destination);
    if ((state & LOST) !== 0) {
      this.table.records.setState(destination, state | LOST_AGAIN);
      return;
    }
    this.table.records.setState(destination, state | LOST);
    this.waiting.push(destination);
    this.sinceS.push(ceilSeconds(nowUs));
    this.cap.note(this.waiting.length + this.settling.length);
    this.nextTimeoutUs = Math.min(this.nextTimeoutUs, ceilSeconds(nowUs) * SECOND_US + REMEMBER_US);
  }

  /** Calls `forget` for each destination that may be forgotten. */
  handleTimeout(nowUs: number, forget: (destination: number) => void): void {
    if (nowUs < this.nextTimeoutUs) return;
    for (let i = 0; i < BATCH_MAX && this.waiting.length > 0; i += 1) {
      if (this.sinceS.peek() * SECOND_US + REMEMBER_US > nowUs) break;
      const destination = this.waiting.shift();
      this.sinceS.shift();
      this.settling.push(destination);
      this.settledS.push(ceilSeconds(nowUs));
    }
    for (let i = 0; i < BATCH_MAX && this.settling.length > 0; i += 1) {
      const settledUs = this.settledS.peek() * SECOND_US;
      if (settledUs + SETTLE_US > nowUs) break;
      const destination = this.settling.shift();
      this.settledS.shift();
      this.settle(nowUs, destination, settledUs, forget);
    }
    const waitUs = this.waiting.length > 0 ? this.sinceS.peek() * SECOND_US + REMEMBER_US : NEVER;
    const settleUs = this.settling.length > 0 ? this.settledS.peek() * SECOND_US + SETTLE_US : NEVER;
    this.nextTimeoutUs = Math.min(waitUs, settleUs);
  }

  digest(into: Digest): void {
    this.sinceS.digest(into);
    this.settledS.digest(into);
    into.number(this.waiting.length).number(this.settling.length);
  }

  private settle(nowUs: number, destination: number, settledUs: number, forget: (destination: number) => void): void {
    const { records, cells, neighbours } = this.table;
    const state = records.state(destination);
    records.setState(destination, state & ~(LOST | LOST_AGAIN));
    if (records.next(destination) >= 0 || (state & LOCAL) !== 0) return; // it came back
    if ((state & LOST_AGAIN) !== 0) {
      this.add(nowUs, destination);
      return;
    }
    // First look: is it still waiting to be told somewhere, or named by a list? Then was all that was sent until `settledUs`
    // processed?
    const isTold = neighbours.every(({ slot, stream }) => {
      const cell = cells.at(destination, slot);
      const isQuiet = (cells.flags(cell) & (PENDING | QUEUED_ANY)) === 0 && cells.told(cell) === METRIC_NONE;
      return isQuiet && stream.hasProcessedUntil(settledUs);
    });
    if (isTold) {
      forget(destination);
      return;
    }
    records.setState(destination, records.state(destination) | LOST);
    this.settling.push(destination);
    this.settledS.push(ceilSeconds(nowUs));
  }
}

/** Rounded up, so that waiting from here never ends early. */
function ceilSeconds(timeUs: number): number {
  return Math.ceil(timeUs / SECOND_US);
}
