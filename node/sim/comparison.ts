/** Two results side by side, metric by metric: what became better, what worse, and by how much. */
import { type Direction, directionOf } from "./report-metrics.js";

export interface Row {
  readonly metric: string;
  readonly base: number | null;
  readonly now: number | null;
  /** (now - base) / base; Infinity from nothing to something; null when one side has no number. */
  readonly change: number | null;
  readonly direction: Direction;
  readonly verdict: "same" | "better" | "worse" | "regression" | "unknown";
}

/** @param maxRegress  a share: 0.05 lets each metric become 5 % worse */
export function compareMetrics(
  base: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
  maxRegress: number,
): Row[] {
  const names = [...new Set([...base.keys(), ...now.keys()])];
  return names.map((metric) => rowOf(metric, base.get(metric), now.get(metric), maxRegress));
}

function rowOf(metric: string, base: number | undefined, now: number | undefined, maxRegress: number): Row {
  const direction = directionOf(metric);
  if (base === undefined || now === undefined) {
    // A sample that is gone hides whatever became of it: not a regression by itself, but nothing to be glad of.
    return { metric, base: base ?? null, now: now ?? null, change: null, direction, verdict: "unknown" };
  }
  const change =
    base === now ? 0 : base === 0 ? Math.sign(now) * Number.POSITIVE_INFINITY : (now - base) / Math.abs(base);
  return { metric, base, now, change, direction, verdict: verdictOf(change, direction, maxRegress) };
}

function verdictOf(change: number, direction: Direction, maxRegress: number): Row["verdict"] {
  if (change === 0 || direction === "none") return "same";
  const worse = direction === "lower" ? change : -change;
  if (worse < 0) return "better";
  return worse > maxRegress ? "regression" : "worse";
}

/** `5%` to 0.05; undefined when it is no share. */
export function shareIn(text: string): number | undefined {
  const [, number] = /^(\d{1,6}(?:\.\d{1,6})?)%$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) / 100;
}
