/**
 * What scenarios cost when somebody last agreed to it (scenarios/baselines.json), and what they cost now. A run is the same
 * everywhere, so every difference is one of the protocol.
 */
import { z } from "zod";
import { flatten } from "./report-metrics.js";
import type { TrialReport } from "./trial-report.js";

/** Bytes of control traffic per node and second, entries per death, route changes per route: what a storm makes grow. */
const BASELINE_METRICS: readonly string[] = [
  "control.ordinary.mean",
  "control.public.mean",
  "control.entriesPerDeath",
  "routeChangesPerRoute",
];
/** A share. What rises by more fails. */
export const RISE_MAX = 0.05;

const BASELINE = z.strictObject({ seed: z.string(), metrics: z.record(z.string(), z.number().min(0)) });
const BASELINES = z.record(z.string(), BASELINE);
export type Baseline = z.output<typeof BASELINE>;
/** By name of the scenario. */
export type Baselines = z.output<typeof BASELINES>;

export interface Difference {
  readonly scenario: string;
  readonly metric: string;
  readonly base: number;
  /** Null when it is no longer measured. */
  readonly now: number | null;
  /** (now - base) / base; Infinity from nothing to something; null without a number. */
  readonly rise: number | null;
  readonly isRegression: boolean;
}

export function baselineOf({ seed, metrics }: Pick<TrialReport, "seed" | "metrics">): Baseline {
  const measured = flatten(metrics);
  const kept = BASELINE_METRICS.flatMap((metric): [string, number][] => {
    const value = measured.get(metric);
    return value === undefined ? [] : [[metric, value]];
  });
  return { seed, metrics: Object.fromEntries(kept) };
}

/** One for each metric of the baseline. */
export function differencesOf(
  { scenario, metrics }: Pick<TrialReport, "scenario" | "metrics">,
  baseline: Baseline,
): Difference[] {
  const measured = flatten(metrics);
  return Object.entries(baseline.metrics).map(([metric, base]) => {
    const now = measured.get(metric);
    // A number that is gone hides whatever became of it.
    if (now === undefined) return { scenario, metric, base, now: null, rise: null, isRegression: true };
    const rise = now === base ? 0 : (now - base) / base;
    return { scenario, metric, base, now, rise, isRegression: rise > RISE_MAX };
  });
}

/** The command that shows it again. */
export function repeatCheck(scenario: string): string {
  return `mariana sim baseline --check ${scenario}`;
}

/** A line for each metric that rose by more than may be, with what repeats it. */
export function describeRegressions(differences: readonly Difference[]): string[] {
  return differences
    .filter(({ isRegression }) => isRegression)
    .map(({ scenario, metric, base, now, rise }) => {
      const became = now === null ? "is no longer measured" : `rose to ${now}`;
      const by = rise === null || rise === Infinity ? "" : `, by ${(rise * 100).toFixed(1)} %`;
      return `${scenario}: ${metric} was ${base} and ${became}${by}; repeat it:  ${repeatCheck(scenario)}`;
    });
}

/** Sorted by name, so that a renewal changes only the lines of what it renewed. */
export function encodeBaselines(baselines: Baselines): string {
  const sorted = Object.entries(baselines).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`;
}

/** Undefined when the text is something else. */
export function decodeBaselines(text: string): Baselines | undefined {
  try {
    return BASELINES.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
