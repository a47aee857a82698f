import { NEVER, SECOND_US } from "../../core/time/instant.js";
import type { Setting } from "./setting.js";
import type { World } from "./world.js";

/** The promise: who is gone for so long is in nobody's table. */
export const GHOST_US = 60 * SECOND_US;

export type Invariant = "loop" | "ghost" | "lost-delta" | "deadlock";

export interface Violation {
  readonly invariant: Invariant;
  /** One sentence. */
  readonly what: string;
}

/** What must hold in every state: nobody's packets come back to him, and nobody holds who is gone for longer than the bound. */
export function violationOf(world: World, setting: Setting): Violation | undefined {
  const { names } = setting;
  const count = world.nodes.length;
  for (let to = 0; to < count; to += 1) {
    for (let from = 0; from < count; from += 1) {
      const round = roundFrom(world, from, to);
      if (round === undefined) continue;
      const path = round.map((node) => names[node]!).join(" > ");
      return { invariant: "loop", what: `a packet to ${names[to]!} goes round: ${path}` };
    }
  }
  return ghostOf(world, setting, GHOST_US);
}

/**
 * What must hold when all is delivered and time has passed: nobody holds who cannot be reached, what each believes that a
 * neighbour offers is what was offered, and whoever can be reached is. One of each kind that is broken.
 */
export function restViolationsOf(world: World, setting: Setting): Violation[] {
  const all = [ghostOf(world, setting, 0), lostDeltaOf(world, setting), deadlockOf(world, setting)];
  return all.filter((one) => one !== undefined);
}

/** Who goes on for more steps than there are nodes has met one twice. */
function roundFrom(world: World, from: number, to: number): number[] | undefined {
  if (!world.nodes[from]!.isAlive) return undefined;
  let steps = 0;
  for (let at = from; at >= 0 && steps <= world.nodes.length; at = world.following(at, to)) steps += 1;
  if (steps <= world.nodes.length) return undefined;
  const met: number[] = [];
  for (let at = from; at >= 0; at = world.following(at, to)) {
    const before = met.indexOf(at);
    met.push(at);
    if (before >= 0) return met.slice(before);
  }
  return undefined;
}

function ghostOf(world: World, { names }: Setting, boundUs: number): Violation | undefined {
  for (const [from, { router, isAlive, cutOffUs }] of world.nodes.entries()) {
    if (!isAlive) continue;
    for (const [to, sinceUs] of cutOffUs.entries()) {
      if (sinceUs === NEVER || world.nowUs - sinceUs < boundUs) continue;
      if (router.nextHop(world.nodes[to]!.destination) < 0) continue;
      const seconds = Math.floor((world.nowUs - sinceUs) / SECOND_US);
      const gone = `${names[to]!}, which cannot be reached for ${seconds} s`;
      return { invariant: "ghost", what: `${names[from]!} holds a route to ${gone}` };
    }
  }
  return undefined;
}

function lostDeltaOf(world: World, { names, edges }: Setting): Violation | undefined {
  for (const edge of edges.keys()) {
    const ends = world.cables.sessionOf(edge);
    if (ends === undefined) continue;
    for (const [one, other] of [ends, [ends[1], ends[0]] as const]) {
      const router = world.nodes[one.node]!.router;
      const far = world.nodes[other.node]!.router;
      const pair = `${names[one.node]!} and ${names[other.node]!}`;
      if (!router.isLevelWith(far, one.link, other.link)) {
        return { invariant: "lost-delta", what: `what ${pair} told each other is not processed` };
      }
      if (router.believes(one.link, far, other.link)) continue;
      const what = `what ${names[one.node]!} believes that ${names[other.node]!} offers is not what it offered`;
      return { invariant: "lost-delta", what };
    }
  }
  return undefined;
}

function deadlockOf(world: World, { names }: Setting): Violation | undefined {
  for (const [from, { router, isAlive }] of world.nodes.entries()) {
    if (!isAlive) continue;
    for (const to of world.cables.reachedFrom(from)) {
      if (to === from || router.nextHop(world.nodes[to]!.destination) >= 0) continue;
      return {
        invariant: "deadlock",
        what: `${names[from]!} has no route to ${names[to]!}, though a path leads there`,
      };
    }
  }
  return undefined;
}
