/** Barabási and Albert, "Emergence of Scaling in Random Networks", Science 286, 1999. */
import type { Stream } from "../random/stream.js";
import { type Edge, EdgeSet } from "./edges.js";

/** The first links + 1 nodes all know each other; each later one links to `links` others, chosen in proportion to their degree. */
export function preferentialAttachment(count: number, links: number, stream: Stream): Edge[] {
  const pairs = new EdgeSet(count);
  const core = Math.min(count, links + 1);
  // Each node stands here once per link: a uniform draw is then in proportion to the degree.
  const ends: number[] = [];
  for (let a = 1; a < core; a += 1) {
    for (let b = 0; b < a; b += 1) {
      pairs.add(a, b);
      ends.push(a, b);
    }
  }
  for (let node = core; node < count; node += 1) {
    const known = ends.length;
    while (pairs.degree(node) < links) {
      const other = ends[stream.below(known)]!;
      if (pairs.add(node, other)) ends.push(node, other);
    }
  }
  return pairs.edges;
}
