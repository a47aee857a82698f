import type { Argv } from "yargs";
import { askDaemon } from "../../control/client.js";
import type { PeerReport, StatusReport } from "../../control/protocol.js";
import { directoryIn, withJson } from "../arguments.js";
import { complain, show } from "../output.js";
import { formatPeers } from "../reports.js";

export function peersCommand(root: Argv): Argv {
  return root.command(
    "peers",
    "show the links to neighbours",
    (command) =>
      withJson(command)
        .example("$0 peers", "one line per link: where to, pinned or not, round trip, loss")
        .example("$0 peers --json | jq '.[].rttMs'", "round trips alone"),
    async (argv) => {
      const { socket } = directoryIn(argv);
      show(argv.json, await askDaemon<PeerReport[]>(socket, { command: "peers" }), formatPeers);
      if (argv.json) return;
      const { peersUnusable } = await askDaemon<StatusReport>(socket, { command: "status" });
      for (const { peer, reason } of peersUnusable) complain(`${peer} cannot be used: ${reason}`);
    },
  );
}
