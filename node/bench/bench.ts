/** `npm run bench -- NAME [--json]`: measures on this machine, over loopback only. A table for people, or one object. */
import { parseArgs } from "node:util";
import { ExitCode } from "../failure.js";
import { FEED } from "./daemon-row.js";
import { benchDataplane, type DataplaneFigures } from "./dataplane.js";
import { benchRouting, DAEMON_ROW, ROW_NAMES, routingTable } from "./routing.js";
import { BUDGET_SECONDS, benchSim, simTable } from "./sim.js";

const USAGE = `npm run bench -- NAME [--json] [--megabytes N] [--budget SECONDS]

  dataplane   a client, three relays and a host as separate processes; a node web server behind the last
  sim         the simulator, against its goals: seven runs, each ended after 1,800 s or --budget, and its queue
  routing     what routing promises, row by row; the short rows, or those named:
              --rows NAME,NAME  any of ${ROW_NAMES.join(", ")}
              --seeds N         of each row that is about several (1)
              --feed FILE       of the row ${DAEMON_ROW}: a recording, made there if it is missing, in minutes
              --neighbours N    of the row ${DAEMON_ROW}: 1 to ${FEED.tellers} (${FEED.tellers})
`;

const NAMES = ["dataplane", "sim", "routing"] as const;

/** Bytes of one goodput run unless --megabytes says otherwise. */
const MEGABYTES_DEFAULT = 100;
const SEEDS_MAX = 1_000;

/** Runs the bench that `args` names and returns the exit code. */
export async function runBench(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === undefined) {
    process.stderr.write(USAGE);
    return ExitCode.usage;
  }
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  if (options.name === "sim") {
    const figures = await benchSim(say, options.budget);
    process.stdout.write(options.json ? `${JSON.stringify(figures)}\n` : simTable(figures));
    return ExitCode.ok;
  }
  if (options.name === "routing") {
    const rows = await benchRouting({ ...options, budgetSeconds: options.budget, say });
    process.stdout.write(options.json ? `${JSON.stringify(rows)}\n` : routingTable(rows));
    return ExitCode.ok;
  }
  const figures = await benchDataplane({
    megabytes: options.megabytes,
    say,
  });
  process.stdout.write(options.json ? `${JSON.stringify(figures)}\n` : tableOf(figures));
  return ExitCode.ok;
}

interface Options {
  readonly name: (typeof NAMES)[number];
  readonly json: boolean;
  readonly megabytes: number;
  /** Wall seconds of each run of the simulator. */
  readonly budget: number;
  /** Of routing; undefined: the short ones. */
  readonly rows: readonly string[] | undefined;
  readonly seeds: number;
  readonly feed: string | undefined;
  readonly neighbours: number;
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        megabytes: { type: "string" },
        budget: { type: "string" },
        rows: { type: "string" },
        seeds: { type: "string" },
        feed: { type: "string" },
        neighbours: { type: "string" },
      },
    });
    const megabytes = Number(values.megabytes ?? MEGABYTES_DEFAULT);
    const budget = Number(values.budget ?? BUDGET_SECONDS);
    const name = NAMES.find((known) => positionals.length === 1 && positionals[0] === known);
    if (name === undefined || !Number.isInteger(megabytes) || megabytes < 8) return undefined;
    if (!Number.isInteger(budget) || budget < 1) return undefined;
    const rows = values.rows?.split(",");
    const seeds = Number(values.seeds ?? 1);
    const neighbours = Number(values.neighbours ?? FEED.tellers);
    if (rows?.some((row) => !ROW_NAMES.includes(row))) return undefined;
    if (!Number.isInteger(seeds) || seeds < 1 || seeds > SEEDS_MAX) return undefined;
    if (!Number.isInteger(neighbours) || neighbours < 1 || neighbours > FEED.tellers) return undefined;
    const { json = false, feed } = values;
    return { name, json, megabytes, budget, rows, seeds, feed, neighbours };
  } catch {
    return undefined;
  }
}

function tableOf(figures: DataplaneFigures): string {
  const rows: [string, number, string][] = [
    ["goodputMBps", figures.goodputMBps, "MB/s, one download"],
    ["parallel8MBps", figures.parallel8MBps, "MB/s, eight downloads together"],
    ["ttfbMs.p50", figures.ttfbMs.p50, "ms to the first byte, session up"],
    ["ttfbMs.p95", figures.ttfbMs.p95, "ms"],
    ["firstRequestMs.p50", figures.firstRequestMs.p50, "ms, a host never spoken to before"],
    ["coldRequestMs.p50", figures.coldRequestMs.p50, "ms, the first request of a client just started"],
    ["handshakesPerSecond", figures.handshakesPerSecond, "both ends in one process, native suite"],
    ["junkInitUs", figures.junkInitUs, "us of processor for an INIT with a wrong mac1"],
    ["cpuSecondsPerGB", figures.cpuSecondsPerGB, "s of all five daemons together"],
    ["rssMB", figures.rssMB, "MB, the largest of the five"],
  ];
  const lines = rows.map(([name, value, unit]) => `  ${name.padEnd(20)} ${value.toFixed(1).padStart(9)}  ${unit}`);
  return `\n${lines.join("\n")}\n\n`;
}
