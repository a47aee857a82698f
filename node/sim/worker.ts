/** A thread of the pool: runs one shard of a plan and tells the pool how far it is and what came of it. */
import { parentPort, workerData } from "node:worker_threads";
import type { Span } from "../../sim/engine/recording.js";
import type { Progress } from "../../sim/engine/run.js";
import { type Common, runShard } from "../../sim/engine/simulation.js";
import { Network } from "../../sim/network/network.js";
import { instruments } from "../../sim/oracle/instruments.js";
import type { Plan } from "../../sim/plan/plan.js";
import { createNativeSuite } from "../crypto/native-suite.js";

export interface Task {
  readonly plan: Plan;
  readonly shard: number;
  readonly shards: number;
  readonly common: Common;
  readonly aborted?: Int32Array | undefined;
  readonly untilUs: number | undefined;
  readonly shuffle: string | undefined;
  readonly record?: Span | undefined;
}

const PROGRESS_MS = 250;

const { plan, shard, shards, common, aborted, untilUs, shuffle, record }: Task = workerData;
let toldMs = performance.now();

const result = runShard(
  plan,
  {
    workers: shards,
    ...(untilUs === undefined ? {} : { untilUs }),
    ...(shuffle === undefined ? {} : { shuffle }),
    ...(record === undefined ? {} : { record }),
    ...(aborted === undefined ? {} : { aborted }),
    onProgress: (progress: Progress) => {
      const nowMs = performance.now();
      if (nowMs - toldMs < PROGRESS_MS) return;
      toldMs = nowMs;
      parentPort?.postMessage({ progress });
    },
  },
  { network: () => new Network(plan, plan.seed), instruments, realSuite: createNativeSuite() },
  { shard, shards, common, clockMs: () => performance.now() },
);
parentPort?.postMessage({ result });
