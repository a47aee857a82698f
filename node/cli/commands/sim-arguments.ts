/** Flags that several commands of `mariana sim` have, and how their values are read. */
import type { Argv } from "yargs";
import type { RunChanges } from "../../sim/repeat.js";
import { numberIn, TEXTS } from "../arguments.js";
import { usage } from "../usage.js";

const MUTATIONS = ["feasibility", "retraction", "death", "delta"] as const;
const CRYPTO = ["modelled", "real"] as const;
const BUDGET_SECONDS_MAX = 30 * 86_400;
const SEED_CHARACTERS_MAX = 200;

type Text = string | readonly string[] | undefined;

/** What changes a scenario, and stands in the line that repeats a run. */
export function withChanges<T>(command: Argv<T>) {
  return command
    .option("seed", { type: "string", nargs: 1, describe: "another seed than the scenario's" })
    .option("set", {
      ...TEXTS,
      describe: "KEY=VALUE: change the scenario, for example links.default.loss=5%; repeatable",
    })
    .option("crypto", { type: "string", choices: CRYPTO, describe: "modelled is fast, real is the daemon's" })
    .option("mutate", {
      type: "string",
      choices: MUTATIONS,
      describe: "break the core on purpose: the oracles must see it",
    });
}

export function withRunning<T>(command: Argv<T>) {
  return command
    .option("workers", { type: "string", nargs: 1, describe: "threads [one per core, one alone below 500 nodes]" })
    .option("until", { type: "string", nargs: 1, describe: "stop at this simulated time, for example 60s" })
    .option("budget", { type: "string", nargs: 1, describe: "stop each run after so many wall seconds; exit 12" });
}

export function changesIn(argv: {
  readonly seed?: Text;
  readonly set?: readonly string[] | undefined;
  readonly crypto?: Text;
  readonly mutate?: Text;
  readonly until?: Text;
}): RunChanges {
  const seed = oneOf("--seed", argv.seed);
  if (seed === "" || (seed !== undefined && seed.length > SEED_CHARACTERS_MAX)) {
    usage(`--seed "${seed.slice(0, 40)}": expected 1 to ${SEED_CHARACTERS_MAX} characters`);
  }
  for (const pair of argv.set ?? []) {
    if (!/^[^=]+=/.test(pair)) usage(`--set ${pair}: expected KEY=VALUE, for example  --set nodes.count=100`);
  }
  const crypto = CRYPTO.find((one) => one === oneOf("--crypto", argv.crypto));
  const mutate = MUTATIONS.find((one) => one === oneOf("--mutate", argv.mutate));
  return { seed, set: argv.set ?? [], crypto, mutate, until: oneOf("--until", argv.until) };
}

/** The one value of a flag that may stand once. */
export function oneOf(flag: string, value: Text): string | undefined {
  if (typeof value === "object") usage(`${flag} stands more than once`);
  return value;
}

/** A whole number of at least one. */
export function countIn(flag: string, value: Text, most: number): number | undefined {
  const text = oneOf(flag, value);
  if (text === undefined) return undefined;
  const count = numberIn(flag, text, 1, most);
  if (!Number.isInteger(count)) usage(`${flag} ${text}: expected a whole number from 1 to ${most}`);
  return count;
}

export function secondsIn(flag: string, value: Text): number | undefined {
  const text = oneOf(flag, value);
  return text === undefined ? undefined : numberIn(flag, text.replace(/s$/, ""), 0.001, BUDGET_SECONDS_MAX);
}
