/** Which seeds a sweep covers: `--seeds 1..30 --shard 2/4`. */
import { usage } from "../cli/usage.js";

const SEEDS_MAX = 1_000_000;

/** Whole numbers from A to B, both included. Throws a usage Failure. */
export function seedsIn(text: string): string[] {
  const [, first, last] = /^(\d{1,15})(?:\.\.(\d{1,15}))?$/.exec(text) ?? [];
  if (first === undefined) usage(`--seeds ${text}: expected A..B, for example 1..30`);
  const from = Number(first);
  const to = Number(last ?? first);
  if (to < from) usage(`--seeds ${text}: the first is larger than the last`, `say  --seeds ${to}..${from}`);
  const count = to - from + 1;
  if (count > SEEDS_MAX) usage(`--seeds ${text}: ${count} seeds; ${SEEDS_MAX} at most`);
  return Array.from({ length: count }, (_, index) => String(from + index));
}

/** The part `i/n` of them: every n-th, so that each part has early and late ones. i counts from 1. */
export function shardOf(seeds: readonly string[], text: string | undefined): string[] {
  if (text === undefined) return [...seeds];
  const [, part, parts] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const index = Number(part);
  const count = Number(parts);
  if (part === undefined || index < 1 || index > count) {
    usage(`--shard ${text}: expected i/n with i from 1 to n, for example 2/4`);
  }
  return seeds.filter((_, place) => place % count === index - 1);
}
