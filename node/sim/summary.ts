/** Many runs of one scenario in one: how many passed, and each metric's spread over the seeds. */
import { percentile } from "../bench/percentile.js";
import { flatten } from "./report-metrics.js";
import type { TrialReport } from "./trial-report.js";

export interface Spread {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
  readonly mean: number;
}

export interface Summary {
  readonly scenario: string;
  readonly hash: string;
  readonly seeds: number;
  readonly passed: number;
  readonly failed: readonly { readonly seed: string; readonly why: string; readonly repeat: string }[];
  readonly wallSeconds: number;
  readonly metrics: Readonly<Record<string, Spread>>;
}

/** One summary per scenario hash (and crypto and mutation), in the order of their names; seeds in order. */
export function summarize(reports: readonly TrialReport[]): Summary[] {
  const groups = new Map<string, TrialReport[]>();
  for (const report of reports) {
    const key = [report.scenario, report.hash, report.crypto, report.mutate ?? ""].join(" ");
    groups.set(key, [...(groups.get(key) ?? []), report]);
  }
  return [...groups.keys()].sort().map((key) => summaryOf(groups.get(key)!));
}

function summaryOf(reports: readonly TrialReport[]): Summary {
  const sorted = [...reports].sort((a, b) => bySeed(a.seed, b.seed));
  const samples = new Map<string, number[]>();
  for (const report of sorted) {
    for (const [metric, value] of flatten(report.metrics)) samples.set(metric, [...(samples.get(metric) ?? []), value]);
  }
  const failed = sorted.filter(({ ok }) => !ok);
  return {
    scenario: sorted[0]!.scenario,
    hash: sorted[0]!.hash,
    seeds: sorted.length,
    passed: sorted.length - failed.length,
    failed: failed.map((report) => ({ seed: report.seed, why: whyOf(report), repeat: report.repeat })),
    wallSeconds: sorted.reduce((sum, { wallSeconds }) => sum + wallSeconds, 0),
    metrics: Object.fromEntries([...samples].map(([metric, values]) => [metric, spreadOf(values)])),
  };
}

function spreadOf(values: readonly number[]): Spread {
  const sum = values.reduce((all, value) => all + value, 0);
  return {
    count: values.length,
    min: Math.min(...values),
    p50: percentile(values, 0.5),
    p95: percentile(values, 0.95),
    max: Math.max(...values),
    mean: sum / values.length,
  };
}

/** 2 before 10, numbers before other seeds. */
function bySeed(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  if (!Number.isNaN(difference) && difference !== 0) return difference;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** "ghosts at 71.2 s: ..." or the first expectation that failed. */
export function whyOf({ violation, expect }: TrialReport): string {
  if (violation !== undefined) return `${violation.oracle} at ${violation.atSeconds} s: ${violation.text}`;
  const failed = expect.find(({ ok }) => !ok);
  return failed === undefined
    ? "nothing failed"
    : `${failed.text} (${failed.value === null ? (failed.reason ?? "no sample") : `it is ${failed.value}`})`;
}
