import type { Argv } from "yargs";
import { ExitCode, Failure } from "../../failure.js";
import { directoryIn, numberIn, withJson } from "../arguments.js";
import { formatMs, print, show } from "../output.js";
import { pingMany } from "../ping.js";
import { usage } from "../usage.js";

const PING_COUNT_MAX = 1000;

export function pingCommand(root: Argv): Argv {
  return root.command(
    "ping <nac>",
    "measure the way to a node, by its NAC or name",
    (command) =>
      withJson(command)
        .positional("nac", { type: "string", demandOption: true, describe: "a NAC, or a name under .mariana" })
        .option("count", { alias: "c", type: "string", default: "4", describe: "how many" })
        .example("$0 ping 0f8fad5b-d9cb-869f-a165-70867728950e", "four round trips, end to end")
        .example("$0 ping -c 1 --json NAME.mariana", "one, for a script; exit 5 when nothing came back"),
    async (argv) => {
      const count = numberIn("-c", argv.count, 1, PING_COUNT_MAX);
      if (!Number.isInteger(count)) usage(`-c ${count}: expected a whole number from 1 to ${PING_COUNT_MAX}`);
      const summary = await pingMany(directoryIn(argv), argv.nac, count, (number, outcome) => {
        if (!argv.json)
          print("rttMs" in outcome ? `${number}: ${formatMs(outcome.rttMs)}` : `${number}: lost (${outcome.reason})`);
      });
      const { sent, received, rttMs, reason } = summary;
      show(argv.json, summary, () =>
        rttMs === null
          ? `${sent} sent, none came back`
          : `${sent} sent, ${received} received; min ${formatMs(rttMs.min)}, p50 ${formatMs(rttMs.p50)}, max ${formatMs(rttMs.max)}`,
      );
      if (received > 0) return;
      const fix = "mariana routes  shows what can be reached, mariana status  whether this node is connected";
      throw new Failure("target.unreachable", ExitCode.unreachable, `${argv.nac} is unreachable: ${reason}`, fix);
    },
  );
}
