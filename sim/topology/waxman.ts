/** Waxman, "Routing of Multipoint Connections", IEEE JSAC 6(9), 1988: near ones are likelier joined than far ones. */
import { exp } from "../random/samplers.js";
import type { Stream } from "../random/stream.js";
import { type Edge, EdgeSet } from "./edges.js";

/** Every pair is looked at: above this it takes too long. */
export const WAXMAN_NODES_MAX = 5000;

/**
 * Points in a unit square, joined with chance beta * exp(-distance / (alpha * diagonal)); shares in parts per million. A node that hangs together with
 * nothing before it is joined to the nearest of those, so that the graph is one.
 */
export function waxman(count: number, alphaPpm: number, betaPpm: number, stream: Stream): Edge[] {
  const x = Array.from({ length: count }, () => stream.unit());
  const y = Array.from({ length: count }, () => stream.unit());
  const pairs = new EdgeSet(count);
  const scale = (Math.max(1, alphaPpm) / 1_000_000) * Math.sqrt(2);
  for (let a = 1; a < count; a += 1) {
    let nearest = 0;
    let least = Number.POSITIVE_INFINITY;
    let isJoined = false;
    for (let b = 0; b < a; b += 1) {
      const distance = Math.sqrt(square(x[a]! - x[b]!) + square(y[a]! - y[b]!));
      if (distance < least) {
        least = distance;
        nearest = b;
      }
      const exponent = distance / scale;
      if (exponent < 50 && stream.unit() * 1_000_000 < betaPpm * exp(-exponent) && pairs.add(a, b)) isJoined = true;
    }
    if (!isJoined) pairs.add(a, nearest);
  }
  return pairs.edges;
}

/** Not `**`: that may be Math.pow, of which engines differ. */
function square(value: number): number {
  return value * value;
}
