/** Every node has the same degree, and the graph hangs together. */
import type { Stream } from "../random/stream.js";
import { type Edge, EdgeSet } from "./edges.js";

/**
 * A ring through all nodes in random order holds the graph together and gives everybody two; the other ends are paired at random. Where the
 * last ones find no partner (only themselves, or neighbours they have), an edge elsewhere is taken apart for them. `count * degree` must
 * be even, `2 <= degree < count`.
 */
export function randomRegular(count: number, degree: number, stream: Stream): Edge[] {
  const order = stream.sample(
    Array.from({ length: count }, (_, i) => i),
    count,
  );
  const pairs = new EdgeSet(count);
  for (const [i, node] of order.entries()) pairs.add(node, order[(i + 1) % count]!);
  const ring = pairs.edges.length;
  let open = order.flatMap((node) => Array<number>(Math.max(0, degree - 2)).fill(node));
  // Each round pairs most of what is left; what resists is woven in below.
  for (let round = 0; round < 20 && open.length > 0; round += 1) {
    const ends = stream.sample(open, open.length);
    open = [];
    for (let i = 0; i + 1 < ends.length; i += 2) {
      if (!pairs.add(ends[i]!, ends[i + 1]!)) open.push(ends[i]!, ends[i + 1]!);
    }
    if (ends.length % 2 === 1) open.push(ends[ends.length - 1]!);
  }
  const chords = pairs.edges.slice(ring).map(([a, b]): [number, number] => [a, b]);
  weave(open, chords, pairs, stream);
  return [...pairs.edges.slice(0, ring), ...chords];
}

/** Two open ends u and v and an edge a - b become u - a and b - v: all degrees grow as they should. */
function weave(open: number[], chords: [number, number][], pairs: EdgeSet, stream: Stream): void {
  for (let i = 0; i + 1 < open.length; i += 2) {
    const [u, v] = [open[i]!, open[i + 1]!];
    if (join(u, v, chords, pairs)) continue;
    const first = chords.length === 0 ? 0 : stream.below(chords.length);
    for (let k = 0; k < 2 * chords.length; k += 1) {
      const chord = chords[(first + k) % chords.length]!;
      const [a, b] = k < chords.length ? chord : [chord[1], chord[0]];
      if (u === a || v === b || has(pairs, u, a) || has(pairs, v, b) || (u === v && a === b)) continue;
      pairs.neighbours[a]!.delete(b);
      pairs.neighbours[b]!.delete(a);
      chord[0] = u;
      chord[1] = a;
      chords.push([v, b]);
      for (const [x, y] of [
        [u, a],
        [v, b],
      ] as const) {
        pairs.neighbours[x]!.add(y);
        pairs.neighbours[y]!.add(x);
      }
      break;
    }
  }
}

function join(u: number, v: number, chords: [number, number][], pairs: EdgeSet): boolean {
  if (u === v || has(pairs, u, v)) return false;
  pairs.neighbours[u]!.add(v);
  pairs.neighbours[v]!.add(u);
  chords.push([u, v]);
  return true;
}

function has(pairs: EdgeSet, a: number, b: number): boolean {
  return pairs.neighbours[a]!.has(b);
}
