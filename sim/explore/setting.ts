import { costClass } from "../../core/link/cost.js";
import type { Action, Mutation, Plan } from "../plan/plan.js";

export const EXPLORED_NODES_MIN = 3;
export const EXPLORED_NODES_MAX = 5;

/** What is explored: a small network, and what may befall it at any moment. Nodes are indexes, edges too. */
export interface Setting {
  readonly names: readonly string[];
  /** Those who carry for others only as a last resort. */
  readonly isLastResort: readonly boolean[];
  readonly edges: readonly SettingEdge[];
  /** In the order in which the file has them; each happens once at most. */
  readonly faults: readonly Fault[];
  /** So long all runs in one order, before anything is tried. 0: the links are just coming up. */
  readonly warmupUs: number;
  readonly mutation: Exclude<Mutation, "death"> | undefined;
}

export interface SettingEdge {
  readonly a: number;
  readonly b: number;
  /** 1 .. 4 */
  readonly cost: number;
}

export type Fault =
  | { readonly do: "crash" | "start"; readonly node: number }
  | { readonly do: "cut" | "mend"; readonly edge: number };

/** A message of why it cannot be explored, or what is. */
export function settingOf(plan: Plan): Setting | string {
  const count = plan.nodes.length;
  if (count < EXPLORED_NODES_MIN || count > EXPLORED_NODES_MAX) {
    return `${plan.name} has ${count} nodes: exploring takes ${EXPLORED_NODES_MIN} to ${EXPLORED_NODES_MAX}`;
  }
  if (plan.mutate === "death")
    return "mutate: death breaks what finds links dead, which is no part of what is explored";
  const edges = edgesOf(plan);
  const faults: Fault[] = [];
  for (const action of plan.actions) {
    const found = faultOf(action, edges);
    if (found === undefined) continue;
    if (typeof found === "string") return `${plan.name}: ${found}`;
    faults.push(found);
  }
  return {
    names: plan.nodes.map(({ name }) => name),
    isLastResort: plan.nodes.map(({ role }) => role !== "public"),
    edges,
    faults,
    warmupUs: plan.warmupUs,
    mutation: plan.mutate,
  };
}

function edgesOf(plan: Plan): SettingEdge[] {
  const edges: SettingEdge[] = [];
  for (const [a, { dials }] of plan.nodes.entries()) {
    for (const { node: b } of dials) {
      if (b === a || edges.some((edge) => joins(edge, a, b))) continue;
      edges.push({ a, b, cost: costOf(plan, a, b) });
    }
  }
  return edges;
}

function costOf(plan: Plan, a: number, b: number): number {
  const pair = plan.pairs.find((one) => joins(one, a, b));
  const { delayUs, lossPpm } = plan.models[pair?.model ?? plan.defaultModel]!;
  return costClass(2 * delayUs, Math.floor(lossPpm / 1000), 0);
}

/** Undefined for what is no fault: the start of a node at the beginning, which all do at once here. */
function faultOf(action: Action, edges: readonly SettingEdge[]): Fault | string | undefined {
  switch (action.do) {
    case "start":
      return undefined;
    case "crash":
      return { do: "crash", node: action.node };
    case "restart":
      return { do: "start", node: action.node };
    case "cut":
    case "mend": {
      const edge = edges.findIndex((one) => joins(one, action.a, action.b));
      if (edge < 0) return `${action.do} of a link that is not there`;
      if (action.do === "cut" && action.oneWay) return "a cut in one direction is not explored";
      return { do: action.do, edge };
    }
    default:
      return `${action.do} is not explored: crash, restart, cut and mend are`;
  }
}

function joins(edge: { readonly a: number; readonly b: number }, a: number, b: number): boolean {
  return (edge.a === a && edge.b === b) || (edge.a === b && edge.b === a);
}
