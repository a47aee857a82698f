/** `mariana sim baseline`: what scenarios may cost. */
import { availableParallelism } from "node:os";
import type { Argv } from "yargs";
import { ExitCode, Failure } from "../../failure.js";
import { complain, print, printJson } from "../output.js";
import { countIn, oneOf } from "./sim-arguments.js";

export function withBaseline(command: Argv): Argv {
  return command.command(
    "baseline [files..]",
    "renew what scenarios may cost, or check that none costs more; exit 10 when one does",
    (inner) =>
      inner
        .positional("files", { type: "string", array: true, describe: "scenarios [those that have a baseline]" })
        .option("check", { type: "boolean", default: false, describe: "compare, and write nothing" })
        .option("baselines", { type: "string", nargs: 1, describe: "another file than scenarios/baselines.json" })
        .option("jobs", { type: "string", nargs: 1, describe: "processes at a time [one per core]" })
        .option("json", { type: "boolean", default: false, describe: "for scripts" })
        .example("$0 sim baseline --check", "all that have one; what CI does")
        .example("$0 sim baseline storm-1000", "agree to what it costs now"),
    async (argv) => {
      const [{ checkBaselines, renewBaselines }, { describeRegressions, RISE_MAX }, { formatBaselines }] =
        await Promise.all([
          import("../../sim/baseline-run.js"),
          import("../../sim/baseline.js"),
          import("../../sim/baseline-text.js"),
        ]);
      const request = {
        files: (argv.files ?? []) as string[],
        path: oneOf("--baselines", argv.baselines),
        jobs: countIn("--jobs", argv.jobs, 1024) ?? availableParallelism(),
      };
      const outcome = argv.check ? await checkBaselines(request) : await renewBaselines(request);
      const { differences, failed } = outcome;
      if (argv.json) printJson({ riseMax: RISE_MAX, differences, failed: failed.map(({ scenario }) => scenario) });
      else print(formatBaselines(differences));
      for (const { scenario, repeat } of failed) complain(`${scenario} broke a promise; repeat it:  ${repeat}`);
      const regressions = argv.check ? describeRegressions(differences) : [];
      if (regressions.length > 0) {
        const fix = "mend it, or agree to it:  mariana sim baseline SCENARIO";
        throw new Failure("simulation.regressed", ExitCode.regression, regressions.join("\n"), fix);
      }
      if (failed.length === 0) return;
      const message = `${failed.length} of the runs broke a promise${argv.check ? "" : ", and nothing was written"}`;
      throw new Failure(
        "simulation.failed",
        ExitCode.checkFailed,
        message,
        "each is named above, with what repeats it",
      );
    },
  );
}
