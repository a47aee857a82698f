/** `mariana sim explore`: walks a small network through all orders of what may happen, and writes what breaks a promise. */
import { performance } from "node:perf_hooks";
import { type Explored, explore } from "../../sim/explore/explore.js";
import { narrate } from "../../sim/explore/narration.js";
import { settingOf } from "../../sim/explore/setting.js";
import { paint, print, printJson } from "../cli/output.js";
import { readFileIfAny } from "../config/file.js";
import { ExitCode, Failure, quote } from "../failure.js";
import { decodeCounterexample, encodeCounterexample } from "./counterexample-file.js";
import { assertWritable, writeOutput } from "./output-file.js";
import { formatSpan } from "./progress.js";
import { type RunChanges, repeatLine } from "./repeat.js";
import { loadPlan } from "./scenario-file.js";

export interface ExploreRequest {
  readonly file: string;
  readonly changes: RunChanges;
  readonly depth: number;
  readonly losses: number;
  /** Faults of the timeline on one path. */
  readonly flaps: number;
  /** Times that time goes by while messages travel. */
  readonly late: number;
  readonly states: number;
  readonly seconds: number;
  /** Where a counterexample goes; NAME-counterexample.yaml here when it is not given. */
  readonly out: string | undefined;
  readonly json: boolean;
}

/** Throws a Failure: exit 9 with a counterexample, 3 for what cannot be explored. */
export function exploreScenario(request: ExploreRequest): void {
  const { file, changes, flaps, out, json, seconds, ...bounds } = request;
  const plan = loadPlan(file, changes);
  const setting = settingOf(plan);
  if (typeof setting === "string") {
    const fix = 'sim/SCENARIOS.md says under "Exploring" what can be explored';
    throw new Failure("scenario.invalid", ExitCode.config, setting, fix);
  }
  const path = out ?? `${plan.name}-counterexample.yaml`;
  assertWritable(path);
  const beganMs = performance.now();
  const spentSeconds = () => (performance.now() - beganMs) / 1000;
  const explored = explore(setting, { ...bounds, faults: flaps, isOver: () => spentSeconds() > seconds });
  const wallSeconds = spentSeconds();
  const { counterexample, ...counts } = explored;
  if (counterexample !== undefined) {
    const heading = [
      counterexample.violation.what,
      `Found by  ${repeatLine(file, changes).replace(" run ", " explore ")}`,
      `Step by step:  mariana sim explore --replay ${quote(path)}`,
    ];
    writeOutput(path, encodeCounterexample({ setting, counterexample }, heading));
  }
  if (json) {
    const found = counterexample === undefined ? {} : { file: path, ...counterexample.violation };
    printJson({ name: plan.name, ...counts, wallSeconds, ...(counterexample && { counterexample: found }) });
  } else print(describe(plan.name, explored, wallSeconds));
  if (counterexample === undefined) return;
  const { invariant, what } = counterexample.violation;
  const fix = `step by step:  mariana sim explore --replay ${quote(path)}`;
  throw new Failure("simulation.failed", ExitCode.checkFailed, `${invariant}: ${what}`, fix);
}

/** Throws a Failure: exit 9 when the promise is broken again, 11 when the choices cannot be taken any more. */
export function replayCounterexample(path: string): void {
  const text = readFileIfAny(path);
  const decoded = text === undefined ? "there is no such file" : decodeCounterexample(text);
  if (typeof decoded === "string") {
    const fix = "name a file that  mariana sim explore  has written";
    throw new Failure("scenario.invalid", ExitCode.config, `${path}: ${decoded}`, fix);
  }
  const { setting, counterexample } = decoded;
  const { lines, stoppedAt, violations } = narrate(setting, counterexample);
  for (const line of lines) print(line);
  if (stoppedAt !== undefined) {
    const message = `${path}: choice ${stoppedAt} cannot be taken: the core does something else now`;
    throw new Failure("simulation.differs", ExitCode.differs, message, "explore the scenario anew");
  }
  const [first] = violations;
  if (first === undefined) return print(`${paint("green", "holds")}  nothing is broken by these choices any more`);
  print("");
  for (const { invariant, what } of violations) print(`${paint("red", invariant)}  ${what}`);
  const message = `${first.invariant}: ${first.what}`;
  throw new Failure(
    "simulation.failed",
    ExitCode.checkFailed,
    message,
    "a promise of the core is broken: see the steps above",
  );
}

const ENDS: Readonly<Record<Explored["end"], string>> = {
  whole: "every order within the allowances was walked",
  depth: "cut short by --depth",
  states: "cut short by --states",
  time: "cut short by --seconds",
  violation: "ended by a counterexample",
};

function describe(name: string, explored: Explored, wallSeconds: number): string {
  const { visited, distinct, depth, resting, end, waiting, counterexample } = explored;
  const word = counterexample === undefined ? paint("green", "holds") : paint("red", "broken");
  const rest = waiting > 0 && counterexample === undefined ? `; ${waiting} states were not gone on from` : "";
  return [
    `${word}  ${name}: ${ENDS[end]}${rest}`,
    `  states visited   ${visited}`,
    `  different        ${distinct}, and ${resting} on their ways to rest`,
    `  longest path     ${depth} choices`,
    `  time             ${formatSpan(wallSeconds)}, ${Math.round(visited / wallSeconds)} states/s`,
    ...(counterexample === undefined ? [] : [`  counterexample   ${counterexample.choices.length} choices`]),
  ].join("\n");
}
