import { type Neighbour, Urgency } from "../../../core/routing/neighbour.js";
import type { RouteTable } from "../../../core/routing/route-table.js";
import { ROUTER_ID_BYTES } from "../../../core/wire/hello.js";
import { LINKS_MAX } from "../../engine/census.js";
import type { StackInside } from "../stack-inside.js";

/** A route as it once was, or as it never was. */
export interface Advert {
  readonly metric: number;
  readonly epoch: number;
  readonly index: number;
  /** Full number of the slot in which the origin proved it last. */
  readonly generation: number;
}

/**
 * Routes that lead nowhere: the liar's own table says that a neighbour offers them whom there is not, so its core tells them as
 * it tells all others: to everybody, to newcomers too, in numbered messages, with short ids, and in its digests.
 */
export class Phantoms {
  private readonly inside: StackInside;
  /** By destination, the routes that are told whatever happens. Bounded by the table, which forgets none of them. */
  private readonly kept = new Map<number, Advert>();
  /** The last true route of each destination; undefined where the lost are let go. Bounded by the table as well. */
  private last: Map<number, Advert> | undefined;

  constructor(inside: StackInside) {
    this.inside = inside;
    const { selection, table } = inside;
    const choose = selection.choose.bind(selection);
    selection.choose = (destination) => {
      const before = table.records.next(destination);
      choose(destination);
      if (table.isLocal(destination)) return;
      if (table.records.next(destination) >= 0) {
        this.last?.set(destination, this.advertOf(destination));
        return;
      }
      if (before < 0) return;
      const advert = this.kept.get(destination) ?? this.last?.get(destination);
      if (advert !== undefined) this.appear(destination, advert);
    };
  }

  /** From now on every route that is lost goes on as one of these. */
  keepLost(): void {
    const { table } = this.inside;
    this.last = new Map();
    for (let i = 0; i < table.listed; i += 1) {
      const destination = table.order[i]!;
      if (table.knows(destination) && table.records.next(destination) >= 0) {
        this.last.set(destination, this.advertOf(destination));
      }
    }
  }

  /** The route as the table has it now. */
  advertOf(destination: number): Advert {
    const { records } = this.inside.table;
    return {
      metric: records.metric(destination),
      epoch: records.epoch(destination),
      index: this.inside.table.chosenIndex(destination),
      generation: this.inside.decision.liveness.lives.generationTold(destination),
    };
  }

  /** A route to a destination of which nobody spoke, or nobody any more. */
  invent(nowUs: number, destination: number, advert: Advert): void {
    const { table, announcements, decision } = this.inside;
    table.admit(destination);
    if (table.isLocal(destination) || table.records.next(destination) >= 0) return;
    table.hear(destination, advert.epoch, advert.index);
    decision.liveness.handleBirth(destination, advert.generation);
    this.kept.set(destination, advert);
    this.appear(destination, advert);
    announcements.tellAll(nowUs, destination, Urgency.news, true);
  }

  private appear(destination: number, { metric, epoch, index }: Advert): void {
    const { table } = this.inside;
    const { records, cells } = table;
    const nobody = nobodyAt(table);
    records.setNext(destination, nobody.link);
    records.setMetric(destination, metric);
    table.count += 1;
    const age = records.epoch(destination) === epoch ? Math.max(0, records.index(destination) - index) : 0;
    cells.setAge(cells.at(destination, nobody.slot), age);
  }
}

/** Below the number of links that a node of the simulator may have, and above those that any has. */
const NOBODYS_LINK = LINKS_MAX - 1;

/** A neighbour that is on no list: it is told nothing and teaches nothing, but a route may lead to it. */
function nobodyAt(table: RouteTable): Neighbour {
  const known = table.byLink[NOBODYS_LINK];
  if (known !== undefined) return known;
  const nobody = table.addNeighbour(NOBODYS_LINK, false, new Uint8Array(ROUTER_ID_BYTES), 1);
  table.detach(nobody);
  // Who asks where the route leads to asks nobody: it never gets a turn to be written to.
  Object.defineProperty(nobody, "isReady", { get: () => true, set: () => undefined });
  return nobody;
}
