/** `mariana sim validate` and `expand`: everything about a scenario but the run. */
import { complain, paint, print } from "../cli/output.js";
import { ExitCode, Failure } from "../failure.js";
import { encodePlan } from "./plan-file.js";
import { type RunChanges, repeatLine } from "./repeat.js";
import { loadPlan } from "./scenario-file.js";
import { describeSize } from "./shrink.js";

/** A line per file; all are looked at. The exit code. */
export function validate(files: readonly string[], set: readonly string[]): ExitCode {
  let exit: ExitCode = ExitCode.ok;
  for (const file of files) {
    try {
      const plan = loadPlan(file, { set });
      print(
        `${paint("green", "valid")}  ${file}: ${plan.name}, ${describeSize(plan)}, ${plan.expect.length} expectations`,
      );
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      complain(`${error.message}\n  fix: ${error.fix}`);
      if (exit === ExitCode.ok) exit = error.exit;
    }
  }
  return exit;
}

export function expandScenario(file: string, changes: RunChanges, isJson: boolean): string {
  const plan = loadPlan(file, changes);
  if (isJson) return JSON.stringify({ plan });
  const heading = [
    `Expanded by  ${repeatLine(file, changes).replace(" run ", " expand ")}`,
    "Times are microseconds from the start, shares parts per million; numbers of nodes and models stand behind them.",
  ];
  return encodePlan(plan, heading).trimEnd();
}
