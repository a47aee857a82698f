import { Urgency } from "../../../core/routing/neighbour.js";
import { ENTRY_KIND } from "../../../core/wire/routes.js";
import type { Liar } from "./liar.js";
import { writeAs, writeWithMetric } from "./tongue.js";

interface Heard {
  readonly epoch: number;
  readonly generation: number;
  readonly metric: number;
}

/**
 * Passes on the metric that it heard as its own, its link not added, and the best that it ever heard of the present
 * generation: for that it has the element, so no chain can tell.
 */
export function sameDistance(nowUs: number, liar: Liar): void {
  const { inside } = liar;
  const { table, decision, announcements } = inside;
  const { records } = table;
  /** By destination; bounded by the table, whose numbers come back. */
  const best = new Map<number, Heard>();
  const learn = decision.learn.bind(decision);
  decision.learn = (atUs, neighbour, destination, entry) => {
    if ((entry.flags & ENTRY_KIND) === 0) {
      const { epoch, generation, metric } = entry;
      const known = best.get(destination);
      const isSame = known !== undefined && known.epoch === epoch && known.generation === generation;
      if (!isSame || metric < known.metric) best.set(destination, { epoch, generation, metric });
    }
    return learn(atUs, neighbour, destination, entry);
  };
  writeAs(inside, (write, neighbour, destination) => {
    const next = records.next(destination);
    if (!liar.carries(destination) || next === neighbour.link) return write();
    const heard = best.get(destination)?.metric ?? table.byLink[next]!.learnedMetric(destination);
    return writeWithMetric(inside, destination, Math.min(heard, records.metric(destination)), write);
  });
  for (let i = 0; i < table.listed; i += 1) {
    const destination = table.order[i]!;
    if (liar.carries(destination)) announcements.tellAll(nowUs, destination, Urgency.news, true);
  }
}
