/** The topology of a scenario as edges between its nodes, and what else it says of them. */
import { Stream } from "../random/stream.js";
import type { Edge } from "../topology/edges.js";
import { internet } from "../topology/internet.js";
import { grid, line, ring, tree } from "../topology/lattices.js";
import { preferentialAttachment } from "../topology/preferential-attachment.js";
import { randomRegular } from "../topology/random-regular.js";
import { WAXMAN_NODES_MAX, waxman } from "../topology/waxman.js";
import type { Draft } from "./draft.js";
import { nearest } from "./nearest.js";
import type { Topology, TopologyOf } from "./topologies.js";

export interface Layout {
  readonly edges: readonly Edge[];
  /** Where edge i stands in the file. */
  readonly place: (edge: number) => readonly PropertyKey[];
  /** Class of edge i, where the file names one. */
  readonly links: ReadonlyMap<number, string>;
  /** Further links, inside subnets. */
  readonly meshes: Edge[];
  readonly houses: { readonly first: number; readonly end: number };
  readonly closed: readonly { readonly first: number; readonly gateways: number; readonly inner: number }[];
}

/** Undefined when there can be no such graph; the draft has heard why. */
export function layout(draft: Draft): Layout | undefined {
  const { topology } = draft.data;
  const count = draft.nodes.length;
  const stream = new Stream(draft.seed, "topology", topology.kind);
  const plain = (edges: readonly Edge[]): Layout => ({
    edges,
    place: () => ["topology"],
    links: new Map(),
    meshes: [],
    houses: { first: count, end: count },
    closed: [],
  });
  const why = impossibility(topology, count);
  if (why !== undefined) {
    draft.complain(["topology", why.key], `topology.${why.key}: ${why.message}`);
    return undefined;
  }
  switch (topology.kind) {
    case "line":
      return plain(line(count));
    case "ring":
      return plain(ring(count));
    case "grid":
      return plain(grid(topology.rows, topology.columns));
    case "tree":
      return plain(tree(count, topology.arity));
    case "random-regular":
      return plain(randomRegular(count, topology.degree, stream));
    case "preferential-attachment":
      return plain(preferentialAttachment(count, topology.links, stream));
    case "waxman":
      return plain(waxman(count, topology.alpha, topology.beta, stream));
    case "graph":
      return graph(draft, topology, plain([]));
    case "internet": {
      const net = internet(
        {
          count,
          publicPpm: topology.public,
          uplinks: topology.uplinks,
          publicLinks: topology.publicLinks,
          degreeMax: topology.degreeMax,
          subnetsPpm: topology.subnets,
          subnetNodes: topology.subnetNodes,
          gateways: topology.gateways,
        },
        stream,
      );
      return { ...plain(net.edges), houses: { first: net.houses, end: count }, closed: net.subnets };
    }
  }
}

function impossibility(topology: Topology, count: number): { key: string; message: string } | undefined {
  if (topology.kind === "random-regular") {
    const { degree } = topology;
    if (degree >= count) return { key: "degree", message: `no ${count} nodes have a degree of ${degree}` };
    if ((degree * count) % 2 === 1) {
      return {
        key: "degree",
        message: `no graph has ${count} nodes of degree ${degree}: the ends of its edges would be odd`,
      };
    }
  }
  if (topology.kind === "waxman" && count > WAXMAN_NODES_MAX) {
    return { key: "kind", message: `waxman looks at every pair of nodes; at most ${WAXMAN_NODES_MAX}` };
  }
  if (topology.kind === "internet") {
    for (const key of ["subnetNodes", "gateways"] as const) {
      const [least, most] = topology[key];
      if (least > most) return { key, message: `from ${least} to ${most} there is nothing` };
    }
    const total = Object.values(topology.nats).reduce((sum, weight) => sum + weight, 0);
    if (total === 0) return { key: "nats", message: "all weights are zero" };
  }
  return undefined;
}

function graph(draft: Draft, topology: TopologyOf<"graph">, plain: Layout): Layout | undefined {
  const numbers = new Map(draft.nodes.map((node, i) => [node.name, i]));
  const edges: Edge[] = [];
  const places: number[] = [];
  const links = new Map<number, string>();
  const seen = new Set<number>();
  let isPossible = true;
  const refuse = (path: readonly PropertyKey[], message: string): void => {
    isPossible = false;
    draft.complain(["topology", "edges", ...path], message);
  };
  for (const [i, edge] of (topology.edges ?? []).entries()) {
    const [from, to] = Array.isArray(edge) ? edge : [edge.a, edge.b];
    const ends = [from, to].map((name, end) => {
      const number = numbers.get(name);
      if (number === undefined) {
        const near = draft.nodes.length > 1000 ? undefined : nearest(name, [...numbers.keys()]);
        const hint = near === undefined ? "" : `; nearest: "${near}"`;
        const key = Array.isArray(edge) ? end : end === 0 ? "a" : "b";
        refuse([i, key], `topology.edges[${i}]: there is no node "${name}"${hint}`);
      }
      return number;
    });
    const [a, b] = ends;
    if (a === undefined || b === undefined) continue;
    if (a === b) {
      refuse([i], `topology.edges[${i}]: ${from} has an edge to itself`);
      continue;
    }
    const key = Math.min(a, b) * 65_536 + Math.max(a, b);
    if (seen.has(key)) refuse([i], `topology.edges[${i}]: ${from} - ${to} stands here twice`);
    else {
      if (!Array.isArray(edge) && edge.link !== undefined) links.set(edges.length, edge.link);
      seen.add(key);
      edges.push([a, b]);
      places.push(i);
    }
  }
  if (!isPossible) return undefined;
  return { ...plain, edges, links, place: (edge) => ["topology", "edges", places[edge] ?? 0] };
}
