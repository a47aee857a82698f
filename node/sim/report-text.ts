/** A report as a person reads it: passed or failed first, then why, then what it was. */

import type { Metrics } from "../../sim/report/metrics.js";
import { formatFields, paint } from "../cli/output.js";
import type { Row } from "./comparison.js";
import { formatCount, formatSpan, formatSpeed } from "./progress.js";
import type { Summary } from "./summary.js";
import type { TrialReport } from "./trial-report.js";

export function formatReport(report: TrialReport): string {
  const { violation, expect } = report;
  const lines = [headline(report)];
  if (violation !== undefined) {
    lines.push("", `  ${violation.oracle} at ${violation.atSeconds} s: ${violation.text}`);
    if (violation.nodes.length > 0) lines.push(`  nodes: ${violation.nodes.join(" ")}`);
  }
  if (expect.length > 0) lines.push("", ...expectations(report));
  lines.push("", factsOf(report));
  if (!report.ok) lines.push("", `  repeat it:  ${report.repeat}`);
  return lines.join("\n");
}

function headline(report: TrialReport): string {
  const { scenario, seed, mutate, ok, isCutShort, simSeconds } = report;
  const verdict = ok
    ? paint("green", "passed")
    : isCutShort
      ? paint("yellow", `ended after ${formatNumber(simSeconds)} s`)
      : paint("red", "failed");
  const broken = mutate === undefined ? "" : `, its core broken on purpose: ${mutate}`;
  return `${verdict}  ${paint("bold", scenario)}, seed ${seed}${broken}`;
}

function expectations({ expect, violation }: TrialReport): string[] {
  const width = Math.max(...expect.map(({ text }) => text.length));
  return expect.map(({ text, value, ok, reason }) => {
    const mark = ok ? paint("green", "ok  ") : violation === undefined ? paint("red", "FAIL") : paint("dim", "-   ");
    const shown = value === null ? (reason ?? "no sample") : formatNumber(value);
    return `  ${mark}  ${text.padEnd(width)}  ${shown}`;
  });
}

function factsOf(report: TrialReport): string {
  const { fingerprint, simSeconds, wallSeconds, nodes, events, peakRssMiB, workers, waitShare, metrics, crypto } =
    report;
  const perSecond = wallSeconds === 0 ? "" : `, ${formatCount(Math.round(events / wallSeconds))} a second`;
  const waited =
    workers > 1 && waitShare !== undefined ? ` that waited ${Math.round(waitShare * 100)} % of the time` : "";
  const fields: [string, string][] = [
    ["fingerprint", `wire ${fingerprint.wire}`],
    ["", `state ${fingerprint.state}`],
    [
      "speed",
      `${formatNumber(simSeconds)} s in ${formatSpan(wallSeconds)}: ${speedOf(simSeconds, wallSeconds)} real time`,
    ],
    ["nodes", `${formatCount(nodes)} in all, ${crypto} crypto`],
    ["events", `${formatCount(events)}${perSecond}`],
    [
      "machine",
      `${workers} worker${workers === 1 ? "" : "s"}${waited}, ${formatCount(Math.round(peakRssMiB))} MiB at most`,
    ],
  ];
  for (const name of ["removal", "join"]) {
    const spread = metrics[name];
    if (typeof spread === "object" && spread !== null) fields.push([name, spreadText(spread)]);
  }
  return formatFields(fields);
}

function speedOf(simSeconds: number, wallSeconds: number): string {
  return formatSpeed(simSeconds / Math.max(wallSeconds, 0.001));
}

function spreadText(spread: Metrics): string {
  if (spread.count === 0) return "no sample";
  const seconds = (key: string) => (typeof spread[key] === "number" ? `${formatNumber(spread[key])} s` : "none");
  const censored = typeof spread.censored === "number" && spread.censored > 0 ? `, ${spread.censored} cut off` : "";
  return `p50 ${seconds("p50")}, p99 ${seconds("p99")}, max ${seconds("max")}; ${spread.count} counted${censored}`;
}

/** Four digits that count: 0.01234, 12.34, 12,345. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return formatCount(value);
  if (Math.abs(value) >= 1000) return formatCount(Math.round(value));
  return String(Number(value.toPrecision(4)));
}

export function formatSummary(summary: Summary): string {
  const { scenario, seeds, passed, failed, wallSeconds, metrics } = summary;
  const verdict = failed.length === 0 ? paint("green", "passed") : paint("red", "failed");
  const lines = [
    `${verdict}  ${paint("bold", scenario)}, ${passed} of ${seeds} seeds, ${formatSpan(wallSeconds)} of work`,
  ];
  for (const { seed, why, repeat } of failed) lines.push("", `  seed ${seed}: ${why}`, `    repeat it:  ${repeat}`);
  const rows = Object.entries(metrics).map(([metric, { count, min, p50, p95, max, mean }]) => [
    metric,
    ...[min, p50, p95, max, mean].map(formatNumber),
    count === seeds ? "" : `of ${count} seeds`,
  ]);
  if (rows.length > 0) lines.push("", alignedTable(["over the seeds", "min", "p50", "p95", "max", "mean", ""], rows));
  return lines.join("\n");
}

export function formatComparison(rows: readonly Row[], isWhole: boolean): string {
  const shown = isWhole ? rows : rows.filter(({ verdict, change }) => verdict !== "same" || (change ?? 0) !== 0);
  if (shown.length === 0) return "no metric differs";
  const cells = shown.map(({ metric, base, now, change, verdict }) => [
    metric,
    base === null ? "none" : formatNumber(base),
    now === null ? "none" : formatNumber(now),
    change === null ? "" : formatChange(change),
    verdict === "same" ? "" : verdict === "unknown" ? "not in both" : verdict,
  ]);
  const table = alignedTable(["metric", "base", "new", "change", ""], cells);
  const left = rows.length - shown.length;
  return left === 0 ? table : `${table}\n\n  ${left} more are the same; --all shows them`;
}

export function formatChange(change: number): string {
  if (!Number.isFinite(change)) return change > 0 ? "from nothing" : "from nothing, down";
  return `${change > 0 ? "+" : ""}${(change * 100).toFixed(1)} %`;
}

/** The first column and the last to the left, numbers to the right. */
export function alignedTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 || i === cells.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map((cells) => `  ${line(cells)}`).join("\n");
}
