#!/usr/bin/env node
/** The command line: reads arguments, calls one function per command, and turns every outcome into an exit code. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import yargs from "yargs";
import { EXIT_MEANINGS, ExitCode, Failure, systemCode } from "../failure.js";
import { completionCommand } from "./commands/completion.js";
import { hostCommand } from "./commands/host.js";
import { idCommand } from "./commands/id.js";
import { peersCommand } from "./commands/peers.js";
import { pingCommand } from "./commands/ping.js";
import { replayCommand } from "./commands/replay.js";
import { routesCommand } from "./commands/routes.js";
import { simCommand } from "./commands/sim.js";
import { statusCommand } from "./commands/status.js";
import { streamsCommand } from "./commands/streams.js";
import { upCommand } from "./commands/up.js";
import { complain, paint } from "./output.js";
import { explained, helpFor, refuseSlips } from "./slips.js";

/** As the help lists them, behind `up`. */
const COMMANDS_IN_ORDER = [
  idCommand,
  statusCommand,
  peersCommand,
  streamsCommand,
  hostCommand,
  completionCommand,
  routesCommand,
  pingCommand,
  replayCommand,
];

const EXIT_CODES = `Exit codes:\n${Object.entries(EXIT_MEANINGS)
  .map(([code, meaning]) => `${code.padStart(5)}  ${meaning}`)
  .join("\n")}`;

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
      throw error ?? new Failure("usage", ExitCode.usage, explained(message, args), helpFor(args[0], args[1]));
    });
  const onExit = (code: number): void => {
    exit = code;
  };
  upCommand(parser, onExit);
  for (const command of COMMANDS_IN_ORDER) command(parser);
  simCommand(parser, onExit);
  try {
    refuseSlips(args);
    await parser.parseAsync(args);
  } catch (error) {
    exit = report(error);
  }
  return exit;
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
