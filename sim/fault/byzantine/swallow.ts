import { Urgency } from "../../../core/routing/neighbour.js";
import { LOCAL } from "../../../core/routing/route-table.js";
import type { Liar } from "./liar.js";
import { proveAs, writeAs } from "./tongue.js";

/** Keeps bad news to itself: no retraction leaves, and of the lives of others neither proofs nor doubts. */
export function swallow(_nowUs: number, liar: Liar): void {
  const { inside } = liar;
  const { announcements, lifeWriter, table } = inside;
  const { records } = table;
  const tellAll = announcements.tellAll.bind(announcements);
  announcements.tellAll = (nowUs, destination, urgency, isForced) => {
    if (urgency !== Urgency.retraction) tellAll(nowUs, destination, urgency, isForced);
  };
  writeAs(inside, (write, _neighbour, destination) => {
    const isGone = records.next(destination) < 0 && (records.state(destination) & LOCAL) === 0;
    return !isGone && write(); // what it told stays told
  });
  proveAs(inside, (write, _neighbour, destination) => table.isLocal(destination) && write());
  const writeLife = lifeWriter.writeLife.bind(lifeWriter);
  lifeWriter.writeLife = (neighbour, destination, ...rest) =>
    table.isLocal(destination) && writeLife(neighbour, destination, ...rest);
  announcements.tellSuspicion = () => undefined;
}
