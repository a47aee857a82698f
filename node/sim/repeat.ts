/** The one line that repeats a run. */
import { parseTime } from "../../sim/scenario/units.js";
import { usage } from "../cli/usage.js";
import { quote } from "../failure.js";
import type { Changes } from "./scenario-file.js";

/** As given on the command line. */
export interface RunChanges extends Changes {
  /** With its unit: "60s". */
  readonly until?: string | undefined;
}

/** Arguments of `mariana sim COMMAND` that stand for these changes. */
export function argumentsOf(changes: RunChanges): string[] {
  const { seed, set, crypto, mutate, until } = changes;
  return [
    ...(seed === undefined ? [] : ["--seed", seed]),
    ...set.flatMap((pair) => ["--set", pair]),
    ...(crypto === undefined ? [] : ["--crypto", crypto]),
    ...(mutate === undefined ? [] : ["--mutate", mutate]),
    ...(until === undefined ? [] : ["--until", until]),
  ];
}

export function repeatLine(file: string, changes: RunChanges): string {
  return ["mariana", "sim", "run", file, ...argumentsOf(changes)].map(quote).join(" ");
}

/** Microseconds of `--until 60s`. Throws a usage Failure. */
export function untilUsOf({ until }: RunChanges): number | undefined {
  if (until === undefined) return undefined;
  const us = parseTime(until);
  if (us === undefined || us <= 0) usage(`--until ${until}: expected a time with its unit, for example 60s or 5min`);
  return us;
}
