import { type Transit, transitCost } from "../../core/routing/transit.js";
import type { Plan, Role } from "./plan.js";

/** Public nodes carry everything; whoever is behind a NAT or in a subnet only what nobody else can. */
export function transitOf(role: Role): Transit {
  return role === "public" ? "always" : "lastResort";
}

/** By node: what the way through it costs, its links aside. */
export function transitCosts(plan: Plan): Uint8Array {
  return Uint8Array.from(plan.nodes, ({ role }) => transitCost(transitOf(role)));
}
