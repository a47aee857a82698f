/** The commands of `mariana sim` that run scenarios: once, or many times. */
import { availableParallelism } from "node:os";
import type { Argv } from "yargs";
import { ExitCode, Failure } from "../../failure.js";
import type { RunRequest } from "../../sim/run.js";
import type { Engine } from "../../sim/trial.js";
import { paint, show } from "../output.js";
import { usage } from "../usage.js";
import { changesIn, countIn, oneOf, secondsIn, withChanges, withRunning } from "./sim-arguments.js";
import { judgeSweep } from "./sim-verdict.js";

const RUN_NOTE = `FILE is a scenario (YAML or JSON), a plan that shrink has written, or the bare name of a scenario that ships with us.
Exit codes: 0 all that is expected holds, 3 a scenario is invalid, 9 an expectation or an oracle failed, 12 over budget.`;

const JSON_FLAG = { type: "boolean", default: false, describe: "for scripts" } as const;
const SHRINK_BUDGET_SECONDS = 600;
const SHRINK_RUNS = 2_000;
/** A week, the longest that a scenario lasts. */
const SECONDS_MAX = 604_800;

export function withRuns(command: Argv, onExit: (code: ExitCode) => void, engine: Engine): Argv {
  return withShrink(withSweep(withVerify(withRun(command, onExit, engine))), engine).command(
    "bench",
    "measure how fast the simulator is on this machine",
    (inner) =>
      inner
        .option("json", JSON_FLAG)
        .example("$0 sim bench", "the table of the goals: seven runs, half an hour each at most, and the queue"),
    async (argv) => {
      const { runBench } = await import("../../bench/bench.js");
      onExit((await runBench(argv.json ? ["sim", "--json"] : ["sim"])) as ExitCode);
    },
  );
}

function withRun(command: Argv, onExit: (code: ExitCode) => void, engine: Engine): Argv {
  return command.command(
    "run <files..>",
    "run scenarios and judge them",
    (inner) =>
      withRunning(withChanges(inner))
        .positional("files", { type: "string", array: true, demandOption: true, describe: "scenarios" })
        .option("json", {
          type: "string",
          nargs: 1,
          describe: "write the report to FILE as JSON, or alone to stdout (-); an array for several scenarios",
        })
        .option("junit", { type: "string", nargs: 1, describe: "write JUnit's XML to FILE" })
        .option("chain", { type: "string", nargs: 1, describe: "write the fingerprints of each second to FILE" })
        .option("moments", {
          type: "string",
          nargs: 1,
          describe: "with --second: write what is sent and what changes in that second to FILE",
        })
        .option("second", { type: "string", nargs: 1, describe: "which second, from 1; the run ends with it" })
        .option("shuffle", {
          type: "string",
          nargs: 1,
          describe: "intern NACs in an order drawn from this; it must change nothing",
        })
        .option("quiet", { type: "boolean", default: false, describe: "no progress" })
        .example("$0 sim run churn-5000", "5,000 nodes, 10 minutes of churn")
        .example("$0 sim run mine.yaml --set nodes.count=200 --seed 3", "something changed, another seed")
        .example("$0 sim run a.yaml b.yaml --junit out.xml", "for CI")
        .example("$0 sim run line --json - | jq .metrics.removal", "for a script")
        .epilogue(RUN_NOTE),
    async (argv) => {
      const { runScenarios } = await import("../../sim/run.js");
      const chain = oneOf("--chain", argv.chain);
      const files = argv.files as string[];
      onExit(
        await runScenarios({
          engine,
          files,
          changes: changesIn(argv),
          workers: countIn("--workers", argv.workers, 64),
          budgetSeconds: secondsIn("--budget", argv.budget),
          shuffle: oneOf("--shuffle", argv.shuffle),
          json: oneOf("--json", argv.json),
          junit: oneOf("--junit", argv.junit),
          chain,
          moments: momentsIn(argv.moments, argv.second),
          isQuiet: argv.quiet,
        }),
      );
    },
  );
}

function momentsIn(moments: string | undefined, second: string | undefined): RunRequest["moments"] {
  const path = oneOf("--moments", moments);
  const number = countIn("--second", second, SECONDS_MAX);
  if (path !== undefined && number !== undefined) return { path, second: number };
  if (path === undefined && number === undefined) return undefined;
  return usage("--moments and --second belong together", "for example  --moments FILE --second 12");
}

function withVerify(command: Argv): Argv {
  return command.command(
    "verify <file>",
    "run it again with other workers, language, time zone and order; exit 11 when anything differs",
    (inner) =>
      withChanges(inner)
        .option("until", { type: "string", nargs: 1, describe: "stop at this simulated time, for example 60s" })
        .positional("file", { type: "string", demandOption: true, describe: "a scenario" })
        .option("json", JSON_FLAG)
        .example("$0 sim verify storm-1000", "identical, or the first moment at which it differs"),
    async (argv) => {
      const { describeDeparture, verify } = await import("../../sim/verification.js");
      const result = await verify(argv.file, changesIn(argv));
      show(argv.json, result, ({ scenario, seed, seconds, fingerprint, variants, ok }) => {
        const verdict = ok ? paint("green", "identical") : paint("red", "differs");
        const head = `${verdict}  ${paint("bold", scenario)}, seed ${seed}, ${seconds} s`;
        const rows = variants.map((variant, index) => {
          const found = index === 0 ? "what the others are held against" : describeDeparture(result, variant);
          return `  ${variant.name.padEnd(38)}  ${found}`;
        });
        return [head, "", ...rows, "", `  wire   ${fingerprint.wire}`, `  state  ${fingerprint.state}`].join("\n");
      });
      const parted = result.variants.find(({ parting }) => parting !== null);
      if (parted === undefined) return;
      const message = `${result.scenario} is not the same with ${parted.name}: ${describeDeparture(result, parted)}`;
      const fix = "this is a fault of ours; please report it with the scenario and the seed";
      throw new Failure("simulation.differs", ExitCode.differs, message, fix);
    },
  );
}

function withSweep(command: Argv): Argv {
  return command.command(
    "sweep <file>",
    "run a scenario with many seeds; what is there already is kept",
    (inner) =>
      withRunning(withChanges(inner))
        .positional("file", { type: "string", demandOption: true, describe: "a scenario" })
        .option("seeds", { type: "string", nargs: 1, demandOption: true, describe: "A..B, both included" })
        .option("shard", { type: "string", nargs: 1, describe: "i/n: every n-th seed, beginning with the i-th" })
        .option("jobs", { type: "string", nargs: 1, describe: "processes at a time [one per core]" })
        .option("out", { type: "string", nargs: 1, demandOption: true, describe: "folder for a report per seed" })
        .option("json", JSON_FLAG)
        .example("$0 sim sweep churn-1000 --seeds 1..30 --out sweep", "thirty seeds; again after Ctrl-C goes on")
        .example("$0 sim sweep mine.yaml --seeds 1..1000 --shard 2/4 --out s2", "the second of four machines"),
    async (argv) => {
      const [{ runSweep }, { seedsIn, shardOf }, { formatSummary }] = await Promise.all([
        import("../../sim/sweep.js"),
        import("../../sim/seeds.js"),
        import("../../sim/report-text.js"),
      ]);
      if (argv.seed !== undefined) usage("--seed and --seeds exclude each other", "leave --seed out");
      const seeds = shardOf(seedsIn(oneOf("--seeds", argv.seeds)!), oneOf("--shard", argv.shard));
      if (seeds.length === 0) usage(`--shard ${argv.shard}: no seed of --seeds ${argv.seeds} falls into it`);
      const out = oneOf("--out", argv.out)!;
      if (out === "") usage("--out names no folder");
      const sweep = await runSweep({
        file: argv.file,
        seeds,
        changes: changesIn(argv),
        jobs: Math.min(seeds.length, countIn("--jobs", argv.jobs, 1024) ?? availableParallelism()),
        workers: countIn("--workers", argv.workers, 64) ?? 1,
        budgetSeconds: secondsIn("--budget", argv.budget),
        out,
      });
      show(argv.json, sweep, ({ summaries }) => summaries.map(formatSummary).join("\n\n"));
      judgeSweep(sweep);
    },
  );
}

function withShrink(command: Argv, engine: Engine): Argv {
  return command.command(
    "shrink <file>",
    "make a failing run small: fewer nodes, fewer faults, less time, as a file that fails for the same reason",
    (inner) =>
      withChanges(inner)
        .positional("file", { type: "string", demandOption: true, describe: "a scenario that fails" })
        .option("until", { type: "string", nargs: 1, describe: "stop at this simulated time, for example 60s" })
        .option("workers", { type: "string", nargs: 1, describe: "threads of the first run" })
        .option("out", { type: "string", nargs: 1, describe: "file to write [NAME-shrunk.yaml]" })
        .option("budget", {
          type: "string",
          nargs: 1,
          describe: `stop after so many seconds, the first run not counted [${SHRINK_BUDGET_SECONDS}]`,
        })
        .option("runs", { type: "string", nargs: 1, describe: `stop after so many runs [${SHRINK_RUNS}]` })
        .option("json", JSON_FLAG)
        .example("$0 sim shrink churn-1000 --seed 7", "then  mariana sim run churn-1000-shrunk.yaml")
        .example("$0 sim shrink churn-1000 --mutate death --out ghost.yaml", "how the oracles are shown to see"),
    async (argv) => {
      const { describeResult, shrinkScenario } = await import("../../sim/shrink-command.js");
      const result = await shrinkScenario({
        engine,
        file: argv.file,
        changes: changesIn(argv),
        workers: countIn("--workers", argv.workers, 64),
        out: oneOf("--out", argv.out),
        runs: countIn("--runs", argv.runs, 1_000_000) ?? SHRINK_RUNS,
        budgetSeconds: secondsIn("--budget", argv.budget) ?? SHRINK_BUDGET_SECONDS,
      });
      const { out, runs, wallSeconds, isMinimal, cause, plan } = result;
      const size = { nodes: plan.nodes.length, events: plan.actions.length, seconds: plan.durationUs / 1e6 };
      show(argv.json, { out, runs, wallSeconds, isMinimal, reason: cause.reason, ...size }, () =>
        describeResult(result),
      );
    },
  );
}
