/**
 * `mariana sim sweep`: one scenario, many seeds, one process each. A report per seed lies in the folder; seeds that have one
 * are not run again, so a sweep that was interrupted goes on where it stopped.
 */
import { join } from "node:path";
import { complain, paint } from "../cli/output.js";
import { readFileIfAny } from "../config/file.js";
import { ExitCode } from "../failure.js";
import { Children } from "./child.js";
import { untilInterrupted } from "./interruption.js";
import { prepareFolder } from "./output-file.js";
import { argumentsOf, type RunChanges, untilUsOf } from "./repeat.js";
import { loadPlan } from "./scenario-file.js";
import { type Summary, summarize, whyOf } from "./summary.js";
import { parseReport, type TrialReport } from "./trial-report.js";

export interface SweepRequest {
  readonly file: string;
  readonly seeds: readonly string[];
  readonly changes: RunChanges;
  /** Processes at a time. */
  readonly jobs: number;
  /** Of each run. */
  readonly workers: number;
  readonly budgetSeconds: number | undefined;
  readonly out: string;
}

export interface Sweep {
  readonly summaries: readonly Summary[];
  /** Seeds whose run ended without a report, and what it said. */
  readonly broken: readonly { readonly seed: string; readonly code: number; readonly said: string }[];
  /** Seeds whose report was there before. */
  readonly kept: number;
}

/** Throws a Failure for a wrong scenario or a folder that cannot be written. */
export async function runSweep(request: SweepRequest): Promise<Sweep> {
  const { file, seeds, changes, out } = request;
  untilUsOf(changes);
  const sample = loadPlan(file, { ...changes, seed: seeds[0] });
  prepareFolder(out);
  const reports = new Map<string, TrialReport>();
  for (const seed of seeds) {
    const report = reportIn(pathOf(out, seed));
    const isSame = report?.hash === sample.hash && report.seed === seed && report.crypto === sample.crypto;
    if (isSame && report.mutate === sample.mutate) reports.set(seed, report);
  }
  const kept = reports.size;
  if (kept > 0) complain(`${kept} of ${seeds.length} seeds have a report in ${out} and are kept`);
  const broken: { seed: string; code: number; said: string }[] = [];
  const children = new Children();
  const left = seeds.filter((seed) => !reports.has(seed));
  const stop = () => {
    children.end();
    return [`interrupted: ${reports.size} of ${seeds.length} seeds have a report in ${out}; the same command goes on`];
  };
  const work = async (): Promise<void> => {
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      const path = pathOf(out, seed);
      const { code, said } = await children.run(childArguments(request, seed, path));
      const report = code === ExitCode.ok || code === ExitCode.checkFailed ? reportIn(path) : undefined;
      if (report === undefined) broken.push({ seed, code, said: said.trim() });
      else reports.set(seed, report);
      complain(lineOf(seed, report, code, `${reports.size + broken.length}/${seeds.length}`));
    }
  };
  await untilInterrupted(stop, () => Promise.all(Array.from({ length: request.jobs }, work)));
  return { summaries: summarize([...reports.values()]), broken, kept };
}

function childArguments(request: SweepRequest, seed: string, path: string): string[] {
  const { file, changes, workers, budgetSeconds } = request;
  const budget = budgetSeconds === undefined ? [] : ["--budget", String(budgetSeconds)];
  const flags = [...argumentsOf({ ...changes, seed }), "--workers", String(workers), ...budget];
  return ["sim", "run", file, ...flags, "--quiet", "--json", path];
}

function lineOf(seed: string, report: TrialReport | undefined, code: number, place: string): string {
  if (report === undefined) {
    const why = code === ExitCode.overBudget ? "over budget" : `ended with ${code}`;
    return `${place}  seed ${seed}  ${paint("yellow", why, process.stderr)}`;
  }
  if (report.ok) return `${place}  seed ${seed}  ${paint("green", "passed", process.stderr)}`;
  return `${place}  seed ${seed}  ${paint("red", "failed", process.stderr)}  ${whyOf(report)}`;
}

function pathOf(out: string, seed: string): string {
  return join(out, `seed-${seed}.json`);
}

/** Undefined when there is none, or something else: it is run again then. */
function reportIn(path: string): TrialReport | undefined {
  const text = readFileIfAny(path);
  return text === undefined ? undefined : parseReport(text);
}
