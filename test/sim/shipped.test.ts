/** The scenarios of scenarios/ that take a few seconds, run whole: each keeps what it promises. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { simulate } from "../../sim/engine/simulation.js";
import { reportOf } from "../../sim/report/report.js";
import { expand, parseScenario } from "../../sim/scenario/scenario.js";
import { PARTS } from "../support/plans.js";

const FOLDER = fileURLToPath(new URL("../../scenarios", import.meta.url));
/** Minutes and more: see them with `mariana sim run`. */
const LARGE = ["churn-1000", "churn-5000", "quiet-5000", "storm-1000"];
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.replace(".yaml", ""))
  .filter((name) => !LARGE.includes(name));

describe("a shipped scenario keeps what it promises", () => {
  test.each(NAMES)("%s ends with every expectation met and no oracle offended", (name) => {
    const file = join(FOLDER, `${name}.yaml`);
    const parsed = parseScenario(readFileSync(file, "utf8"), file);
    if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("\n"));
    const plan = expand(parsed.scenario);
    const result = simulate(plan, { workers: 1 }, PARTS);

    expect(result.violation).toBeUndefined();
    const judged = reportOf(plan, result).expect;
    expect(judged.length).toBeGreaterThan(0);
    expect(judged.filter(({ ok }) => !ok)).toEqual([]);
  });
});
