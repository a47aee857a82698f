import { AGE_OLD, type Feasibility, METRIC_INFINITY } from "./feasible.js";
import type { Neighbour } from "./neighbour.js";
import { LOCAL, type RouteTable } from "./route-table.js";

/**
 * Chooses routes: the feasible offer with the lowest metric, and two feasible ones behind it.
 *
 * Of equal offers the one in use stays, else the lower router id wins. The feasibility distance falls here, at the
 * choice, before anything is told: it is never above what any neighbour may hold of us.
 */
export class Selection {
  /** After `choose`: the lowest metric of an offer that is not feasible; METRIC_INFINITY when there is none. */
  infeasibleMetric = METRIC_INFINITY;
  /** After `choose`: an offer of an older epoch is there. */
  hasOld = false;

  private readonly table: RouteTable;
  private readonly isFeasible: Feasibility;

  constructor(table: RouteTable, isFeasible: Feasibility) {
    this.table = table;
    this.isFeasible = isFeasible;
  }

  choose(destination: number): void {
    const table = this.table;
    if ((table.state[destination]! & LOCAL) !== 0) return;
    const current = table.next[destination]!;
    const distanceAge = table.distanceAge[destination]!;
    const distanceMetric = table.distanceMetric[destination]!;
    let best: Neighbour | undefined;
    let bestMetric = METRIC_INFINITY;
    this.infeasibleMetric = METRIC_INFINITY;
    this.hasOld = false;
    for (const neighbour of table.neighbours) {
      const offered = neighbour.columns.metric[destination]!;
      const metric = offered + neighbour.cost;
      if (metric >= METRIC_INFINITY) continue;
      const age = neighbour.columns.age[destination]!;
      if (age === AGE_OLD) {
        this.hasOld = true;
      } else if (!this.isFeasible(age, offered, neighbour.isLower, distanceAge, distanceMetric)) {
        this.infeasibleMetric = Math.min(this.infeasibleMetric, metric);
      } else if (metric < bestMetric || (metric === bestMetric && isPreferred(neighbour, best, current))) {
        best = neighbour;
        bestMetric = metric;
      }
    }
    if (best === undefined) {
      if (current >= 0) table.count -= 1;
      table.next[destination] = -1;
      table.metric[destination] = METRIC_INFINITY;
      table.backup1[destination] = -1;
      table.backup2[destination] = -1;
      return;
    }
    if (current < 0) table.count += 1;
    table.next[destination] = best.link;
    table.metric[destination] = bestMetric;
    this.lowerDistance(destination, best.columns.age[destination]!, bestMetric);
    this.chooseBackups(destination);
  }

  /**
   * A neighbour that is not in use, nor a backup, changed its offer within the epoch. When the choice cannot change, only
   * the backups are looked at. False: choose anew.
   */
  keepsChoice(destination: number, neighbour: Neighbour): boolean {
    const table = this.table;
    const link = neighbour.link;
    if (table.next[destination]! < 0 || table.next[destination] === link) return false;
    if (table.backup1[destination] === link || table.backup2[destination] === link) return false;
    const metric = neighbour.columns.metric[destination]! + neighbour.cost;
    if (metric < table.metric[destination]!) return false;
    if (metric < METRIC_INFINITY) this.considerBackup(destination, neighbour, metric);
    return true;
  }

  /** The feasibility distance never rises, except to a newer index. */
  lowerDistance(destination: number, age: number, metric: number): void {
    const table = this.table;
    const known = table.distanceAge[destination]!;
    if (age > known || (age === known && metric >= table.distanceMetric[destination]!)) return;
    table.distanceAge[destination] = age;
    table.distanceMetric[destination] = metric;
  }

  private considerBackup(destination: number, neighbour: Neighbour, metric: number): void {
    const second = this.table.backup2[destination]!;
    if (second >= 0) {
      const other = this.table.byLink[second]!;
      if (metric > other.columns.metric[destination]! + other.cost) return;
    }
    if (this.isUsable(destination, neighbour)) this.chooseBackups(destination);
  }

  private chooseBackups(destination: number): void {
    const table = this.table;
    const next = table.next[destination]!;
    let first: Neighbour | undefined;
    let second: Neighbour | undefined;
    let firstMetric = METRIC_INFINITY;
    let secondMetric = METRIC_INFINITY;
    for (const neighbour of table.neighbours) {
      const metric = neighbour.columns.metric[destination]! + neighbour.cost;
      if (metric >= METRIC_INFINITY || metric > secondMetric) continue;
      if (neighbour.link === next || !this.isUsable(destination, neighbour)) continue;
      if (first === undefined || metric < firstMetric || (metric === firstMetric && neighbour.precedes(first))) {
        second = first;
        secondMetric = firstMetric;
        first = neighbour;
        firstMetric = metric;
      } else if (second === undefined || metric < secondMetric || neighbour.precedes(second)) {
        second = neighbour;
        secondMetric = metric;
      }
    }
    table.backup1[destination] = first === undefined ? -1 : first.link;
    table.backup2[destination] = second === undefined ? -1 : second.link;
  }

  private isUsable(destination: number, neighbour: Neighbour): boolean {
    const { age, metric } = neighbour.columns;
    const offeredAge = age[destination]!;
    if (offeredAge === AGE_OLD) return false;
    const { distanceAge, distanceMetric } = this.table;
    return this.isFeasible(
      offeredAge,
      metric[destination]!,
      neighbour.isLower,
      distanceAge[destination]!,
      distanceMetric[destination]!,
    );
  }
}

function isPreferred(neighbour: Neighbour, best: Neighbour | undefined, current: number): boolean {
  if (best === undefined) return true;
  if (neighbour.link === current) return true;
  return best.link !== current && neighbour.precedes(best);
}
