import { Urgency } from "../../../core/routing/neighbour.js";
import type { Liar } from "./liar.js";
import { writeAs, writeWithMetric } from "./tongue.js";

/** What it says of everybody: next door. */
const CLAIMED_METRIC = 1;

/** Says of all destinations that they are one step behind it, and draws their traffic. */
export function metric(nowUs: number, liar: Liar): void {
  const { inside } = liar;
  const { table, announcements } = inside;
  writeAs(inside, (write, neighbour, destination) => {
    if (!liar.carries(destination) || table.records.next(destination) === neighbour.link) return write();
    const claimed = Math.min(table.records.metric(destination), CLAIMED_METRIC);
    return writeWithMetric(inside, destination, claimed, write);
  });
  for (let i = 0; i < table.listed; i += 1) {
    const destination = table.order[i]!;
    if (liar.carries(destination)) announcements.tellAll(nowUs, destination, Urgency.news, true);
  }
}
