import type { Cells } from "./cells.js";
import { AGE_OLD, type Feasibility, METRIC_INFINITY } from "./feasible.js";
import { BARRED } from "./lives.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteRecords } from "./records.js";
import { LOCAL, type RouteTable } from "./route-table.js";

/**
 * Chooses routes: the feasible offer with the lowest metric.
 *
 * Of equal offers the one in use stays, else the lower router id wins. Once the destination was told to anybody, the feasibility
 * distance falls here, at the choice, before anything else is told: it is never above what any neighbour may hold of us. Whoever told
 * nobody is nobody's next hop: it has no distance, and may choose any offer.
 */
export class Selection {
  /** After `choose`: the lowest metric of an offer that is not feasible, or of any where offers are barred; METRIC_INFINITY when there is none. */
  infeasibleMetric = METRIC_INFINITY;
  /** After `choose`: an offer of an older epoch is there. */
  hasOld = false;

  private readonly table: RouteTable;
  private readonly records: RouteRecords;
  private readonly cells: Cells;
  private readonly isFeasible: Feasibility;

  constructor(table: RouteTable, isFeasible: Feasibility) {
    this.table = table;
    this.records = table.records;
    this.cells = table.cells;
    this.isFeasible = isFeasible;
  }

  choose(destination: number): void {
    const { table, records, cells } = this;
    if ((records.state(destination) & LOCAL) !== 0) return;
    const current = records.next(destination);
    const distanceAge = records.distanceAge(destination);
    const distanceMetric = records.distanceMetric(destination);
    const first = cells.at(destination, 0);
    let best: Neighbour | undefined;
    let bestMetric = METRIC_INFINITY;
    let infeasibleMetric = METRIC_INFINITY;
    this.hasOld = false;
    const isBarred = (records.life(destination) & BARRED) !== 0;
    for (const neighbour of table.neighbours) {
      const cell = first + neighbour.slot;
      const offered = cells.metric(cell);
      const metric = offered + neighbour.cost;
      if (metric >= METRIC_INFINITY) continue;
      const age = cells.age(cell);
      if (age === AGE_OLD) {
        this.hasOld = true;
      } else if (isBarred || !this.isFeasible(age, offered, neighbour.isLower, distanceAge, distanceMetric)) {
        if (metric < infeasibleMetric) infeasibleMetric = metric;
      } else if (metric < bestMetric || (metric === bestMetric && isPreferred(neighbour, best, current))) {
        best = neighbour;
        bestMetric = metric;
      }
    }
    this.infeasibleMetric = infeasibleMetric;
    if (best === undefined) {
      if (current >= 0) table.count -= 1;
      records.setNext(destination, -1);
      records.setMetric(destination, METRIC_INFINITY);
      return;
    }
    if (current < 0) table.count += 1;
    records.setNext(destination, best.link);
    records.setMetric(destination, bestMetric);
    if (table.hasDistance(destination)) this.lowerDistance(destination, cells.age(first + best.slot), bestMetric);
  }

  /** Two feasible offers behind the one in use, best first; of equal ones the lower router id comes first. Links. */
  backups(destination: number): number[] {
    const { table, records, cells } = this;
    const next = records.next(destination);
    const offers: { readonly neighbour: Neighbour; readonly metric: number }[] = [];
    for (const neighbour of table.neighbours) {
      const cell = cells.at(destination, neighbour.slot);
      const metric = cells.metric(cell) + neighbour.cost;
      if (metric >= METRIC_INFINITY || neighbour.link === next) continue;
      if (this.isUsable(destination, cell, neighbour)) offers.push({ neighbour, metric });
    }
    offers.sort((a, b) => a.metric - b.metric || (a.neighbour.precedes(b.neighbour) ? -1 : 1));
    return offers.slice(0, 2).map(({ neighbour }) => neighbour.link);
  }

  /** The feasibility distance never rises, except to a newer index. */
  private lowerDistance(destination: number, age: number, metric: number): void {
    const { records } = this;
    const known = records.distanceAge(destination);
    if (age > known || (age === known && metric >= records.distanceMetric(destination))) return;
    records.setDistance(destination, age, metric);
  }

  private isUsable(destination: number, cell: number, neighbour: Neighbour): boolean {
    const { records, cells } = this;
    const age = cells.age(cell);
    if (age === AGE_OLD) return false;
    const distanceAge = records.distanceAge(destination);
    return this.isFeasible(
      age,
      cells.metric(cell),
      neighbour.isLower,
      distanceAge,
      records.distanceMetric(destination),
    );
  }
}

function isPreferred(neighbour: Neighbour, best: Neighbour | undefined, current: number): boolean {
  if (best === undefined) return true;
  if (neighbour.link === current) return true;
  return best.link !== current && neighbour.precedes(best);
}
