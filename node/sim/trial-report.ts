/** The report of `mariana sim run --json`. */
import { z } from "zod";
import type { Report } from "../../sim/report/report.js";

/** What was simulated, which is the same everywhere, and what it took here. */
export interface TrialReport extends Report {
  readonly wallSeconds: number;
  readonly peakRssMiB: number;
  readonly workers: number;
  /** Share of the wall time that workers waited for each other, 0 to 1. */
  readonly waitShare?: number;
  /** Somebody ended it before its time: expectations are of what was simulated. Never `ok`. */
  readonly isCutShort?: true;
  /** The command that repeats it. */
  readonly repeat: string;
}

/** As far as sweeps and comparisons rely on it. */
const REPORT = z.looseObject({
  scenario: z.string(),
  seed: z.string(),
  hash: z.string(),
  crypto: z.enum(["modelled", "real"]),
  mutate: z.string().optional(),
  fingerprint: z.object({ wire: z.string(), state: z.string() }),
  wallSeconds: z.number(),
  ok: z.boolean(),
  metrics: z.record(z.string(), z.unknown()),
  expect: z.array(z.object({ text: z.string(), value: z.number().nullable(), ok: z.boolean() })),
  violation: z.object({ oracle: z.string(), atSeconds: z.number(), text: z.string() }).loose().optional(),
  repeat: z.string(),
});

/** Undefined when the text is no report of `mariana sim run --json`. */
export function parseReport(text: string): TrialReport | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return REPORT.safeParse(value).success ? (value as TrialReport) : undefined;
  } catch {
    return undefined;
  }
}
