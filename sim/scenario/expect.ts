/**
 * `METRIC OP VALUE [from T to T]`: what a scenario promises of its report.
 *
 *   removal.p99 < 10s      loops == 0      unreachablePairShare.max <= 5% from 60s to 300s
 */
import { isWindowed } from "../report/metrics.js";
import { METRICS, type MetricUnit, unitOfMetric } from "./metrics.js";
import { nearest } from "./nearest.js";
import { parseTime } from "./units.js";

export type Comparison = "<" | "<=" | "==" | "!=" | ">=" | ">";

export interface Expectation {
  readonly text: string;
  /** Dotted, as in the report. */
  readonly metric: string;
  readonly comparison: Comparison;
  /** In the unit of the report: seconds, bytes, a share of 1, or a plain number. */
  readonly value: number;
  /** Only what happens in this span counts; undefined: the whole run. */
  readonly fromUs: number | undefined;
  readonly toUs: number | undefined;
}

export type ParsedExpectation =
  | { readonly ok: true; readonly expectation: Expectation }
  | { readonly ok: false; readonly message: string };

const FORM = /^\s*([A-Za-z][\w.-]*)\s*(<=|>=|==|!=|<|>)\s*(\S+?)(?:\s+from\s+(\S+)\s+to\s+(\S+))?\s*$/;

export function parseExpectation(text: string): ParsedExpectation {
  const refuse = (message: string): ParsedExpectation => ({ ok: false, message });
  const match = FORM.exec(text);
  if (match === null) return refuse(`expected METRIC OP VALUE [from T to T], such as "removal.p99 < 10s"`);
  const [, metric, comparison, given, from, to] = match;
  const unit = unitOfMetric(metric!);
  if (unit === undefined) {
    const near = nearest(metric!, Object.keys(METRICS));
    return refuse(`unknown metric "${metric}"${near === undefined ? "" : `; nearest: "${near}"`}`);
  }
  if (from !== undefined && !isWindowed(metric!)) return refuse(`${metric} is of the whole run, not of a part of it`);
  const value = parseValue(given!, unit);
  if (value === undefined) return refuse(`${metric} is ${FORMS[unit]}, not "${given}"`);
  const fromUs = from === undefined ? undefined : parseTime(from);
  const toUs = to === undefined ? undefined : parseTime(to);
  if ((from !== undefined && fromUs === undefined) || (to !== undefined && toUs === undefined)) {
    return refuse(`expected times such as "60s" behind from and to`);
  }
  if (fromUs !== undefined && toUs !== undefined && fromUs >= toUs) return refuse("from is not before to");
  return {
    ok: true,
    expectation: { text: text.trim(), metric: metric!, comparison: comparison as Comparison, value, fromUs, toUs },
  };
}

const FORMS: Readonly<Record<MetricUnit, string>> = {
  seconds: `a time such as "10s"`,
  bytes: `bytes such as "4000" or "4kB"`,
  share: `a share such as "5%"`,
  count: "a plain number",
  ratio: "a plain number",
};

const BYTES: Readonly<Record<string, number>> = { "": 1, B: 1, kB: 1000, KiB: 1024, MB: 1_000_000, MiB: 1_048_576 };

function parseValue(text: string, unit: MetricUnit): number | undefined {
  if (unit === "seconds") {
    const us = parseTime(text);
    return us === undefined ? undefined : us / 1_000_000;
  }
  const match = /^(\d{1,12}(?:\.\d{1,9})?)(\D*)$/.exec(text);
  if (match === null) return undefined;
  const number = Number(match[1]);
  const suffix = match[2]!;
  if (unit === "share") return suffix === "%" ? number / 100 : undefined;
  if (unit === "bytes") return Object.hasOwn(BYTES, suffix) ? number * BYTES[suffix]! : undefined;
  return suffix === "" ? number : undefined;
}
