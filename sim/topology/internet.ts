/**
 * A small internet: public nodes, houses behind NATs, and closed subnets whose gateways stand in both worlds.
 *
 * Every house and gateway dials some public nodes; public nodes dial each other; inside a subnet all know all. No public node gets more links than
 * the bound: who would be one more goes elsewhere, and does without where there is no elsewhere.
 */
import type { Stream } from "../random/stream.js";
import { type Edge, EdgeSet } from "./edges.js";

export interface InternetShape {
  readonly count: number;
  readonly publicPpm: number;
  readonly uplinks: number;
  readonly publicLinks: number;
  readonly degreeMax: number;
  readonly subnetsPpm: number;
  readonly subnetNodes: readonly [number, number];
  readonly gateways: readonly [number, number];
}

export interface Internet {
  /** Public nodes are 0 .. publicCount - 1, then come subnet after subnet with its gateways first, then the houses. */
  readonly publicCount: number;
  readonly subnets: readonly { readonly first: number; readonly gateways: number; readonly inner: number }[];
  /** First node that lives in a house. */
  readonly houses: number;
  readonly edges: readonly Edge[];
}

export function internet(shape: InternetShape, stream: Stream): Internet {
  const { count } = shape;
  const publicCount = Math.min(count, Math.max(1, Math.round((count * shape.publicPpm) / 1_000_000)));
  const subnets: { first: number; gateways: number; inner: number }[] = [];
  const inSubnets = Math.min(count - publicCount, Math.round((count * shape.subnetsPpm) / 1_000_000));
  let next = publicCount;
  while (next < publicCount + inSubnets) {
    const left = publicCount + inSubnets - next;
    const gateways = stream.between(shape.gateways[0], Math.max(...shape.gateways));
    const inner = stream.between(shape.subnetNodes[0], Math.max(...shape.subnetNodes));
    if (gateways + inner > left) break; // the remainder lives in houses
    subnets.push({ first: next, gateways, inner });
    next += gateways + inner;
  }
  const pairs = new EdgeSet(count);
  joinPublic(pairs, publicCount, shape, stream);
  for (const { first, gateways, inner } of subnets) {
    for (let node = first; node < first + gateways; node += 1) uplink(pairs, node, publicCount, shape, stream);
    for (let a = first + 1; a < first + gateways + inner; a += 1) {
      for (let b = first; b < a; b += 1) pairs.add(a, b);
    }
  }
  for (let node = next; node < count; node += 1) uplink(pairs, node, publicCount, shape, stream);
  return { publicCount, subnets, houses: next, edges: pairs.edges };
}

/** The first dial goes to someone before, so that the public nodes hang together; the others anywhere. */
function joinPublic(pairs: EdgeSet, publicCount: number, shape: InternetShape, stream: Stream): void {
  for (let node = 1; node < publicCount; node += 1) dial(pairs, node, node, 1, shape.degreeMax, stream);
  for (let node = 0; node < publicCount; node += 1) {
    const dials = node === 0 ? shape.publicLinks : shape.publicLinks - 1;
    // Half of the bound at most among themselves: the others need room as well.
    dial(pairs, node, publicCount, dials, Math.max(2, shape.degreeMax >> 1), stream);
  }
}

function uplink(pairs: EdgeSet, node: number, publicCount: number, shape: InternetShape, stream: Stream): void {
  dial(pairs, node, publicCount, shape.uplinks, shape.degreeMax, stream);
}

/** Dials `dials` of the nodes below `among` that have room. */
function dial(pairs: EdgeSet, node: number, among: number, dials: number, degreeMax: number, stream: Stream): void {
  let done = 0;
  // A public node that others have dialled up to the bound dials nobody; houses and gateways are never dialled.
  const isFull = () => pairs.degree(node) >= degreeMax;
  for (let attempt = 0; attempt < 20 * dials && done < dials && !isFull(); attempt += 1) {
    const other = stream.below(among);
    if (pairs.degree(other) < degreeMax && pairs.add(node, other)) done += 1;
  }
  // Chance found nobody with room: the first who has.
  for (let other = 0; other < among && done < dials && !isFull(); other += 1) {
    if (pairs.degree(other) < degreeMax && pairs.add(node, other)) done += 1;
  }
}
