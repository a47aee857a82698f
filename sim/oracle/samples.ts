import { weather } from "../random/weather.js";

/** Destinations that are looked at each second. */
export const SAMPLE_SIZE = 64;

/** They are drawn by so many neighbours in number at a time: these lie side by side in each row of the census, so that one fetch from memory serves all. */
const GROUP_SIZE = 8;

/**
 * The destinations of one second: `size` different nodes (64 unless given), drawn by a counter hash in groups of eight, in
 * ascending order; a few less when the last group of the world is among them. All nodes in a world of so many or fewer. The
 * same in every shard; shard `s` of `n` looks at those with `destination % n == s`.
 */
export function sampleOf(key: number, second: number, nodes: number, size = SAMPLE_SIZE): number[] {
  if (nodes <= size) return Array.from({ length: nodes }, (_, node) => node);
  const groups = Math.ceil(nodes / GROUP_SIZE);
  const drawn = new Set<number>();
  for (let n = 0; drawn.size < size / GROUP_SIZE; n += 1) {
    drawn.add(Math.floor((weather(key, second * 65_536 + n, 0) * groups) / 4_294_967_296));
  }
  return [...drawn]
    .sort((a, b) => a - b)
    .flatMap((group) => Array.from({ length: GROUP_SIZE }, (_, i) => group * GROUP_SIZE + i))
    .filter((node) => node < nodes);
}
