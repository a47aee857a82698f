import type { Violation } from "../engine/observer.js";
import type { RunResult } from "../engine/run.js";
import type { Mutation, Plan } from "../plan/plan.js";
import { parseExpectation } from "../scenario/expect.js";
import { type Judgement, judge } from "./expectations.js";
import { type Metrics, metricsOf } from "./metrics.js";
import { mergeTallies, type Observations } from "./tally.js";

/** What a run was and what is said of it: the same for the same plan on any machine, with any number of workers. */
export interface Report {
  readonly scenario: string;
  readonly seed: string;
  readonly hash: string;
  readonly crypto: Plan["crypto"];
  readonly mutate?: Mutation;
  readonly fingerprint: RunResult["fingerprint"];
  readonly nodes: number;
  readonly simSeconds: number;
  readonly events: number;
  /** No oracle spoke, and all expectations hold. */
  readonly ok: boolean;
  readonly metrics: Metrics;
  readonly expect: readonly Judgement[];
  readonly violation?: {
    readonly oracle: string;
    readonly atSeconds: number;
    /** Names. */
    readonly nodes: readonly string[];
    readonly text: string;
  };
}

/** An expectation that cannot be read fails, with the reason: a plan need not come from a checked scenario. */
export function reportOf(
  plan: Plan,
  result: Pick<RunResult, "fingerprint" | "events" | "simSeconds" | "violation" | "tallies">,
): Report {
  const tally = mergeTallies(result.tallies as readonly Observations[]);
  const expect = plan.expect.map((text): Judgement => {
    const parsed = parseExpectation(text);
    return parsed.ok ? judge(tally, parsed.expectation) : { text, value: null, ok: false, reason: parsed.message };
  });
  const { violation } = result;
  return {
    scenario: plan.name,
    seed: plan.seed,
    hash: plan.hash,
    crypto: plan.crypto,
    ...(plan.mutate === undefined ? {} : { mutate: plan.mutate }),
    fingerprint: result.fingerprint,
    nodes: plan.nodes.length,
    simSeconds: result.simSeconds,
    events: result.events,
    ok: violation === undefined && expect.every(({ ok }) => ok),
    metrics: metricsOf(tally),
    expect,
    ...(violation === undefined ? {} : { violation: named(plan, violation) }),
  };
}

function named(plan: Plan, { oracle, atUs, nodes, text }: Violation): NonNullable<Report["violation"]> {
  return { oracle, atSeconds: atUs / 1e6, nodes: nodes.map((node) => plan.nodes[node]?.name ?? `${node}`), text };
}
