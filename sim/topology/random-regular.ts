/** Every node has the same degree, and the graph hangs together. */
import type { Stream } from "../random/stream.js";
import { type Edge, EdgeSet } from "./edges.js";

/** Draws that may end with ends left over before we take a graph without chance. */
const DRAWS_MAX = 50;

/**
 * `count * degree` must be even, `2 <= degree < count`. A sparse graph begins as a ring through all nodes in random order, which holds it
 * together; the other ends are paired at random. Of a dense one the missing edges are drawn instead: where everybody knows at
 * least half of the others, it hangs together by itself.
 */
export function randomRegular(count: number, degree: number, stream: Stream): Edge[] {
  const isDense = 2 * degree >= count;
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    const pairs = isDense ? paired(count, count - 1 - degree, stream, false) : paired(count, degree, stream, true);
    if (pairs !== undefined) return isDense ? missing(count, pairs) : pairs.edges;
  }
  return circulant(count, degree);
}

/** Undefined when some ends found no partner. */
function paired(count: number, degree: number, stream: Stream, withRing: boolean): EdgeSet | undefined {
  const pairs = new EdgeSet(count);
  const nodes = Array.from({ length: count }, (_, i) => i);
  const order = stream.sample(nodes, count);
  if (withRing) for (const [i, node] of order.entries()) pairs.add(node, order[(i + 1) % count]!);
  const ring = pairs.edges.length;
  let open = order.flatMap((node) => Array<number>(degree - pairs.degree(node)).fill(node));
  // Each round pairs most of what is left; what resists is woven in below.
  for (let round = 0; round < 20 && open.length > 0; round += 1) {
    const ends = stream.sample(open, open.length);
    open = [];
    for (let i = 0; i + 1 < ends.length; i += 2) {
      if (!pairs.add(ends[i]!, ends[i + 1]!)) open.push(ends[i]!, ends[i + 1]!);
    }
  }
  for (let i = 0; i + 1 < open.length; i += 2) {
    if (!weave(open[i]!, open[i + 1]!, ring, pairs, stream)) return undefined;
  }
  return pairs;
}

/** Two open ends u and v and an edge a - b, none of the ring, become u - a and b - v: all degrees grow as they should. */
function weave(u: number, v: number, ring: number, pairs: EdgeSet, stream: Stream): boolean {
  const chords = pairs.edges.length - ring;
  const first = chords === 0 ? 0 : stream.below(chords);
  for (let k = 0; k < 2 * chords; k += 1) {
    const place = ring + ((first + k) % chords);
    const [x, y] = pairs.edges[place]!;
    const [a, b] = k < chords ? [x, y] : [y, x];
    if (u === a || v === b || pairs.neighbours[u]!.has(a) || pairs.neighbours[v]!.has(b) || (u === b && v === a))
      continue;
    pairs.remove(place);
    pairs.add(u, a);
    pairs.add(v, b);
    return true;
  }
  return false;
}

function missing(count: number, pairs: EdgeSet): Edge[] {
  const edges: Edge[] = [];
  for (let a = 0; a < count; a += 1) {
    for (let b = a + 1; b < count; b += 1) if (!pairs.neighbours[a]!.has(b)) edges.push([a, b]);
  }
  return edges;
}

/** Everybody knows the nearest on both sides of a ring, and who stands opposite when the degree is odd. */
function circulant(count: number, degree: number): Edge[] {
  const pairs = new EdgeSet(count);
  for (let node = 0; node < count; node += 1) {
    for (let step = 1; step <= degree >> 1; step += 1) pairs.add(node, (node + step) % count);
    if (degree % 2 === 1) pairs.add(node, (node + count / 2) % count);
  }
  return pairs.edges;
}
