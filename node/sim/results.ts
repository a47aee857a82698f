/** Reports on disk: single files, and folders as `sweep` leaves them. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { readFileIfAny } from "../config/file.js";
import { fileFailure } from "../config/file-failure.js";
import { ExitCode, Failure, quote } from "../failure.js";
import { flatten } from "./report-metrics.js";
import { parseReport, type TrialReport } from "./trial-report.js";

/** Throws a Failure, exit 3, when there is no report. Other files of a folder are none of ours and are passed over. */
export function reportsIn(path: string): TrialReport[] {
  const found = statOf(path);
  if (found === undefined) throw none(path, "there is no such file or folder");
  if (!found.isDirectory()) {
    const report = parseReport(readFileIfAny(path) ?? "");
    if (report === undefined) throw none(path, "it is no report of  mariana sim run --json");
    return [report];
  }
  const reports = namesIn(path).flatMap((name) => parseReport(readFileIfAny(join(path, name)) ?? "") ?? []);
  if (reports.length === 0) throw none(path, "no file in it is a report of  mariana sim run --json");
  return reports;
}

function statOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw fileFailure("read", path, error);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .sort();
  } catch (error) {
    throw fileFailure("read", folder, error);
  }
}

function none(path: string, why: string): Failure {
  const fix = "mariana sim run FILE --json REPORT  and  mariana sim sweep FILE --out DIR  write them";
  return new Failure("file.garbled", ExitCode.config, `${quote(path)}: ${why}`, fix);
}

/** Means of each metric; over seeds that both sides have, when each has several, so that both met the same weather. */
export function meansOf(
  base: readonly TrialReport[],
  now: readonly TrialReport[],
): { base: Map<string, number>; now: Map<string, number>; seeds: number } {
  const seedsOfNow = new Set(now.map(({ seed }) => seed));
  const common = new Set(base.map(({ seed }) => seed).filter((seed) => seedsOfNow.has(seed)));
  const isPaired = common.size > 0;
  const pick = (reports: readonly TrialReport[]) =>
    isPaired ? reports.filter(({ seed }) => common.has(seed)) : reports;
  return { base: meanOf(pick(base)), now: meanOf(pick(now)), seeds: common.size };
}

function meanOf(reports: readonly TrialReport[]): Map<string, number> {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const report of reports) {
    for (const [metric, value] of flatten(report.metrics)) {
      const { sum, count } = sums.get(metric) ?? { sum: 0, count: 0 };
      sums.set(metric, { sum: sum + value, count: count + 1 });
    }
  }
  return new Map([...sums].map(([metric, { sum, count }]) => [metric, sum / count]));
}
