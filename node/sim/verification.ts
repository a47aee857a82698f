/**
 * `mariana sim verify`: the same scenario several times over, each in a process of its own, with what must not matter made
 * different: the number of workers, language and time zone, the order in which NACs are interned.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Recorded } from "../../sim/engine/recording.js";
import type { Plan } from "../../sim/plan/plan.js";
import { firstDifference } from "../../sim/report/first-difference.js";
import { complain } from "../cli/output.js";
import { readFileIfAny } from "../config/file.js";
import { ExitCode, Failure } from "../failure.js";
import { type Chain, decodeChain, type Parting, partingOf } from "./chain.js";
import { Children } from "./child.js";
import { describeMoment, type FirstMoment, firstMomentOf } from "./first-moment.js";
import { untilInterrupted } from "./interruption.js";
import { decodeRecorded } from "./recorded-file.js";
import { argumentsOf, type RunChanges, untilUsOf } from "./repeat.js";
import { loadPlan } from "./scenario-file.js";

/** One way to run it. */
export interface Variant {
  readonly name: string;
  readonly flags: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** The first is what the others are held against. Turkish has another i, and Chatham is 12:45 or 13:45 off. */
export const VARIANTS: readonly Variant[] = [
  { name: "1 worker", flags: ["--workers", "1"], environment: {} },
  { name: "2 workers", flags: ["--workers", "2"], environment: {} },
  {
    name: "LANG=tr_TR.UTF-8 TZ=Pacific/Chatham",
    flags: ["--workers", "1"],
    environment: { LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8", TZ: "Pacific/Chatham" },
  },
  { name: "NACs interned in another order", flags: ["--workers", "1", "--shuffle", "verify"], environment: {} },
];

export interface Verification {
  readonly scenario: string;
  readonly seed: string;
  readonly seconds: number;
  readonly fingerprint: { readonly wire: string; readonly state: string };
  readonly variants: readonly Verified[];
  readonly ok: boolean;
}

export interface Verified {
  readonly name: string;
  /** Null when it is the same. */
  readonly parting: Parting | null;
  /** Found by running that second again; null when it was the same then, or when one of the two runs had ended. */
  readonly moment: FirstMoment | null;
}

/** Throws a Failure when a run ends without a chain; a scenario that fails its expectations can be verified all the same. */
export async function verify(
  file: string,
  changes: RunChanges,
  variants: readonly Variant[] = VARIANTS,
): Promise<Verification> {
  untilUsOf(changes);
  const plan = loadPlan(file, changes);
  const { name, seed } = plan;
  const folder = mkdtempSync(join(tmpdir(), "mariana-verify-"));
  const children = new Children();
  const stop = () => {
    children.end();
    rmSync(folder, { recursive: true, force: true });
    return ["interrupted; nothing was compared"];
  };
  /** Runs it, and reads what `flags` have made it write to `path`. */
  const textOf = async ({ name: variant, flags, environment }: Variant, more: (path: string) => string[]) => {
    const path = join(folder, "written");
    rmSync(path, { force: true });
    const args = ["sim", "run", file, ...argumentsOf(changes), ...flags, "--quiet", ...more(path)];
    const { code, said } = await children.run(args, environment);
    const text = readFileIfAny(path);
    if (text !== undefined && (code === ExitCode.ok || code === ExitCode.checkFailed)) return text;
    const message = `the run with ${variant} ended with ${code}, without fingerprints\n${said.trim()}`;
    throw new Failure("simulation.failed", ExitCode.unexpected, message, "mend what it says, then verify again");
  };
  const chainOf: ChainOf = async (variant) => {
    complain(`${name}: ${variant.name}`);
    return decodeChain(await textOf(variant, (path) => ["--chain", path]));
  };
  const recordedOf: RecordedOf = async (variant, second) => {
    complain(`${name}: ${variant.name}, second ${second} again`);
    return decodeRecorded(await textOf(variant, (path) => ["--moments", path, "--second", String(second)]));
  };
  try {
    return await untilInterrupted(stop, async () => {
      const chains: Chain[] = [];
      for (const variant of variants) chains.push(await chainOf(variant));
      const moments: (FirstMoment | null)[] = [];
      for (const [index, variant] of variants.entries()) {
        const parting = partingOf(chains[0]!, chains[index]!);
        moments.push(parting === undefined ? null : await momentOf(plan, variants[0]!, variant, parting, recordedOf));
      }
      return resultOf(name, seed, variants, chains, moments);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type ChainOf = (variant: Variant) => Promise<Chain>;
type RecordedOf = (variant: Variant, second: number) => Promise<Recorded>;

/** Runs the second in which they part again, both ways, and looks where they do. */
async function momentOf(
  plan: Plan,
  one: Variant,
  other: Variant,
  { second, what }: Parting,
  recordedOf: RecordedOf,
): Promise<FirstMoment | null> {
  if (what === "length") return null;
  const found = firstDifference(await recordedOf(one, second), await recordedOf(other, second));
  return found === undefined ? null : firstMomentOf(plan, found);
}

function resultOf(
  scenario: string,
  seed: string,
  variants: readonly Variant[],
  chains: readonly Chain[],
  moments: readonly (FirstMoment | null)[],
): Verification {
  const first = chains[0]!;
  const rows = variants.map(({ name }, index) => {
    return { name, parting: partingOf(first, chains[index]!) ?? null, moment: moments[index]! };
  });
  return {
    scenario,
    seed,
    seconds: first.wire.length,
    fingerprint: { wire: first.wire.at(-1) ?? "", state: first.state.at(-1) ?? "" },
    variants: rows,
    ok: rows.every(({ parting }) => parting === null),
  };
}

/** For people: the second, and the moment in it. */
export function describeDeparture({ variants }: Verification, { name, parting, moment }: Verified): string {
  if (parting === null) return "the same";
  const second = describeParting(parting);
  if (moment !== null) return `${second}: ${describeMoment(moment, variants[0]!.name, name)}`;
  return parting.what === "length" ? second : `${second}, but not when that second was run again`;
}

function describeParting({ second, what }: Parting): string {
  const where = `between ${second - 1} s and ${second} s`;
  if (what === "length") return `one run ends ${where}, the other goes on`;
  return what === "both" ? `wire and state first differ ${where}` : `${what} first differs ${where}`;
}
