/** Who sends to whom. */

import type { Stream } from "../random/stream.js";
import type { Cast } from "./cast.js";
import { pathName } from "./complaint.js";
import type { Selector } from "./selectors.js";

interface Transfer {
  readonly from: Selector;
  readonly to: Selector;
  readonly kind: "stream" | "datagrams" | "request";
  readonly size: number;
  readonly count: number;
  readonly gap: number;
}

type Path = readonly PropertyKey[];

/** Of the timeline: each of `from` sends to one of `to` that is somebody else, drawn anew. */
export function addTransfers(cast: Cast, entry: Transfer & { readonly over?: number | undefined }, path: Path): void {
  const stream = cast.stream("traffic", pathName(path));
  const from = cast.select(entry.from, [...path, "from"]);
  const to = cast.select(entry.to, [...path, "to"]);
  for (const node of from) {
    const at = entry.over === undefined || entry.over === 0 ? cast.nowUs : cast.nowUs + stream.below(entry.over);
    cast.at(at, () => send(cast, entry, node, to, stream));
  }
}

/** Of a process: one of `from` that lives now. */
export function addTransfer(cast: Cast, transfer: Transfer, path: Path, stream: Stream): void {
  const from = cast.select(transfer.from, [...path, "from"]);
  const to = cast.select(transfer.to, [...path, "to"]);
  if (from.length > 0) send(cast, transfer, from[stream.below(from.length)]!, to, stream);
}

function send(cast: Cast, transfer: Transfer, from: number, targets: readonly number[], stream: Stream): void {
  const others = targets.length === 1 || !targets.includes(from) ? targets : targets.filter((one) => one !== from);
  const to = others[stream.below(others.length)];
  if (to === undefined || to === from || !cast.isAlive(from)) return;
  const { kind, size, count, gap } = transfer;
  cast.emit({ do: "traffic", flow: { from, to, kind, bytes: size, count, gapUs: gap } });
}
