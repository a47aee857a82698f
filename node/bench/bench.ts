/** `npm run bench -- NAME [--json]`: measures on this machine, over loopback only. A table for people, or one object. */
import { parseArgs } from "node:util";
import { ExitCode } from "../failure.js";
import { benchDataplane, type DataplaneFigures } from "./dataplane.js";
import { BUDGET_SECONDS, benchSim, simTable } from "./sim.js";

const USAGE = `npm run bench -- NAME [--json] [--megabytes N] [--budget SECONDS]

  dataplane   a client, three relays and a host as separate processes; a node web server behind the last
  sim         the simulator, against its goals: seven runs, each ended after 1,800 s or --budget, and its queue
`;

const NAMES = ["dataplane", "sim"] as const;

/** Bytes of one goodput run unless --megabytes says otherwise. */
const MEGABYTES_DEFAULT = 100;

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
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: "boolean" }, megabytes: { type: "string" }, budget: { type: "string" } },
    });
    const megabytes = Number(values.megabytes ?? MEGABYTES_DEFAULT);
    const budget = Number(values.budget ?? BUDGET_SECONDS);
    const name = NAMES.find((known) => positionals.length === 1 && positionals[0] === known);
    if (name === undefined || !Number.isInteger(megabytes) || megabytes < 8) return undefined;
    if (!Number.isInteger(budget) || budget < 1) return undefined;
    return { name, json: values.json ?? false, megabytes, budget };
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
