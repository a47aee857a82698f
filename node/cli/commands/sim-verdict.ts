import { ExitCode, Failure } from "../../failure.js";
import { complain } from "../output.js";

/** Throws the Failure that the worst of it deserves. */
export function judgeSweep({
  summaries,
  broken,
}: {
  readonly summaries: readonly { readonly failed: readonly unknown[]; readonly seeds: number }[];
  readonly broken: readonly { readonly seed: string; readonly code: number; readonly said: string }[];
}): void {
  for (const { seed, code, said } of broken) {
    if (code !== ExitCode.overBudget) complain(`seed ${seed} ended with ${code}: ${said}`);
  }
  const failed = summaries.reduce((sum, one) => sum + one.failed.length, 0);
  const seeds = summaries.reduce((sum, one) => sum + one.seeds, broken.length);
  if (failed > 0) {
    const message = `${failed} of ${seeds} seeds failed`;
    throw new Failure("simulation.failed", ExitCode.checkFailed, message, "each is named above, with what repeats it");
  }
  if (broken.length === 0) return;
  const names = broken.map(({ seed }) => seed).join(" ");
  if (broken.every(({ code }) => code === ExitCode.overBudget)) {
    const message = `${broken.length} of ${seeds} seeds were over budget: ${names}`;
    throw new Failure("simulation.overBudget", ExitCode.overBudget, message, "give them more with --budget");
  }
  throw new Failure(
    "simulation.failed",
    ExitCode.unexpected,
    `no report of seeds ${names}`,
    "see above what they said",
  );
}
