/** Every number of the report that an expectation may name, and its unit. The report (sim/report) has the same names. */
export type MetricUnit = "seconds" | "bytes" | "share" | "count" | "ratio";

const DISTRIBUTION = { count: "count", censored: "count", p50: "seconds", p99: "seconds", max: "seconds" } as const;
const RATES = { mean: "bytes", p99: "bytes", max: "bytes" } as const;

export const METRICS: Readonly<Record<string, MetricUnit>> = {
  joins: "count",
  crashes: "count",
  announcedNacs: "count",
  ...under("removal", DISTRIBUTION),
  ...under("removalEclipsed", DISTRIBUTION),
  ...under("join", DISTRIBUTION),
  loops: "count",
  routeChanges: "count",
  ghosts: "count",
  eclipsed: "count",
  falseRemovals: "count",
  falseRemovalRate: "ratio",
  forgedAccepted: "count",
  replayGains: "count",
  forgedRequests: "count",
  suspicions: "count",
  falseSuspicions: "count",
  snapshotBytes: "bytes",
  ...under("control.ordinary", RATES),
  ...under("control.public", RATES),
  "control.bytesPerDeath": "bytes",
  "control.bytesPerJoin": "bytes",
  "control.wireBytesPerDeath": "bytes",
  "control.wireBytesPerJoin": "bytes",
  "control.entriesPerDeath": "ratio",
  routeChangesPerRoute: "ratio",
  "unreachablePairShare.mean": "share",
  "unreachablePairShare.max": "share",
  "stretch.p50": "ratio",
  "stretch.p95": "ratio",
  "delivery.share": "share",
  "starvation.pairs": "count",
  "starvation.longest": "seconds",
};

/** Undefined when there is no such metric. Which caps there are the oracles say, when they measure. */
export function unitOfMetric(name: string): MetricUnit | undefined {
  if (/^caps\.[A-Za-z]+\.(?:limit|peak)$/.test(name)) return "count";
  return Object.hasOwn(METRICS, name) ? METRICS[name] : undefined;
}

function under<T extends Record<string, MetricUnit>>(prefix: string, metrics: T): Record<string, MetricUnit> {
  return Object.fromEntries(Object.entries(metrics).map(([name, unit]) => [`${prefix}.${name}`, unit]));
}
