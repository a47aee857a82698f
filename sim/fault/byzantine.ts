import { Urgency } from "../../core/routing/neighbour.js";
import { LOCAL } from "../../core/routing/route-table.js";
import type { Stack } from "../../core/stack/stack.js";
import type { Byzantine } from "../plan/plan.js";
import { insideOf, type StackInside } from "./stack-inside.js";

/** What a metric liar says of everybody: next door. */
const CLAIMED_METRIC = 1;

/**
 * Makes a node lie from now on, whatever it told before.
 *
 *   ghost   never takes a route back: the dead live on at whoever went over it
 *   metric  says of all destinations that they are one step behind it, and draws their traffic
 */
export function turn(nowUs: number, stack: Stack, as: Byzantine): void {
  const inside = insideOf(stack);
  if (as === "ghost") keepTelling(inside);
  else belittle(nowUs, inside);
}

function keepTelling({ announcements, table: { records } }: StackInside): void {
  const tellAll = announcements.tellAll.bind(announcements);
  announcements.tellAll = (nowUs, destination, urgency, isForced) => {
    if (urgency !== Urgency.retraction) tellAll(nowUs, destination, urgency, isForced);
  };
  writeAs(announcements, (write, _neighbour, destination) => {
    const isGone = records.next(destination) < 0 && (records.state(destination) & LOCAL) === 0;
    return !isGone && write(); // what it told stays told
  });
}

function belittle(nowUs: number, { announcements, table }: StackInside): void {
  const { records } = table;
  writeAs(announcements, (write, neighbour, destination) => {
    const metric = records.metric(destination);
    const next = records.next(destination);
    if (next < 0 || next === neighbour.link) return write();
    records.setMetric(destination, Math.min(metric, CLAIMED_METRIC));
    const isWritten = write();
    records.setMetric(destination, metric);
    return isWritten;
  });
  for (let i = 0; i < table.listed; i += 1) {
    const destination = table.order[i]!;
    if (records.next(destination) >= 0) announcements.tellAll(nowUs, destination, Urgency.news, true);
  }
}

type WriteEntry = (neighbour: { readonly link: number }, destination: number, ...rest: unknown[]) => boolean;

/** Puts `around` in place of the one way in which entries are written. */
function writeAs(
  announcements: StackInside["announcements"],
  around: (write: () => boolean, neighbour: { readonly link: number }, destination: number) => boolean,
): void {
  const inside = announcements as unknown as { writeEntry: WriteEntry };
  const writeEntry = inside.writeEntry.bind(announcements);
  inside.writeEntry = (neighbour, destination, ...rest) =>
    around(() => writeEntry(neighbour, destination, ...rest), neighbour, destination);
}
