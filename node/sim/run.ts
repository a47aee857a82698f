/** `mariana sim run`: runs scenarios one after the other, says how far they are, and leaves their reports. */
import { performance } from "node:perf_hooks";
import { SECOND_US } from "../../core/time/instant.js";
import type { Plan } from "../../sim/plan/plan.js";
import { complain, paint, print } from "../cli/output.js";
import { EXIT_INTERRUPTED, ExitCode } from "../failure.js";
import { encodeChain } from "./chain.js";
import { untilInterrupted } from "./interruption.js";
import { junitOf, type Unfinished } from "./junit.js";
import { assertWritable, writeOutput } from "./output-file.js";
import { formatCount, ProgressMeter } from "./progress.js";
import { encodeRecorded } from "./recorded-file.js";
import { type RunChanges, repeatLine, untilUsOf } from "./repeat.js";
import { formatReport } from "./report-text.js";
import { loadPlan } from "./scenario-file.js";
import { type Engine, isOverBudget, runTrial } from "./trial.js";
import type { TrialReport } from "./trial-report.js";

export interface RunRequest {
  readonly engine: Engine;
  readonly files: readonly string[];
  readonly changes: RunChanges;
  /** Undefined: as many as fit the scenario and the machine. */
  readonly workers: number | undefined;
  /** Wall seconds for each file. */
  readonly budgetSeconds: number | undefined;
  readonly shuffle: string | undefined;
  /** A path, or "-" for stdout. */
  readonly json: string | undefined;
  readonly junit: string | undefined;
  readonly chain: string | undefined;
  /** What happens in a second of virtual time, from 1, goes into a file; the run ends with that second. */
  readonly moments: { readonly second: number; readonly path: string } | undefined;
  readonly isQuiet: boolean;
}

/** The exit code: 130 when it was interrupted, 9 before 12 before 0. Throws a Failure, before anything runs, for a file that is no scenario. */
export async function runScenarios(request: RunRequest): Promise<ExitCode> {
  untilUsOf(request.changes); // whatever is wrong is said before anything runs
  const plans = request.files.map((file) => ({ file, plan: loadPlan(file, request.changes) }));
  for (const path of [request.json, request.junit, request.chain, request.moments?.path]) {
    if (path !== undefined && path !== "-") assertWritable(path);
  }
  const outcomes: (TrialReport | Unfinished)[] = [];
  for (const { file, plan } of plans) {
    if (outcomes.some((one) => "isCutShort" in one)) break;
    const outcome = await runOne(file, plan, request);
    outcomes.push(outcome);
    if (request.json === "-") continue;
    if ("unfinished" in outcome) complain(`${paint("yellow", "over budget", process.stderr)}  ${outcome.unfinished}`);
    else print(`${outcomes.length > 1 ? "\n" : ""}${formatReport(outcome)}`);
  }
  writeReports(outcomes, request);
  const reports = outcomes.filter((one): one is TrialReport => !("unfinished" in one));
  if (plans.length > 1 && request.json !== "-") {
    print(`\n${formatCount(reports.filter(({ ok }) => ok).length)} of ${plans.length} passed`);
  }
  if (reports.some(({ isCutShort }) => isCutShort)) return EXIT_INTERRUPTED;
  if (reports.some(({ ok }) => !ok)) return ExitCode.checkFailed;
  return reports.length < outcomes.length ? ExitCode.overBudget : ExitCode.ok;
}

async function runOne(file: string, plan: Plan, request: RunRequest): Promise<TrialReport | Unfinished> {
  const { changes, workers, shuffle, budgetSeconds, moments } = request;
  const meter = new ProgressMeter();
  const record = moments && { fromUs: (moments.second - 1) * SECOND_US, untilUs: moments.second * SECOND_US };
  const untilOfRun = Math.min(untilUsOf(changes) ?? plan.durationUs, plan.durationUs, record?.untilUs ?? Infinity);
  const beganMs = performance.now();
  let nowUs = 0;
  const howFar = () => `${Math.floor(nowUs / 1e6)} of ${Math.ceil(untilOfRun / 1e6)} s were simulated`;
  const onProgress = (progress: { nowUs: number; liveNodes: number }): void => {
    nowUs = progress.nowUs;
    if (request.isQuiet) return;
    const wallSeconds = (performance.now() - beganMs) / 1000;
    meter.update({ name: plan.name, ...progress, untilUs: untilOfRun, wallSeconds });
  };
  const stop = (): string[] => {
    meter.clear();
    return [`${plan.name}, seed ${plan.seed}: interrupted; ${howFar()}, nothing was written`];
  };
  const aborted = new Int32Array(new SharedArrayBuffer(4));
  const ask = (): void => {
    meter.clear();
    complain(
      `${plan.name}, seed ${plan.seed}: ends with the second that it simulates now, and reports; Ctrl-C again ends it at once`,
    );
    Atomics.store(aborted, 0, 1);
  };
  const repeat = repeatLine(file, { ...changes, seed: plan.seed });
  try {
    const options = { workers, untilUs: untilOfRun, shuffle, record, budgetSeconds, onProgress, aborted, repeat };
    const work = () => runTrial(request.engine, plan, options);
    const { report, chain, recorded } = await untilInterrupted(stop, work, ask);
    meter.clear();
    if (request.chain !== undefined) writeOutput(request.chain, encodeChain(chain));
    if (moments !== undefined && recorded !== undefined && !report.isCutShort)
      writeOutput(moments.path, encodeRecorded(recorded));
    return report;
  } catch (error) {
    meter.clear();
    if (!isOverBudget(error)) throw error;
    const unfinished = `${plan.name}, seed ${plan.seed}: after ${budgetSeconds} s of --budget ${howFar()}`;
    return { scenario: plan.name, seed: plan.seed, unfinished };
  }
}

function writeReports(outcomes: readonly (TrialReport | Unfinished)[], request: RunRequest): void {
  const { json, junit, files } = request;
  if (json !== undefined) {
    const text = JSON.stringify(files.length === 1 ? outcomes[0] : outcomes, undefined, json === "-" ? 0 : 2);
    if (json === "-") print(text);
    else writeOutput(json, `${text}\n`);
  }
  if (junit !== undefined) writeOutput(junit, junitOf(outcomes));
}
