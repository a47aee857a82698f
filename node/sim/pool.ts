/** Runs a plan on worker threads, also when it is one: the thread that waits stays free for signals and progress. */
import { Worker } from "node:worker_threads";
import { joined } from "../../sim/engine/recording.js";
import type { Progress, RunOptions, RunResult } from "../../sim/engine/run.js";
import { commonOf } from "../../sim/engine/simulation.js";
import { firstViolation } from "../../sim/oracle/first-violation.js";
import type { Plan } from "../../sim/plan/plan.js";
import type { Task } from "./worker.js";

/** The wall time that a run was given is over. */
export class OverBudget extends Error {
  override readonly name = "OverBudget";
}

/** Threads run what was built, also when this file is read as TypeScript. */
const WORKER = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/node/sim/worker.js" : "./worker.js",
  import.meta.url,
);

/** Throws OverBudget after `options.budgetWallSeconds`, and whatever a thread threw. */
export async function runInPool(plan: Plan, options: RunOptions): Promise<RunResult> {
  const shards = options.workers;
  const common = commonOf(plan.nodes.length, shards, (bytes) => new SharedArrayBuffer(bytes));
  const { untilUs, shuffle, record, onProgress, budgetWallSeconds, aborted } = options;
  const threads = Array.from({ length: shards }, (_, shard) => {
    const workerData: Task = { plan, shard, shards, common, aborted, untilUs, shuffle, record };
    return new Worker(WORKER, {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: 4_096, maxYoungGenerationSizeMb: 64 },
    });
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const results = threads.map((thread) => resultOf(thread, onProgress));
    const budget = new Promise<never>((_, reject) => {
      if (budgetWallSeconds === undefined) return;
      const over = () => reject(new OverBudget(`the run was given ${budgetWallSeconds} s`));
      timer = setTimeout(over, budgetWallSeconds * 1000);
    });
    return merge(await Promise.race([Promise.all(results), budget]));
  } finally {
    clearTimeout(timer);
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

function resultOf(thread: Worker, onProgress: RunOptions["onProgress"]): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    thread.on("message", (said: { progress?: Progress; result?: RunResult }) => {
      if (said.progress !== undefined) onProgress?.(said.progress);
      if (said.result !== undefined) resolve(said.result);
    });
    thread.once("error", reject);
    thread.once("exit", (code) => reject(new Error(`a simulating thread ended with ${code}`)));
  });
}

function merge(results: readonly RunResult[]): RunResult {
  const drops: Record<string, number> = {};
  for (const result of results) {
    for (const [reason, count] of Object.entries(result.drops)) drops[reason] = (drops[reason] ?? 0) + count;
  }
  const recorded = results.flatMap((result) => result.recorded ?? []);
  return {
    ...results[0]!,
    ...(recorded.length === 0 ? {} : { recorded: joined(recorded) }),
    events: results.reduce((sum, { events }) => sum + events, 0),
    violation: firstViolation(results.map(({ violation }) => violation)),
    tallies: results.flatMap(({ tallies }) => tallies),
    drops,
    waitShare: results.reduce((sum, { waitShare }) => sum + (waitShare ?? 0), 0) / results.length,
  };
}
