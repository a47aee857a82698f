import type { HostHooks } from "../engine/host-hooks.js";
import type { ShardView } from "../engine/observer.js";
import type { Instruments } from "../engine/run.js";
import { Liar } from "../fault/byzantine/liar.js";
import { turn } from "../fault/byzantine/roles.js";
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
  /** Once a liar, always one: the roles of each node, and its present life. */
  const roles = new Map<number, Byzantine[]>();
  const liars = new Map<number, Liar>();
  const hooks: HostHooks = {
    suiteOf: (_node, suite) => suite,
    handleCreated(nowUs, host) {
      if (view.plan.mutate !== undefined) mutate(host.stack, view.plan.mutate);
      const played = roles.get(host.node);
      if (played === undefined) return;
      const liar = new Liar(host);
      liars.set(host.node, liar);
      for (const as of played) turn(nowUs, liar, as);
    },
    handleEnd(_nowUs, node) {
      traffic.handleEnd(node);
      liars.delete(node);
    },
    handleTraffic: (nowUs, host, flow) => traffic.begin(nowUs, host, flow),
    handleByzantine(nowUs, host, as) {
      const played = roles.get(host.node) ?? [];
      if (played.includes(as)) return;
      roles.set(host.node, [...played, as]);
      const liar = liars.get(host.node) ?? new Liar(host);
      liars.set(host.node, liar);
      turn(nowUs, liar, as);
      liar.flush(nowUs);
    },
    handleEvent: (nowUs, host, event) => traffic.handleEvent(nowUs, host, event),
    handleDeliver: (_nowUs, host, stream, bytes, at, length) => traffic.handleDeliver(host, stream, bytes, at, length),
    handleDeliverDatagram: (_nowUs, _host, _flow, bytes, at, length) =>
      traffic.handleDeliverDatagram(bytes, at, length),
    handleWake(nowUs, host) {
      traffic.handleWake(nowUs, host);
      liars.get(host.node)?.handleWake(nowUs);
    },
  };
  return { observer, hooks };
}
