/**
 * Whether a node carries what is neither from it nor for it. A public node always does. One behind a NAT does when nobody
 * else can: its line is its owner's, and there are five public nodes beside it that reach the same. It still is the way out for a
 * subnet, and the bridge between two halves of a network that have no other.
 */
export type Transit = "always" | "lastResort";

/**
 * What a node of last resort adds to the metric of routes that it passes on, as routers in OSPF announce their links at the
 * largest metric to be spared (RFC 6987). More than one link costs, so that hardly any neighbour has use for them, and they
 * are not told at all (may-help.ts); a sixteenth of METRIC_INFINITY, so that a chain of such nodes may have eight links at least.
 */
export const LAST_RESORT_COST = 4;

export function transitCost(transit: Transit): number {
  return transit === "always" ? 0 : LAST_RESORT_COST;
}
