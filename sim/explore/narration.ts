import { MILLISECOND_US } from "../../core/time/instant.js";
import { type Choice, nodeOfEnd } from "./choice.js";
import type { Counterexample } from "./explore.js";
import { restViolationsOf, type Violation, violationOf } from "./invariants.js";
import { recordWords } from "./record-words.js";
import { BEGIN_US } from "./relative-digest.js";
import { comeToRest } from "./rest.js";
import type { Setting } from "./setting.js";
import { World } from "./world.js";

export interface Narration {
  readonly lines: readonly string[];
  /** The choice, from 1, that cannot be taken any more. */
  readonly stoppedAt: number | undefined;
  /** What is broken at the end; the first is what the counterexample is of. */
  readonly violations: readonly Violation[];
}

/** Takes the choices once more, a line for each and for each route that changes by it. */
export function narrate(setting: Setting, { choices, thenRest }: Omit<Counterexample, "violation">): Narration {
  const world = new World(setting, allowancesOf(choices));
  const lines: string[] = [];
  let step = 0;
  const tell = (choice: Choice, take: () => boolean): boolean => {
    const before = routesOf(world, setting);
    const words = wordsOf(choice, world, setting);
    const beganUs = world.nowUs;
    if (!take()) return false;
    step += 1;
    const passedMs = Math.round((world.nowUs - beganUs) / MILLISECOND_US);
    lines.push(`${String(step).padStart(4)}  ${clock(world)}  ${words}${passedMs > 0 ? `: ${passedMs} ms` : ""}`);
    for (const [i, route] of routesOf(world, setting).entries()) {
      if (route !== before[i] && route !== "")
        lines.push(`${" ".repeat(18)}${route} (before: ${beyondColon(before[i]!)})`);
    }
    return true;
  };
  for (const [i, choice] of choices.entries()) {
    if (!tell(choice, () => world.take(choice))) return { lines, stoppedAt: i + 1, violations: [] };
  }
  const violation = violationOf(world, setting);
  if (!thenRest || violation !== undefined) {
    return { lines, stoppedAt: undefined, violations: violation === undefined ? [] : [violation] };
  }
  lines.push("      now nothing more befalls it: all is delivered, and time goes by");
  const found = comeToRest(
    world,
    setting,
    () => false,
    (choice) => {
      tell(choice, () => world.take(choice));
    },
  );
  const others = restViolationsOf(world, setting).filter(({ invariant }) => invariant !== found?.invariant);
  const violations = found === undefined ? [] : found.invariant === "loop" ? [found] : [found, ...others];
  return { lines, stoppedAt: undefined, violations };
}

/** Just what the choices need. */
function allowancesOf(choices: readonly Choice[]) {
  const countOf = (what: Choice["do"]) => choices.filter((choice) => choice.do === what).length;
  return { losses: countOf("lose"), faults: countOf("fault"), late: countOf("time") };
}

function wordsOf(choice: Choice, world: World, setting: Setting): string {
  const { names, edges, faults } = setting;
  switch (choice.do) {
    case "deliver":
    case "lose": {
      const to = names[nodeOfEnd(choice.end, edges)]!;
      const from = names[nodeOfEnd(choice.end ^ 1, edges)]!;
      const message = world.cables.ends[choice.end]!.messages[choice.place];
      const said = message === undefined ? "nothing" : recordWords(message.bytes);
      return choice.do === "deliver"
        ? `${to} hears from ${from}: ${said}`
        : `lost on the way from ${from} to ${to}: ${said}`;
    }
    case "up":
    case "notice": {
      const at = names[nodeOfEnd(choice.end, edges)]!;
      const peer = names[nodeOfEnd(choice.end ^ 1, edges)]!;
      return choice.do === "up" ? `${at} has a session with ${peer}` : `${at} finds its link to ${peer} dead`;
    }
    case "timer":
      return `${names[choice.node]!} does what is due`;
    case "time":
      return "time goes by";
    case "fault": {
      const fault = faults[choice.fault]!;
      if ("node" in fault)
        return fault.do === "crash" ? `${names[fault.node]!} dies` : `${names[fault.node]!} starts again`;
      const { a, b } = edges[fault.edge]!;
      return `the cable between ${names[a]!} and ${names[b]!} is ${fault.do === "cut" ? "cut" : "mended"}`;
    }
  }
}

/** By pair of nodes: `from to to: over whom`; empty where `from` is dead. */
function routesOf(world: World, { names }: Setting): string[] {
  return world.nodes.flatMap(({ router, isAlive }, from) =>
    world.nodes.map(({ destination }, to) => {
      if (!isAlive) return "";
      const link = router.nextHop(destination);
      const { cables } = world;
      const peer = link < 0 ? -1 : cables.peerOf(cables.endsOf[from]![link]!);
      const over = peer < 0 ? "" : `over ${names[peer]!}, metric ${router.metric(destination)!}`;
      return `${names[from]!} to ${names[to]!}: ${over || "no route"}`;
    }),
  );
}

function beyondColon(text: string): string {
  return text === "" ? "dead" : text.slice(text.indexOf(":") + 2);
}

/** Seconds since the beginning. */
function clock(world: World): string {
  return `${((world.nowUs - BEGIN_US) / 1e6).toFixed(3).padStart(8)} s`;
}
