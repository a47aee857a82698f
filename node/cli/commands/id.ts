import type { Argv } from "yargs";
import { directoryIn, withJson } from "../arguments.js";
import { show } from "../output.js";
import { formatId } from "../reports.js";

export function idCommand(root: Argv): Argv {
  return root.command(
    "id",
    "show who this node is; works without a running daemon",
    (command) =>
      withJson(command)
        .example("$0 id", "the NAC, both names, the link key's hash, the files")
        .example("$0 id --json | jq -r .longName", "the name to share"),
    async (argv) => {
      const { findId } = await import("../id.js"); // brings the crypto and the schema, which the other commands do without
      show(argv.json, await findId(directoryIn(argv)), formatId);
    },
  );
}
