import type { Comparison, Expectation } from "../scenario/expect.js";
import { isWindowed, metricOf } from "./metrics.js";
import type { Observations } from "./tally.js";

export interface Judgement {
  readonly text: string;
  /** Null: there was no sample, or there is no such metric. */
  readonly value: number | null;
  readonly ok: boolean;
  /** Why an expectation fails that has no value. */
  readonly reason?: string;
}

const HOLDS: Readonly<Record<Comparison, (value: number, bound: number) => boolean>> = {
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
  "==": (value, bound) => value === bound,
  "!=": (value, bound) => value !== bound,
  ">=": (value, bound) => value >= bound,
  ">": (value, bound) => value > bound,
};

/** Does the run keep what the scenario promised? A number that nobody measured keeps no promise. */
export function judge(tally: Observations, expectation: Expectation): Judgement {
  const { text, metric, comparison, value: bound, fromUs, toUs } = expectation;
  const value = metricOf(tally, metric, fromUs, toUs);
  if (value === undefined) {
    const isPart = fromUs !== undefined && !isWindowed(metric);
    const reason = isPart ? `${metric} is of the whole run, not of a part of it` : `there is no metric ${metric}`;
    return { text, value: null, ok: false, reason };
  }
  if (value === null) return { text, value: null, ok: false, reason: `nothing was measured for ${metric}` };
  return { text, value, ok: HOLDS[comparison](value, bound) };
}
