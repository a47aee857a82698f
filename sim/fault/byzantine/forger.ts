import { Urgency } from "../../../core/routing/neighbour.js";
import type { Liar } from "./liar.js";
import { writeAs } from "./tongue.js";

/** So many destinations are made newer at a time, in turn. */
const ROUND = 16;
const ROUND_US = 1_000_000;
/** An index that is ahead of the origin's by more than the repairs of some seconds. */
const INDEX_AHEAD = 64;

/** Tells newer repair indexes than it heard: every honest offer is old beside its own. */
export function indexForger(nowUs: number, liar: Liar): void {
  forge(nowUs, liar, (epoch, index) => ({ epoch, index: index + INDEX_AHEAD }));
}

/** Tells newer epochs than it heard, as if all had been restarted. */
export function epochForger(nowUs: number, liar: Liar): void {
  forge(nowUs, liar, (epoch, index) => ({ epoch: epoch + 1, index }));
}

type Forgery = (epoch: number, index: number) => { readonly epoch: number; readonly index: number };

function forge(nowUs: number, liar: Liar, newer: Forgery): void {
  const { inside } = liar;
  const { table, announcements } = inside;
  const { records } = table;
  writeAs(inside, (write, _neighbour, destination) => {
    if (!liar.carries(destination)) return write();
    const epoch = records.epoch(destination);
    const index = records.index(destination);
    const forged = newer(epoch, index);
    records.setNewest(destination, forged.epoch, forged.index);
    const isWritten = write();
    records.setNewest(destination, epoch, index);
    return isWritten;
  });
  liar.every(nowUs, ROUND_US, (atUs) => {
    for (const destination of liar.take(ROUND)) announcements.tellAll(atUs, destination, Urgency.news, true);
  });
}
