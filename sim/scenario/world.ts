/** Nodes, regions, realms and links of the beginning. */
import type { Edge } from "../topology/edges.js";
import { parts } from "../topology/edges.js";
import {
  addInterface,
  type Complain,
  type Draft,
  drawRegion,
  furnish,
  INTERNET,
  linkUp,
  NodeDraft,
  regionsUs,
} from "./draft.js";
import { layout } from "./layout.js";
import type { LinkOrClass } from "./links.js";
import { matching } from "./matching.js";
import { Models } from "./models.js";
import type { ScenarioData } from "./schema.js";
import { addSubnets } from "./subnets.js";

/** Nearer than this, windows of the engine would be too short to be worth their while. */
const LATENCY_MIN_US = 100;

/** Undefined when there are no nodes to speak of; `complain` has heard why. */
export function buildWorld(data: ScenarioData, seed: string, complain: Complain): Draft | undefined {
  const names = namesOf(data, complain);
  if (names === undefined) return undefined;
  const models = new Models(data, complain);
  const regions = regionsOf(data, models, complain);
  const draft: Draft = {
    data,
    seed,
    complain,
    models,
    nodes: names.map((name) => new NodeDraft(name)),
    realms: [{ name: "internet", parent: -1, region: 0, nat: undefined, lan: -1 }],
    edges: [],
    pairs: [],
    ...regions,
    nextAddress: 1,
  };
  placeInRegions(draft);
  for (const node of draft.nodes) addInterface(draft, node, INTERNET, data.nodes.access);
  const plan = layout(draft);
  if (plan === undefined) return undefined;
  addSubnets(draft, plan);
  for (const node of draft.nodes) furnish(draft, node);
  connect(draft, plan.edges, plan.place);
  for (const [a, b] of plan.meshes) if (!isLinked(draft, a, b)) linkUp(draft, a, b);
  checkWhole(draft);
  addOverrides(draft, plan.links);
  return draft;
}

/** Names of the nodes of the beginning. */
function namesOf(data: ScenarioData, complain: Complain): string[] | undefined {
  const { count, names } = data.nodes;
  const { topology } = data;
  const rooms = topology.kind === "grid" ? topology.rows * topology.columns : undefined;
  const least = names?.length ?? count ?? rooms;
  if (least === undefined) return refuse(complain, ["nodes"], "nodes.count: is missing, and so are names");
  if (names !== undefined && count !== undefined && names.length !== count) {
    return refuse(complain, ["nodes", "count"], `nodes.count: ${count} nodes, but ${names.length} names`);
  }
  if (rooms !== undefined && rooms !== least) {
    return refuse(complain, ["topology"], `topology: a grid of ${rooms} places for ${least} nodes`);
  }
  if (least > NODES) return refuse(complain, ["topology"], `topology: ${least} nodes are more than ${NODES}`);
  if (names === undefined) return Array.from({ length: least }, (_, i) => `n${i}`);
  const seen = new Set<string>();
  for (const [i, name] of names.entries()) {
    if (seen.has(name)) complain(["nodes", "names", i], `nodes.names: two nodes are named "${name}"`);
    seen.add(name);
  }
  return names;
}

const NODES = 20_000;

function refuse(complain: Complain, path: readonly PropertyKey[], message: string): undefined {
  complain(path, message);
  return undefined;
}

function regionsOf(data: ScenarioData, models: Models, complain: Complain): Pick<Draft, "regionNames" | "rttUs"> {
  const { regions } = data;
  if (regions === undefined) {
    if (models.base.delayUs < LATENCY_MIN_US) {
      complain(["links", "default", "latency"], `links.default.latency: nodes are at least ${LATENCY_MIN_US}us apart`);
    }
    return { regionNames: ["world"], rttUs: [0] };
  }
  const { names, rtt } = regions;
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) < i) complain(["regions", "names", i], `regions.names: two regions are named "${name}"`);
  }
  if (rtt.length !== names.length) {
    complain(["regions", "rtt"], `regions.rtt: ${rtt.length} rows for ${names.length} regions`);
  }
  const rttUs: number[] = [];
  for (let a = 0; a < names.length; a += 1) {
    const row = rtt[a] ?? [];
    if (rtt[a] !== undefined && row.length !== names.length) {
      complain(["regions", "rtt", a], `regions.rtt: ${row.length} columns for ${names.length} regions`);
    }
    for (let b = 0; b < names.length; b += 1) {
      const value = row[b] ?? 0;
      const mirrored = rtt[b]?.[a];
      if (b < a && row[b] !== undefined && mirrored !== undefined && mirrored !== value) {
        complain(["regions", "rtt", a, b], `regions.rtt: from ${names[a]} to ${names[b]} it is not as far as back`);
      }
      if (models.base.delayUs + Math.floor(value / 2) < LATENCY_MIN_US) {
        complain(["regions", "rtt", a, b], `regions.rtt: nodes are at least ${LATENCY_MIN_US}us apart`);
      }
      rttUs.push(value);
    }
  }
  return { regionNames: names, rttUs };
}

function placeInRegions(draft: Draft): void {
  const { regions } = draft.data;
  for (const node of draft.nodes) {
    node.regionIndex = drawRegion(draft, node.name);
    node.region = draft.regionNames[node.regionIndex]!;
  }
  for (const [name, selector] of Object.entries(regions?.place ?? {})) {
    const index = draft.regionNames.indexOf(name);
    if (index < 0) draft.complain(["regions", "place", name], `regions.place: there is no region "${name}"`);
    else {
      for (const node of matching(draft, selector, ["regions", "place", name])) {
        draft.nodes[node]!.regionIndex = index;
        draft.nodes[node]!.region = name;
      }
    }
  }
  for (const name of Object.keys(regions?.weights ?? {})) {
    if (!draft.regionNames.includes(name)) {
      draft.complain(["regions", "weights", name], `regions.weights: there is no region "${name}"`);
    }
  }
}

/** `place` names the edge in the file, for a graph; other topologies as a whole. */
function connect(draft: Draft, edges: readonly Edge[], place: (edge: number) => readonly PropertyKey[]): void {
  for (const [i, [a, b]] of edges.entries()) {
    if (linkUp(draft, a, b)) continue;
    const [x, y] = [draft.nodes[a]!.name, draft.nodes[b]!.name];
    draft.complain(
      place(i),
      `topology: ${x} and ${y} cannot reach each other: no NAT or gateway between them lets one dial the other`,
    );
  }
}

/** Only a graph by hand can be in parts, and by mistake mostly. */
function checkWhole(draft: Draft): void {
  const { topology } = draft.data;
  if (topology.kind !== "graph" || topology.allowDisconnected) return;
  const roots = parts(
    draft.nodes.length,
    draft.edges.map(({ a, b }): Edge => [a, b]),
  );
  if (roots.length > 1) {
    const [one, other] = roots.map((node) => draft.nodes[node]!.name);
    draft.complain(
      ["topology"],
      `topology: the graph is in ${roots.length} parts, one with ${one}, one with ${other}; say allowDisconnected: true if it is to be`,
    );
  }
}

function isLinked(draft: Draft, a: number, b: number): boolean {
  const dials = (x: number, y: number) => draft.nodes[x]!.dials.some((dial) => dial.node === y);
  return dials(a, b) || dials(b, a);
}

/** Links of the file that are different: classes of explicit edges first, then overrides in their order, the last one wins. */
function addOverrides(draft: Draft, links: ReadonlyMap<number, string>): void {
  const last = new Map<string, Draft["pairs"][number]>();
  const set = (a: number, b: number, link: LinkOrClass, oneWay: boolean, path: readonly PropertyKey[]): void => {
    const model = draft.models.pair(link, regionsUs(draft, a, b), path);
    const key = `${a}/${b}`;
    last.delete(key);
    if (!oneWay) last.delete(`${b}/${a}`);
    last.set(key, { a, b, model, oneWay });
  };
  for (const [edge, link] of links) {
    const { a, b } = draft.edges[edge]!;
    set(a, b, link, false, ["topology", "edges", edge, "link"]);
  }
  for (const [i, override] of draft.data.links.overrides.entries()) {
    const path = ["links", "overrides", i];
    const one = new Set(matching(draft, override.between[0], [...path, "between", 0]));
    const other = new Set(matching(draft, override.between[1], [...path, "between", 1]));
    let found = 0;
    for (const { a, b } of draft.edges) {
      const isForward = one.has(a) && other.has(b);
      if (!isForward && !(one.has(b) && other.has(a))) continue;
      found += 1;
      set(isForward ? a : b, isForward ? b : a, override.link, override.oneWay, [...path, "link"]);
    }
    if (found === 0) draft.complain([...path, "between"], "links.overrides: between those there is no link");
  }
  draft.pairs.push(...last.values());
}
