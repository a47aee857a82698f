import type { Argv } from "yargs";

export function replayCommand(root: Argv): Argv {
  return root.command(
    "replay <file>",
    "repeat what up --journal recorded, and compare; works without a running daemon",
    (command) =>
      command
        .positional("file", { type: "string", demandOption: true, describe: "a journal" })
        .option("json", { type: "boolean", default: false, describe: "for scripts" })
        .option("suite", {
          type: "string",
          choices: ["native", "noble"] as const,
          describe: "the crypto suite to replay it with [the one that it was recorded with]",
        })
        .example("$0 replay node.journal", "identical, or the first input that causes something else; exit 11 then")
        .example("$0 replay --json --suite noble node.journal", "the same bytes by the other crypto suite"),
    async (argv) => {
      const { runReplay } = await import("../replay.js"); // brings the whole core
      runReplay(argv.file, { json: argv.json, suite: argv.suite });
    },
  );
}
