import { SECOND_US } from "../../core/time/instant.js";
import type { Plan } from "../plan/plan.js";
import { modelledSuite } from "../suite/modelled-suite.js";
import { type BufferSource, type CensusBuffers, censusBuffers, censusOver } from "./census.js";
import { Exchange, type ExchangeBuffers, exchangeBuffers } from "./exchange.js";
import { chained } from "./fingerprints.js";
import type { Violation } from "./observer.js";
import type { Parts, RunOptions, RunResult } from "./run.js";
import { Shard } from "./shard.js";

const PROGRESS_WINDOWS = 64;

/** What shards of one run have in common. */
export interface Common {
  readonly census: CensusBuffers;
  readonly exchange: ExchangeBuffers;
}

/** @param mailboxBytes  room for what one shard hands another at once, at least one datagram; usually enough */
export function commonOf(nodes: number, shards: number, make: BufferSource, mailboxBytes?: number): Common {
  return { census: censusBuffers(nodes, shards, make), exchange: exchangeBuffers(shards, make, mailboxBytes) };
}

/** Runs a plan in the calling thread, whatever `options.workers` says. `onProgress` may throw to end the run. */
export function simulate(plan: Plan, options: RunOptions, parts: Parts): RunResult {
  const common = commonOf(plan.nodes.length, 1, (bytes) => new ArrayBuffer(bytes));
  return runShard(plan, options, parts, { shard: 0, shards: 1, common });
}

/** Which shard of how many; `clockMs` is wall time, asked for `waitShare`. */
export interface Place {
  readonly shard: number;
  readonly shards: number;
  readonly common: Common;
  readonly clockMs?: () => number;
}

/** Runs one of the shards of a plan; all of them are to run at once, each in a thread. Events and tallies are the shard's own. */
export function runShard(
  plan: Plan,
  options: RunOptions,
  parts: Parts,
  { shard: number, shards, common, clockMs }: Place,
): RunResult {
  const nodes = plan.nodes.length;
  const beganMs = clockMs?.() ?? 0;
  const census = censusOver(nodes, common.census);
  const exchange = new Exchange(number, shards, common.exchange, clockMs);
  const shard = new Shard({
    plan,
    shard: number,
    shards,
    census,
    network: parts.network(plan),
    suite: plan.crypto === "real" ? parts.realSuite : modelledSuite,
    shuffle: options.shuffle,
    record: options.record,
    instruments: (view) => parts.instruments(view),
    post: (slot, packets, island, to) => exchange.post(slot, packets, island, to),
  });
  const { calendar, observer, fingerprints } = shard;
  const untilUs = Math.min(plan.durationUs, options.untilUs ?? plan.durationUs);
  const wire: string[] = [];
  const state: string[] = [];
  let violation: Violation | undefined;
  let isStopped = false;
  let secondUs = SECOND_US;
  let windows = 0;
  const owns = (node: number) => shard.owns(node);
  const isAborted = () => options.aborted !== undefined && Atomics.load(options.aborted, 0) === 1;

  const endSecond = (): void => {
    const sums = new Int32Array(8);
    fingerprints.addWire(sums, owns);
    sums.set(fingerprints.state, 4);
    const total = exchange.sum(sums);
    wire.push(chained(wire.at(-1) ?? "", total.subarray(0, 4)));
    state.push(chained(state.at(-1) ?? "", total.subarray(4)));
    observer.handleWindow(secondUs);
    violation = observer.handleSecond(secondUs);
    isStopped = exchange.isStopped(violation !== undefined || isAborted());
    secondUs += SECOND_US;
  };

  const accept = (slot: number) => shard.accept(slot);
  const windowOf = (timeUs: number) => calendar.windowOf(timeUs);
  let window = exchange.swap(shard.arena, accept, shard.nextWindow(), windowOf);
  exchange.meet();
  for (;;) {
    const startUs = calendar.startOf(window);
    while (secondUs <= Math.min(startUs, untilUs) && !isStopped) endSecond();
    if (startUs >= untilUs || isStopped) break;
    shard.runWindow(window, untilUs);
    const nowUs = Math.min(calendar.startOf(window + 1), untilUs);
    // A run that ends within a window leaves something due in it: that window is over all the same.
    const least = nowUs === untilUs ? window + 1 : window;
    window = Math.max(least, exchange.swap(shard.arena, accept, shard.nextWindow(), windowOf));
    if (nowUs < secondUs) observer.handleWindow(nowUs);
    exchange.meet(); // nobody writes while another looks on
    windows += 1;
    if (number === 0 && windows % PROGRESS_WINDOWS === 0 && options.onProgress !== undefined) {
      let liveNodes = 0;
      for (let node = 0; node < nodes; node += 1) liveNodes += census.alive[node]!;
      options.onProgress({ nowUs, liveNodes, events: shard.events });
    }
  }
  const endUs = isStopped ? secondUs - SECOND_US : untilUs;
  return {
    fingerprint: { wire: wire.at(-1) ?? "", state: state.at(-1) ?? "" },
    chain: { wire, state },
    events: shard.events,
    windows,
    simSeconds: endUs / SECOND_US,
    violation,
    tallies: [observer.finish(endUs)],
    drops: { ...shard.network.counts, ...shard.drops },
    ...(fingerprints.recording === undefined ? {} : { recorded: fingerprints.recording.recorded }),
    ...(clockMs === undefined ? {} : { waitShare: exchange.waitedMs / Math.max(1, clockMs() - beganMs) }),
  };
}
