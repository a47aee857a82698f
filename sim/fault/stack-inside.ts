import type { Forwarder } from "../../core/forwarding/forwarder.js";
import type { Announcements } from "../../core/routing/announcements.js";
import type { Decision } from "../../core/routing/decision.js";
import type { Elements } from "../../core/routing/elements.js";
import type { Feasibility } from "../../core/routing/feasible.js";
import type { Intake } from "../../core/routing/intake.js";
import type { Neighbour } from "../../core/routing/neighbour.js";
import type { Origins } from "../../core/routing/origins.js";
import type { RouteTable } from "../../core/routing/route-table.js";
import type { Routing } from "../../core/routing/routing.js";
import type { Link } from "../../core/stack/link.js";
import type { LinkTable } from "../../core/stack/link-table.js";
import type { Stack } from "../../core/stack/stack.js";
import type { Writer } from "../../core/wire/cursor.js";

/** Writes one entry about a destination for a neighbour; false when it writes none. */
export type WriteEntry = (neighbour: Neighbour, destination: number, ...rest: unknown[]) => boolean;

/**
 * What faults reach into: parts of a stack that are nobody's business but its own. The names are those of the fields; a
 * test of each fault notices when one of them moves. Only the simulator breaks its nodes on purpose, so the core has no
 * switch for it.
 */
export interface StackInside {
  readonly routing: Routing;
  readonly table: RouteTable;
  readonly decision: Decision;
  readonly announcements: Announcements;
  readonly selection: { isFeasible: Feasibility; choose(destination: number): void };
  readonly intake: Pick<Intake, "handleFrame">;
  /** The one place where routes and retractions are written, and those where proofs and signs of life are. */
  readonly entries: { writeEntry: WriteEntry };
  readonly lifeWriter: { writeProof: WriteEntry; writeLife: WriteEntry };
  /** Whoever makes or checks elements of hash chains does it by its own field of this name. */
  readonly chained: readonly { elements: Elements }[];
  readonly origins: Origins;
  /** All links that a node makes pass through here. */
  readonly links: LinkTable;
  readonly sender: { controlWriter(): Writer; sendControl(link: Link, out: Writer): void };
  readonly forwarder: Forwarder;
  /** Deadlines that were moved behind routing's back. */
  refresh(): void;
}

export function insideOf(stack: Stack): StackInside {
  const { plane, links, ends } = stack as unknown as {
    plane: { routing: Routing };
    links: { links: LinkTable; sender: StackInside["sender"] };
    ends: { dispatch: { forwarder: Forwarder } };
  };
  const { routing } = plane;
  const { table, decision, intake, origins } = routing as unknown as {
    table: RouteTable;
    decision: Decision;
    intake: Intake;
    origins: Origins;
  };
  const { selection } = decision as unknown as Pick<StackInside, "selection">;
  const { lifeWriter } = decision.announcements as unknown as Pick<StackInside, "lifeWriter">;
  return {
    routing,
    table,
    decision,
    announcements: decision.announcements,
    selection,
    intake,
    entries: decision.announcements as unknown as StackInside["entries"],
    lifeWriter,
    chained: [decision.announcements, lifeWriter, intake] as unknown as StackInside["chained"],
    origins,
    links: links.links,
    sender: links.sender,
    forwarder: ends.dispatch.forwarder,
    refresh: () => (routing as unknown as { refresh(): void }).refresh(),
  };
}
