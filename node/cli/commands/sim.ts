/** `mariana sim`: the simulator. What each command does is in node/sim; here is how its flags are read. */
import type { Argv } from "yargs";
import type { ExitCode } from "../../failure.js";
import type { Engine } from "../../sim/trial.js";
import { print } from "../output.js";
import { changesIn, withChanges } from "./sim-arguments.js";
import { withBaseline } from "./sim-baseline.js";
import { withComparison } from "./sim-comparison.js";
import { withExplore } from "./sim-explore.js";
import { withRuns } from "./sim-runs.js";

/** Brings the whole core, which a wrong command line does without. */
const engine: Engine = async (plan, options) => (await import("../../sim/pool.js")).runInPool(plan, options);

/** `onExit` gets the exit code of a command that ends without a Failure. */
export function simCommand(root: Argv, onExit: (code: ExitCode) => void): Argv {
  return root.command("sim", "simulate thousands of nodes from a scenario file, the same every time", (command) =>
    withBaseline(withExplore(withComparison(withRuns(withScenarios(command, onExit), onExit, engine))))
      .demandCommand(1, 1, "which command?", "one command at a time")
      .example("$0 sim run churn-5000", "a scenario that ships with this program")
      .example("$0 sim run mine.yaml --seed 7", "one of your own, with another seed")
      .epilogue("sim/SCENARIOS.md teaches how to write a scenario."),
  );
}

function withScenarios(command: Argv, onExit: (code: ExitCode) => void): Argv {
  return command
    .command(
      "validate <files..>",
      "check scenarios without running them",
      (inner) =>
        inner
          .positional("files", { type: "string", array: true, demandOption: true, describe: "scenarios" })
          .option("set", { type: "string", array: true, nargs: 1, describe: "KEY=VALUE, as for run" })
          .example("$0 sim validate scenarios/*.yaml", "one line per file; exit 3 when one is wrong"),
      async (argv) => {
        const { validate } = await import("../../sim/validation.js");
        onExit(validate(argv.files as string[], argv.set ?? []));
      },
    )
    .command(
      "schema",
      "print the JSON Schema of a scenario file, for editors",
      (inner) => inner.example("$0 sim schema > scenario-schema.json", "# yaml-language-server: $schema=..."),
      async () => {
        const { schema } = await import("../../../sim/scenario/schema.js");
        print(JSON.stringify(schema(), undefined, 2));
      },
    )
    .command(
      "expand <file>",
      "print what would be run: every node, link and event, as a plan that run takes",
      (inner) =>
        withChanges(inner)
          .positional("file", { type: "string", demandOption: true, describe: "a scenario" })
          .option("json", { type: "boolean", default: false, describe: "as JSON" })
          .example("$0 sim expand grid-49 > grid.plan.yaml", "to look at, change, and run"),
      async (argv) => {
        const { expandScenario } = await import("../../sim/validation.js");
        print(expandScenario(argv.file, changesIn(argv), argv.json));
      },
    );
}
