/** A plan with fewer nodes: every index in it points to what is left, and what nobody uses any more is gone. */
import type { Action, Dial, LinkModel, Plan, PlannedNode, Realm } from "../../sim/plan/plan.js";

/**
 * The plan of these nodes alone, in their old order. A node whose every dial led to somebody left out dials the nearest
 * kept one instead (over the dials between them), so that a part of a network that was connected stays so.
 */
export function planOf(plan: Plan, keep: Iterable<number>): Plan {
  const kept = [...new Set(keep)].sort((a, b) => a - b);
  const place = new Map(kept.map((node, index) => [node, index]));
  const bridges = new Bridges(plan, place);
  const nodes = kept.map((node) => ({ ...plan.nodes[node]!, dials: bridges.dialsOf(node) }));
  const actions = plan.actions.flatMap((action) => actionOf(action, place));
  const pairs = plan.pairs.flatMap((pair) => {
    const a = place.get(pair.a);
    const b = place.get(pair.b);
    return a === undefined || b === undefined ? [] : [{ ...pair, a, b }];
  });
  return withoutUnused({ ...plan, nodes, pairs, actions: withoutLoneHeals(actions) });
}

/** Nodes by their distance from some of them over dials and named pairs; equal ones by their number. */
export function nearestFirst(plan: Plan, from: readonly number[]): number[] {
  const neighbours = neighboursOf(plan);
  const order = [...new Set(from)].filter((node) => node < plan.nodes.length);
  const seen = new Set(order);
  for (let at = 0; at < order.length; at += 1) {
    for (const next of neighbours[order[at]!]!) {
      if (seen.has(next)) continue;
      seen.add(next);
      order.push(next);
    }
  }
  for (let node = 0; node < plan.nodes.length; node += 1) if (!seen.has(node)) order.push(node);
  return order;
}

function neighboursOf(plan: Plan): number[][] {
  const sets = plan.nodes.map(() => new Set<number>());
  const join = (a: number, b: number): void => {
    sets[a]!.add(b);
    sets[b]!.add(a);
  };
  for (const [node, { dials }] of plan.nodes.entries()) for (const dial of dials) join(node, dial.node);
  for (const action of plan.actions) if (action.do === "dial") join(action.node, action.dial.node);
  return sets.map((set) => [...set].sort((a, b) => a - b));
}

/** Dials that go round the nodes left out. */
class Bridges {
  private readonly plan: Plan;
  private readonly place: ReadonlyMap<number, number>;
  private readonly neighbours: number[][];
  private readonly realmOf = new Map<number, number>();

  constructor(plan: Plan, place: ReadonlyMap<number, number>) {
    this.plan = plan;
    this.place = place;
    this.neighbours = neighboursOf(plan);
    for (const node of plan.nodes) for (const { address, realm } of node.interfaces) this.realmOf.set(address, realm);
  }

  dialsOf(node: number): Dial[] {
    const { dials } = this.plan.nodes[node]!;
    const left = dials.flatMap((dial) => {
      const target = this.place.get(dial.node);
      return target === undefined ? [] : [{ ...dial, node: target }];
    });
    if (left.length > 0 || dials.length === 0) return left;
    const around = this.around(node, dials[0]!);
    return around === undefined ? [] : [around];
  }

  /** The nearest kept node with an address in the realm that the dial led to, found through nodes left out. */
  private around(node: number, dial: Dial): Dial | undefined {
    const realm = this.realmOf.get(dial.address);
    const queue = [dial.node];
    const seen = new Set([node, dial.node]);
    for (let at = 0; at < queue.length; at += 1) {
      const here = queue[at]!;
      const target = this.place.get(here);
      const reached = this.plan.nodes[here]!.interfaces.find((one) => one.realm === realm);
      if (target !== undefined && reached !== undefined) return { ...dial, node: target, address: reached.address };
      for (const next of this.neighbours[here]!) {
        if (seen.has(next)) continue;
        seen.add(next);
        queue.push(next);
      }
    }
    return undefined;
  }
}

function actionOf(action: Action, place: ReadonlyMap<number, number>): Action[] {
  switch (action.do) {
    case "partition": {
      const from = present(action.from, place);
      const to = present(action.to, place);
      return from.length === 0 || to.length === 0 ? [] : [{ ...action, from, to }];
    }
    case "cut":
    case "mend":
    case "degrade": {
      const a = place.get(action.a);
      const b = place.get(action.b);
      return a === undefined || b === undefined ? [] : [{ ...action, a, b }];
    }
    case "traffic": {
      const from = place.get(action.flow.from);
      const to = place.get(action.flow.to);
      return from === undefined || to === undefined ? [] : [{ ...action, flow: { ...action.flow, from, to } }];
    }
    case "dial": {
      const node = place.get(action.node);
      const target = place.get(action.dial.node);
      if (node === undefined || target === undefined) return [];
      return [{ ...action, node, dial: { ...action.dial, node: target } }];
    }
    case "heal":
    case "rebind":
    case "reboot":
      return [action];
    default: {
      const node = place.get(action.node);
      return node === undefined ? [] : [{ ...action, node }];
    }
  }
}

function present(nodes: readonly number[], place: ReadonlyMap<number, number>): number[] {
  return nodes.flatMap((node) => place.get(node) ?? []);
}

/** A heal without the partition before it says nothing. */
export function withoutLoneHeals(actions: readonly Action[]): Action[] {
  const open = new Set<number>();
  return actions.filter((action) => {
    if (action.do === "partition") open.add(action.id);
    return action.do !== "heal" || open.has(action.id);
  });
}

/** Realms, models and regions that nothing points to are left out; the internet stays realm 0. */
export function withoutUnused(plan: Plan): Plan {
  const realms = usedRealms(plan);
  const realmAt = new Map(realms.map((realm, index) => [realm, index]));
  const keptRealms = realms.map((realm) => plan.realms[realm]!);
  const regions = [...new Set([...plan.nodes, ...keptRealms].map(({ region }) => region))].sort((a, b) => a - b);
  const regionAt = new Map(regions.map((region, index) => [region, index]));
  const actions = plan.actions.flatMap((action): Action[] => {
    if (action.do !== "rebind" && action.do !== "reboot") return [action];
    const realm = realmAt.get(action.realm);
    return realm === undefined ? [] : [{ ...action, realm }];
  });
  const moved: Plan = {
    ...plan,
    nodes: plan.nodes.map((node) => ({
      ...node,
      region: regionAt.get(node.region)!,
      interfaces: node.interfaces.map((one) => ({ ...one, realm: realmAt.get(one.realm)! })),
    })),
    realms: keptRealms.map((realm) => ({
      ...realm,
      parent: realm.parent < 0 ? realm.parent : realmAt.get(realm.parent)!,
      region: regionAt.get(realm.region)!,
    })),
    regions: {
      names: regions.map((region) => plan.regions.names[region]!),
      rttUs: regions.flatMap((a) => regions.map((b) => plan.regions.rttUs[a * plan.regions.names.length + b]!)),
    },
    actions,
  };
  return withoutUnusedModels(moved);
}

function usedRealms(plan: Plan): number[] {
  const used = new Set([0]);
  const queue = plan.nodes.flatMap((node) => node.interfaces.map((one) => one.realm));
  for (const realm of queue) {
    if (realm < 0 || used.has(realm)) continue;
    used.add(realm);
    queue.push(plan.realms[realm]!.parent);
  }
  return [...used].sort((a, b) => a - b);
}

/** Puts `change` in place of every index of a model; -1, no model, stays. */
function withModels(plan: Plan, change: (model: number) => number): Plan {
  const to = (model: number): number => (model < 0 ? model : change(model));
  const nodeOf = (node: PlannedNode): PlannedNode => ({
    ...node,
    interfaces: node.interfaces.map((one) => ({ ...one, access: to(one.access) })),
  });
  const realmOf = (realm: Realm): Realm => ({
    ...realm,
    lan: to(realm.lan),
    nat: realm.nat && { ...realm.nat, access: to(realm.nat.access) },
  });
  return {
    ...plan,
    defaultModel: to(plan.defaultModel),
    nodes: plan.nodes.map(nodeOf),
    realms: plan.realms.map(realmOf),
    pairs: plan.pairs.map((pair) => ({ ...pair, model: to(pair.model) })),
    actions: plan.actions.map((action) => (action.do === "degrade" ? { ...action, model: to(action.model) } : action)),
  };
}

function withoutUnusedModels(plan: Plan): Plan {
  const used = new Set<number>();
  withModels(plan, (model) => {
    used.add(model);
    return model;
  });
  const kept = [...used].sort((a, b) => a - b);
  const place = new Map(kept.map((model, index) => [model, index]));
  const models: LinkModel[] = kept.map((model) => plan.models[model]!);
  return { ...withModels(plan, (model) => place.get(model)!), models };
}
