/** `mariana sim explore`: its flags. */
import type { Argv } from "yargs";
import { numberIn, TEXTS } from "../arguments.js";
import { usage } from "../usage.js";
import { changesIn, countIn, oneOf, secondsIn } from "./sim-arguments.js";

const DEPTH = 400;
const LOSSES = 1;
const FLAPS = 2;
const LATE = 1;
const STATES = 500_000;
const SECONDS = 60;
const ALLOWANCE_MAX = 20;

type Text = string | readonly string[] | undefined;

export function withExplore(command: Argv): Argv {
  return command.command(
    "explore [file]",
    "walk 3 to 5 nodes through all orders of delivery, loss, fault and time, and check every state",
    (inner) =>
      inner
        .positional("file", {
          type: "string",
          describe: "a scenario; its timeline says what may befall, at any moment",
        })
        .option("seed", { type: "string", nargs: 1, describe: "another seed than the scenario's" })
        .option("set", { ...TEXTS, describe: "KEY=VALUE: change the scenario, as for run" })
        .option("mutate", {
          type: "string",
          choices: ["feasibility", "retraction", "delta"] as const,
          describe: "break the core on purpose: it must be found",
        })
        .option("depth", { type: "string", nargs: 1, describe: `choices on one path [${DEPTH}]` })
        .option("losses", { type: "string", nargs: 1, describe: `messages lost on one path [${LOSSES}]` })
        .option("flaps", { type: "string", nargs: 1, describe: `faults of the timeline on one path [${FLAPS}]` })
        .option("late", {
          type: "string",
          nargs: 1,
          describe: `times on one path that time goes by while messages travel [${LATE}]`,
        })
        .option("states", { type: "string", nargs: 1, describe: `stop after so many different states [${STATES}]` })
        .option("seconds", { type: "string", nargs: 1, describe: `stop after so many seconds [${SECONDS}]` })
        .option("out", {
          type: "string",
          nargs: 1,
          describe: "file for a counterexample [NAME-counterexample.yaml]",
        })
        .option("replay", {
          type: "string",
          nargs: 1,
          describe: "take the choices of such a FILE again, each in words",
        })
        .option("json", { type: "boolean", default: false, describe: "for scripts" })
        .example("$0 sim explore explore-triangle", "exit 9 with a counterexample, 0 without")
        .example(
          "$0 sim explore explore-crash --mutate feasibility --out loop.yaml",
          "the loop that feasibility forbids",
        )
        .example("$0 sim explore --replay loop.yaml", "the same again, step by step"),
    async (argv) => {
      const { exploreScenario, replayCounterexample } = await import("../../sim/explore-command.js");
      const replay = oneOf("--replay", argv.replay);
      if (replay !== undefined) {
        if (argv.file !== undefined) usage("--replay stands alone: its file holds the whole network");
        return replayCounterexample(replay);
      }
      if (argv.file === undefined) usage("name a scenario, or a counterexample with --replay");
      exploreScenario({
        file: argv.file,
        changes: changesIn(argv),
        depth: countIn("--depth", argv.depth, 10_000) ?? DEPTH,
        losses: allowanceIn("--losses", argv.losses) ?? LOSSES,
        flaps: allowanceIn("--flaps", argv.flaps) ?? FLAPS,
        late: allowanceIn("--late", argv.late) ?? LATE,
        states: countIn("--states", argv.states, 5_000_000) ?? STATES,
        seconds: secondsIn("--seconds", argv.seconds) ?? SECONDS,
        out: oneOf("--out", argv.out),
        json: argv.json,
      });
    },
  );
}

/** A whole number; 0: never. */
function allowanceIn(flag: string, value: Text): number | undefined {
  const text = oneOf(flag, value);
  if (text === undefined) return undefined;
  const count = numberIn(flag, text, 0, ALLOWANCE_MAX);
  if (!Number.isInteger(count)) usage(`${flag} ${text}: expected a whole number from 0 to ${ALLOWANCE_MAX}`);
  return count;
}
