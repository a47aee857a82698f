import type { Plan } from "../plan/plan.js";

/**
 * Which shard runs each island. What a node costs grows with its links, so islands are weighed by the dials that their
 * nodes make and get, and given out from the heaviest on, each to the shard that has least so far. Says the same to all.
 */
export function sharesOf(plan: Plan, islandOf: Int32Array, islands: number, shards: number): Uint8Array {
  const weight = new Float64Array(islands);
  plan.nodes.forEach(({ dials }, node) => {
    weight[islandOf[node]!]! += 1 + dials.length;
    for (const dial of dials) weight[islandOf[dial.node]!]! += 1;
  });
  const shardOf = new Uint8Array(islands);
  const load = new Float64Array(shards);
  const order = Array.from(weight.keys()).sort((a, b) => weight[b]! - weight[a]! || a - b);
  for (const island of order) {
    let least = 0;
    for (let shard = 1; shard < shards; shard += 1) if (load[shard]! < load[least]!) least = shard;
    shardOf[island] = least;
    load[least]! += weight[island]!;
  }
  return shardOf;
}
