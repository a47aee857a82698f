import type { Argv } from "yargs";
import { ExitCode, Failure } from "../../failure.js";
import { directoryIn, withJson } from "../arguments.js";
import type { HostChange } from "../host.js";
import { complain, paint, show } from "../output.js";
import { formatChange, formatChecks, formatHosts } from "../reports.js";

const HOST_NOTE = `TARGET is HOST:PORT, a port of 127.0.0.1, unix:PATH or udp:HOST:PORT. Ports are kept in config.json; a daemon that runs takes a change
at once: streams that are open keep their target, and break when their port is removed.`;

export function hostCommand(root: Argv): Argv {
  return root.command("host", "say which ports of this node are answered, and by what", (command) =>
    command
      .command(
        "add <port> <target>",
        "answer at an overlay port with the server at TARGET",
        (inner) =>
          withJson(inner)
            .positional("port", { type: "string", demandOption: true, describe: "by which others reach it" })
            .positional("target", { type: "string", demandOption: true, describe: "HOST:PORT, a port, or unix:PATH" })
            .example("$0 host add 80 8080", "the web server on 127.0.0.1:8080")
            .example("$0 host add 22 unix:/run/ssh.sock", "what listens on a unix socket")
            .epilogue(HOST_NOTE),
        async (argv) => {
          const { hostAdd } = await import("../host.js");
          showChange(argv.json, await hostAdd(directoryIn(argv), argv.port, argv.target));
        },
      )
      .command(
        "ls",
        "show the hosted ports",
        (inner) =>
          withJson(inner)
            .example("$0 host ls", "one line per port: what answers, and whether it does so now")
            .example("$0 host ls --json | jq '.[].port'", "the ports alone"),
        async (argv) => {
          const { hostList } = await import("../host.js");
          show(argv.json, await hostList(directoryIn(argv)), formatHosts);
        },
      )
      .command(
        "rm <port>",
        "answer at an overlay port no longer",
        (inner) =>
          withJson(inner)
            .positional("port", { type: "string", demandOption: true, describe: "of the overlay" })
            .example("$0 host rm 80", "no web site any more")
            .example("$0 host rm 80 && mariana host add 80 8081", "another target"),
        async (argv) => {
          const { hostRemove } = await import("../host.js");
          showChange(argv.json, await hostRemove(directoryIn(argv), argv.port));
        },
      )
      .command(
        "check [port]",
        "ask the targets as a visitor would, and warn of what they tell; exit 9 when there is anything to mend",
        (inner) =>
          withJson(inner)
            .positional("port", { type: "string", describe: "this one alone" })
            .example(
              "$0 host check",
              "status pages, redirects, versions, links to the clear net, targets that are down",
            )
            .example("$0 host check 80 --json | jq '.[].findings'", "for a script"),
        async (argv) => {
          const { runHostCheck } = await import("../host-check.js");
          const checks = await runHostCheck(directoryIn(argv), argv.port);
          show(argv.json, checks, formatChecks);
          const count = checks.reduce((sum, { findings }) => sum + findings.length, 0);
          if (count === 0) return;
          const message = count === 1 ? "one thing wants mending" : `${count} things want mending`;
          throw new Failure("check.failed", ExitCode.checkFailed, message, "each is named above, with what mends it");
        },
      )
      .demandCommand(1, 1, "which command?", "one command at a time")
      .example("$0 host add 80 8080", "host the web server on 127.0.0.1:8080")
      .example("$0 host check", "before you share the name"),
  );
}

function showChange(json: boolean, change: HostChange): void {
  show(json, change, formatChange);
  const { target, targetDown } = change;
  if (targetDown)
    complain(`${paint("yellow", "mariana:", process.stderr)} nothing answers at ${target} yet: ${targetDown}`);
}
