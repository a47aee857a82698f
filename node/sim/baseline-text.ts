/** Costs against their baselines, as a person reads them. */
import { paint } from "../cli/output.js";
import { type Difference, RISE_MAX } from "./baseline.js";
import { alignedTable, formatChange, formatNumber } from "./report-text.js";

export function formatBaselines(differences: readonly Difference[]): string {
  if (differences.length === 0) return "nothing to compare with: what there is was taken just now";
  const rows = differences.map(({ scenario, metric, base, now, rise, isRegression }) => [
    `${scenario}  ${metric}`,
    formatNumber(base),
    now === null ? "none" : formatNumber(now),
    rise === null || rise === 0 ? "" : formatChange(rise),
    verdictOf(rise, isRegression),
  ]);
  return alignedTable(["scenario, metric", "base", "now", "change", ""], rows);
}

function verdictOf(rise: number | null, isRegression: boolean): string {
  if (isRegression) return paint("red", "regression");
  // What became cheaper may silently become as dear again, until its baseline follows.
  return rise !== null && rise < -RISE_MAX ? paint("green", "better: renew it") : "";
}
