import type { Argv } from "yargs";
import { directoryIn, numberIn, waitsIn, withJson } from "../arguments.js";
import { show } from "../output.js";
import { formatStatus } from "../reports.js";
import { askStatus, waitReady } from "../status.js";

export function statusCommand(root: Argv): Argv {
  return root.command(
    "status",
    "show whether the node works, and what to do if not",
    (command) =>
      withJson(command)
        .option("wait", {
          type: "string",
          choices: ["ready"],
          describe: "wait until it is ready, also for one that does not run yet",
        })
        .option("timeout", { type: "string", default: "60", describe: "with --wait: give up after so many seconds" })
        .example("$0 status", "one word, the reason, the fix; then the details")
        .example("$0 status --wait ready --timeout 60 && curl ...", "what a script uses instead of sleeping"),
    async (argv) => {
      const directory = directoryIn(argv);
      const timeoutSeconds = numberIn("--timeout", argv.timeout, 0, 86_400);
      const status = waitsIn(argv.wait) ? await waitReady(directory, timeoutSeconds) : await askStatus(directory);
      show(argv.json, status, formatStatus);
    },
  );
}
