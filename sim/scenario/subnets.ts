/** Realms below the internet: those that the file lists, and those of the topology `internet`. */
import { Stream } from "../random/stream.js";
import { addInterface, type Draft, INTERNET, type NodeDraft } from "./draft.js";
import type { Layout } from "./layout.js";
import type { Subnet } from "./links.js";
import { matching } from "./matching.js";

export function addSubnets(draft: Draft, layout: Layout): void {
  for (const [i, { first, gateways, inner }] of layout.closed.entries()) {
    const realm = addRealm(draft, `subnet-${i}`, INTERNET, draft.nodes[first]!.regionIndex, undefined, undefined, []);
    for (let node = first; node < first + gateways; node += 1) standBetween(draft, node, realm);
    for (let node = first + gateways; node < first + gateways + inner; node += 1) moveInto(draft, node, realm);
    alike(draft, first, first + gateways + inner);
  }
  for (let node = layout.houses.first; node < layout.houses.end; node += 1) {
    addHouse(draft, node, drawNat(draft, draft.nodes[node]!.name));
  }
  addListed(draft, layout);
}

/** A NAT with nobody but this node behind it. */
export function addHouse(draft: Draft, node: number, nat: string): void {
  const { name, regionIndex } = draft.nodes[node]!;
  moveInto(
    draft,
    node,
    addRealm(draft, `house-${name}`, INTERNET, regionIndex, nat, undefined, ["topology", "nats", nat]),
  );
}

/** A profile of the mix of the topology, else `home`. */
export function drawNat(draft: Draft, node: string): string {
  const { topology } = draft.data;
  if (topology.kind !== "internet") return "home";
  const names = Object.keys(topology.nats).sort(); // by name: the order of keys in the file is no part of a scenario
  const weights = names.map((name) => topology.nats[name]!);
  return names[Math.max(0, new Stream(draft.seed, "nat", node).weighted(weights))]!;
}

/** Who lives in one subnet is in one place. */
function alike(draft: Draft, first: number, end: number): void {
  const { region, regionIndex } = draft.nodes[first]!;
  for (let node = first; node < end; node += 1) {
    draft.nodes[node]!.region = region;
    draft.nodes[node]!.regionIndex = regionIndex;
  }
}

function addRealm(
  draft: Draft,
  name: string,
  parent: number,
  region: number,
  nat: string | undefined,
  lan: Subnet["lan"],
  path: readonly PropertyKey[],
): number {
  const profile = nat === undefined ? undefined : draft.models.nat(nat, draft.nextAddress, path);
  if (profile !== undefined) draft.nextAddress += 1;
  draft.realms.push({ name, parent, region, nat: profile, lan: draft.models.lan(lan, [...path, "lan"]) });
  return draft.realms.length - 1;
}

function moveInto(draft: Draft, node: number, realm: number): void {
  const one: NodeDraft = draft.nodes[node]!;
  one.interfaces[0]!.realm = realm;
  one.role = "private";
  one.subnets.push(draft.realms[realm]!.name);
}

function standBetween(draft: Draft, node: number, realm: number): void {
  const one = draft.nodes[node]!;
  addInterface(draft, one, realm, undefined);
  one.role = "gateway";
  one.subnets.push(draft.realms[realm]!.name);
}

function addListed(draft: Draft, layout: Layout): void {
  const { subnets } = draft.data;
  const places = new Map<string, number>();
  for (const [i, { name }] of subnets.entries()) {
    if (places.has(name)) draft.complain(["subnets", i, "name"], `subnets: two are named "${name}"`);
    else places.set(name, i);
  }
  const realms = new Map<number, number>();
  for (const i of outermostFirst(draft, places)) {
    const subnet = subnets[i]!;
    const parent = subnet.within === undefined ? INTERNET : realms.get(places.get(subnet.within) ?? -1);
    if (parent === undefined) continue; // what it lies within has been complained of
    const realm = addOne(draft, subnet, i, parent, layout);
    if (realm !== undefined) realms.set(i, realm);
  }
}

/** Places in the list, each after the one it lies within. Rings are complained of. */
function outermostFirst(draft: Draft, places: ReadonlyMap<string, number>): number[] {
  const { subnets } = draft.data;
  const order: number[] = [];
  const done = new Set<number>();
  for (const start of subnets.keys()) {
    const trail: number[] = [];
    let at: number | undefined = start;
    while (at !== undefined && !done.has(at) && !trail.includes(at)) {
      trail.push(at);
      const within: string | undefined = subnets[at]!.within;
      const next: number | undefined = within === undefined ? undefined : places.get(within);
      if (within !== undefined && next === undefined) {
        draft.complain(["subnets", at, "within"], `subnets[${at}].within: there is no subnet "${within}"`);
      }
      at = next;
    }
    if (at !== undefined && trail.includes(at)) {
      const ring = trail.slice(trail.indexOf(at)).map((i) => subnets[i]!.name);
      draft.complain(
        ["subnets", at, "within"],
        `subnets: ${ring.join(" lies within ")} lies within ${ring[0]}: a ring`,
      );
    } else order.push(...trail.toReversed());
    for (const i of trail) done.add(i);
  }
  return order;
}

function addOne(draft: Draft, subnet: Subnet, i: number, parent: number, layout: Layout): number | undefined {
  const path = ["subnets", i];
  const members = subnet.select === undefined ? [] : matching(draft, subnet.select, [...path, "select"]);
  const gateways = subnet.gateways === undefined ? [] : matching(draft, subnet.gateways, [...path, "gateways"]);
  const region = regionOf(draft, subnet, members[0] ?? gateways[0], path);
  const make = (name: string) =>
    addRealm(draft, name, parent, region, subnet.nat, subnet.lan, [...path, subnet.nat === undefined ? "lan" : "nat"]);
  if (subnet.each && (gateways.length > 0 || subnet.mesh)) {
    draft.complain([...path, "each"], `subnets[${i}].each: everybody alone has neither gateways nor a mesh`);
    return undefined;
  }
  if (
    subnet.nat === undefined &&
    subnet.select !== undefined &&
    gateways.length === 0 &&
    parent === INTERNET &&
    subnet.each
  ) {
    draft.complain([...path, "each"], `subnets[${i}]: without a NAT nobody gets out`);
    return undefined;
  }
  const enter = (node: number, realm: number): void => {
    if (draft.nodes[node]!.interfaces[0]!.realm !== INTERNET) {
      const where = draft.realms[draft.nodes[node]!.interfaces[0]!.realm]!.name;
      draft.complain([...path, "select"], `subnets[${i}].select: ${draft.nodes[node]!.name} lives in ${where} already`);
    } else moveInto(draft, node, realm);
  };
  if (subnet.each) {
    for (const [k, node] of members.entries()) enter(node, make(`${subnet.name}-${k}`));
    return undefined;
  }
  const realm = make(subnet.name);
  for (const node of members) if (!gateways.includes(node)) enter(node, realm);
  for (const node of gateways) standBetween(draft, node, realm);
  if (subnet.mesh) {
    const all = [...gateways, ...members.filter((node) => !gateways.includes(node))];
    if (all.length > MESH_MAX)
      draft.complain([...path, "mesh"], `subnets[${i}].mesh: ${all.length} nodes are too many, at most ${MESH_MAX}`);
    else for (const [k, a] of all.entries()) for (const b of all.slice(0, k)) layout.meshes.push([a, b]);
  }
  return realm;
}

/** Links of a mesh grow with the square of its nodes. */
const MESH_MAX = 64;

function regionOf(draft: Draft, subnet: Subnet, node: number | undefined, path: readonly PropertyKey[]): number {
  if (subnet.region === undefined) return node === undefined ? 0 : draft.nodes[node]!.regionIndex;
  const index = draft.regionNames.indexOf(subnet.region);
  if (index < 0) draft.complain([...path, "region"], `${String(path[0])}: there is no region "${subnet.region}"`);
  return Math.max(0, index);
}
