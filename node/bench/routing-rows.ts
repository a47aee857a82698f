/** What routing promises, row by row: which runs show it, and which of their numbers must be how large. */
import { BYZANTINE } from "../../sim/plan/plan.js";
import type { TrialReport } from "../sim/trial-report.js";

/** Arguments of `mariana sim run`. */
export type RunArguments = readonly string[];

export interface Bound {
  readonly sign: "<" | "<=" | "==" | ">=";
  readonly limit: number;
}

export interface Check {
  readonly name: string;
  readonly unit: string;
  /** Undefined where the number is only to be known. */
  readonly asked: Bound | undefined;
  /** Over all runs of the row and all seeds; null when there was no sample. */
  readonly value: (reports: readonly TrialReport[]) => number | null;
}

export interface RoutingRow {
  readonly name: string;
  readonly title: string;
  /** Minutes of two cores, roughly; the short ones run when no row is named. */
  readonly isShort: boolean;
  readonly runs: readonly RunArguments[];
  /** How many seeds the promise is about. */
  readonly seeds: number;
  readonly checks: readonly Check[];
  /** What others reach, and the command that measures it; undefined where there is nothing to compare with. */
  readonly peer?: string;
}

const LOSSY = ["--set", "links.default.loss=20%"];
/** Once everybody knows everybody, and before anybody dies. */
const LIES_AT = "40s";
/** Of a thousand nodes, so many lie. */
const lying = (share: string, as: string): RunArguments => [
  "--set",
  `timeline=[{ at: ${LIES_AT}, do: byzantine, select: { share: ${share} }, as: ${as} }]`,
];
const GHOSTS = lying("5%", "[ghost, swallow]");
const FLOOD = "control.ordinary.mean <= 14000 from 100s to 600s";
const RESTARTED = "unreachablePairShare.max == 0% from 100s to 130s";

const most = (path: string): Check["value"] => over(path, (values) => Math.max(...values));
const least = (path: string): Check["value"] => over(path, (values) => Math.min(...values));
const sum = (path: string): Check["value"] => over(path, (values) => values.reduce((all, value) => all + value, 0));

const removed = (sign: "<" | "<=", limit: number, which: "p99" | "max"): Check => ({
  name: `removal.${which}`,
  unit: "s",
  asked: { sign, limit },
  value: most(`removal.${which}`),
});
const none = (name: string): Check => ({ name, unit: "", asked: { sign: "==", limit: 0 }, value: sum(name) });
const known = (name: string, unit = ""): Check => ({ name, unit, asked: undefined, value: sum(name) });
const atMost = (name: string, limit: number, unit: string): Check => ({
  name,
  unit,
  asked: { sign: "<=", limit },
  value: most(name),
});
const atLeast = (name: string, limit: number, unit: string): Check => ({
  name,
  unit,
  asked: { sign: ">=", limit },
  value: least(name),
});

const BABELD = "bash ../shared/peers/babeld.sh";

export const ROUTING_ROWS: readonly RoutingRow[] = [
  {
    name: "removal-1000",
    title: "a death is known everywhere: 1,000 nodes, 2 % loss",
    isShort: true,
    runs: [["churn-1000"]],
    seeds: 1,
    checks: [removed("<", 10, "p99"), removed("<", 60, "max"), known("removal.count", "deaths")],
    peer: `babeld, 100 nodes: 14.0 s  (${BABELD})`,
  },
  {
    name: "join-1000",
    title: "a new node is known to 99 %: 1,000 nodes, 2 % loss",
    isShort: true,
    runs: [["churn-1000"]],
    seeds: 1,
    checks: [{ name: "join.p99", unit: "s", asked: { sign: "<", limit: 1.5 }, value: most("join.p99") }],
    peer: `babeld, 100 nodes: 8.9 s  (${BABELD})`,
  },
  {
    name: "removal",
    title: "a death is known everywhere: 5,000 nodes, 2 % loss",
    isShort: false,
    runs: [["churn-5000"]],
    seeds: 1,
    checks: [removed("<", 10, "p99"), removed("<", 60, "max"), known("removal.count", "deaths")],
    peer: `babeld, 100 nodes: 14.0 s  (${BABELD})`,
  },
  {
    name: "join",
    title: "a new node is known to 99 %: 5,000 nodes, 2 % loss",
    isShort: false,
    runs: [["churn-5000"]],
    seeds: 1,
    checks: [{ name: "join.p99", unit: "s", asked: { sign: "<", limit: 1.5 }, value: most("join.p99") }],
    peer: `babeld, 100 nodes: 8.9 s  (${BABELD})`,
  },
  {
    name: "liars-1000",
    title: "deaths in spite of 20 % loss, 5 % who keep the dead alive: 1,000 nodes; eclipsed pairs apart",
    isShort: false,
    runs: [["churn-1000", ...LOSSY, ...GHOSTS]],
    seeds: 30,
    checks: [removed("<", 60, "max"), none("ghosts"), known("eclipsed", "pairs"), known("removal.count", "deaths")],
    peer: "none holds",
  },
  {
    name: "liars",
    title: "the same, 5,000 nodes",
    isShort: false,
    runs: [["churn-5000", ...LOSSY, ...GHOSTS]],
    seeds: 3,
    checks: [removed("<", 60, "max"), none("ghosts"), known("eclipsed", "pairs"), known("removal.count", "deaths")],
    peer: "none holds",
  },
  {
    name: "false-removals",
    title: "the living are forgotten by nobody: 1,000 nodes, 20 % loss",
    isShort: false,
    runs: [["churn-1000", ...LOSSY]],
    seeds: 1,
    checks: [none("falseRemovals")],
  },
  {
    name: "accusers",
    title: "the living are forgotten by nobody: 1,000 nodes, 5 % accuse everybody of being dead",
    isShort: false,
    runs: [["churn-1000", ...lying("5%", "accuse")]],
    seeds: 1,
    checks: [{ ...atMost("falseRemovalRate", 1e-5, "per node-hour") }, known("suspicions"), known("falseSuspicions")],
  },
  {
    name: "flood",
    title: "1 % accuse everybody, without a pause: 1,000 nodes, from the second minute on",
    isShort: false,
    runs: [["churn-1000", ...lying("1%", "accuse"), "--set", `expect=["${FLOOD}"]`]],
    seeds: 1,
    checks: [
      {
        name: "control.ordinary.mean",
        unit: "B/s",
        asked: { sign: "<=", limit: 14_000 },
        value: (reports) => expected(reports, FLOOD),
      },
      none("falseRemovals"),
      removed("<", 60, "max"),
    ],
  },
  {
    name: "adversaries",
    title: "each kind of liar in turn, 5 % of 1,000 nodes: no loops, nothing forged believed",
    isShort: false,
    runs: BYZANTINE.map((role) => ["churn-1000", ...lying("5%", role)]),
    seeds: 1,
    checks: [
      none("loops"),
      { name: "routeChanges", unit: "", asked: { sign: ">=", limit: 1e6 }, value: sum("routeChanges") },
      none("forgedAccepted"),
      known("replayGains", "routes"),
      known("forgedRequests"),
    ],
  },
  {
    name: "eclipsed",
    title: "nodes whose every neighbour lies, strict profile: 1,000 nodes",
    isShort: false,
    runs: [
      [
        "churn-1000",
        "--set",
        `timeline=[{ at: ${LIES_AT}, do: byzantine, around: n500, as: [ghost, swallow] }]`,
        "--set",
        "routing.profile=strict",
      ],
    ],
    seeds: 1,
    checks: [
      {
        name: "removalEclipsed.max",
        unit: "s",
        asked: { sign: "<", limit: 55 },
        value: most("removalEclipsed.max"),
      },
      known("eclipsed", "pairs"),
    ],
  },
  {
    name: "quiet",
    title: "control traffic of a quiet network, hellos included: 5,000 nodes",
    isShort: false,
    runs: [["quiet-5000"]],
    seeds: 1,
    checks: [
      atMost("control.ordinary.p99", 2_000, "B/s"),
      atMost("control.public.max", 16_000, "B/s"),
      {
        name: "simulated",
        unit: "x real time",
        asked: { sign: ">=", limit: 20 },
        value: (reports) => Math.min(...reports.map(({ simSeconds, wallSeconds }) => simSeconds / wallSeconds)),
      },
    ],
    peer: `babeld, 100 nodes: 730 B/s, and grows with N  (${BABELD})`,
  },
  {
    name: "quiet-strict",
    title: "the same, strict profile",
    isShort: false,
    runs: [["quiet-5000", "--set", "routing.profile=strict"]],
    seeds: 1,
    checks: [atMost("control.ordinary.p99", 14_000, "B/s")],
  },
  {
    name: "churn",
    title: "control traffic, sessions of 1 h: 5,000 nodes",
    isShort: false,
    runs: [["churn-5000"]],
    seeds: 1,
    checks: [
      atMost("control.ordinary.p99", 4_000, "B/s"),
      {
        name: "wall time",
        unit: "s",
        asked: { sign: "<=", limit: 120 },
        value: (reports) => Math.max(...reports.map(({ wallSeconds }) => wallSeconds)),
      },
    ],
  },
  {
    name: "churn-10min",
    title: "control traffic, sessions of 10 min: 5,000 nodes",
    isShort: false,
    runs: [["churn-5000", "--set", "churn.0.sessions.mean=10min", "--until", "300s"]],
    seeds: 1,
    checks: [atMost("control.ordinary.p99", 24_000, "B/s")],
  },
  {
    name: "entries",
    title: "entries of one death and of one join, per node: 5,000 nodes",
    isShort: false,
    runs: [["churn-5000"]],
    seeds: 1,
    checks: [atMost("control.bytesPerDeath", 100, "B"), atMost("control.bytesPerJoin", 500, "B")],
    peer: `babeld: 3.2 KB, 1.5 KB  (${BABELD})`,
  },
  {
    name: "restart",
    title: "all 5,000 restart within 10 s",
    isShort: false,
    runs: [["restart-5000"]],
    seeds: 1,
    checks: [
      {
        name: "pairs without a route, 30 s later",
        unit: "share",
        asked: { sign: "==", limit: 0 },
        value: (reports) => expected(reports, RESTARTED),
      },
      atLeast("joins", 5_000, ""),
      {
        name: "memory",
        unit: "MiB, all nodes",
        asked: undefined,
        value: (reports) => Math.max(...reports.map(({ peakRssMiB }) => peakRssMiB)),
      },
    ],
    peer: "tinc: out of memory at 100",
  },
];

export function isKept(value: number | null, { sign, limit }: Bound): boolean {
  if (value === null) return false;
  switch (sign) {
    case "<":
      return value < limit;
    case "<=":
      return value <= limit;
    case "==":
      return value === limit;
    case ">=":
      return value >= limit;
  }
}

function over(path: string, of: (values: readonly number[]) => number): Check["value"] {
  return (reports) => {
    const values = reports.map(({ metrics }) => numberAt(metrics, path.split("."))).filter((one) => one !== null);
    return values.length === 0 ? null : of(values);
  };
}

function numberAt(value: unknown, path: readonly string[]): number | null {
  let found = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null) return null;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  return typeof found === "number" ? found : null;
}

/** The number that an expectation was about, the worst of all runs. */
function expected(reports: readonly TrialReport[], text: string): number | null {
  const values = reports.flatMap(({ expect }) => expect.filter((one) => one.text === text).map(({ value }) => value));
  const numbers = values.filter((value) => value !== null);
  return numbers.length === 0 ? null : Math.max(...numbers);
}
