/**
 * From a plan that fails to a small one that fails for the same reason: fewer nodes, fewer faults, less time, a simpler
 * network. Every candidate is run; what is tried next depends on the answers alone, so the same failure gives the same file.
 */

import { createHash } from "node:crypto";
import { SECOND_US } from "../../core/time/instant.js";
import type { Action, Plan } from "../../sim/plan/plan.js";
import { leastThat, minimal } from "./delta-debugging.js";
import { endingAt, pausesOf, SIMPLIFICATIONS, secondAfter, withPauses } from "./plan-simplification.js";
import { nearestFirst, planOf, withoutLoneHeals } from "./plan-subset.js";

/** Why a run failed. */
export interface Cause {
  /** The oracle or the text of the expectation: what a smaller plan must fail with, too. */
  readonly reason: string;
  /** When it was seen; the end of the run for an expectation over all of it. */
  readonly atUs: number;
  /** Whom it names; may be empty. */
  readonly nodes: readonly number[];
}

/** Runs a plan; undefined when it did not fail. */
export type Probe = (plan: Plan) => Promise<Cause | undefined>;

export type Say = (text: string, best: Plan) => void;

export interface ShrinkBudget {
  /** Candidates that are run at most. */
  readonly runs: number;
  /** Says that no more candidate may begin: the wall clock, or somebody's Ctrl-C. */
  isOver(): boolean;
}

export interface Shrunk {
  readonly plan: Plan;
  readonly cause: Cause;
  readonly runs: number;
  /** False when the budget ended before nothing more could be left out. */
  readonly isMinimal: boolean;
}

/** Sizes of the neighbourhood of the failure that are tried before anything else, smallest (and quickest) first. */
const NEIGHBOURHOODS = [4, 8, 16, 32, 64, 128, 256, 512];
/** So few nodes are run in a moment: they get all the time there is, since few may fail later than many did. */
const QUICK_NODES = 64;
/**
 * A network that comes to rest is looked at more closely, and may fail for another reason before it fails for the one that
 * is sought. So few of those near the failure are tried together with so many to whom something happened before it, one
 * after the other with no long pause between.
 */
const RESTLESS = [4, 16];
const STRUCK_MAX = 48;
const RESTLESS_PAUSE_US = 10 * SECOND_US;
/** Whom else something happens to may be where few nodes fail, when those near the failure do not: so many, of such sizes. */
const ELSEWHERE_MAX = 16;
const ELSEWHERE = [8, 16, 32];
/** Rounds over all ways to make a plan smaller; each must have made it smaller for the next to begin. */
const ROUNDS_MAX = 6;
/** What is left of a pause that turned out to be of no use. */
const PAUSE_LEAST_US = 100_000;

/** @param say  is told each step forward, in words, and the smallest plan so far */
export async function shrink(
  plan: Plan,
  cause: Cause,
  probe: Probe,
  budget: ShrinkBudget,
  say: Say = () => undefined,
): Promise<Shrunk> {
  return new Shrinker(plan, cause, probe, budget, say).run();
}

class Shrinker {
  private best: Plan;
  private cause: Cause;
  private runs = 0;
  private wasCut = false;
  /** Hashes of what has been run; as many as there were runs. */
  private readonly tried = new Set<string>();
  private readonly probe: Probe;
  private readonly budget: ShrinkBudget;
  private readonly say: Say;

  constructor(plan: Plan, cause: Cause, probe: Probe, budget: ShrinkBudget, say: Say) {
    this.best = plan;
    this.cause = cause;
    this.probe = probe;
    this.budget = budget;
    this.say = say;
  }

  async run(): Promise<Shrunk> {
    // The whole network is the dearest candidate there is: it is run again only when no part of it fails.
    if (!(await this.tryNeighbourhoods())) await this.cutEnd();
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const before = JSON.stringify(this.best);
      if (this.best.nodes.length > QUICK_NODES) await this.dropNodes(); // before each other candidate costs a minute
      await this.simplify();
      await this.dropNodes();
      await this.dropActions();
      await this.dropDials();
      await this.shortenPauses();
      await this.cutEnd();
      if (JSON.stringify(this.best) === before || this.isOver()) break;
    }
    return { plan: this.best, cause: this.cause, runs: this.runs, isMinimal: !this.wasCut };
  }

  private readonly isOver = (): boolean => {
    const isOver = this.runs >= this.budget.runs || this.budget.isOver();
    if (isOver) this.wasCut = true;
    return isOver;
  };

  /** Takes the plan in place of the best one when it fails for the same reason. It is not even made when the budget is over. */
  private async accepts(made: () => Plan, what: string): Promise<boolean> {
    if (this.isOver()) return false;
    const plan = made();
    if (plan.nodes.length === 0) return false;
    const hash = createHash("sha256").update(JSON.stringify(plan)).digest("base64");
    if (this.tried.has(hash)) return false;
    this.tried.add(hash);
    this.runs += 1;
    const cause = await this.probe(plan);
    if (cause === undefined || cause.reason !== this.cause.reason) return false;
    this.best = plan;
    this.cause = cause;
    this.say(`${what}: ${describeSize(plan)}`, plan);
    return true;
  }

  /** Nothing after the failure matters. */
  private async cutEnd(): Promise<void> {
    const seen = endingAt(this.best, secondAfter(this.cause.atUs));
    if (seen.durationUs < this.best.durationUs) await this.accepts(() => seen, "ends at the failure");
  }

  private async tryNeighbourhoods(): Promise<boolean> {
    const whole = this.best;
    const seen = endingAt(whole, secondAfter(this.cause.atUs));
    const order = nearestFirst(whole, this.cause.nodes);
    const tryAround = async (order: readonly number[], sizes: readonly number[], where: string): Promise<boolean> => {
      for (const size of sizes) {
        if (size >= whole.nodes.length || this.isOver()) return false;
        const part = () => planOf(size <= QUICK_NODES ? whole : seen, order.slice(0, size));
        if (await this.accepts(part, where)) return true;
      }
      return false;
    };
    const isQuick = (size: number): boolean => size <= QUICK_NODES;
    if (await tryAround(order, NEIGHBOURHOODS.filter(isQuick), "near the failure")) return true;
    if (await this.tryRestless(order)) return true;
    for (const node of struckIn(whole)) {
      if (await tryAround(nearestFirst(whole, [node]), ELSEWHERE, "elsewhere")) return true;
    }
    const large = NEIGHBOURHOODS.filter((size) => !isQuick(size));
    if (await tryAround(order, large, "near the failure")) return true;
    return false;
  }

  private async tryRestless(order: readonly number[]): Promise<boolean> {
    const whole = this.best;
    const struck = lastStruck(whole, this.cause.atUs);
    for (const size of RESTLESS) {
      if (size + struck.length >= whole.nodes.length) return false;
      const made = () => {
        const part = planOf(whole, [...order.slice(0, size), ...struck]);
        return withPauses(
          part,
          pausesOf(part).map((pause) => Math.min(pause, RESTLESS_PAUSE_US)),
        );
      };
      if (await this.accepts(made, "near the failure, without rest")) return true;
    }
    return false;
  }

  private async simplify(): Promise<void> {
    for (const { name, apply } of SIMPLIFICATIONS) {
      const simpler = apply(this.best);
      if (JSON.stringify(simpler) !== JSON.stringify(this.best)) await this.accepts(() => simpler, name);
    }
  }

  private async dropNodes(): Promise<void> {
    const whole = this.best;
    const nodes = whole.nodes.map((_, node) => node);
    await minimal(nodes, (kept) => this.accepts(() => planOf(whole, kept), "fewer nodes"), this.isOver);
  }

  private async dropActions(): Promise<void> {
    const whole = this.best;
    const withActions = (actions: readonly Action[]): Plan => ({ ...whole, actions: withoutLoneHeals(actions) });
    await minimal(whole.actions, (actions) => this.accepts(() => withActions(actions), "fewer events"), this.isOver);
  }

  private async dropDials(): Promise<void> {
    const whole = this.best;
    const all = whole.nodes.flatMap((node, from) => node.dials.map((dial) => ({ from, dial })));
    const withDials = (kept: readonly (typeof all)[number][]): Plan => {
      const nodes = whole.nodes.map((node, from) => ({
        ...node,
        dials: kept.filter((one) => one.from === from).map(({ dial }) => dial),
      }));
      return { ...whole, nodes };
    };
    await minimal(all, (kept) => this.accepts(() => withDials(kept), "fewer links"), this.isOver);
  }

  /** First leaves out pauses as a whole, then makes the others as short as whole seconds go. */
  private async shortenPauses(): Promise<void> {
    const whole = this.best;
    const pauses = pausesOf(whole);
    const isLong = (pauseUs: number): boolean => pauseUs > PAUSE_LEAST_US;
    const long = pauses.flatMap((pause, index) => (isLong(pause) ? [index] : []));
    const withLong = (kept: ReadonlySet<number>) =>
      pauses.map((pause, index) => (kept.has(index) || !isLong(pause) ? pause : PAUSE_LEAST_US));
    const needed = await minimal(
      long,
      (kept) => this.accepts(() => withPauses(whole, withLong(new Set(kept))), "shorter pauses"),
      this.isOver,
    );
    const current = withLong(new Set(needed));
    for (const index of needed) {
      const seconds = Math.ceil(current[index]! / SECOND_US);
      const least = await leastThat(1, seconds, (value) => {
        const tried = current.with(index, value * SECOND_US);
        return this.accepts(() => withPauses(whole, tried), "shorter pauses");
      });
      if (least < seconds) current[index] = least * SECOND_US;
    }
  }
}

/** The last to whom something happens before a time. */
function lastStruck({ actions }: Plan, beforeUs: number): number[] {
  const struck = actions.flatMap((action) => (action.atUs < beforeUs && "node" in action ? [action.node] : []));
  return [...new Set(struck.reverse())].slice(0, STRUCK_MAX);
}

/** Some of those who crash, leave, pause and so on, from first to last. */
function struckIn({ actions }: Plan): number[] {
  const isPlain = (action: Action) => action.do === "start" || action.do === "dial";
  const struck = [...new Set(actions.flatMap((action) => ("node" in action && !isPlain(action) ? [action.node] : [])))];
  const step = Math.max(1, struck.length / ELSEWHERE_MAX);
  return Array.from({ length: Math.min(struck.length, ELSEWHERE_MAX) }, (_, i) => struck[Math.floor(i * step)]!);
}

/** "6 nodes, 9 events, 72 s". */
export function describeSize(plan: Plan): string {
  const count = (number: number, one: string) => `${number} ${one}${number === 1 ? "" : "s"}`;
  return `${count(plan.nodes.length, "node")}, ${count(plan.actions.length, "event")}, ${plan.durationUs / SECOND_US} s`;
}
