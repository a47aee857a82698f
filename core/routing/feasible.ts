/**
 * May this offer become our route, without any risk of a loop?
 *
 * Each node remembers the best (index, metric) it chose for a destination since it first told anybody of it: its feasibility distance. An offer is safe
 * when it beats that distance: whoever sits behind us announced something worse than it, so the offer cannot lead back to
 * us. An equal offer is safe from a neighbour with the lower router id. The pair (distance, router id) then falls strictly
 * along every next hop, so following next hops never comes back. Retractions are always safe and never get here.
 *
 * Indexes are given as ages: how many steps behind the newest index of this destination that the node has heard of. A
 * lower age is a newer index. A node that told nobody has the age AGE_OLD, so that every usable offer is newer: nobody sits behind it.
 *
 * @param age the offer's age, below AGE_OLD
 * @param metric the metric as the neighbour announced it, before the link's cost, below METRIC_INFINITY
 * @param isLower whether the neighbour's router id is lower than ours
 * @see RFC 8966 section 3.5.1
 */
export function isFeasible(
  age: number,
  metric: number,
  isLower: boolean,
  distanceAge: number,
  distanceMetric: number,
): boolean {
  if (age !== distanceAge) return age < distanceAge;
  if (metric !== distanceMetric) return metric < distanceMetric;
  return isLower;
}

export type Feasibility = typeof isFeasible;

/** Metrics are 0 .. 63; at 64 a destination is unreachable. A link costs 1 .. 4, so a sum stays below 256. */
export const METRIC_INFINITY = 64;

/** In a metric column: nothing there. Also larger than every sum of a metric and a cost. */
export const METRIC_NONE = 255;

/** In an age column: of an older epoch, or more than 65,534 indexes behind. Never usable, so it needs no exact value. */
export const AGE_OLD = 0xffff;
