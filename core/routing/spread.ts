import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import type { Announcements } from "./announcements.js";
import { ChangeBudget } from "./change-budget.js";
import { type Neighbour, Urgency } from "./neighbour.js";
import type { RouteTable } from "./route-table.js";
import { BETTER_TICKS, type Settling, WORSE_TICKS } from "./settling.js";

/** New routes that are told at once. Those beyond it travel at the pace of their metric. */
const LONE_PER_SECOND = 5;
const LONE_BURST = 8;

/** How soon a change of a route is told to whom it concerns: at once, or when it has settled. */
export class Spread {
  readonly budget = new ChangeBudget();
  private readonly table: RouteTable;
  private readonly settling: Settling;
  private readonly announcements: Announcements;
  private readonly transitCost: number;
  /** New routes that need not settle: where little happens, order is worth less than time. */
  private readonly lone = new RateLimit(LONE_PER_SECOND, LONE_BURST);

  /** @param transitCost  what this node adds to the metric of routes that it passes on */
  constructor(table: RouteTable, settling: Settling, announcements: Announcements, transitCost: number) {
    this.table = table;
    this.settling = settling;
    this.announcements = announcements;
    this.transitCost = transitCost;
  }

  get nextTimeoutUs(): number {
    return this.settling.nextTimeoutUs;
  }

  /** It waits to be told. */
  isWaiting(destination: number): boolean {
    return this.settling.isWaiting(destination);
  }

  /**
   * A new route: told at once where it comes alone, and where others need not be given the lead. One to an origin that may be dead may be
   * a ghost, of somebody who has yet to hear of it: whoever asked hears of it at once, all others when bad news has settled.
   */
  handleNew(nowUs: number, destination: number, mayBeDead: boolean): void {
    const { budget } = this;
    if (mayBeDead) {
      this.settling.add(nowUs, destination, WORSE_TICKS, true);
      return;
    }
    if (this.transitCost > 0 || !budget.mayTell(nowUs, destination) || !this.lone.take(nowUs)) {
      this.settling.add(nowUs, destination, this.paceOf(destination), true);
      return;
    }
    budget.count(nowUs, destination);
    this.announcements.tellAll(nowUs, destination, Urgency.news, true);
  }

  /** The origin lives: its route need not wait for bad news. */
  handleAlive(nowUs: number, destination: number): void {
    if (!this.settling.isNew(destination) || this.table.records.next(destination) < 0) return;
    this.settling.drop(destination);
    this.handleNew(nowUs, destination, false);
  }

  /** Another metric, or another next hop at the same. */
  handleChanged(nowUs: number, destination: number, hasWorsened: boolean): void {
    const ticks = hasWorsened ? WORSE_TICKS : BETTER_TICKS * this.paceOf(destination);
    this.settling.add(nowUs, destination, ticks, false);
  }

  handleLost(nowUs: number, destination: number): void {
    if (!this.settling.isNew(destination)) this.budget.count(nowUs, destination); // else nobody was told of it
    this.settling.drop(destination);
    this.announcements.tellAll(nowUs, destination, Urgency.retraction, false);
  }

  /**
   * The neighbour changed its own announcement: if our route may help it now, it is told at once, though the others may have
   * to wait until the route has settled. It may be without any.
   */
  handleHeard(nowUs: number, neighbour: Neighbour, destination: number, hasWorsened: boolean): void {
    if (!this.announcements.mayHelpNow(neighbour, destination, hasWorsened)) return;
    if (this.transitCost > 0) this.settling.add(nowUs, destination, this.paceOf(destination), false);
    else this.announcements.tell(nowUs, neighbour, destination, Urgency.news);
  }

  /**
   * The neighbour lost the destination, which may be dead. Then what we could offer is a ghost that we lose next: it is told only if
   * it is there when bad news has settled (after the root cause notification of D. Pei, M. Azuma, D. Massey, L. Zhang, "BGP-RCN",
   * Computer Networks 48, 2005). A neighbour with traffic that waits asks for it sooner.
   */
  handleOriginLost(nowUs: number, neighbour: Neighbour, destination: number): void {
    if (!this.announcements.mayHelpNow(neighbour, destination, true)) return;
    this.settling.add(nowUs, destination, WORSE_TICKS, false);
  }

  handleTimeout(nowUs: number): void {
    const { settling, table } = this;
    for (let destination = settling.take(nowUs); destination >= 0; destination = settling.take(nowUs)) {
      if (table.records.next(destination) < 0) continue; // our own by now
      const { isForced } = settling;
      if (this.budget.take(nowUs, destination, isForced)) {
        this.announcements.tellAll(nowUs, destination, Urgency.news, isForced);
      } else settling.add(nowUs, destination, WORSE_TICKS, isForced);
    }
  }

  digest(into: Digest): void {
    this.settling.digest(into);
    this.lone.digest(into);
    this.budget.digest(into);
  }

  /** How much the last step adds to the metric that others hear of. */
  private paceOf(destination: number): number {
    return this.table.byLink[this.table.records.next(destination)]!.cost + this.transitCost;
  }
}
