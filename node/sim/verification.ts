/**
 * `mariana sim verify`: the same scenario several times over, each in a process of its own, with what must not matter made
 * different: the number of workers, language and time zone, the order in which NACs are interned.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complain } from "../cli/output.js";
import { readFileIfAny } from "../config/file.js";
import { ExitCode, Failure } from "../failure.js";
import { type Chain, decodeChain, type Parting, partingOf } from "./chain.js";
import { Children } from "./child.js";
import { untilInterrupted } from "./interruption.js";
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
  readonly variants: readonly { readonly name: string; readonly parting: Parting | null }[];
  readonly ok: boolean;
}

/** Throws a Failure when a run ends without a chain; a scenario that fails its expectations can be verified all the same. */
export async function verify(
  file: string,
  changes: RunChanges,
  variants: readonly Variant[] = VARIANTS,
): Promise<Verification> {
  untilUsOf(changes);
  const { name, seed } = loadPlan(file, changes);
  const folder = mkdtempSync(join(tmpdir(), "mariana-verify-"));
  const children = new Children();
  const stop = () => {
    children.end();
    rmSync(folder, { recursive: true, force: true });
    return ["interrupted; nothing was compared"];
  };
  try {
    const chains: Chain[] = [];
    await untilInterrupted(stop, async () => {
      for (const [index, { name: variant, flags, environment }] of variants.entries()) {
        complain(`${name}: ${variant}`);
        const path = join(folder, `${index}.chain`);
        const args = ["sim", "run", file, ...argumentsOf(changes), ...flags, "--quiet", "--chain", path];
        const { code, said } = await children.run(args, environment);
        chains.push(chainOf(path, code, said, variant));
      }
    });
    return resultOf(name, seed, variants, chains);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function chainOf(path: string, code: number, said: string, variant: string): Chain {
  const text = readFileIfAny(path);
  if (text !== undefined && (code === ExitCode.ok || code === ExitCode.checkFailed)) return decodeChain(text);
  const message = `the run with ${variant} ended with ${code}, without fingerprints\n${said.trim()}`;
  throw new Failure("simulation.failed", ExitCode.unexpected, message, "mend what it says, then verify again");
}

function resultOf(
  scenario: string,
  seed: string,
  variants: readonly Variant[],
  chains: readonly Chain[],
): Verification {
  const first = chains[0]!;
  const rows = variants.map(({ name }, index) => ({ name, parting: partingOf(first, chains[index]!) ?? null }));
  return {
    scenario,
    seed,
    seconds: first.wire.length,
    fingerprint: { wire: first.wire.at(-1) ?? "", state: first.state.at(-1) ?? "" },
    variants: rows,
    ok: rows.every(({ parting }) => parting === null),
  };
}

/** "differs in its 12th second ...": for people. */
export function describeParting({ second, what }: Parting): string {
  const where = `between ${second - 1} s and ${second} s`;
  if (what === "length") return `one run ends ${where}, the other goes on`;
  return what === "both" ? `wire and state first differ ${where}` : `${what} first differs ${where}`;
}
