/** `mariana sim baseline`: runs scenarios, each in a process of its own, and takes their numbers or holds them against those taken. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { complain } from "../cli/output.js";
import { readFileIfAny } from "../config/file.js";
import { ExitCode, Failure, quote } from "../failure.js";
import {
  type Baselines,
  baselineOf,
  type Difference,
  decodeBaselines,
  differencesOf,
  encodeBaselines,
} from "./baseline.js";
import { Children } from "./child.js";
import { untilInterrupted } from "./interruption.js";
import { assertWritable, writeOutput } from "./output-file.js";
import { findScenario, loadPlan } from "./scenario-file.js";
import { shippedFolder } from "./shipped.js";
import { parseReport, type TrialReport } from "./trial-report.js";

export interface BaselineRequest {
  /** Empty: those that have a baseline. */
  readonly files: readonly string[];
  /** Of baselines; undefined: the one that ships. */
  readonly path: string | undefined;
  /** Processes at a time. */
  readonly jobs: number;
}

export interface Outcome {
  readonly differences: readonly Difference[];
  /** Of runs that broke a promise. */
  readonly failed: readonly TrialReport[];
}

/** Such a run takes all processors, and is run alone. */
const NODES_LARGE = 500;

/**
 * Holds each scenario against its baseline. Throws a Failure, exit 3, for a scenario without one and for a file that holds
 * something else.
 */
export async function checkBaselines(request: BaselineRequest): Promise<Outcome> {
  const known = baselinesAt(request.path ?? shippedBaselines());
  const runs = runsOf(request.files.length > 0 ? request.files : Object.keys(known));
  for (const { name, file } of runs) if (known[name] === undefined) throw without(name, file);
  const reports = await reportsOf(runs, request.jobs);
  const differences = reports.flatMap((report) => differencesOf(report, known[report.scenario]!));
  return { differences, failed: reports.filter(({ ok }) => !ok) };
}

/** Writes what the scenarios cost now; others keep what they have. Nothing is written when one of them breaks a promise. */
export async function renewBaselines(request: BaselineRequest): Promise<Outcome> {
  const path = request.path ?? shippedBaselines();
  const known = baselinesAt(path);
  const runs = runsOf(request.files.length > 0 ? request.files : Object.keys(known));
  assertWritable(path);
  const reports = await reportsOf(runs, request.jobs);
  const differences = reports.flatMap((report) => {
    const baseline = known[report.scenario];
    return baseline === undefined ? [] : differencesOf(report, baseline);
  });
  const failed = reports.filter(({ ok }) => !ok);
  if (failed.length === 0) {
    const taken = reports.map((report) => [report.scenario, baselineOf(report)] as const);
    writeOutput(path, encodeBaselines({ ...known, ...Object.fromEntries(taken) }));
  }
  return { differences, failed };
}

export function shippedBaselines(): string {
  return join(shippedFolder(), "baselines.json");
}

/** None when there is no file yet. Throws a Failure, exit 3, when it holds something else. */
export function baselinesAt(path: string): Baselines {
  const text = readFileIfAny(path);
  if (text === undefined) return {};
  const baselines = decodeBaselines(text);
  if (baselines !== undefined) return baselines;
  const fix = "take the file as it was committed, then  mariana sim baseline  renews it";
  throw new Failure("file.garbled", ExitCode.config, `${quote(path)}: these are no baselines`, fix);
}

interface Run {
  readonly name: string;
  readonly file: string;
  readonly nodes: number;
}

function runsOf(words: readonly string[]): Run[] {
  if (words.length === 0) {
    const fix = "name scenarios that are to have one:  mariana sim baseline line grid-49";
    throw new Failure("scenario.unknown", ExitCode.config, "no scenario has a baseline yet", fix);
  }
  const runs = words.map((word) => {
    const file = findScenario(word);
    const plan = loadPlan(file, { set: [] });
    return { name: plan.name, file, nodes: plan.nodes.length };
  });
  return [...new Map(runs.map((run) => [run.name, run])).values()];
}

function without(name: string, file: string): Failure {
  const fix = `take one:  mariana sim baseline ${quote(file)}`;
  return new Failure("scenario.unknown", ExitCode.config, `the scenario ${quote(name)} has no baseline`, fix);
}

/** In the order of the runs. Throws a Failure when one ends without a report. */
async function reportsOf(runs: readonly Run[], jobs: number): Promise<TrialReport[]> {
  const folder = mkdtempSync(join(tmpdir(), "mariana-baseline-"));
  const children = new Children();
  const reports = new Map<string, TrialReport>();
  const runOne = async ({ name, file }: Run, workers: number): Promise<void> => {
    const path = join(folder, `${reports.size}-${name}.json`);
    const { code, said } = await children.run([
      "sim",
      "run",
      file,
      "--workers",
      `${workers}`,
      "--quiet",
      "--json",
      path,
    ]);
    const report = parseReport(readFileIfAny(path) ?? "");
    if (report === undefined) {
      const message = `${name} ended with ${code}, without a report\n${said.trim()}`;
      throw new Failure("simulation.failed", ExitCode.unexpected, message, "mend what it says, then try again");
    }
    reports.set(name, report);
    complain(`${reports.size}/${runs.length}  ${name}  ${report.wallSeconds.toFixed(1)} s`);
  };
  const stop = (): string[] => {
    children.end();
    rmSync(folder, { recursive: true, force: true });
    return ["interrupted; nothing was written"];
  };
  try {
    await untilInterrupted(stop, async () => {
      for (const run of runs) if (run.nodes >= NODES_LARGE) await runOne(run, availableParallelism());
      const left = runs.filter(({ nodes }) => nodes < NODES_LARGE);
      const work = async (): Promise<void> => {
        for (let run = left.shift(); run !== undefined; run = left.shift()) await runOne(run, 1);
      };
      await Promise.all(Array.from({ length: jobs }, work));
    });
  } finally {
    children.end();
    rmSync(folder, { recursive: true, force: true });
  }
  return runs.map(({ name }) => reports.get(name)!);
}
