/** The row of the daemon: finds or makes the recording of 5,000 nodes, measures, and says what was asked. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DaemonFigures, FEED, measureDaemon } from "./daemon-row.js";
import { Program } from "./program.js";
import type { RoutingFigure, RoutingRowFigures } from "./routing.js";

export interface DaemonRowOptions {
  /** Where the recording is, or is to be put; undefined: where the bench keeps its own. */
  readonly feed: string | undefined;
  readonly neighbours: number;
  readonly say: (line: string) => void;
}

const REPEAT = "npm run bench -- routing --rows daemon";
/** The simulated network of 5,000 takes 4 GB. */
const RECORDING_HEAP = "--max-old-space-size=8000";

export async function daemonFigures(options: DaemonRowOptions): Promise<RoutingRowFigures> {
  const { feed, neighbours, say } = options;
  const recording = feed ?? defaultFeed();
  if (!existsSync(recording)) await record(recording, say);
  const quietMs = FEED.quietSeconds * 1000;
  const churnMs = FEED.churnSeconds * 1000;
  const figures = await measureDaemon({ recording, neighbours, quietMs, churnMs, say });
  const repeat = [feed === undefined ? REPEAT : `${REPEAT} --feed ${feed}`];
  if (neighbours !== FEED.tellers) repeat[0] += ` --neighbours ${neighbours}`;
  return {
    row: "daemon",
    title: `a daemon with ${neighbours} neighbours that tell it of ${figures.source}`,
    figures: figuresOf(figures),
    repeat,
  };
}

export function figuresOf(measured: DaemonFigures): RoutingFigure[] {
  const asked = (name: string, value: number, limit: number, unit: string): RoutingFigure => ({
    row: "daemon",
    name,
    value,
    unit,
    asked: { sign: "<=", limit },
    isKept: value <= limit,
  });
  const known = (name: string, value: number, unit: string): RoutingFigure => ({
    row: "daemon",
    name,
    value,
    unit,
    asked: undefined,
    isKept: undefined,
  });
  return [
    known("routes", measured.routes, ""),
    asked("routing state", measured.routingMB, 10, "MB: heap and tables, over the same daemon without the routes"),
    known("of these, columns of tables", measured.tablesMB, "MB"),
    known("resident memory, whole daemon", measured.residentMB, "MB"),
    asked("processor, quiet", measured.cpuQuiet, 10, "% of a core; goal 5"),
    known("processor, sessions of 1 h", measured.cpuChurn, "% of a core"),
    known("processor, links without routes", measured.cpuAlone, "% of a core"),
    known("heard, quiet", measured.heardQuiet, "B/s, all neighbours together"),
    known("heard, sessions of 1 h", measured.heardChurn, "B/s"),
    known("changes, sessions of 1 h", measured.changesPerSecond, "a second at each neighbour"),
    known("from its start to all routes", measured.knownSeconds, "s"),
    { ...asked("routes missing or left over", measured.wrongRoutes, 0, ""), asked: { sign: "==", limit: 0 } },
  ];
}

/** Takes some minutes, and a core. */
async function record(path: string, say: (line: string) => void): Promise<void> {
  const { scenario, changes, fromSeconds, quietSeconds, churnSeconds, tellers } = FEED;
  mkdirSync(dirname(path), { recursive: true });
  const untilSeconds = fromSeconds + quietSeconds + churnSeconds;
  say(`no recording yet: ${scenario} is simulated for ${untilSeconds} s, which takes minutes; it is kept in ${path}`);
  const args = [path, scenario, String(tellers), String(fromSeconds), String(untilSeconds), ...changes];
  const program = new Program(fileURLToPath(new URL("./record-program.js", import.meta.url)), args, [RECORDING_HEAP]);
  try {
    await program.ask("record");
  } finally {
    await program.end();
  }
}

/** Beside what other tools keep of their own; `npm ci` throws it away. */
function defaultFeed(): string {
  const root = fileURLToPath(new URL("../../../", import.meta.url)); // of dist/node/bench
  return join(root, "node_modules", ".cache", "mariana", "churn-5000.feed");
}
