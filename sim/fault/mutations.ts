import type { Stack } from "../../core/stack/stack.js";
import { NEVER } from "../../core/time/instant.js";
import { ENTRY_RETRACTION } from "../../core/wire/routes.js";
import type { Mutation } from "../plan/plan.js";
import { insideOf, type StackInside } from "./stack-inside.js";

/** What all mutations but "death" need. */
export type RoutingInside = Pick<StackInside, "table" | "decision" | "selection">;

/** Of the entries that a node hears, one in so many is skipped. */
const SKIPPED = 8;

/**
 * A core broken on purpose, to see whether the oracles see it. To be called before the stack starts.
 *
 *   feasibility  every offer is feasible                                             packets go round
 *   retraction   a neighbour's taking back of a route is not believed                ghosts stay
 *   death        a neighbour that falls silent is never declared dead                ghosts stay
 *   delta        one change in 8  is skipped, and no table digest is ever compared   routes that are missing or too dear
 */
export function mutate(stack: Stack, mutation: Mutation): void {
  const inside = insideOf(stack);
  if (mutation === "death") declareNobodyDead(inside);
  else mutateRouting(inside, mutation);
}

/** The same for a routing without links, which nobody declares dead. */
export function mutateRouting(inside: RoutingInside, mutation: Exclude<Mutation, "death">): void {
  switch (mutation) {
    case "feasibility":
      inside.selection.isFeasible = () => true;
      return;
    case "retraction":
      return believeNoRetraction(inside);
    case "delta":
      return skipDeltas(inside);
  }
}

function believeNoRetraction({ decision }: RoutingInside): void {
  const learn = decision.learn.bind(decision);
  decision.learn = (nowUs, neighbour, destination, entry) =>
    (entry.flags & ENTRY_RETRACTION) !== 0 || learn(nowUs, neighbour, destination, entry);
}

function declareNobodyDead({ links, routing }: StackInside): void {
  const set = links.set.bind(links);
  links.set = (link) => {
    Object.defineProperty(link.neighbour, "deadUs", { value: NEVER });
    set(link);
  };
  routing.isStalled = () => false;
}

function skipDeltas({ decision, table }: RoutingInside): void {
  const learn = decision.learn.bind(decision);
  let heard = 0;
  decision.learn = (nowUs, neighbour, destination, entry) => {
    heard += 1;
    return heard % SKIPPED === 0 || learn(nowUs, neighbour, destination, entry);
  };
  const addNeighbour = table.addNeighbour.bind(table);
  table.addNeighbour = (...given) => {
    const neighbour = addNeighbour(...given);
    neighbour.compare = () => undefined;
    return neighbour;
  };
}
