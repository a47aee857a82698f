import type { Announcements } from "../../core/routing/announcements.js";
import type { Decision } from "../../core/routing/decision.js";
import type { Feasibility } from "../../core/routing/feasible.js";
import type { RouteTable } from "../../core/routing/route-table.js";
import type { Routing } from "../../core/routing/routing.js";
import type { Link } from "../../core/stack/link.js";
import type { Stack } from "../../core/stack/stack.js";

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
  readonly selection: { isFeasible: Feasibility };
  /** All links that a node makes pass through here. */
  readonly links: { set(link: Link): void };
}

export function insideOf(stack: Stack): StackInside {
  const { plane, links } = stack as unknown as {
    plane: { routing: Routing };
    links: { links: StackInside["links"] };
  };
  const { table, decision } = plane.routing as unknown as { table: RouteTable; decision: Decision };
  const { selection } = decision as unknown as Pick<StackInside, "selection">;
  return {
    routing: plane.routing,
    table,
    decision,
    announcements: decision.announcements,
    selection,
    links: links.links,
  };
}
