/** The bench of routing: rows that can be run, and a table that says what was kept. */
import { expect, test } from "vitest";
import { routingTable, rowFigures } from "../../node/bench/routing.js";
import { isKept, ROUTING_ROWS, type RoutingRow } from "../../node/bench/routing-rows.js";
import { loadPlan } from "../../node/sim/scenario-file.js";
import type { TrialReport } from "../../node/sim/trial-report.js";

/** Which a node knows; a scenario cannot say it yet. */
const STRICT = "routing.profile=strict";

const ROW: RoutingRow = {
  name: "example",
  title: "an example",
  isShort: true,
  runs: [["churn-1000"]],
  seeds: 3,
  checks: [
    {
      name: "removal.p99",
      unit: "s",
      asked: { sign: "<", limit: 10 },
      value: ROUTING_ROWS[0]!.checks[0]!.value,
    },
  ],
};

function report(p99: number, more: Partial<TrialReport> = {}): TrialReport {
  const repeat = "mariana sim run churn-1000 --seed 1";
  return { metrics: { removal: { p99 } }, expect: [], repeat, ...more } as unknown as TrialReport;
}

test("a row tells the worst of all seeds, whether it keeps the promise, and how to repeat it", async () => {
  const p99 = [4, 12.5, 6];
  const seeds: string[] = [];
  const row = await rowFigures(ROW, 3, async (args) => {
    seeds.push(args.at(-1)!);
    return { report: report(p99[seeds.length - 1]!) };
  });
  expect(seeds).toEqual(["1", "2", "3"]);
  expect(row.figures).toMatchObject([{ name: "removal.p99", value: 12.5, isKept: false }]);
  const table = routingTable([row]);
  expect(table).toContain("example: an example; 3 of 3 seeds");
  expect(table).toMatch(/removal\.p99 +12\.5 +< 10 +MISSED s/);
  expect(table).toContain("repeat it:  mariana sim run churn-1000 --seed 1");
});

test("a run that is missing or that an oracle stopped keeps no promise, and the table says why", async () => {
  let runs = 0;
  const late = await rowFigures(ROW, 2, async () => {
    runs += 1;
    return runs === 1 ? { report: report(3) } : { unmeasured: "not done within 60 s" };
  });
  expect(late.figures).toMatchObject([{ value: 3, isKept: false, note: "not done within 60 s" }]);

  const violation = { oracle: "ghost", atSeconds: 71, text: "n4 lives on", nodes: [] };
  const stopped = await rowFigures(ROW, 1, async () => ({ report: report(3, { violation }) as TrialReport }));
  expect(stopped.figures[0]!.isKept).toBe(false);
  expect(routingTable([stopped])).toContain("!  ghost at 71 s: n4 lives on");

  const none = await rowFigures(ROW, 1, async () => ({ unmeasured: "cannot be run: no scenario" }));
  expect(none.figures).toMatchObject([{ value: null, isKept: undefined }]);
  expect(none.repeat).toEqual(["mariana sim run churn-1000"]);
});

const RUNS = [...new Set(ROUTING_ROWS.flatMap(({ runs }) => runs.map((args) => JSON.stringify(args))))];

test.each(RUNS.filter((args) => !args.includes(STRICT)))("a run of the rows is one that there is: %s", (text) => {
  const [name, ...args] = JSON.parse(text) as string[];
  const set = args.filter((_, i) => args[i - 1] === "--set");
  const plan = loadPlan(name!, { set: [...set, "nodes.count=60"] });
  expect(plan.nodes.length).toBeGreaterThanOrEqual(60);
  const liars = plan.actions.filter((action) => action.do === "byzantine");
  expect(liars.length > 0).toBe(text.includes("byzantine"));
});

test("no sample keeps no bound", () => {
  expect(isKept(null, { sign: "<=", limit: 5 })).toBe(false);
  expect([4, 5, 6].map((value) => isKept(value, { sign: "<", limit: 5 }))).toEqual([true, false, false]);
  expect([4, 5, 6].map((value) => isKept(value, { sign: "==", limit: 5 }))).toEqual([false, true, false]);
  expect([4, 5, 6].map((value) => isKept(value, { sign: ">=", limit: 5 }))).toEqual([false, true, true]);
});
