/**
 * Can a neighbour make any use of our route, given what it announced itself? If not, it is not told.
 *
 * What a neighbour announces it had chosen before: its feasibility distance is no worse than its announcement, and never
 * rises except to a newer index (feasible.ts). So when it announced an index as new as that of our route, or newer, and a
 * lower metric, then our route
 *   - is not feasible for it, neither now nor later, as long as it stays what it is;
 *   - would not be better for it, link and all, than what it has: it does not starve for want of it either.
 * Equal metrics are told: the lower router id makes one of the two offers feasible, and both may be backups.
 *
 * Our own next hop is always such a neighbour: split horizon is a case of this rule.
 *
 * Who tells keeps to these, so that nobody waits for a route that a neighbour has:
 *   - A neighbour that announces something worse, or takes it back, is told at once if it has not been told and may be helped
 *     now. It lost its route a moment ago, so ours reaches it within a round trip and the window of a batch. If it says that the
 *     origin may be dead, it is told two seconds later (spread.ts); a node of last resort (transit.ts) gives others the lead.
 *   - When our own route changes, the rule is asked anew for each neighbour. Whoever was told before and cannot be helped any
 *     more gets a retraction instead of the change: an offer that can never be feasible and none at all are the same to it.
 *   - A newer index of our route alone is told to nobody but those who asked, helped or not: as to those who were told.
 *   - Whoever asked, or wants to hear a lesson again, is answered in any case.
 * What is offered to the neighbour and what it knows to be offered stay the same thing: the digests of tables hold.
 *
 * Ages are behind the newest index that we have heard of; an older epoch is AGE_OLD.
 *
 * @param metric what the neighbour announced; METRIC_NONE when nothing
 * @param ourMetric link cost included: as we would announce it
 */
export function mayHelp(age: number, metric: number, ourAge: number, ourMetric: number): boolean {
  return age > ourAge || metric >= ourMetric;
}
