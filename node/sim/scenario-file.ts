/** From the word on the command line to the plan of a run: a path, or the bare name of a scenario that ships with us. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Mutation, Plan } from "../../sim/plan/plan.js";
import { nearest } from "../../sim/scenario/nearest.js";
import { expand, parseScenario, printComplaint, type Scenario } from "../../sim/scenario/scenario.js";
import { readFileIfAny } from "../config/file.js";
import { ExitCode, Failure, quote } from "../failure.js";
import { decodePlan, isPlanText } from "./plan-file.js";
import { shippedScenarios } from "./shipped.js";

/** What the command line changes of a scenario. All of it stands in the line that repeats a run. */
export interface Changes {
  readonly seed?: string | undefined;
  readonly set: readonly string[];
  readonly crypto?: "modelled" | "real" | undefined;
  readonly mutate?: Mutation | undefined;
}

const ENDINGS = [".yaml", ".yml", ".json"];

/** Throws a Failure: exit 3 for what is wrong with the file, each complaint on a line of its own. */
export function loadPlan(word: string, changes: Changes): Plan {
  const path = findScenario(word);
  const text = textOf(path);
  const plan = isPlanText(text)
    ? planIn(text, path, changes)
    : planFrom(scenarioIn(text, path, changes.set), path, changes);
  return { ...plan, crypto: changes.crypto ?? plan.crypto, mutate: changes.mutate ?? plan.mutate };
}

/** A plan has its seed inside: another seed would be other weather over the same events, which is allowed. */
function planIn(text: string, path: string, { seed, set }: Changes): Plan {
  if (set.length > 0) throw invalid(["--set changes scenarios, and this file is a plan: edit it instead"]);
  const decoded = decodePlan(text, path);
  if ("errors" in decoded) throw invalid(decoded.errors);
  const hash = createHash("sha256")
    .update(JSON.stringify({ ...decoded.plan, seed: "", hash: "" }))
    .digest("hex");
  return { ...decoded.plan, seed: seed ?? decoded.plan.seed, hash };
}

function scenarioIn(text: string, path: string, set: readonly string[]): Scenario {
  const readFile = (name: string) => readFileIfAny(join(dirname(path), name));
  const parsed = parseScenario(text, path, { set, readFile });
  if (!parsed.ok) throw invalid(parsed.errors.map(printComplaint));
  return parsed.scenario;
}

function planFrom(scenario: Scenario, path: string, { seed }: Changes): Plan {
  try {
    return expand(scenario, seed);
  } catch (error) {
    if (error instanceof RangeError) throw invalid([`${path}: ${error.message}`]);
    throw error;
  }
}

function invalid(lines: readonly string[]): Failure {
  const fix = "mariana sim schema  prints what a scenario may hold; sim/SCENARIOS.md teaches it";
  return new Failure("scenario.invalid", ExitCode.config, lines.join("\n"), fix);
}

function textOf(path: string): string {
  const text = readFileIfAny(path);
  if (text !== undefined) return text;
  throw unknownScenario(path);
}

/** The path that a word means. Throws a Failure, exit 3, with the nearest name when there is none. */
export function findScenario(word: string): string {
  if (existsSync(word) && (word.includes("/") || ENDINGS.some((ending) => word.endsWith(ending)))) return word;
  const shipped = shippedScenarios().get(word);
  if (shipped !== undefined) return shipped;
  if (existsSync(word)) return word;
  throw unknownScenario(word);
}

function unknownScenario(word: string): Failure {
  const names = [...shippedScenarios().keys()];
  const near = nearest(basename(word).replace(/\.(?:yaml|yml|json)$/, ""), names);
  const fix =
    near === undefined
      ? `name a file, or a scenario that ships: ${names.join(", ")}`
      : `did you mean the scenario that ships?  mariana sim run ${near}`;
  return new Failure("scenario.unknown", ExitCode.config, `there is no scenario ${quote(word)}`, fix);
}
