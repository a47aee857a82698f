import type { Neighbour } from "../../../core/routing/neighbour.js";
import { ID_NONE } from "../../../core/routing/short-ids.js";
import {
  ENTRY_SUSPICION,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  sealRoutes,
} from "../../../core/wire/routes.js";
import type { Liar } from "./liar.js";

/** So many of the living are accused at a time, in turn: 40 in a second, to each neighbour. */
const ROUND = 4;
const ROUND_US = 100_000;

/** Says of living nodes, one after the other, that they may be dead. */
export function accuse(nowUs: number, liar: Liar): void {
  liar.every(nowUs, ROUND_US, (atUs) => {
    const accused = liar.take(ROUND);
    if (accused.length === 0) return;
    for (const neighbour of liar.neighbours) if (!neighbour.stream.isFull) suspect(atUs, liar, neighbour, accused);
  });
}

/** A message of its own in the neighbour's numbered stream, so that it is repaired like any other. */
function suspect(nowUs: number, { inside }: Liar, neighbour: Neighbour, accused: readonly number[]): void {
  const link = inside.links.get(neighbour.link);
  if (link === undefined) return;
  const { records, dictionary } = inside.table;
  const { stream } = neighbour;
  const out = inside.sender.controlWriter();
  const start = openRoutes(out, stream.sent + 1);
  for (const destination of accused) {
    encodeRouteEntry(out, {
      ...emptyRouteEntry(),
      flags: ENTRY_SUSPICION,
      id: ID_NONE,
      bytes: dictionary.bytesOf(destination),
      epoch: records.epoch(destination),
      slot: inside.origins.slot + 1,
    });
  }
  sealRoutes(out, start, accused.length);
  stream.keep(nowUs, out.bytes, start, out.offset);
  inside.sender.sendControl(link, out);
}
