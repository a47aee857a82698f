import { SECOND_US } from "../../core/time/instant.js";
import type { Observer, ShardView, Violation } from "../engine/observer.js";
import { transitCosts } from "../plan/transit.js";
import { weather, weatherSeed } from "../random/weather.js";
import type { Observations, TrafficCount } from "../report/tally.js";
import { CapsWatch } from "./caps-watch.js";
import { ControlMeter } from "./control-meter.js";
import { FalseRemovals } from "./false-removals.js";
import { firstViolation } from "./first-violation.js";
import { Forgeries } from "./forgeries.js";
import { Happenings } from "./happenings.js";
import { HonestPaths } from "./honest-paths.js";
import { Joins } from "./joins.js";
import { LiveGraph } from "./live-graph.js";
import { loopViolation, Reachability } from "./reachability.js";
import { Releases } from "./releases.js";
import { Removals } from "./removals.js";
import { SAMPLE_SIZE, sampleOf } from "./samples.js";
import { Starvation, WATCHED_SIZE } from "./starvation.js";
import { Suspicions } from "./suspicions.js";
import { TableWalk } from "./table-walk.js";

/** No action, no link and no route changed for so long: all is as it will be. Longer than a lost request is repeated, and
 * than many destinations are asked for in the background. */
export const QUIET_US = 20 * SECOND_US;
/** Then so many destinations are checked against the truth: all of a world of this size, a draw of a larger one's. */
const CHECKED_MAX = 2_048;
/** Changed routes that are followed at the end of a window. Beyond: the walk over all nodes at the next second finds what lasts. */
const CHANGED_MAX = 65_536;
/** The routes to one in so many sampled destinations are measured hop by hop. */
const MEASURED_EACH = 8;
const FOLLOWED = 1;
const MEASURED = 2;
const WATCH_SALT = 0x5741_5443;
const CHECK_SALT = 0x4655_4c4c;

/**
 * All oracles and counters of one shard. What is drawn is drawn for all shards alike, and each looks at its part of the
 * destinations, so that the sum over the shards is the same for any number of them.
 */
export class Observatory implements Observer {
  private readonly view: ShardView;
  private readonly traffic: () => { readonly clients: number; readonly traffic: TrafficCount };
  private readonly key: number;
  private readonly happenings: Happenings;
  private readonly graph: LiveGraph;
  private readonly walk: TableWalk;
  private readonly reachability: Reachability;
  private readonly starvation: Starvation;
  private readonly removals: Removals;
  private readonly joins: Joins;
  private readonly meter: ControlMeter;
  private readonly forgeries: Forgeries;
  private readonly paths: HonestPaths;
  private readonly falseRemovals: FalseRemovals;
  private readonly releases: Releases;
  private readonly suspicions: Suspicions;
  private readonly caps: CapsWatch;
  private readonly started = new Set<number>();
  /** Destinations whose every change of a route is followed: those of the last sample, of this shard and the others. */
  private readonly isFollowed: Uint8Array;
  private followed: readonly number[] = [];
  private readonly changed: number[] = [];
  private loops = 0;
  private found: Violation | undefined;
  private checkedUs = -1;
  private readonly pairs: number[] = [];
  private readonly unreachable: number[] = [];
  private readonly changes: number[] = [];
  /** Of honest nodes, whole run. */
  private routeChanges = 0;
  private readonly routes: number[] = [];

  /** @param traffic  what the hosts' traffic came to, asked at the end */
  constructor(view: ShardView, traffic: () => { readonly clients: number; readonly traffic: TrafficCount }) {
    const { census, plan, shards, shard } = view;
    this.view = view;
    this.traffic = traffic;
    this.key = weatherSeed(`oracle/${plan.seed}`);
    this.happenings = new Happenings(plan);
    const transit = transitCosts(plan);
    this.graph = new LiveGraph(census.nodes, transit);
    this.paths = new HonestPaths(census.nodes, this.happenings);
    this.walk = new TableWalk(census, (node) => this.happenings.isHonest(node));
    this.reachability = new Reachability(census, this.happenings, this.paths, this.walk);
    const watched = sampleOf(weather(this.key, 0, WATCH_SALT), 0, census.nodes, WATCHED_SIZE).filter(
      (d) => d % shards === shard,
    );
    this.starvation = new Starvation(census, this.happenings, this.reachability, watched);
    this.removals = new Removals(census, this.happenings, this.paths);
    this.joins = new Joins(census, plan.warmupUs);
    this.meter = new ControlMeter(plan, this.happenings);
    this.forgeries = new Forgeries(census, this.happenings, transit);
    this.falseRemovals = new FalseRemovals(census, this.happenings, this.paths);
    this.releases = new Releases(view, this.happenings);
    this.suspicions = new Suspicions(this.happenings, this.paths);
    this.caps = new CapsWatch(view);
    this.isFollowed = new Uint8Array(census.nodes);
    this.follow(0);
  }

  handleStart(nowUs: number, node: number): void {
    this.started.add(node);
    this.meter.handleStart(nowUs, node);
    this.removals.handleStart(nowUs, node);
    this.joins.handleStart(node);
  }

  handleEnd(nowUs: number, node: number, how: "crash" | "leave"): void {
    this.caps.look(nowUs, node);
    this.meter.handleEnd(nowUs, node);
    this.joins.handleEnd(nowUs, node);
    this.removals.handleEnd(nowUs, node, how === "crash" && nowUs >= this.view.plan.warmupUs, this.graph);
  }

  handleRoute(nowUs: number, node: number, destination: number, hopNode: number, _metric: number): void {
    const second = Math.floor(nowUs / SECOND_US);
    while (this.changes.length <= second) this.changes.push(0);
    this.changes[second]! += 1;
    if (this.happenings.isHonest(node)) this.routeChanges += 1;
    this.falseRemovals.handleRoute(nowUs, node, destination, hopNode);
    this.forgeries.handleRoute(node, destination, hopNode);
    if (hopNode >= 0 && this.isFollowed[destination] !== 0 && this.changed.length < 2 * CHANGED_MAX) {
      this.changed.push(node, destination);
    }
  }

  handleEntry(nowUs: number, node: number, destination: number, bytes: number, urgency: number): void {
    this.meter.handleEntry(nowUs, node, destination, bytes, urgency);
  }

  handleRequest(_nowUs: number, node: number, destination: number, index: number): void {
    this.releases.handleRequest(node, destination, index);
  }

  handleSuspicion(_nowUs: number, node: number, destination: number): void {
    this.suspicions.handleSuspicion(node, destination);
  }

  handleLink(): void {
    // the census has it
  }

  handleTransmit(
    nowUs: number,
    node: number,
    _bytes: Uint8Array,
    _at: number,
    length: number,
    isUserData: boolean,
  ): void {
    if (!isUserData) this.meter.handleTransmit(nowUs, node, length);
  }

  handleWindow(nowUs: number): void {
    this.happenings.advance(nowUs);
    this.removals.handleWindow();
    this.joins.handleWindow(nowUs, this.graph);
    this.forgeries.handleWindow(nowUs);
    for (let i = 0; i < this.changed.length; i += 2) this.followRoute(nowUs, this.changed[i]!, this.changed[i + 1]!);
    this.changed.length = 0;
  }

  handleSecond(nowUs: number): Violation | undefined {
    const second = Math.round(nowUs / SECOND_US);
    const { census } = this.view;
    this.happenings.advance(nowUs);
    this.graph.build(census, this.happenings);
    this.meter.handleSecond(nowUs);
    this.joins.handleSecond();
    this.paths.handleSecond(this.graph);
    this.falseRemovals.handleSecond(nowUs);
    this.forgeries.handleSecond(nowUs);
    this.releases.handleSecond(nowUs, second);
    const sample = this.mine(this.followed).filter((d) => census.alive[d] === 1 && this.happenings.isAwake(d));
    const { pairs, unreachable } = this.reachability;
    const loop = this.reachability.sample(nowUs, this.graph, sample, (d) => this.isFollowed[d] === MEASURED);
    this.note(this.pairs, second, this.reachability.pairs - pairs);
    this.note(this.unreachable, second, this.reachability.unreachable - unreachable);
    this.note(this.routes, second, this.countRoutes());
    const found = [
      this.found,
      loop,
      this.removals.handleSecond(nowUs),
      this.caps.handleSecond(nowUs, second),
      this.starvation.handleSecond(nowUs, second, this.graph),
      this.checkWhenQuiet(nowUs),
    ];
    this.found = undefined;
    this.follow(second);
    return firstViolation(found);
  }

  finish(nowUs: number): Observations {
    this.removals.finish(nowUs);
    this.joins.finish(nowUs);
    for (let node = 0; node < this.view.census.nodes; node += 1) this.caps.look(nowUs, node);
    const { meter, reachability, removals } = this;
    const { control, entries } = meter.finish(nowUs);
    return {
      endUs: nowUs,
      warmupUs: this.view.plan.warmupUs,
      started: [...this.started].sort((a, b) => a - b),
      ...this.traffic(),
      removals: removals.spans,
      joins: this.joins.spans,
      seconds: {
        pairs: this.pairs,
        unreachable: this.unreachable,
        ordinaryBytes: meter.ordinaryBytes,
        publicBytes: meter.publicBytes,
        ordinaryUs: meter.ordinaryUs,
        publicUs: meter.publicUs,
        changes: this.changes,
        routes: this.routes,
      },
      control,
      stretch: reachability.stretch,
      witnesses: { deaths: meter.deathWitnesses, joins: meter.joinWitnesses },
      entries,
      loops: this.loops + reachability.loops,
      ghosts: removals.ghosts,
      eclipses: removals.eclipses,
      falseRemovals: this.falseRemovals.count,
      routeChanges: this.routeChanges,
      forgedAccepted: this.forgeries.accepted + this.releases.newerEpochs,
      replayGains: this.forgeries.gains,
      forgedRequests: this.releases.forgedRequests,
      suspicions: { all: this.suspicions.all, false: this.suspicions.ofTheLiving },
      starvation: { pairs: this.starvation.pairs, longestUs: this.starvation.longestUs },
      caps: this.caps.peaks,
    };
  }

  /** As of the last whole second, and the last end of a window: both live, and a path joins them. The same in every shard. */
  hasPath(from: number, to: number): boolean {
    const component = this.graph.component[from]!;
    return component >= 0 && component === this.graph.component[to] && this.happenings.isAlive(to);
  }

  private mine(destinations: readonly number[]): number[] {
    return destinations.filter((destination) => destination % this.view.shards === this.view.shard);
  }

  /** The destinations of the second that begins. */
  private follow(second: number): void {
    for (const destination of this.followed) this.isFollowed[destination] = 0;
    this.followed = sampleOf(this.key, second, this.view.census.nodes);
    this.followed.forEach((destination, i) => {
      this.isFollowed[destination] = i % MEASURED_EACH === 0 ? MEASURED : FOLLOWED;
    });
  }

  private followRoute(nowUs: number, node: number, destination: number): void {
    const loop = this.walk.findLoopFrom(node, destination);
    if (loop === undefined) return;
    this.loops += 1;
    this.found = firstViolation([this.found, loopViolation(nowUs, destination, loop)]);
  }

  /** Once in each quiet time. */
  private checkWhenQuiet(nowUs: number): Violation | undefined {
    const { census } = this.view;
    let changedUs = this.happenings.lastUs;
    for (const lastUs of census.changedUs) changedUs = Math.max(changedUs, lastUs);
    if (changedUs < 0 || nowUs - changedUs < QUIET_US || this.checkedUs >= changedUs) return undefined;
    this.checkedUs = nowUs;
    const checked = this.mine(this.drawChecked(nowUs)).filter(
      (d) => census.alive[d] === 1 && this.happenings.isAwake(d) && this.happenings.isHonest(d),
    );
    for (let first = 0; first < checked.length; first += SAMPLE_SIZE) {
      const wrong = this.reachability.findWrong(nowUs, this.graph, checked.slice(first, first + SAMPLE_SIZE));
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  private drawChecked(nowUs: number): number[] {
    const { nodes } = this.view.census;
    return sampleOf(weather(this.key, 0, CHECK_SALT), Math.round(nowUs / SECOND_US), nodes, CHECKED_MAX);
  }

  private countRoutes(): number {
    const { holders, nodes } = this.view.census;
    let routes = 0;
    for (let d = this.view.shard; d < nodes; d += this.view.shards) routes += holders[d]!;
    return routes;
  }

  /** What was found at the end of the second before `second`. */
  private note(column: number[], second: number, value: number): void {
    while (column.length < second) column.push(0);
    if (second > 0) column[second - 1] = value;
  }
}
