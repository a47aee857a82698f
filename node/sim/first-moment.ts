/** The first moment at which two runs differ, in words: when, at which node, and what it does in the one and in the other. */
import { PacketType } from "../../core/wire/flight.js";
import { addressOf, portOf } from "../../sim/network/datagram.js";
import type { Plan } from "../../sim/plan/plan.js";
import type { Changed, Difference, Sent } from "../../sim/report/first-difference.js";

export interface FirstMoment {
  readonly atUs: number;
  /** Its name. */
  readonly node: string;
  /** What it does then in the run that others are held against, and in the one that differs; null for nothing. */
  readonly one: string | null;
  readonly other: string | null;
}

export function firstMomentOf(plan: Plan, { atUs, node, one, other }: Difference): FirstMoment {
  const inWords = (fact: Sent | Changed | undefined) => (fact === undefined ? null : describeFact(plan, fact));
  return { atUs, node: nameOf(plan, node), one: inWords(one), other: inWords(other) };
}

/** "at 12.345678 s n2: nothing with 1 worker, INIT, 1200 B to n5 (1005:4500) with 2 workers". */
export function describeMoment(
  { atUs, node, one, other }: FirstMoment,
  nameOfOne: string,
  nameOfOther: string,
): string {
  const time = (atUs / 1e6).toFixed(6);
  return `at ${time} s ${node}: ${one ?? "nothing"} with ${nameOfOne}, ${other ?? "nothing"} with ${nameOfOther}`;
}

function describeFact(plan: Plan, fact: Sent | Changed): string {
  if (fact.kind === "sent") {
    const word = (fact.clear >>> 0).toString(16).padStart(8, "0");
    return `${typeOf(fact.type)}, ${fact.length} B to ${describeEndpoint(plan, fact.to)}, clear word ${word}`;
  }
  const about = nameOf(plan, fact.about);
  const what =
    fact.value < 0
      ? `link ${-1 - fact.value} to ${about}`
      : `route to ${about} over ${nameOf(plan, (fact.value >> 8) - 1)}, metric ${fact.value & 255}`;
  return fact.comes ? `a ${what}` : `no more ${what}`;
}

function typeOf(type: number): string {
  const name = Object.entries(PacketType).find(([, value]) => value === type)?.[0];
  return name === undefined ? `type ${type}` : name.toUpperCase();
}

/** "n5 (1005:4500)": who has the address when the run begins, a node or a NAT. */
function describeEndpoint(plan: Plan, endpoint: number): string {
  const address = addressOf(endpoint);
  const shown = `${address}:${portOf(endpoint)}`;
  const node = plan.nodes.find(({ interfaces }) => interfaces.some((one) => one.address === address));
  if (node !== undefined) return `${node.name} (${shown})`;
  const realm = plan.realms.find(({ nat }) => nat?.address === address);
  return realm === undefined ? shown : `the NAT of ${realm.name} (${shown})`;
}

function nameOf(plan: Plan, node: number): string {
  return plan.nodes[node]?.name ?? `node ${node}`;
}
