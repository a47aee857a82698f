import type { Argv } from "yargs";
import { askDaemon } from "../../control/client.js";
import type { RouteReport } from "../../control/protocol.js";
import { directoryIn, withJson } from "../arguments.js";
import { show } from "../output.js";
import { formatRoutes } from "../reports.js";

export function routesCommand(root: Argv): Argv {
  return root.command(
    "routes",
    "show which nodes can be reached, and through which link",
    (command) =>
      withJson(command)
        .example("$0 routes", "one line per NAC: metric, next hop, backups")
        .example("$0 routes --json | jq length", "how many nodes can be reached"),
    async (argv) =>
      show(argv.json, await askDaemon<RouteReport[]>(directoryIn(argv).socket, { command: "routes" }), formatRoutes),
  );
}
