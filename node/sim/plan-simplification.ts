/** Plans that say less: a shorter run, no pauses between events, an internet without NATs, links without weather. */
import { SECOND_US } from "../../core/time/instant.js";
import { type Action, type LinkModel, NEUTRAL, type Plan } from "../../sim/plan/plan.js";
import { withoutUnused } from "./plan-subset.js";

/** Ends so early; what would happen later never happens. */
export function endingAt(plan: Plan, durationUs: number): Plan {
  if (durationUs >= plan.durationUs) return plan;
  const actions = plan.actions.filter((action) => action.atUs < durationUs);
  return { ...plan, durationUs, warmupUs: Math.min(plan.warmupUs, durationUs), actions };
}

/** Stretches in which nothing is done: before each distinct time of an action, and after the last one. Microseconds. */
export function pausesOf(plan: Plan): number[] {
  const times = [...new Set([0, ...plan.actions.map((action) => action.atUs), plan.durationUs])].sort((a, b) => a - b);
  return times.slice(1).map((time, index) => time - times[index]!);
}

/** The same events in the same order with other pauses between them, as many as `pausesOf` finds. */
export function withPauses(plan: Plan, pauses: readonly number[]): Plan {
  const times = [...new Set([0, ...plan.actions.map((action) => action.atUs), plan.durationUs])].sort((a, b) => a - b);
  const moved = new Map<number, number>();
  let now = 0;
  for (const [index, time] of times.entries()) {
    if (index > 0) now += pauses[index - 1]!;
    moved.set(time, now);
  }
  const actions = plan.actions.map((action): Action => ({ ...action, atUs: moved.get(action.atUs)! }));
  return { ...plan, actions, durationUs: now, warmupUs: Math.min(plan.warmupUs, now) };
}

/** A simpler plan, or the same one when there is nothing to simplify in that way. */
export interface Simplification {
  readonly name: string;
  apply(plan: Plan): Plan;
}

/** What takes most away comes first. */
export const SIMPLIFICATIONS: readonly Simplification[] = [
  { name: "no NATs and subnets", apply: flat },
  { name: "links without weather", apply: (plan) => ({ ...plan, models: plan.models.map(calm) }) },
  { name: "no lines of their own", apply: withoutAccess },
  { name: "no named pairs", apply: (plan) => withoutUnused({ ...plan, pairs: [] }) },
  { name: "one region", apply: inOneRegion },
  {
    name: "perfect clocks",
    apply: (plan) => ({ ...plan, nodes: plan.nodes.map((node) => ({ ...node, driftPpm: 0 })) }),
  },
  {
    name: "processors without cost",
    apply: (plan) => ({ ...plan, nodes: plan.nodes.map((node) => ({ ...node, cpu: undefined })) }),
  },
  { name: "modelled crypto", apply: (plan) => ({ ...plan, crypto: "modelled" }) },
  { name: "no time to warm up", apply: (plan) => ({ ...plan, warmupUs: 0 }) },
  { name: "starts at once", apply: startingAtOnce },
  { name: "crashes instead of goodbyes", apply: crashing },
];

/** Everybody public, with one address: the one in the internet, else the first. */
function flat(plan: Plan): Plan {
  const addressOf = plan.nodes.map(
    ({ interfaces }) => (interfaces.find(({ realm }) => realm === 0) ?? interfaces[0]!).address,
  );
  const nodes = plan.nodes.map((node, index) => {
    const own = node.interfaces.find(({ address }) => address === addressOf[index])!;
    const dials = node.dials.map((dial) => ({ node: dial.node, from: 0, address: addressOf[dial.node]! }));
    return { ...node, role: "public" as const, interfaces: [{ ...own, realm: 0 }], dials };
  });
  const actions = plan.actions.flatMap((action): Action[] => {
    if (action.do === "rebind" || action.do === "reboot") return [];
    if (action.do === "move") return action.interface === 0 ? [action] : [];
    if (action.do !== "dial") return [action];
    return [{ ...action, dial: { node: action.dial.node, from: 0, address: addressOf[action.dial.node]! } }];
  });
  return withoutUnused({ ...plan, nodes, actions });
}

function calm({ delayUs, queueBytes, mtuBytes }: LinkModel): LinkModel {
  return { ...NEUTRAL, delayUs, queueBytes, mtuBytes };
}

function withoutAccess(plan: Plan): Plan {
  const nodes = plan.nodes.map((node) => ({
    ...node,
    interfaces: node.interfaces.map((one) => ({ ...one, access: -1 })),
  }));
  const realms = plan.realms.map((realm) => ({ ...realm, nat: realm.nat && { ...realm.nat, access: -1 } }));
  return withoutUnused({ ...plan, nodes, realms });
}

/** The round trip between the first two regions goes into no link: only the model's own delay is left. */
function inOneRegion(plan: Plan): Plan {
  if (plan.regions.names.length <= 1) return plan;
  const nodes = plan.nodes.map((node) => ({ ...node, region: 0 }));
  const realms = plan.realms.map((realm) => ({ ...realm, region: 0 }));
  return withoutUnused({ ...plan, nodes, realms });
}

/** Whoever comes later is there from the beginning, unless it went before. */
function startingAtOnce(plan: Plan): Plan {
  const seen = new Set<number>();
  const firsts: Action[] = [];
  const others: Action[] = [];
  for (const action of plan.actions) {
    if (action.do !== "start" || seen.has(action.node)) others.push(action);
    else {
      seen.add(action.node);
      firsts.push({ ...action, atUs: 0 });
    }
  }
  return { ...plan, actions: [...firsts, ...others] };
}

function crashing(plan: Plan): Plan {
  const actions = plan.actions.map((action): Action => {
    return action.do === "leave" ? { atUs: action.atUs, do: "crash", node: action.node } : action;
  });
  return { ...plan, actions };
}

/** The next whole second after a time. */
export function secondAfter(atUs: number): number {
  return (Math.floor(atUs / SECOND_US) + 1) * SECOND_US;
}
