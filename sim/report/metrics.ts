import { SECOND_US } from "../../core/time/instant.js";
import { percentile, percentileOfCounts } from "./percentile.js";
import type { Observations, Span } from "./tally.js";

/**
 * The numbers of a report. Null where there was no sample. All percentiles are nearest ranks. What begins before the
 * warmup does not count, but for `announcedNacs`, `loops` and `routeChanges`, `ghosts`, what is about liars, `caps` and
 * `delivery`, which are of the whole run.
 *
 * - `removal`, seconds: from a node's crash until no live node holds a usable route to it. A return before that, and
 *   crashes in the last 60 s, are censored. Older ones that are never forgotten count with their age. Nodes that are
 *   paused, that lie, or that are eclipsed do not count as holders. `removalEclipsed`: the same for each pair of an eclipsed
 *   node and a dead one, seen at whole seconds: no path of honest nodes joined it to an honest neighbour of the dead at some
 *   second since the death. `eclipsed`: these pairs.
 * - `join`, seconds: from the first echoed hello until 99 % of the live nodes that have a path have a route, seen at ends of
 *   windows. Unfinished after 10 s: counts with its age; younger: censored.
 * - `crashes`, `joins`: all of these, censored or not. `announcedNacs`: nodes that ever started, and a client NAC for each
 *   life that sent traffic.
 * - `loops`: circles of honest nodes that were found, in `routeChanges` of honest nodes. `ghosts`: pairs of an honest node and
 *   a node dead for more than 60 s to which it has a route, at the second at which they stopped the run.
 * - `falseRemovals`: pairs of an honest node and a living one that it forgot for more than 5 s, although a path of honest nodes
 *   joined them all the last 20 s. `falseRemovalRate`: the same per hour that a node lived.
 * - `forgedAccepted`: routes of honest nodes over a liar that promised less than all its neighbours told it, or of an epoch
 *   newer than the origin gave out; seen twice, two seconds apart. `replayGains`: those over a liar that passed on what it
 *   heard without its own link. `forgedRequests`: requests of honest nodes for an index that the origin is far from.
 * - `suspicions`: doubts that began at an honest node; `falseSuspicions`: those about the living, reachable all the last 20 s.
 * - `control`, bytes of UDP payload per second: mean, p99 and max over nodes of each node's mean over its life after the
 *   warmup, nodes alive for 60 s or more. `ordinary` are private nodes; `public` are public nodes and gateways.
 * - `bytesPerDeath`, `bytesPerJoin`, `entriesPerDeath`: route entries about the NAC that ended or joined (for a join: in
 *   its first minute), per node and event, before framing and padding: their sum over all nodes, divided by the nodes that
 *   lived at these events. Ends are crashes and leaves. `wireBytes…`: the same, with their share of the datagrams that
 *   carried them. `snapshotBytes`: entry bytes of snapshots for new links, all nodes together.
 * - `routeChangesPerRoute`: changes of next hop or metric after the warmup, per route that was held on average.
 * - `unreachablePairShare`: of the live pairs with a path, those without a route; each second for 64 destinations.
 * - `stretch`: what a packet's links and the nodes of last resort between them cost over the shortest path, of one in eight of these destinations, whole run.
 * - `delivery.share`: bytes of traffic that arrived as they were sent, over those offered.
 */
export interface Metrics {
  readonly [name: string]: MetricValue;
}
export type MetricValue = number | null | Metrics;

const CONTROL_LIFE_US = 60 * SECOND_US;

export function metricsOf(tally: Observations): Metrics {
  const { entries, witnesses, starvation, traffic } = tally;
  const control = (isPublic: boolean) => controlOf(tally, isPublic);
  return {
    joins: tally.joins.length,
    crashes: tally.removals.length,
    announcedNacs: tally.started.length + tally.clients,
    removal: distribution(tally.removals),
    removalEclipsed: distribution(tally.eclipses),
    join: distribution(tally.joins),
    loops: tally.loops,
    routeChanges: tally.routeChanges,
    ghosts: tally.ghosts,
    eclipsed: tally.eclipses.length,
    falseRemovals: tally.falseRemovals,
    falseRemovalRate: per(tally.falseRemovals, hoursLived(tally)),
    forgedAccepted: tally.forgedAccepted,
    replayGains: tally.replayGains,
    forgedRequests: tally.forgedRequests,
    suspicions: tally.suspicions.all,
    falseSuspicions: tally.suspicions.false,
    snapshotBytes: entries.snapshot.bytes,
    control: {
      ordinary: control(false),
      public: control(true),
      bytesPerDeath: per(entries.death.bytes, witnesses.deaths),
      bytesPerJoin: per(entries.join.bytes, witnesses.joins),
      wireBytesPerDeath: per(entries.death.wireBytes, witnesses.deaths),
      wireBytesPerJoin: per(entries.join.wireBytes, witnesses.joins),
      entriesPerDeath: per(entries.death.entries, witnesses.deaths),
    },
    routeChangesPerRoute: routeChanges(tally, tally.warmupUs, tally.endUs),
    unreachablePairShare: unreachable(tally, tally.warmupUs, tally.endUs),
    stretch: { p50: stretchAt(tally, 50), p95: stretchAt(tally, 95) },
    delivery: { share: per(traffic.delivered, traffic.offered) },
    starvation: { pairs: starvation.pairs, longest: starvation.longestUs / SECOND_US },
    caps: { ...tally.caps },
  };
}

/** Metrics that can be asked for a part of the run: spans by when they began, columns by second. */
const WINDOWED: Readonly<Record<string, (tally: Observations, fromUs: number, toUs: number) => MetricValue>> = {
  joins: (tally, fromUs, toUs) => within(tally.joins, fromUs, toUs).length,
  crashes: (tally, fromUs, toUs) => within(tally.removals, fromUs, toUs).length,
  removal: (tally, fromUs, toUs) => distribution(within(tally.removals, fromUs, toUs)),
  removalEclipsed: (tally, fromUs, toUs) => distribution(within(tally.eclipses, fromUs, toUs)),
  join: (tally, fromUs, toUs) => distribution(within(tally.joins, fromUs, toUs)),
  "control.ordinary.mean": ({ seconds }, fromUs, toUs) => rate(seconds.ordinaryBytes, seconds.ordinaryUs, fromUs, toUs),
  "control.public.mean": ({ seconds }, fromUs, toUs) => rate(seconds.publicBytes, seconds.publicUs, fromUs, toUs),
  routeChangesPerRoute: routeChanges,
  unreachablePairShare: unreachable,
};

/** May an expectation about this metric name a part of the run? A caller with a scenario refuses it otherwise. */
export function isWindowed(name: string): boolean {
  return Object.keys(WINDOWED).some((known) => name === known || name.startsWith(`${known}.`));
}

/**
 * The number of a dotted name, of the whole run or of what began in [fromUs, toUs). Undefined when there is no such number,
 * null when there was no sample.
 */
export function metricOf(tally: Observations, name: string, fromUs?: number, toUs?: number): number | null | undefined {
  if (fromUs === undefined || toUs === undefined) return lookUp(metricsOf(tally), name.split("."));
  for (const [known, of] of Object.entries(WINDOWED)) {
    if (name === known) return number(of(tally, fromUs, toUs));
    if (name.startsWith(`${known}.`)) return lookUp(of(tally, fromUs, toUs), name.slice(known.length + 1).split("."));
  }
  return undefined;
}

function lookUp(value: MetricValue, path: readonly string[]): number | null | undefined {
  let found: MetricValue | undefined = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return number(found);
}

function number(value: MetricValue | undefined): number | null | undefined {
  return typeof value === "object" && value !== null ? undefined : value;
}

function within(spans: readonly Span[], fromUs: number, toUs: number): Span[] {
  return spans.filter(({ atUs }) => atUs >= fromUs && atUs < toUs);
}

function distribution(spans: readonly Span[]): Metrics {
  const counted = spans.filter(({ isCensored }) => !isCensored);
  const sorted = counted.map(({ tookUs }) => tookUs).sort((a, b) => a - b);
  const at = (percent: number) => {
    const tookUs = percentile(sorted, percent);
    return tookUs === undefined ? null : tookUs / SECOND_US;
  };
  return {
    count: counted.length,
    censored: spans.length - counted.length,
    p50: at(50),
    p99: at(99),
    max: at(100),
  };
}

function controlOf(tally: Observations, isPublic: boolean): Metrics {
  const counted = tally.control.filter((node) => node.isPublic === isPublic && node.aliveUs >= CONTROL_LIFE_US);
  const rates = counted.map(({ bytes, aliveUs }) => (bytes * SECOND_US) / aliveUs).sort((a, b) => a - b);
  return {
    mean: rates.length === 0 ? null : rates.reduce((sum, value) => sum + value, 0) / rates.length,
    p99: percentile(rates, 99) ?? null,
    max: percentile(rates, 100) ?? null,
  };
}

/** Of all nodes, whole run. */
function hoursLived({ seconds, endUs }: Observations): number {
  return (sumOf(seconds.ordinaryUs, 0, endUs) + sumOf(seconds.publicUs, 0, endUs)) / (3_600 * SECOND_US);
}

function per(total: number, count: number): number | null {
  return count === 0 ? null : total / count;
}

/** Whole seconds that lie in the span. */
function sumOf(column: readonly number[], fromUs: number, toUs: number): number {
  const from = Math.ceil(fromUs / SECOND_US);
  const to = Math.floor(toUs / SECOND_US);
  return column.slice(from, Math.max(from, to)).reduce((sum, value) => sum + value, 0);
}

function rate(bytes: readonly number[], aliveUs: readonly number[], fromUs: number, toUs: number): number | null {
  return per(sumOf(bytes, fromUs, toUs) * SECOND_US, sumOf(aliveUs, fromUs, toUs));
}

function routeChanges({ seconds }: Observations, fromUs: number, toUs: number): number | null {
  const length = Math.floor(toUs / SECOND_US) - Math.ceil(fromUs / SECOND_US);
  const routes = sumOf(seconds.routes, fromUs, toUs);
  return routes === 0 ? null : (sumOf(seconds.changes, fromUs, toUs) * length) / routes;
}

function unreachable({ seconds }: Observations, fromUs: number, toUs: number): Metrics {
  const from = Math.ceil(fromUs / SECOND_US);
  const to = Math.min(Math.floor(toUs / SECOND_US), seconds.pairs.length);
  let max: number | null = null;
  for (let second = from; second < to; second += 1) {
    const pairs = seconds.pairs[second]!;
    if (pairs > 0) max = Math.max(max ?? 0, seconds.unreachable[second]! / pairs);
  }
  return { mean: per(sumOf(seconds.unreachable, fromUs, toUs), sumOf(seconds.pairs, fromUs, toUs)), max };
}

function stretchAt({ stretch }: Observations, percent: number): number | null {
  const hundredths = percentileOfCounts(stretch, percent);
  return hundredths === undefined ? null : hundredths / 100;
}
