/**
 * How fast the simulator is on this machine: the scenarios that ship, each in a process of its own, so that its memory is
 * its own. Ratios are of runs of the same minute on the same machine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { readFileIfAny } from "../config/file.js";
import { ExitCode } from "../failure.js";
import { Children } from "../sim/child.js";
import { untilInterrupted } from "../sim/interruption.js";
import { formatCount } from "../sim/progress.js";
import { alignedTable, formatNumber } from "../sim/report-text.js";
import { parseReport, type TrialReport } from "../sim/trial-report.js";
import { measurePending, type PendingFigure } from "./pending-events.js";

/** Of the run of a quiet network, so much is its start. */
const START_SECONDS = 30;
/** Timers that wait in the queue while others ring. */
const PENDING = [1_000, 100_000, 1_000_000] as const;
const PENDING_EVENTS = 1_000_000;
/** Of wall time, for each run: what takes longer is told as such, and the others are measured all the same. */
export const BUDGET_SECONDS = 1_800;

export interface SimFigure {
  readonly name: string;
  /** Null when a run that it needs was over its budget. */
  readonly value: number | null;
  readonly unit: string;
  /** What must be reached, and what is hoped for; null where the number is only to be known. */
  readonly reach: number | null;
  readonly goal: number | null;
  readonly better: "lower" | "higher";
}

/** Of one run; undefined when it was over its budget. */
type Measure = (...args: string[]) => Promise<TrialReport | undefined>;

/** Throws when a run ends otherwise than by its expectations or its budget: a figure from a broken run is worse than none. */
export async function benchSim(say: (line: string) => void, budgetSeconds = BUDGET_SECONDS): Promise<SimFigure[]> {
  const folder = mkdtempSync(join(tmpdir(), "mariana-bench-"));
  const children = new Children();
  const stop = () => {
    children.end();
    rmSync(folder, { recursive: true, force: true });
    return ["interrupted; there are no figures"];
  };
  let count = 0;
  const measure: Measure = async (...args) => {
    say(`mariana sim run ${args.join(" ")}`);
    const path = join(folder, `${count++}.json`);
    const budget = ["--budget", String(budgetSeconds)];
    const { code, said } = await children.run(["sim", "run", ...args, ...budget, "--quiet", "--json", path]);
    if (code === ExitCode.overBudget) {
      say(`  not done within ${budgetSeconds} s`);
      return undefined;
    }
    const report = parseReport(readFileIfAny(path) ?? "");
    if (report === undefined || (code !== ExitCode.ok && code !== ExitCode.checkFailed)) {
      throw new Error(`mariana sim run ${args.join(" ")} ended with ${code}: ${said.trim()}`);
    }
    if (report.violation !== undefined) throw new Error(`${report.repeat}: ${report.violation.text}`);
    if (!report.ok) say(`  not all that it expects holds: ${report.repeat}`);
    return report;
  };
  try {
    return await untilInterrupted(stop, async () => {
      const runs = await figures(measure);
      say(`the queue with ${PENDING.join(", ")} timers pending`);
      return [...runs, ...pendingFigures(measurePending(PENDING, PENDING_EVENTS))];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The quick runs first. */
async function figures(measure: Measure): Promise<SimFigure[]> {
  const twenty = ["churn-1000", "--set", "nodes.count=20", "--workers", "1"];
  const modelled = await measure(...twenty);
  const real = await measure(...twenty, "--crypto", "real");
  const small = await measure("churn-1000", "--workers", "2");
  const start = await measure("quiet-5000", "--workers", "2", "--until", `${START_SECONDS}s`);
  const quiet = await measure("quiet-5000", "--workers", "2");
  const two = await measure("churn-5000", "--workers", "2");
  const one = await measure("churn-5000", "--workers", "1");
  const lower = (name: string, value: number | null, unit: string, reach: number | null, goal: number | null) => {
    return { name, value, unit, reach, goal, better: "lower" as const };
  };
  const higher = (name: string, value: number | null, unit: string, reach: number, goal: number) => {
    return { name, value, unit, reach, goal, better: "higher" as const };
  };
  const ofBoth = (
    a: TrialReport | undefined,
    b: TrialReport | undefined,
    of: (a: TrialReport, b: TrialReport) => number,
  ) => (a === undefined || b === undefined ? null : of(a, b));
  const wall = (a: TrialReport, b: TrialReport) => a.wallSeconds / b.wallSeconds;
  const cores = availableParallelism();
  return [
    lower("churn-5000", two?.wallSeconds ?? null, "s of wall", 120, 60),
    lower("churn-5000, memory", two?.peakRssMiB ?? null, "MiB at most", 3072, 1536),
    higher("quiet-5000, once started", ofBoth(quiet, start, speedBetween), "x real time", 20, 50),
    lower(`cold start of 5,000 (${START_SECONDS} s)`, start?.wallSeconds ?? null, "s of wall", 45, 20),
    higher("20 nodes, real crypto", speedOf(real), "x real time", 50, 100),
    higher("20 nodes, modelled crypto", speedOf(modelled), "x real time", 700, 1000),
    higher(`2 workers over 1 (${cores} cores)`, ofBoth(one, two, wall), "times as fast", 1.5, 1.8),
    lower("1,000 -> 5,000 nodes", ofBoth(two, small, wall), "times the wall time", null, null),
    lower(
      "1,000 -> 5,000, events",
      ofBoth(two, small, (a, b) => a.events / b.events),
      "times the events",
      null,
      null,
    ),
    lower("1,000 nodes, an event", costOf(small), "us of wall", null, null),
    lower("5,000 nodes, an event", costOf(two), "us of wall", null, null),
  ];
}

/** The last is what a slower queue has to answer for itself, when the cache has been taken into account. */
export function pendingFigures(measured: readonly PendingFigure[]): SimFigure[] {
  const [few, many] = [measured[0]!, measured.at(-1)!];
  const slower = few.eventsPerSecond / many.eventsPerSecond;
  const ofCache = few.touchesPerSecond / many.touchesPerSecond;
  const rows = measured.map(({ pending, eventsPerSecond }): SimFigure => {
    const name = `${formatCount(pending)} timers pending`;
    const value = eventsPerSecond / 1e6;
    return { name, value, unit: "million events/s", reach: null, goal: null, better: "higher" };
  });
  const ratio = { unit: "times as slow", better: "lower" } as const;
  return [
    ...rows,
    { ...ratio, name: "a million pending over 1,000", value: slower, reach: null, goal: null },
    { ...ratio, name: "the same memory, no queue", value: ofCache, reach: null, goal: null },
    { ...ratio, name: "the queue less its memory", value: slower / ofCache, reach: 2, goal: 1.5 },
  ];
}

function speedOf(report: TrialReport | undefined): number | null {
  return report === undefined ? null : report.simSeconds / report.wallSeconds;
}

/** Of what the longer run did after the shorter one. */
function speedBetween(long: TrialReport, short: TrialReport): number {
  return (long.simSeconds - short.simSeconds) / (long.wallSeconds - short.wallSeconds);
}

/** Tables of more nodes lie farther from the processor: the same event costs more. */
function costOf(report: TrialReport | undefined): number | null {
  return report === undefined ? null : (report.wallSeconds * 1e6) / report.events;
}

export function simTable(all: readonly SimFigure[]): string {
  const rows = all.map((figure) => {
    const { name, value, unit, reach, goal, better } = figure;
    const sign = better === "lower" ? "<=" : ">=";
    const bound = (limit: number | null) => (limit === null ? "" : `${sign} ${formatNumber(limit)}`);
    const shown = value === null ? "over budget" : formatNumber(value);
    return [name, shown, bound(reach), bound(goal), `${verdictOf(figure)}${unit}`];
  });
  return `\n${alignedTable(["", "here", "reach", "goal", ""], rows)}\n\n`;
}

function verdictOf({ value, reach, goal, better }: SimFigure): string {
  if (reach === null || goal === null) return "         ";
  if (value === null) return "MISSED   ";
  const keeps = (limit: number) => (better === "lower" ? value <= limit : value >= limit);
  return keeps(goal) ? "goal     " : keeps(reach) ? "reached  " : "MISSED   ";
}
