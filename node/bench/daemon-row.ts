/**
 * What a network costs one daemon: a real one is told, over loopback and by feeders with the real core, what its neighbours in
 * a simulated network of 5,000 knew; first while nothing happens there, then while nodes come and go.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeRecording } from "./feed-recording.js";
import type { FeederFigures } from "./feeder-program.js";
import { cpuSeconds, residentBytes } from "./process-usage.js";
import { Program } from "./program.js";
import type { SubjectFigures } from "./subject-program.js";

const NETWORK = "bench";
const MB = 1_000_000;
const ASK_MS = 100;
/** Links come up in a second; a busy machine takes longer. */
const LINKED_MS_MAX = 60_000;
const KNOWN_MS_MAX = 120_000;
/** A neighbour is told 16 KB a second at most: whole tables take a quarter of a minute, and what they make others tell as long. */
const SETTLE_MS = 45_000;
/** Links alone are up at once; bad news waits two seconds and more. */
const SETTLE_FEW_MS = 10_000;
const ALONE_MS = 10_000;

/** What is recorded: a network that has settled, for a while nothing, then nodes that come and go. */
export const FEED = {
  scenario: "churn-5000",
  changes: ["churn.0.start=110s"],
  fromSeconds: 45,
  quietSeconds: 65,
  churnSeconds: 75,
  tellers: 8,
} as const;

export interface DaemonFigures {
  readonly source: string;
  readonly neighbours: number;
  readonly routes: number;
  /** From the start of the process until it knows all of them. */
  readonly knownSeconds: number;
  /** Growth over the same daemon with the same links and no routes: heap in use and memory beside it, after a collection. */
  readonly routingMB: number;
  /** Of these, columns of the tables. */
  readonly tablesMB: number;
  readonly residentMB: number;
  /** Percent of one core. */
  readonly cpuAlone: number;
  readonly cpuQuiet: number;
  readonly cpuChurn: number;
  /** Route changes and losses that the neighbours went through, per second and neighbour. */
  readonly changesPerSecond: number;
  /** Bytes of UDP payload per second that reached it, of all neighbours together. */
  readonly heardQuiet: number;
  readonly heardChurn: number;
  /** Routes that it lacked, or held though all its neighbours had none, at the end. */
  readonly wrongRoutes: number;
}

export interface DaemonBenchOptions {
  /** A recording that `encodeRecording` wrote. */
  readonly recording: string;
  readonly neighbours: number;
  readonly quietMs: number;
  readonly churnMs: number;
  readonly settleMs?: number;
  readonly aloneMs?: number;
  readonly say: (line: string) => void;
}

/** Throws when a program ends, or the daemon does not come to know the network in time. */
export async function measureDaemon(options: DaemonBenchOptions): Promise<DaemonFigures> {
  const { recording: path, neighbours, say } = options;
  const recording = decodeRecording(readFileSync(path));
  if (recording === undefined) throw new Error(`${path} is no recording of a feed`);
  const base = mkdtempSync(join(tmpdir(), "mariana-daemon-"));
  const programs: Program[] = [];
  const start = (file: string, args: readonly string[], execArgv: readonly string[] = []): Program => {
    const program = new Program(builtPath(file), args, execArgv);
    programs.push(program);
    return program;
  };
  try {
    const feeders = start("feeder-program.js", [path, String(neighbours), NETWORK]);
    const peers = await feeders.ask<readonly string[]>("peers");
    const subject = (name: string): Program => {
      const directory = join(base, name);
      mkdirSync(directory, { mode: 0o700 });
      const config = {
        version: 1,
        network: { name: NETWORK },
        udp: ["127.0.0.1:0"],
        routing: { transit: "lastResort" }, // as a house of the simulated network
      };
      writeFileSync(join(directory, "config.json"), JSON.stringify(config), { mode: 0o600 });
      return start("subject-program.js", [directory, ...peers], ["--expose-gc"]);
    };

    say(`${neighbours} links, no routes`);
    const empty = subject("alone");
    await until(LINKED_MS_MAX, async () => {
      const { neighbours: linked, routes } = await empty.ask<SubjectFigures>("figures");
      return linked === neighbours && routes === neighbours;
    });
    await pause(options.settleMs ?? SETTLE_FEW_MS);
    const idle = await span(empty, feeders, options.aloneMs ?? ALONE_MS);
    const before = await empty.ask<SubjectFigures>("weigh");
    await empty.end();

    await feeders.ask("load");
    const known = Math.min(...(await feeders.ask<FeederFigures>("figures")).routes);
    say(`${known} routes`);
    const daemon = subject("daemon");
    let first = await daemon.ask<SubjectFigures>("figures");
    await until(KNOWN_MS_MAX, async () => {
      first = await daemon.ask<SubjectFigures>("figures");
      return first.neighbours === neighbours && first.routes >= known;
    });
    await pause(options.settleMs ?? SETTLE_MS);

    await feeders.ask("play");
    say(`nothing happens, ${options.quietMs / 1000} s`);
    const quiet = await span(daemon, feeders, options.quietMs);
    const weighed = await daemon.ask<SubjectFigures>("weigh");
    const residentNow = residentBytes(daemon.pid);
    say(`nodes come and go, ${options.churnMs / 1000} s`);
    const churn = await span(daemon, feeders, options.churnMs);
    await feeders.ask("hold");
    await pause(options.settleMs ?? SETTLE_FEW_MS);
    const wrong = difference(await feeders.ask("nacs"), await daemon.ask("nacs"));
    return {
      source: recording.head.source,
      neighbours,
      routes: weighed.routes,
      knownSeconds: first.atSeconds,
      routingMB: (weighed.heapBytes - before.heapBytes) / MB,
      tablesMB: weighed.tableBytes / MB,
      residentMB: residentNow / MB,
      cpuAlone: idle.cpu,
      cpuQuiet: quiet.cpu,
      cpuChurn: churn.cpu,
      changesPerSecond: churn.told / (options.churnMs / 1000) / neighbours,
      heardQuiet: quiet.heard,
      heardChurn: churn.heard,
      wrongRoutes: wrong,
    };
  } finally {
    await Promise.all(programs.map((program) => program.end()));
    rmSync(base, { recursive: true, force: true });
  }
}

/** What the daemon used, and its feeders sent, in so long. */
async function span(daemon: Program, feeders: Program, ms: number) {
  const [cpu, figures] = [cpuSeconds(daemon.pid), await feeders.ask<FeederFigures>("figures")];
  const startedMs = performance.now();
  await pause(ms);
  const used = cpuSeconds(daemon.pid) - cpu;
  const seconds = (performance.now() - startedMs) / 1000;
  const { sentBytes, told } = await feeders.ask<FeederFigures>("figures");
  return {
    cpu: (100 * used) / seconds,
    heard: (sentBytes - figures.sentBytes) / seconds,
    told: told - figures.told,
  };
}

/** How many are in one of the two only; but the daemon's own, which its neighbours have and itself not, counts for nothing. */
function difference(neighbours: readonly string[], daemon: readonly string[]): number {
  const [left, right] = [new Set(neighbours), new Set(daemon)];
  const missing = neighbours.filter((nac) => !right.has(nac)).length - 1;
  return missing + daemon.filter((nac) => !left.has(nac)).length;
}

async function until(msMax: number, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + msMax;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`the daemon under test did not get there in ${msMax / 1000} s`);
    await pause(ASK_MS);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What was built, also when this file is read as TypeScript. */
function builtPath(file: string): string {
  const built = import.meta.url.endsWith(".ts") ? `../../dist/node/bench/${file}` : `./${file}`;
  const path = fileURLToPath(new URL(built, import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} was not built`);
  return path;
}
