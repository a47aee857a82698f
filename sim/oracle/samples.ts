import { weather } from "../random/weather.js";

/** Destinations that are looked at each second. */
export const SAMPLE_SIZE = 64;

/**
 * The destinations of one second: up to 64 different nodes, drawn by a counter hash, in ascending order. All nodes in a
 * world of 64 or fewer. The same in every shard; shard `s` of `n` looks at those with `destination % n == s`.
 */
export function sampleOf(key: number, second: number, nodes: number): number[] {
  if (nodes <= SAMPLE_SIZE) return Array.from({ length: nodes }, (_, node) => node);
  const drawn = new Set<number>();
  for (let n = 0; drawn.size < SAMPLE_SIZE; n += 1) {
    drawn.add(Math.floor((weather(key, second * 65_536 + n, 0) * nodes) / 4_294_967_296));
  }
  return [...drawn].sort((a, b) => a - b);
}
