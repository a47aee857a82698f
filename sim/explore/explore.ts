import { areIndependent, type Choice } from "./choice.js";
import { type Violation, violationOf } from "./invariants.js";
import { comeToRest } from "./rest.js";
import type { Setting } from "./setting.js";
import { type Allowances, World } from "./world.js";

export interface Bounds extends Allowances {
  /** Choices on one path. */
  readonly depth: number;
  /** Different states. */
  readonly states: number;
  /** Asked before each state that is gone on from. */
  readonly isOver: () => boolean;
}

export interface Explored {
  /** States arrived at, each as often as it was. */
  readonly visited: number;
  /** Different ones. */
  readonly distinct: number;
  /** The longest path to any of them. */
  readonly depth: number;
  /** Different states that were met while the network came to rest. */
  readonly resting: number;
  /** "whole": nothing is left within the allowances; else which bound cut it short, and how many states wait. */
  readonly end: "whole" | "depth" | "states" | "time" | "violation";
  readonly waiting: number;
  readonly counterexample: Counterexample | undefined;
}

/** From the beginning; what is broken is so after the last choice, or, with `thenRest`, when the network then comes to rest. */
export interface Counterexample {
  readonly choices: readonly Choice[];
  readonly thenRest: boolean;
  readonly violation: Violation;
}

/** A state that was found, by the shortest path to it. */
interface Found {
  readonly from: Found | undefined;
  readonly by: Choice | undefined;
  readonly depth: number;
  /** Choices that need not be tried here: they lead where others lead that were tried before. */
  asleep: readonly Choice[];
  /** What was tried already, once it was gone on from. */
  hasGoneOn: boolean;
}

/**
 * Walks all orders of what may happen, breadth first, so that a counterexample is as short as it can be.
 *
 * A core cannot be copied: each state is reached anew from the beginning. Of choices that can be swapped only one order is walked (sleep
 * sets, Godefroid 1996): every state is still met, though not over every way. From each new state the network is also let come to
 * rest, until it meets a state of which the end is known.
 */
export function explore(setting: Setting, bounds: Bounds): Explored {
  return new Walk(setting, bounds).run();
}

class Walk {
  private readonly setting: Setting;
  private readonly bounds: Bounds;
  private readonly found = new Map<string, Found>();
  /** States from which all comes to a good end. */
  private readonly goodEnds = new Set<string>();
  private readonly queue: Found[] = [];
  private at = 0;
  private visited = 0;
  private depth = 0;
  private isCutByDepth = false;
  private isCutByStates = false;
  private counterexample: Counterexample | undefined;

  constructor(setting: Setting, bounds: Bounds) {
    this.setting = setting;
    this.bounds = bounds;
  }

  run(): Explored {
    let isTimeOver = false;
    this.arrive(this.replay(undefined), undefined, undefined, []);
    while (this.counterexample === undefined && this.at < this.queue.length && !isTimeOver && !this.isCutByStates) {
      isTimeOver = this.bounds.isOver();
      if (!isTimeOver) this.goOn(this.queue[this.at++]!);
    }
    const { visited, found, depth, goodEnds, counterexample } = this;
    const cut = this.isCutByStates ? "states" : isTimeOver ? "time" : this.isCutByDepth ? "depth" : "whole";
    const end = counterexample === undefined ? cut : "violation";
    const waiting = this.queue.length - this.at;
    return { visited, distinct: found.size, depth, resting: goodEnds.size, end, waiting, counterexample };
  }

  private goOn(found: Found): void {
    if (found.depth >= this.bounds.depth) {
      this.isCutByDepth = true;
      return;
    }
    const { setting } = this;
    const { asleep } = found;
    found.hasGoneOn = true;
    let world: World | undefined = this.replay(found);
    const tried: Choice[] = [...asleep];
    for (const choice of world.choices()) {
      if (asleep.some((one) => isSame(one, choice))) continue;
      world ??= this.replay(found);
      world.take(choice);
      const stillAsleep = tried.filter((one) => areIndependent(one, choice, setting));
      this.arrive(world, found, choice, stillAsleep);
      if (this.counterexample !== undefined || this.isCutByStates) return;
      world = undefined;
      tried.push(choice);
    }
  }

  private arrive(world: World, from: Found | undefined, by: Choice | undefined, asleep: readonly Choice[]): void {
    const { setting, bounds } = this;
    this.visited += 1;
    const violation = violationOf(world, setting);
    const found: Found = { from, by, depth: (from?.depth ?? -1) + 1, asleep, hasGoneOn: false };
    if (violation !== undefined) {
      this.counterexample = { choices: pathTo(found), thenRest: false, violation };
      return;
    }
    const { state, whole } = world.keys();
    const known = this.found.get(whole);
    if (known !== undefined) {
      this.wake(known, asleep);
      return;
    }
    this.found.set(whole, found);
    this.queue.push(found);
    this.depth = Math.max(this.depth, found.depth);
    if (this.found.size >= bounds.states) this.isCutByStates = true;
    const broken = this.rest(world, state);
    if (broken !== undefined) this.counterexample = { choices: pathTo(found), thenRest: true, violation: broken };
  }

  /** A known state is met over another way: what need not be tried is only what neither way needs. */
  private wake(known: Found, asleep: readonly Choice[]): void {
    const both = known.asleep.filter((one) => asleep.some((other) => isSame(one, other)));
    if (both.length === known.asleep.length) return;
    if (known.hasGoneOn) {
      // It has to be gone on from again. Those tried then are tried twice, which is rare: a way of another length.
      known.hasGoneOn = false;
      this.queue.push(known);
    }
    known.asleep = both;
  }

  private rest(world: World, state: string): Violation | undefined {
    if (this.goodEnds.has(state)) return undefined;
    const passed: string[] = [];
    const violation = comeToRest(world, this.setting, () => {
      const key = world.keys().state;
      if (this.goodEnds.has(key)) return true;
      passed.push(key);
      return false;
    });
    if (violation === undefined) for (const key of passed) this.goodEnds.add(key);
    return violation;
  }

  private replay(found: Found | undefined): World {
    const world = new World(this.setting, this.bounds);
    for (const choice of found === undefined ? [] : pathTo(found)) {
      if (!world.take(choice)) throw new Error("the same choices did not lead to the same state");
    }
    return world;
  }
}

function pathTo(found: Found): Choice[] {
  const choices: Choice[] = [];
  for (let at: Found | undefined = found; at?.by !== undefined; at = at.from) choices.push(at.by);
  return choices.reverse();
}

function isSame(one: Choice, other: Choice): boolean {
  switch (one.do) {
    case "deliver":
    case "lose":
      return other.do === one.do && other.end === one.end && other.place === one.place;
    case "up":
    case "notice":
      return other.do === one.do && other.end === one.end;
    case "timer":
      return other.do === "timer" && other.node === one.node;
    case "time":
      return other.do === "time";
    case "fault":
      return other.do === "fault" && other.fault === one.fault;
  }
}
