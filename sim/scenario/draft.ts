/** A plan in the making: what the world and the agenda write, and `Plan` reads. */

import type { Dial, Interface, Nat, PairModel, PlannedNode, Role } from "../plan/plan.js";
import { Stream } from "../random/stream.js";
import type { LinkOrClass } from "./links.js";
import type { Member } from "./membership.js";
import type { Models } from "./models.js";
import type { ScenarioData } from "./schema.js";

/** Says what is wrong with the value at a path of the scenario. When a plan is made for another seed nobody listens. */
export type Complain = (path: readonly PropertyKey[], message: string) => void;

export class NodeDraft implements Member {
  readonly name: string;
  role: Role = "public";
  region = "";
  regionIndex = 0;
  readonly subnets: string[] = [];
  readonly interfaces: { -readonly [K in keyof Interface]: Interface[K] }[] = [];
  readonly dials: Dial[] = [];
  driftPpm = 0;
  cpu: PlannedNode["cpu"];

  constructor(name: string) {
    this.name = name;
  }
}

export interface RealmDraft {
  readonly name: string;
  readonly parent: number;
  readonly region: number;
  readonly nat: Nat | undefined;
  readonly lan: number;
}

/** A link of the topology. `a` dials. */
export interface EdgeDraft {
  readonly a: number;
  readonly b: number;
}

export const INTERNET = 0;

export interface Draft {
  readonly data: ScenarioData;
  readonly seed: string;
  readonly complain: Complain;
  readonly models: Models;
  readonly nodes: NodeDraft[];
  readonly realms: RealmDraft[];
  readonly edges: EdgeDraft[];
  readonly pairs: PairModel[];
  readonly regionNames: readonly string[];
  readonly rttUs: readonly number[];
  /** Every interface and every NAT has one of its own. */
  nextAddress: number;
}

/** Half of the round trip between the regions of two nodes. */
export function regionsUs(draft: Draft, a: number, b: number): number {
  const [x, y] = [draft.nodes[a]!.regionIndex, draft.nodes[b]!.regionIndex];
  return Math.floor(draft.rttUs[x * draft.regionNames.length + y]! / 2);
}

/** Which interface of `a` reaches which of `b`: in one realm, or up through the NATs before it. The nearest common one wins. */
export function wayBetween(draft: Draft, a: number, b: number): Dial | undefined {
  let best: Dial | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [from, own] of draft.nodes[a]!.interfaces.entries()) {
    let realm = own.realm;
    for (let up = 0; realm >= 0 && up < least; up += 1) {
      const target = draft.nodes[b]!.interfaces.find((other) => other.realm === realm);
      if (target !== undefined) {
        best = { node: b, from, address: target.address };
        least = up;
        break;
      }
      realm = draft.realms[realm]!.nat === undefined ? -1 : draft.realms[realm]!.parent;
    }
  }
  return best;
}

/** Links two nodes: `a` dials if it can, else `b` does. False when neither reaches the other. */
export function linkUp(draft: Draft, a: number, b: number): boolean {
  const there = wayBetween(draft, a, b);
  if (there !== undefined) {
    draft.nodes[a]!.dials.push(there);
    draft.edges.push({ a, b });
    return true;
  }
  const back = wayBetween(draft, b, a);
  if (back === undefined) return false;
  draft.nodes[b]!.dials.push(back);
  draft.edges.push({ a: b, b: a });
  return true;
}

export function addInterface(draft: Draft, node: NodeDraft, realm: number, access: LinkOrClass | undefined): void {
  const model = draft.models.access(access, ["nodes", "access"]);
  node.interfaces.push({ realm, address: draft.nextAddress, access: model });
  draft.nextAddress += 1;
}

export function drawRegion(draft: Draft, node: string): number {
  const { weights } = draft.data.regions ?? {};
  const stream = new Stream(draft.seed, "region", node);
  const given = draft.regionNames.map((name) => (weights === undefined ? 1 : (weights[name] ?? 0)));
  return Math.max(0, stream.weighted(given));
}

/** What role and chance give a node: clock, processor, access line. */
export function furnish(draft: Draft, node: NodeDraft): void {
  const { nodes } = draft.data;
  const own = nodes.roles[node.role];
  const drift = own?.drift ?? nodes.drift;
  if (drift !== undefined) {
    const bound = Math.abs(drift);
    node.driftPpm = new Stream(draft.seed, "drift", node.name).between(-bound, bound);
  }
  const cpu = own?.cpu ?? nodes.cpu;
  node.cpu = cpu === undefined ? undefined : { packetUs: cpu.packet, queuePackets: cpu.queue };
  if (own?.access === undefined) return;
  const access = draft.models.access(own.access, ["nodes", "roles", node.role, "access"]);
  for (const one of node.interfaces) one.access = access;
}
