/** The numbers of reports by their dotted names, and whether more of each is better or worse. */

import type { Metrics } from "../../sim/report/metrics.js";

/** `removal.p99` to its number; what is null or no number is left out. */
export function flatten(metrics: Metrics, prefix = ""): Map<string, number> {
  const flat = new Map<string, number>();
  for (const [key, value] of Object.entries(metrics)) {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    if (typeof value === "number" && Number.isFinite(value)) flat.set(name, value);
    else if (typeof value === "object" && value !== null) {
      for (const [inner, number] of flatten(value, name)) flat.set(inner, number);
    }
  }
  return flat;
}

export type Direction = "lower" | "higher" | "none";

/** Facts about the run rather than about how well the protocol did. */
const NEUTRAL = /^(?:joins|crashes|announcedNacs|.*\.(?:count|censored|limit))$/;
const HIGHER = /^delivery\./;

/** Which way is better. What nobody named is a cost: lower is better. */
export function directionOf(metric: string): Direction {
  if (NEUTRAL.test(metric)) return "none";
  return HIGHER.test(metric) ? "higher" : "lower";
}
