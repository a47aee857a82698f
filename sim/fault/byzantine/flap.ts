import { METRIC_INFINITY } from "../../../core/routing/feasible.js";
import type { Liar } from "./liar.js";
import { writeAs, writeWithMetric } from "./tongue.js";

/** Of other destinations so many are taken back, and told again, at each beat. */
const OTHERS = 4;

/** Takes back its own destinations and routes to others, tells them again, and so on, `perSecond` times; it waits for no batch. */
export function flap(nowUs: number, liar: Liar, perSecond: number): void {
  const { inside } = liar;
  const { table, origins, routing } = inside;
  /** Its own destinations while they are taken back. */
  let withdrawn: readonly number[] = [];
  let hidden: ReadonlySet<number> = new Set();
  writeAs(inside, (write, _neighbour, destination) =>
    hidden.has(destination) ? writeWithMetric(inside, destination, METRIC_INFINITY, write) : write(),
  );
  liar.every(nowUs, Math.round(1_000_000 / perSecond / 2), (atUs) => {
    const before = hidden;
    if (withdrawn.length > 0) {
      for (const own of withdrawn) routing.originate(atUs, own, table.records.epoch(own));
      hidden = new Set();
      for (const own of withdrawn) liar.tellAtOnce(atUs, own);
      withdrawn = [];
    } else {
      withdrawn = [...origins.destinations];
      for (const own of withdrawn) {
        routing.withdraw(atUs, own);
        liar.tellAtOnce(atUs, own);
      }
      hidden = new Set(liar.take(OTHERS));
    }
    for (const destination of [...before, ...hidden]) if (table.knows(destination)) liar.tellAtOnce(atUs, destination);
  });
}
