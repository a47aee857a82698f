/** The commands of `mariana sim` that look at what runs have left. */
import type { Argv } from "yargs";
import { ExitCode, Failure } from "../../failure.js";
import { complain, print, printJson, show } from "../output.js";
import { usage } from "../usage.js";
import { oneOf } from "./sim-arguments.js";
import { judgeSweep } from "./sim-verdict.js";

const JSON_FLAG = { type: "boolean", default: false, describe: "for scripts" } as const;

export function withComparison(command: Argv): Argv {
  return command
    .command(
      "merge <folders..>",
      "one summary of what sweeps have left: counts, percentiles over the seeds",
      (inner) =>
        inner
          .positional("folders", { type: "string", array: true, demandOption: true, describe: "of sweep --out" })
          .option("json", JSON_FLAG)
          .example("$0 sim merge s1 s2 s3 s4", "the shards of four machines; exit 9 when a seed failed"),
      async (argv) => {
        const [{ reportsIn }, { summarize }, { formatSummary }] = await Promise.all([
          import("../../sim/results.js"),
          import("../../sim/summary.js"),
          import("../../sim/report-text.js"),
        ]);
        const summaries = summarize((argv.folders as string[]).flatMap(reportsIn));
        show(argv.json, summaries, (all) => all.map(formatSummary).join("\n\n"));
        judgeSweep({ summaries, broken: [] });
      },
    )
    .command(
      "compare <base> <new>",
      "hold two results against each other, metric by metric; exit 10 when something became worse",
      (inner) =>
        inner
          .positional("base", { type: "string", demandOption: true, describe: "a report, or a folder of a sweep" })
          .positional("new", { type: "string", demandOption: true, describe: "the same of what you changed" })
          .option("max-regress", { type: "string", nargs: 1, default: "5%", describe: "how much worse each may be" })
          .option("all", { type: "boolean", default: false, describe: "also what is the same" })
          .option("json", JSON_FLAG)
          .example("$0 sim compare before.json after.json", "two reports of  mariana sim run --json")
          .example("$0 sim compare main/ mine/ --max-regress 2%", "two sweeps: means over the seeds that both have"),
      async (argv) => {
        const [{ meansOf, reportsIn }, { compareMetrics, shareIn }, { formatComparison }] = await Promise.all([
          import("../../sim/results.js"),
          import("../../sim/comparison.js"),
          import("../../sim/report-text.js"),
        ]);
        const limit = oneOf("--max-regress", argv["max-regress"])!;
        const maxRegress = shareIn(limit);
        if (maxRegress === undefined) usage(`--max-regress ${limit}: expected a share, for example 5%`);
        const base = reportsIn(argv.base);
        const now = reportsIn(argv.new);
        const means = meansOf(base, now);
        if (base[0]!.hash !== now[0]!.hash) complain("these are runs of different scenarios");
        else if (means.seeds === 0) complain("they have no seed in common: chance differs, too");
        const rows = compareMetrics(means.base, means.now, maxRegress);
        if (argv.json) printJson({ seeds: means.seeds, maxRegress, rows });
        else print(formatComparison(rows, argv.all));
        const worse = rows.filter(({ verdict }) => verdict === "regression");
        if (worse.length === 0) return;
        const names = worse.map(({ metric }) => metric).join(", ");
        const message = `worse by more than ${limit}: ${names}`;
        const fix = "mend it, or allow more with --max-regress";
        throw new Failure("simulation.regressed", ExitCode.regression, message, fix);
      },
    );
}
