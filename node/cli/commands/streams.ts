import type { Argv } from "yargs";
import { askDaemon } from "../../control/client.js";
import type { StreamReport } from "../../control/protocol.js";
import { directoryIn, withJson } from "../arguments.js";
import { show } from "../output.js";
import { formatStreams } from "../reports.js";

export function streamsCommand(root: Argv): Argv {
  return root.command(
    "streams",
    "show the streams that are open",
    (command) =>
      withJson(command)
        .example("$0 streams", "one line per stream: with whom, which port, how much, how long")
        .example("$0 streams --json | jq length", "how many"),
    async (argv) =>
      show(argv.json, await askDaemon<StreamReport[]>(directoryIn(argv).socket, { command: "streams" }), formatStreams),
  );
}
