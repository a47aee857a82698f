#!/usr/bin/env node
/** The command line: reads arguments, calls one function per command, and turns every outcome into an exit code. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import yargs, { type Argv } from "yargs";
import { type Directory, directoryOf } from "../config/directory.js";
import { nearest } from "../config/nearest.js";
import { askDaemon } from "../control/client.js";
import type { PeerReport, RouteReport } from "../control/protocol.js";
import { ExitCode, Failure, systemCode } from "../failure.js";
import { complain, formatMs, paint, print, printJson } from "./output.js";
import { pingMany } from "./ping.js";
import { formatId, formatPeers, formatRoutes, formatStatus } from "./reports.js";
import { askStatus, waitReady } from "./status.js";
import { usage } from "./usage.js";

const PING_COUNT_MAX = 1000;

const EXIT_CODES = `Exit codes: 0 ok, 1 unexpected, 2 usage, 3 configuration invalid, 4 daemon not running, 5 unreachable,
            7 permission, 8 port or directory in use, 9 check failed.`;

const UP_NOTE = `Flags count for this run and are not written to config.json; --udp, --http and --socks replace what it says, --peer
and --host add to it. config.json keeps two things by itself: the NAC, and the UDP port, which stands in for port 0.
The link key stays the same (linkkey.pem) while a UDP address is given, here or in config.json, and is fresh at
each start otherwise; "link": {"key": "persistent"} or "fresh" decides otherwise.`;

async function main(args: readonly string[]): Promise<number> {
  let exit: number = ExitCode.ok;
  const parser = yargs()
    .scriptName("mariana")
    .usage("$0 <command>\n\nA node of Mariana's Qubit: reached by its NAC, never by its IP address.")
    .locale("en")
    .parserConfiguration({ "greedy-arrays": false, "camel-case-expansion": false, "parse-numbers": false })
    .version(readVersion())
    .alias("h", "help")
    .strict()
    .recommendCommands()
    .demandCommand(1, 1, "which command?", "one command at a time")
    .exitProcess(false)
    .wrap(Math.min(118, process.stdout.columns ?? 118))
    .epilogue(EXIT_CODES)
    .fail((message, error) => {
      throw error ?? new Failure("usage", ExitCode.usage, `${message}${suggestion(message)}`, "see  mariana --help");
    })
    .command(
      "up",
      "run a node in the foreground",
      (command) =>
        withDirectory(command)
          .option("udp", {
            ...TEXTS,
            describe: "UDP address of this node, IP:PORT; port 0 is the kept one, or a free one",
          })
          .option("http", {
            ...TEXTS,
            describe: "address of the HTTP proxy, IP:PORT or off [127.0.0.1:8000, [::1]:8000]",
          })
          .option("socks", {
            ...TEXTS,
            describe: "address of the SOCKS5 proxy, IP:PORT or off [127.0.0.1:1080]",
          })
          .option("peer", { ...TEXTS, describe: "keep a link to HOST:PORT[#LINKKEYHASH]; repeatable" })
          .option("host", {
            ...TEXTS,
            describe: "answer at overlay PORT with the TCP server at HOST:PORT; PORT=HOST:PORT; repeatable",
          })
          .option("rotate", {
            type: "boolean",
            default: false,
            describe: "new keys and a new NAC as one, on the same port; the old answer for identity.graceHours more",
          })
          .example("$0 up --peer 192.0.2.7:4000", "join through a node you know, and browse through its proxy")
          .example("$0 up --udp 0.0.0.0:4000 --host 80=127.0.0.1:8080", "be reachable, with a web site")
          .epilogue(UP_NOTE),
      async (argv) => {
        const { runUp } = await import("./up.js");
        const { udp, http, socks, peer, host, rotate } = argv;
        exit = await runUp(directoryIn(argv), {
          udp: udp ?? [],
          http: http ?? [],
          socks: socks ?? [],
          peer: peer ?? [],
          host: host ?? [],
          rotate,
        });
      },
    )
    .command(
      "id",
      "show who this node is; works without a running daemon",
      (command) =>
        withJson(command)
          .example("$0 id", "the NAC, both names, the link key's hash, the files")
          .example("$0 id --json | jq -r .longName", "the name to share"),
      async (argv) => {
        const { findId } = await import("./id.js"); // brings the crypto and the schema, which the other commands do without
        show(argv.json, await findId(directoryIn(argv)), formatId);
      },
    )
    .command(
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
        const status =
          argv.wait === undefined ? await askStatus(directory) : await waitReady(directory, timeoutSeconds);
        show(argv.json, status, formatStatus);
      },
    )
    .command(
      "peers",
      "show the links to neighbours",
      (command) =>
        withJson(command)
          .example("$0 peers", "one line per link: where to, pinned or not, round trip, loss")
          .example("$0 peers --json | jq '.[].rttMs'", "round trips alone"),
      async (argv) =>
        show(argv.json, await askDaemon<PeerReport[]>(directoryIn(argv).socket, { command: "peers" }), formatPeers),
    )
    .command(
      "routes",
      "show which nodes can be reached, and through which link",
      (command) =>
        withJson(command)
          .example("$0 routes", "one line per NAC: metric, next hop, backups")
          .example("$0 routes --json | jq length", "how many nodes can be reached"),
      async (argv) =>
        show(argv.json, await askDaemon<RouteReport[]>(directoryIn(argv).socket, { command: "routes" }), formatRoutes),
    )
    .command(
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
        const summary = await pingMany(directoryIn(argv), argv.nac, Math.floor(count), (number, outcome) => {
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
  try {
    await parser.parseAsync(args);
  } catch (error) {
    exit = report(error);
  }
  return exit;
}

const TEXTS = { type: "string", array: true, requiresArg: true } as const;

function withDirectory<T>(command: Argv<T>) {
  return command.option("dir", {
    type: "string",
    requiresArg: true,
    describe: "where the node keeps its files [$MARIANA_DIR, else the XDG state directory]",
  });
}

function withJson<T>(command: Argv<T>) {
  return withDirectory(command).option("json", { type: "boolean", default: false, describe: "for scripts" });
}

function directoryIn(argv: { readonly dir?: string | readonly string[] | undefined }): Directory {
  if (argv.dir !== undefined && typeof argv.dir !== "string") usage("--dir stands more than once");
  return directoryOf(argv.dir, process.env);
}

function numberIn(flag: string, text: string | readonly string[], least: number, most: number): number {
  const value = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) usage(`${flag} ${String(text)}: expected a number from ${least} to ${most}`);
  return value;
}

function show<T>(json: boolean, value: T, format: (value: T) => string): void {
  if (json) printJson(value);
  else print(format(value));
}

/** Says what went wrong on stderr and returns the exit code. */
function report(error: unknown): number {
  const label = paint("red", "mariana:", process.stderr);
  if (error instanceof Failure) {
    complain(`${label} ${error.message}`);
    if (error.fix !== "") complain(`  fix: ${error.fix}`);
    return error.exit;
  }
  if (error instanceof Error && error.name === "YError") {
    complain(`${label} ${error.message}\n  fix: see  mariana --help`);
    return ExitCode.usage;
  }
  complain(`${label} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return ExitCode.unexpected;
}

const FLAGS = [
  "dir",
  "json",
  "udp",
  "http",
  "socks",
  "peer",
  "host",
  "rotate",
  "wait",
  "timeout",
  "count",
  "help",
  "version",
];

/** yargs suggests commands by itself, but not flags. */
function suggestion(message: string): string {
  const unknown = /^Unknown arguments?: ([^,\s]+)/.exec(message)?.[1];
  const near = unknown === undefined ? undefined : nearest(unknown, FLAGS);
  return near === undefined ? "" : ` (did you mean --${near}?)`;
}

/** From the package.json above this file: beside dist/ when built, two levels up in the source. */
function readVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && folder !== dirname(folder)) folder = dirname(folder);
  try {
    return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
  } catch {
    return "unknown";
  }
}

// A reader that goes away (`mariana routes | head -1`, a closed log pipe) is no error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => {
    if (systemCode(error) !== "EPIPE") process.exitCode = ExitCode.unexpected;
  });
}

process.exit(await main(process.argv.slice(2)));
