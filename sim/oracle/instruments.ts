import type { Stack } from "../../core/stack/stack.js";
import type { HostHooks } from "../engine/host-hooks.js";
import type { ShardView } from "../engine/observer.js";
import type { Instruments } from "../engine/run.js";
import { turn } from "../fault/byzantine.js";
import { mutate } from "../fault/mutations.js";
import type { Byzantine } from "../plan/plan.js";
import { Traffic } from "../traffic/traffic.js";
import { Observatory } from "./observatory.js";

/** All that looks on and acts in one shard: the oracles, the applications, the liars, and a core broken on purpose. */
export function instruments(view: ShardView): Instruments {
  const traffic: Traffic = new Traffic(
    (node) => view.nacOf(node),
    (from, to) => observer.hasPath(from, to),
  );
  const observer: Observatory = new Observatory(view, () => ({ clients: traffic.clients, traffic: traffic.count }));
  const liars = new Map<number, Byzantine>();
  const hooks: HostHooks = {
    suiteOf: (_node, suite) => suite,
    handleCreated(nowUs, host) {
      const stack: Stack = host.stack;
      if (view.plan.mutate !== undefined) mutate(stack, view.plan.mutate);
      const as = liars.get(host.node);
      if (as !== undefined) turn(nowUs, stack, as); // once a liar, always one
    },
    handleEnd: (_nowUs, node) => traffic.handleEnd(node),
    handleTraffic: (nowUs, host, flow) => traffic.begin(nowUs, host, flow),
    handleByzantine(nowUs, host, as) {
      liars.set(host.node, as);
      turn(nowUs, host.stack, as);
    },
    handleEvent: (nowUs, host, event) => traffic.handleEvent(nowUs, host, event),
    handleDeliver: (_nowUs, host, stream, bytes, at, length) => traffic.handleDeliver(host, stream, bytes, at, length),
    handleDeliverDatagram: (_nowUs, _host, _flow, bytes, at, length) =>
      traffic.handleDeliverDatagram(bytes, at, length),
    handleWake: (nowUs, host) => traffic.handleWake(nowUs, host),
  };
  return { observer, hooks };
}
