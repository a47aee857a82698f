/** Records a feed: runs a simulation, and writes down what some of its public nodes know (feed-recording.ts). */
import type { HostHooks } from "../../sim/engine/host-hooks.js";
import { EPOCH_SECONDS } from "../../sim/engine/lives.js";
import type { Observer, ShardView } from "../../sim/engine/observer.js";
import type { RunOptions } from "../../sim/engine/run.js";
import { simulate } from "../../sim/engine/simulation.js";
import { insideOf } from "../../sim/fault/stack-inside.js";
import { Network } from "../../sim/network/network.js";
import type { Plan } from "../../sim/plan/plan.js";
import { createNativeSuite } from "../crypto/native-suite.js";
import { type FeedRecording, type FeedRow, NO_ROUTE, recordingOf } from "./feed-recording.js";

const NAC_BYTES = 16;

/** Virtual time, microseconds, whole seconds; the recording is of what lies between. */
export interface FeedSpan {
  readonly fromUs: number;
  readonly untilUs: number;
}

/**
 * The routes of `tellers` public nodes that live throughout, by one thread. Who dialled just these is told what a node of the
 * network at their side would be told: its own presence changes what they know of others next to nothing.
 *
 * Throws RangeError when the plan has fewer such nodes.
 */
export function recordFeed(
  plan: Plan,
  { tellers, span, source }: { readonly tellers: number; readonly span: FeedSpan; readonly source: string },
  onProgress?: RunOptions["onProgress"],
): FeedRecording {
  const nodes = lastingPublicNodes(plan, span.untilUs, tellers);
  let view: ShardView | undefined;
  let scribe: FeedScribe | undefined;
  simulate(
    plan,
    { workers: 1, untilUs: span.untilUs, ...(onProgress === undefined ? {} : { onProgress }) },
    {
      network: () => new Network(plan, plan.seed),
      instruments: (ofShard) => {
        view = ofShard;
        scribe = new FeedScribe(ofShard, nodes, span);
        return { observer: scribe, hooks: NOTHING };
      },
      realSuite: createNativeSuite(),
    },
  );
  const nacs = new Uint8Array(plan.nodes.length * NAC_BYTES);
  plan.nodes.forEach((_, node) => {
    nacs.set(view!.nacOf(node), node * NAC_BYTES);
  });
  const wallSeconds = EPOCH_SECONDS + Math.floor(span.fromUs / 1e6);
  const durationMs = Math.floor((span.untilUs - span.fromUs) / 1000);
  return recordingOf({ source, wallSeconds, tellers: nodes, durationMs }, nacs, scribe!.rows);
}

/** Spread over all that there are. */
function lastingPublicNodes(plan: Plan, untilUs: number, count: number): number[] {
  const disturbed = new Set<number>();
  for (const action of plan.actions) {
    if (action.atUs < untilUs && action.do !== "start" && "node" in action) disturbed.add(action.node);
  }
  const lasting = [...plan.nodes.keys()].filter(
    (node) =>
      plan.nodes[node]!.role === "public" &&
      !disturbed.has(node) &&
      plan.actions.some((action) => action.do === "start" && action.node === node && action.atUs < untilUs / 2),
  );
  if (lasting.length < count) {
    throw new RangeError(`tellers: ${count} are wanted, and ${lasting.length} public nodes live throughout`);
  }
  return Array.from({ length: count }, (_, i) => lasting[Math.floor((i * lasting.length) / count)]!);
}

/** Notes which routes may have changed, and looks at them at the end of the window; at all of them each second. */
class FeedScribe implements Observer {
  readonly rows: FeedRow[] = [];
  private readonly view: ShardView;
  private readonly span: FeedSpan;
  /** Place of a node among the tellers. */
  private readonly placeOf: ReadonlyMap<number, number>;
  /** By teller: the last row of each destination. */
  private readonly last: Map<number, FeedRow>[];
  private readonly changed: { teller: number; node: number; destination: number }[] = [];

  constructor(view: ShardView, nodes: readonly number[], span: FeedSpan) {
    this.view = view;
    this.span = span;
    this.placeOf = new Map(nodes.map((node, place) => [node, place]));
    this.last = nodes.map(() => new Map());
  }

  handleRoute(_nowUs: number, node: number, destination: number): void {
    const teller = this.placeOf.get(node);
    if (teller !== undefined) this.changed.push({ teller, node, destination });
  }

  handleWindow(nowUs: number): void {
    const changed = this.changed.splice(0);
    if (!this.isRecorded(nowUs)) return;
    for (const { teller, node, destination } of changed) this.look(nowUs, teller, node, destination);
  }

  handleSecond(nowUs: number): undefined {
    if (!this.isRecorded(nowUs)) return;
    // A newer index of a route that is the same otherwise is no change that anybody is told of.
    for (const [node, teller] of this.placeOf) {
      for (let destination = 0; destination < this.view.plan.nodes.length; destination += 1) {
        this.look(nowUs, teller, node, destination);
      }
    }
  }

  handleStart(): void {}
  handleEnd(): void {}
  handleEntry(): void {}
  handleLink(): void {}
  handleTransmit(): void {}

  finish(): Record<string, never> {
    return {};
  }

  private isRecorded(nowUs: number): boolean {
    return nowUs >= this.span.fromUs;
  }

  private look(nowUs: number, teller: number, node: number, destination: number): void {
    const host = this.view.host(node);
    if (host === undefined) throw new Error(`node ${node} ended, though the plan lets it live`);
    const { routing, table } = insideOf(host.stack);
    const number = table.dictionary.find(this.view.nacOf(destination));
    const route = number < 0 ? undefined : routing.route(number);
    if (route?.nextHop === -1) return; // itself
    const before = this.last[teller]!.get(destination);
    if (route === undefined && (before === undefined || before.metric === NO_ROUTE)) return;
    const { metric = NO_ROUTE, epoch = 0, slot = 0, repair = 0 } = route ?? {};
    const isSame =
      before?.metric === metric && before.epoch === epoch && before.slot === slot && before.repair === repair;
    if (isSame) return;
    const atMs = Math.floor((nowUs - this.span.fromUs) / 1000);
    const row = { atMs, teller, destination, metric, epoch, slot, repair };
    this.last[teller]!.set(destination, row);
    this.rows.push(row);
  }
}

const NOTHING: HostHooks = {
  suiteOf: (_node, suite) => suite,
  handleCreated() {},
  handleEnd() {},
  handleTraffic() {},
  handleByzantine() {},
  handleEvent() {},
  handleDeliver() {},
  handleDeliverDatagram() {},
  handleWake() {},
};
