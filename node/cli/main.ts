#!/usr/bin/env node
/** The command line: reads arguments, calls one function per command, and turns every outcome into an exit code. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import yargs, { type Argv } from "yargs";
import { type Directory, directoryOf } from "../config/directory.js";
import { nearest } from "../config/nearest.js";
import { askDaemon } from "../control/client.js";
import type { PeerReport, RouteReport, StatusReport, StreamReport } from "../control/protocol.js";
import { EXIT_MEANINGS, ExitCode, Failure, systemCode } from "../failure.js";
import { COMMANDS, completionScript, SHELLS } from "./completion.js";
import type { HostChange } from "./host.js";
import { complain, formatMs, paint, print, printJson } from "./output.js";
import { pingMany } from "./ping.js";
import {
  formatChange,
  formatChecks,
  formatHosts,
  formatId,
  formatPeers,
  formatRoutes,
  formatStatus,
  formatStreams,
} from "./reports.js";
import { askStatus, waitReady } from "./status.js";
import { usage } from "./usage.js";

const PING_COUNT_MAX = 1000;

const EXIT_CODES = `Exit codes:\n${Object.entries(EXIT_MEANINGS)
  .map(([code, meaning]) => `${code.padStart(5)}  ${meaning}`)
  .join("\n")}`;

const HOST_NOTE = `TARGET is HOST:PORT, a port of 127.0.0.1, unix:PATH or udp:HOST:PORT. Ports are kept in config.json; a daemon that runs takes a change
at once: streams that are open keep their target, and break when their port is removed.`;

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
    .demandCommand(1, 1, "which command?", "one command at a time")
    .exitProcess(false)
    .wrap(Math.min(118, process.stdout.columns ?? 118))
    .epilogue(EXIT_CODES)
    .fail((message, error) => {
      throw error ?? new Failure("usage", ExitCode.usage, explained(message, args), helpFor(args[0]));
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
          .option("journal", {
            type: "string",
            requiresArg: true,
            describe: "record all that the core is given into FILE, keys and contents included; see replay",
          })
          .option("wait", {
            type: "string",
            choices: ["ready"],
            describe: "say nothing before it is ready, and end with 9 when it is not in time",
          })
          .option("timeout", { type: "string", default: "60", describe: "with --wait: give up after so many seconds" })
          .example("$0 up --peer 192.0.2.7:4000", "join through a node you know, and browse through its proxy")
          .example("$0 up --udp 0.0.0.0:4000 --host 80=127.0.0.1:8080", "be reachable, with a web site")
          .epilogue(UP_NOTE),
      async (argv) => {
        const { runUp } = await import("./up.js");
        const { udp, http, socks, peer, host, rotate, journal } = argv;
        const timeoutSeconds = numberIn("--timeout", argv.timeout, 0, 86_400);
        if (Array.isArray(journal)) usage("--journal stands more than once");
        exit = await runUp(directoryIn(argv), {
          udp: udp ?? [],
          http: http ?? [],
          socks: socks ?? [],
          peer: peer ?? [],
          host: host ?? [],
          rotate,
          journal,
          waitSeconds: waitsIn(argv.wait) ? timeoutSeconds : undefined,
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
        const status = waitsIn(argv.wait) ? await waitReady(directory, timeoutSeconds) : await askStatus(directory);
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
      async (argv) => {
        const { socket } = directoryIn(argv);
        show(argv.json, await askDaemon<PeerReport[]>(socket, { command: "peers" }), formatPeers);
        if (argv.json) return;
        const { peersUnusable } = await askDaemon<StatusReport>(socket, { command: "status" });
        for (const { peer, reason } of peersUnusable) complain(`${peer} cannot be used: ${reason}`);
      },
    )
    .command(
      "streams",
      "show the streams that are open",
      (command) =>
        withJson(command)
          .example("$0 streams", "one line per stream: with whom, which port, how much, how long")
          .example("$0 streams --json | jq length", "how many"),
      async (argv) =>
        show(
          argv.json,
          await askDaemon<StreamReport[]>(directoryIn(argv).socket, { command: "streams" }),
          formatStreams,
        ),
    )
    .command("host", "say which ports of this node are answered, and by what", (command) =>
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
            const { hostAdd } = await import("./host.js");
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
            const { hostList } = await import("./host.js");
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
            const { hostRemove } = await import("./host.js");
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
            const { runHostCheck } = await import("./host-check.js");
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
    )
    .command(
      "completion <shell>",
      "print a script that completes commands and flags",
      (command) =>
        command
          .positional("shell", { type: "string", choices: SHELLS, demandOption: true, describe: "which" })
          .example("source <(mariana completion bash)", "in ~/.bashrc")
          .example("source <(mariana completion zsh)", "in ~/.zshrc"),
      (argv) => void process.stdout.write(completionScript(argv.shell)),
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
    )
    .command(
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
        const { runReplay } = await import("./replay.js"); // brings the whole core
        runReplay(argv.file, { json: argv.json, suite: argv.suite });
      },
    );
  try {
    refuseSlips(args);
    await parser.parseAsync(args);
  } catch (error) {
    exit = report(error);
  }
  return exit;
}

function helpFor(command = ""): string {
  return COMMANDS[command] === undefined ? "see  mariana --help" : `see  mariana ${command} --help`;
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

function waitsIn(wait: string | readonly string[] | undefined): boolean {
  if (Array.isArray(wait)) usage("--wait stands more than once");
  return wait !== undefined;
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

function showChange(json: boolean, change: HostChange): void {
  show(json, change, formatChange);
  const { target, targetDown } = change;
  if (targetDown)
    complain(`${paint("yellow", "mariana:", process.stderr)} nothing answers at ${target} yet: ${targetDown}`);
}

/** Says what went wrong on stderr and returns the exit code. */
function report(error: unknown): number {
  const label = paint("red", "mariana:", process.stderr);
  if (error instanceof Failure) {
    complain(`${label} ${error.message}`);
    complain(`  fix: ${error.fix}`);
    return error.exit;
  }
  if (error instanceof Error && error.name === "YError") {
    complain(`${label} ${error.message}\n  fix: see  mariana --help`);
    return ExitCode.usage;
  }
  if (systemCode(error) !== undefined && error instanceof Error && "syscall" in error) {
    complain(`${label} the system refused: ${error.message}\n  fix: mend what it names, then say it again`);
    return ExitCode.unexpected;
  }
  complain(`${label} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  complain("  fix: this is a fault of ours; please report it with these lines");
  return ExitCode.unexpected;
}

/** yargs tells what it could not read; what was meant is found among the flags of that command. */
function explained(message: string, args: readonly string[]): string {
  const unknown = /^Unknown arguments?: ([^,\s]+)/.exec(message)?.[1];
  const given = args.find((arg) => arg.replace(/^-+/, "").split("=")[0] === unknown);
  if (unknown === undefined || given?.startsWith("-") !== true) return message;
  const command = args[0] ?? "";
  const near = nearest(unknown, COMMANDS[command]?.flags.map((flag) => flag.slice(2)) ?? []);
  const meant = near === undefined ? "" : ` (did you mean --${near}?)`;
  return `"mariana ${command}" takes no ${given.split("=")[0]}${meant}`;
}

/** Before yargs, which guesses at commands that are not near and takes any value for yes. */
function refuseSlips(args: readonly string[]): void {
  const [command = "", word = ""] = args;
  refuseUnknown(command, Object.keys(COMMANDS), "mariana --help");
  if (command === "host") refuseUnknown(word, COMMANDS.host!.words!, "mariana host --help");
  for (const arg of args) {
    const [, flag, value] = /^--(json|rotate)=(.*)$/.exec(arg) ?? [];
    if (flag !== undefined && value !== "true" && value !== "false") {
      usage(`${arg}: --${flag} takes no value`, `leave "=${value}" out, or leave --${flag} out`);
    }
  }
}

function refuseUnknown(word: string, known: readonly string[], help: string): void {
  if (word === "" || word.startsWith("-") || known.includes(word)) return;
  const near = nearest(word, known);
  const meant = near === undefined ? `known: ${known.join(", ")}` : `did you mean ${near}?`;
  usage(`there is no command "${word}" (${meant})`, `see  ${help}`);
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
