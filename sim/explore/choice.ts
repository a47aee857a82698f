import type { Fault, Setting } from "./setting.js";

/**
 * What may happen next in a state. An end is `edge * 2` at the edge's first node and `edge * 2 + 1` at its second; a message is
 * named by the end it travels to and its place among those that travel there, the oldest first.
 */
export type Choice =
  | { readonly do: "deliver" | "lose"; readonly end: number; readonly place: number }
  | { readonly do: "up" | "notice"; readonly end: number }
  | { readonly do: "timer"; readonly node: number }
  | { readonly do: "time" }
  | { readonly do: "fault"; readonly fault: number };

/** The node whose state a choice changes; all others it leaves alone, but for messages that set out to them. -1: more than one. */
export function homeOf(choice: Choice, { edges }: Setting): number {
  switch (choice.do) {
    case "timer":
      return choice.node;
    case "time":
    case "fault":
      return -1;
    default:
      return nodeOfEnd(choice.end, edges);
  }
}

/**
 * Do two choices lead to the same state in either order, and neither forbids the other? What happens at two nodes does: a
 * message that sets out goes to the end of its queue, so the places of those before it stay. Two losses draw on one allowance.
 */
export function areIndependent(one: Choice, other: Choice, setting: Setting): boolean {
  if (one.do === "lose" && other.do === "lose") return false;
  const home = homeOf(one, setting);
  const otherHome = homeOf(other, setting);
  return home >= 0 && otherHome >= 0 && home !== otherHome;
}

/** One short line, which `parseChoice` reads: `deliver ada>bob 0`, `timer cyd`, `crash dan`. */
export function printChoice(choice: Choice, setting: Setting): string {
  switch (choice.do) {
    case "deliver":
    case "lose":
      return `${choice.do} ${travel(choice.end, setting)} ${choice.place}`;
    case "up":
    case "notice":
      return `${choice.do} ${travel(choice.end, setting)}`;
    case "timer":
      return `timer ${setting.names[choice.node]!}`;
    case "time":
      return "time";
    case "fault":
      return printFault(setting.faults[choice.fault]!, setting);
  }
}

/** Undefined for a line that names nothing of this setting. Of two faults alike, the one whose turn it is, `nth`. */
export function parseChoice(line: string, setting: Setting, isSpent: (fault: number) => boolean): Choice | undefined {
  const [word, about = "", place = "0"] = line.split(" ");
  switch (word) {
    case "deliver":
    case "lose":
    case "up":
    case "notice": {
      const end = endOf(about, setting);
      if (end < 0 || !/^\d{1,3}$/.test(place)) return undefined;
      if (word === "up" || word === "notice") return { do: word, end };
      return { do: word, end, place: Number(place) };
    }
    case "timer": {
      const node = setting.names.indexOf(about);
      return node < 0 ? undefined : { do: "timer", node };
    }
    case "time":
      return { do: "time" };
    default: {
      const fault = setting.faults.findIndex((one, i) => !isSpent(i) && printFault(one, setting) === line);
      return fault < 0 ? undefined : { do: "fault", fault };
    }
  }
}

export function printFault(fault: Fault, { names, edges }: Setting): string {
  if ("node" in fault) return `${fault.do} ${names[fault.node]!}`;
  const { a, b } = edges[fault.edge]!;
  return `${fault.do} ${names[a]!}-${names[b]!}`;
}

export function nodeOfEnd(end: number, edges: Setting["edges"]): number {
  const { a, b } = edges[end >> 1]!;
  return (end & 1) === 0 ? a : b;
}

/** `from>to` of what travels to an end. */
function travel(end: number, { names, edges }: Setting): string {
  return `${names[nodeOfEnd(end ^ 1, edges)]!}>${names[nodeOfEnd(end, edges)]!}`;
}

function endOf(about: string, setting: Setting): number {
  for (let end = 0; end < setting.edges.length * 2; end += 1) if (travel(end, setting) === about) return end;
  return -1;
}
