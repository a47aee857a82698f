import type { Argv } from "yargs";
import { completionScript, SHELLS } from "../completion.js";

export function completionCommand(root: Argv): Argv {
  return root.command(
    "completion <shell>",
    "print a script that completes commands and flags",
    (command) =>
      command
        .positional("shell", { type: "string", choices: SHELLS, demandOption: true, describe: "which" })
        .example("source <(mariana completion bash)", "in ~/.bashrc")
        .example("source <(mariana completion zsh)", "in ~/.zshrc"),
    (argv) => void process.stdout.write(completionScript(argv.shell)),
  );
}
