/** `mariana sim shrink`: finds out why a run fails, makes it small, and writes it as a file that runs by itself. */
import { performance } from "node:perf_hooks";
import type { Plan } from "../../sim/plan/plan.js";
import { complain, paint } from "../cli/output.js";
import { ExitCode, Failure, quote } from "../failure.js";
import { untilInterrupted } from "./interruption.js";
import { assertWritable, writeOutput } from "./output-file.js";
import { encodePlan } from "./plan-file.js";
import { formatSpan } from "./progress.js";
import { type RunChanges, repeatLine, untilUsOf } from "./repeat.js";
import { loadPlan } from "./scenario-file.js";
import { type Cause, describeSize, type Shrunk, shrink } from "./shrink.js";
import { whyOf } from "./summary.js";
import { type Engine, isOverBudget, runTrial, type Trial } from "./trial.js";

export interface ShrinkRequest {
  readonly engine: Engine;
  readonly file: string;
  readonly changes: RunChanges;
  readonly workers: number | undefined;
  /** Where the small one goes; NAME-shrunk.yaml here when it is not given. */
  readonly out: string | undefined;
  readonly runs: number;
  /** From when it is known how the run fails. */
  readonly budgetSeconds: number;
}

/**
 * A candidate may take so much longer than the run that it came from, node for node, before it counts as not failing; and
 * this long in any case. A core broken on purpose may well never be done with something.
 */
const PATIENCE = 3;
const PATIENCE_LEAST_SECONDS = 20;

export interface ShrinkResult extends Shrunk {
  readonly from: Plan;
  readonly why: string;
  readonly out: string;
  readonly wallSeconds: number;
}

/** Throws a Failure, exit 2, when the run passes: there is nothing to shrink. */
export async function shrinkScenario(request: ShrinkRequest): Promise<ShrinkResult> {
  const { engine, file, changes, workers } = request;
  const untilUs = untilUsOf(changes);
  const from = loadPlan(file, changes);
  const out = request.out ?? `${nameOf(from)}.yaml`;
  assertWritable(out);
  const beganMs = performance.now();
  const seconds = () => (performance.now() - beganMs) / 1000;
  complain(`${from.name}, seed ${from.seed}: ${describeSize(from)}; runs it once to see how it fails`);
  let best: Plan | undefined;
  let isInterrupted = false;
  const stop = () => {
    isInterrupted = true;
    if (best === undefined) return ["interrupted; nothing was written"];
    writeOutput(out, encodePlan(best, headingOf(best, from, "what was found until it was interrupted", file, changes)));
    return [`interrupted; the smallest so far, ${describeSize(best)}, is in ${out}`];
  };
  return untilInterrupted(stop, async () => {
    const first = await runTrial(engine, from, { workers, untilUs, repeat: repeatLine(file, changes) });
    const cause = causeOf(first);
    if (cause === undefined) {
      const message = `${from.name}, seed ${from.seed} passes: there is nothing to shrink`;
      throw new Failure("usage", ExitCode.usage, message, "give the --seed, --set and --mutate with which it fails");
    }
    const why = whyOf(first.report);
    complain(`it fails: ${why}`);
    const secondsPerNode = first.report.wallSeconds / from.nodes.length;
    const patienceWith = ({ nodes }: Plan) =>
      Math.max(PATIENCE_LEAST_SECONDS, PATIENCE * secondsPerNode * nodes.length);
    const untilSeconds = seconds() + request.budgetSeconds;
    const budget = { runs: request.runs, isOver: () => isInterrupted || seconds() > untilSeconds };
    const begin = isFailureOfExpectation(first) ? { ...from, expect: [cause.reason] } : { ...from, expect: [] };
    const cut = untilUs === undefined || untilUs >= begin.durationUs ? begin : { ...begin, durationUs: untilUs };
    const shrunk = await shrink(
      cut,
      cause,
      (plan) => probe(engine, plan, patienceWith(plan)),
      budget,
      (text, found) => {
        best = { ...found, name: nameOf(from) };
        complain(`${formatSpan(seconds()).padStart(10)}  ${text}`);
      },
    );
    const named = { ...shrunk.plan, name: nameOf(from) };
    writeOutput(out, encodePlan(named, headingOf(named, from, why, file, changes)));
    return { ...shrunk, plan: named, from, why, out, wallSeconds: seconds() };
  });
}

/** What the broken oracle or expectation is; an expectation without any sample is no failure to keep. */
export function causeOf({ report, violation, endUs }: Trial): Cause | undefined {
  if (violation !== undefined) return { reason: violation.oracle, atUs: violation.atUs, nodes: violation.nodes };
  const failed = report.expect.find(({ ok, value }) => !ok && value !== null);
  return failed === undefined ? undefined : { reason: failed.text, atUs: endUs, nodes: [] };
}

function isFailureOfExpectation({ violation }: Trial): boolean {
  return violation === undefined;
}

async function probe(engine: Engine, plan: Plan, budgetSeconds: number): Promise<Cause | undefined> {
  try {
    return causeOf(await runTrial(engine, plan, { workers: 1, budgetSeconds, repeat: "" }));
  } catch (error) {
    if (isOverBudget(error) || error instanceof RangeError) return undefined;
    throw error;
  }
}

function nameOf(plan: Plan): string {
  return `${plan.name}-shrunk`;
}

function headingOf(plan: Plan, from: Plan, why: string, file: string, changes: RunChanges): string[] {
  const flags = ["--seed", from.seed, ...changes.set.flatMap((pair) => ["--set", pair])];
  const mutate = from.mutate === undefined ? [] : ["--mutate", from.mutate];
  return [
    `${describeSize(plan)}; made smaller by  mariana sim shrink ${[file, ...flags, ...mutate].map(quote).join(" ")}`,
    `It fails: ${why}`,
    "Times are microseconds from the start, shares parts per million; numbers of nodes and models stand behind them.",
  ];
}

/** What a person reads at the end. */
export function describeResult({ from, plan, why, out, runs, wallSeconds, isMinimal }: ShrinkResult): string {
  const end = isMinimal ? "nothing more can be left out" : "the budget was over: it may become smaller yet";
  return [
    `${describeSize(from)}  ->  ${paint("bold", describeSize(plan))}`,
    "",
    `  it fails:   ${why}`,
    `  after:      ${runs} runs in ${formatSpan(wallSeconds)}; ${end}`,
    `  repeat it:  mariana sim run ${quote(out)}`,
  ].join("\n");
}
