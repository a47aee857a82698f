import type { Violation } from "../engine/observer.js";

/**
 * Of all that were found, the one to report: the earliest, then by nodes, then by oracle. The same whoever found them, since
 * every oracle names its subject first and finds the least of its shard.
 */
export function firstViolation(found: readonly (Violation | undefined)[]): Violation | undefined {
  let first: Violation | undefined;
  for (const violation of found) {
    if (violation !== undefined && (first === undefined || precedes(violation, first))) first = violation;
  }
  return first;
}

function precedes(a: Violation, b: Violation): boolean {
  if (a.atUs !== b.atUs) return a.atUs < b.atUs;
  for (let i = 0; i < Math.min(a.nodes.length, b.nodes.length); i += 1) {
    if (a.nodes[i] !== b.nodes[i]) return a.nodes[i]! < b.nodes[i]!;
  }
  if (a.nodes.length !== b.nodes.length) return a.nodes.length < b.nodes.length;
  return a.oracle < b.oracle;
}
