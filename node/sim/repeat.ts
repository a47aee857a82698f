/** The one line that repeats a run. */
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
