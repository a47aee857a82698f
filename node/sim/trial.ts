/** One run of a plan, judged. */
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import type { Violation } from "../../sim/engine/observer.js";
import type { Recorded, Span } from "../../sim/engine/recording.js";
import type { RunOptions, RunResult } from "../../sim/engine/run.js";
import type { Plan } from "../../sim/plan/plan.js";
import { reportOf } from "../../sim/report/report.js";
import type { Chain } from "./chain.js";
import type { TrialReport } from "./trial-report.js";

/** Runs a plan to its end on as many threads as are asked for. Throws an error named OverBudget when the wall time is over. */
export type Engine = (plan: Plan, options: RunOptions) => Promise<RunResult>;

export interface TrialOptions {
  /** Undefined: as many as fit. */
  readonly workers?: number | undefined;
  readonly untilUs?: number | undefined;
  readonly shuffle?: string | undefined;
  readonly record?: Span | undefined;
  /** Of wall time; OverBudget is thrown after it. */
  readonly budgetSeconds?: number | undefined;
  readonly onProgress?: (progress: { nowUs: number; liveNodes: number }) => void;
  /** In shared memory. 1: ends with the present second of virtual time, and the report says so. */
  readonly aborted?: Int32Array | undefined;
  /** The command that repeats it, for the report. */
  readonly repeat: string;
}

export interface Trial {
  readonly report: TrialReport;
  readonly chain: Chain;
  /** With `TrialOptions.record`. */
  readonly recorded: Recorded | undefined;
  readonly violation: Violation | undefined;
  /** Virtual time at which it ended. */
  readonly endUs: number;
}

/** Below it, threads wait for each other longer than they work. */
const NODES_FOR_WORKERS = 500;
const WORKERS_MAX = 8;

export async function runTrial(engine: Engine, plan: Plan, options: TrialOptions): Promise<Trial> {
  const workers = options.workers ?? workersFor(plan);
  const beganMs = performance.now();
  const result = await engine(plan, engineOptions(workers, options));
  const wallSeconds = (performance.now() - beganMs) / 1000;
  const report = reportOf(plan, result);
  const endUs = Math.round(result.simSeconds * 1e6);
  const isCutShort = result.violation === undefined && endUs < Math.min(plan.durationUs, options.untilUs ?? Infinity);
  return {
    report: {
      ...report,
      ...(isCutShort ? { ok: false, isCutShort } : {}),
      wallSeconds: Number(wallSeconds.toFixed(3)),
      peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
      workers,
      ...(result.waitShare === undefined ? {} : { waitShare: Number(result.waitShare.toFixed(3)) }),
      repeat: options.repeat,
    },
    chain: result.chain,
    recorded: result.recorded,
    violation: result.violation,
    endUs,
  };
}

function workersFor(plan: Plan): number {
  return plan.nodes.length < NODES_FOR_WORKERS ? 1 : Math.min(WORKERS_MAX, availableParallelism());
}

function engineOptions(workers: number, options: TrialOptions): RunOptions {
  const { untilUs, shuffle, record, budgetSeconds, onProgress, aborted } = options;
  return {
    workers,
    ...(untilUs === undefined ? {} : { untilUs }),
    ...(shuffle === undefined ? {} : { shuffle }),
    ...(record === undefined ? {} : { record }),
    ...(budgetSeconds === undefined ? {} : { budgetWallSeconds: budgetSeconds }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(aborted === undefined ? {} : { aborted }),
  };
}

export function isOverBudget(error: unknown): boolean {
  return error instanceof Error && error.name === "OverBudget";
}
