/**
 * The nearest rank: the least value that at least `percent` of all values do not exceed; always one of the values. `sorted`
 * ascends. Undefined for no values.
 */
export function percentile(sorted: readonly number[], percent: number): number | undefined {
  if (sorted.length === 0) return undefined;
  const rank = Math.ceil((sorted.length * percent) / 100);
  return sorted[Math.max(0, rank - 1)];
}

/** The same over counts: `counts[value]` is how many there are of `value`. */
export function percentileOfCounts(counts: readonly number[], percent: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil((total * percent) / 100));
  let passed = 0;
  return counts.findIndex((count) => {
    passed += count;
    return passed >= rank;
  });
}
