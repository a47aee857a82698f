import type { Plan } from "../plan/plan.js";
import { modelledSuite } from "../suite/modelled-suite.js";
import { censusBuffers, censusOver } from "./census.js";
import { chained } from "./fingerprints.js";
import type { Violation } from "./observer.js";
import type { Parts, RunOptions, RunResult } from "./run.js";
import { Shard } from "./shard.js";

const SECOND_US = 1_000_000;
const PROGRESS_WINDOWS = 64;

/** Runs a plan in the calling thread, whatever `options.workers` says. `onProgress` may throw to end the run. */
export function simulate(plan: Plan, options: RunOptions, parts: Parts): RunResult {
  const nodes = plan.nodes.length;
  const census = censusOver(
    nodes,
    censusBuffers(nodes, 1, (bytes) => new ArrayBuffer(bytes)),
  );
  const shard = new Shard({
    plan,
    shard: 0,
    shards: 1,
    census,
    network: parts.network(plan),
    suite: plan.crypto === "real" ? parts.realSuite : modelledSuite,
    shuffle: options.shuffle,
    instruments: (view) => parts.instruments(view),
    post: () => undefined,
  });
  const { calendar, observer, fingerprints } = shard;
  const untilUs = Math.min(plan.durationUs, options.untilUs ?? plan.durationUs);
  const wire: string[] = [];
  const state: string[] = [];
  let violation: Violation | undefined;
  let secondUs = SECOND_US;
  let windows = 0;
  const endSecond = (): void => {
    const sum = new Int32Array(4);
    fingerprints.addWire(sum, (node) => shard.owns(node));
    wire.push(chained(wire.at(-1) ?? "", sum));
    state.push(chained(state.at(-1) ?? "", fingerprints.state));
    observer.handleWindow(secondUs);
    violation = observer.handleSecond(secondUs);
    secondUs += SECOND_US;
  };
  let nowUs = 0;
  while (violation === undefined) {
    const window = shard.nextWindow();
    const startUs = calendar.startOf(window);
    while (secondUs <= Math.min(startUs, untilUs) && violation === undefined) endSecond();
    if (startUs >= untilUs || violation !== undefined) break;
    shard.runWindow(window, untilUs);
    nowUs = Math.min(calendar.startOf(window + 1), untilUs);
    if (nowUs < secondUs) observer.handleWindow(nowUs);
    windows += 1;
    if (windows % PROGRESS_WINDOWS === 0 && options.onProgress !== undefined) {
      let liveNodes = 0;
      for (let node = 0; node < nodes; node += 1) liveNodes += census.alive[node]!;
      options.onProgress({ nowUs, liveNodes, events: shard.events });
    }
  }
  const endUs = violation === undefined ? untilUs : secondUs - SECOND_US;
  return {
    fingerprint: { wire: wire.at(-1) ?? "", state: state.at(-1) ?? "" },
    chain: { wire, state },
    events: shard.events,
    windows,
    simSeconds: endUs / SECOND_US,
    violation,
    tallies: [observer.finish(endUs)],
    drops: { ...shard.network.counts, ...shard.drops },
  };
}
