/**
 * `npm run bench -- routing`: what routing promises, row by row, what is measured here, and the command that repeats it. Rows
 * that take long run when they are named.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFileIfAny } from "../config/file.js";
import { ExitCode } from "../failure.js";
import { Children } from "../sim/child.js";
import { untilInterrupted } from "../sim/interruption.js";
import { repeatLine } from "../sim/repeat.js";
import { alignedTable, formatNumber } from "../sim/report-text.js";
import { parseReport, type TrialReport } from "../sim/trial-report.js";
import { type DaemonRowOptions, daemonFigures } from "./daemon-figures.js";
import { type Bound, isKept, ROUTING_ROWS, type RoutingRow, type RunArguments } from "./routing-rows.js";

export const DAEMON_ROW = "daemon";
export const ROW_NAMES: readonly string[] = [...ROUTING_ROWS.map(({ name }) => name), DAEMON_ROW];

export interface RoutingFigure {
  readonly row: string;
  readonly name: string;
  /** Null when it could not be measured; `note` says why. */
  readonly value: number | null;
  readonly unit: string;
  /** Undefined where the number is only to be known. */
  readonly asked: Bound | undefined;
  readonly isKept: boolean | undefined;
  readonly note?: string;
}

export interface RoutingRowFigures {
  readonly row: string;
  readonly title: string;
  readonly figures: readonly RoutingFigure[];
  readonly repeat: readonly string[];
  readonly peer?: string;
}

export interface RoutingBenchOptions extends Omit<DaemonRowOptions, "say"> {
  /** Undefined: the short ones. */
  readonly rows: readonly string[] | undefined;
  /** Of each row; a row that is about fewer runs with fewer. */
  readonly seeds: number;
  /** Wall seconds for each run. */
  readonly budgetSeconds: number;
  readonly say: (line: string) => void;
}

/** What came of one run. */
type Outcome = { readonly report: TrialReport } | { readonly unmeasured: string };

/** Throws when a run ends otherwise than by its expectations, an oracle or its budget. */
export async function benchRouting(options: RoutingBenchOptions): Promise<RoutingRowFigures[]> {
  const { say, budgetSeconds } = options;
  const wanted = ROUTING_ROWS.filter(({ name, isShort }) => options.rows?.includes(name) ?? isShort);
  const folder = mkdtempSync(join(tmpdir(), "mariana-routing-"));
  const children = new Children();
  const outcomes = new Map<string, Promise<Outcome>>();
  const run = (args: RunArguments): Promise<Outcome> => {
    const key = JSON.stringify(args);
    const path = join(folder, `${outcomes.size}.json`);
    const known = outcomes.get(key) ?? runOnce(children, args, path, budgetSeconds, say);
    outcomes.set(key, known);
    return known;
  };
  const stop = () => {
    children.end();
    rmSync(folder, { recursive: true, force: true });
    return ["interrupted; there are no figures"];
  };
  try {
    return await untilInterrupted(stop, async () => {
      const rows: RoutingRowFigures[] = [];
      for (const row of wanted) rows.push(await rowFigures(row, Math.min(options.seeds, row.seeds), run));
      if (options.rows?.includes(DAEMON_ROW)) rows.push(await daemonFigures(options));
      return rows;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The runs of a row, `seeds` of each. */
export async function rowFigures(
  row: RoutingRow,
  seeds: number,
  run: (args: RunArguments) => Promise<Outcome>,
): Promise<RoutingRowFigures> {
  const reports: TrialReport[] = [];
  const notes: string[] = [];
  const repeat: string[] = [];
  for (const args of row.runs) {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const withSeed = seeds === 1 ? args : [...args, "--seed", String(seed)];
      const outcome = await run(withSeed);
      if ("report" in outcome) {
        reports.push(outcome.report);
        repeat.push(outcome.report.repeat);
        const { violation } = outcome.report;
        if (violation !== undefined) notes.push(`${violation.oracle} at ${violation.atSeconds} s: ${violation.text}`);
      } else {
        notes.push(outcome.unmeasured);
        repeat.push(
          repeatLine(args[0]!, { set: [] }) +
            args
              .slice(1)
              .map((one) => ` '${one}'`)
              .join(""),
        );
      }
    }
  }
  const note = [...new Set(notes)].join("; ");
  const isWhole = notes.length === 0;
  const figures = row.checks.map(({ name, unit, asked, value }): RoutingFigure => {
    const measured = reports.length === 0 ? null : value(reports);
    // What an oracle stopped, or a run that is missing, keeps no promise, whatever the others measured.
    const kept = asked === undefined || reports.length === 0 ? undefined : isWhole && isKept(measured, asked);
    return { row: row.name, name, value: measured, unit, asked, isKept: kept, ...(note === "" ? {} : { note }) };
  });
  const seedsTold = row.seeds > 1 ? `; ${seeds} of ${row.seeds} seeds` : "";
  const { name, title, peer } = row;
  return { row: name, title: `${title}${seedsTold}`, figures, repeat, ...(peer === undefined ? {} : { peer }) };
}

async function runOnce(
  children: Children,
  args: RunArguments,
  path: string,
  budgetSeconds: number,
  say: (line: string) => void,
): Promise<Outcome> {
  say(`mariana sim run ${args.join(" ")}`);
  const budget = ["--budget", String(budgetSeconds)];
  const { code, said } = await children.run(["sim", "run", ...args, ...budget, "--quiet", "--json", path]);
  if (code === ExitCode.overBudget) return { unmeasured: `not done within ${budgetSeconds} s` };
  if (code === ExitCode.config) return { unmeasured: `cannot be run: ${said.trim().split("\n").at(-1)}` };
  const report = parseReport(readFileIfAny(path) ?? "");
  if (report === undefined || (code !== ExitCode.ok && code !== ExitCode.checkFailed)) {
    throw new Error(`mariana sim run ${args.join(" ")} ended with ${code}: ${said.trim()}`);
  }
  return { report };
}

export function routingTable(rows: readonly RoutingRowFigures[]): string {
  const parts = rows.map(({ row, title, figures, repeat, peer }) => {
    const lines = figures.map(({ name, value, unit, asked, isKept: kept }) => [
      name,
      value === null ? "-" : formatNumber(value),
      asked === undefined ? "" : `${asked.sign} ${formatNumber(asked.limit)}`,
      `${kept === undefined ? "       " : kept ? "kept   " : "MISSED "}${unit}`,
    ]);
    const notes = [...new Set(figures.flatMap(({ note }) => note ?? []))];
    const more = [
      ...notes.map((note) => `  !  ${note}`),
      ...(peer === undefined ? [] : [`  peers here: ${peer}`]),
      ...repeat.map((line) => `  repeat it:  ${line}`),
    ];
    return `\n${row}: ${title}\n${alignedTable(["", "here", "asked", ""], lines)}\n${more.join("\n")}\n`;
  });
  return `${parts.join("")}\n`;
}
