/** A scenario, written where it is tested, played by whole stacks, and looked at while it runs. */
import type { PeerStatus } from "../../core/stack/ports.js";
import type { Stack } from "../../core/stack/stack.js";
import { LINKS_MAX } from "../../sim/engine/census.js";
import type { Host } from "../../sim/engine/host.js";
import type { ShardView } from "../../sim/engine/observer.js";
import { simulate } from "../../sim/engine/simulation.js";
import { instruments } from "../../sim/oracle/instruments.js";
import type { Plan } from "../../sim/plan/plan.js";
import { type Report, reportOf } from "../../sim/report/report.js";
import { expand, parseScenario, printComplaint } from "../../sim/scenario/scenario.js";
import { PARTS } from "./plans.js";

const SECOND_US = 1_000_000;

/** A node, a link, or a route of one, and when it changed, seconds. */
export type StoryEvent =
  | { readonly kind: "start" | "crash" | "leave"; readonly atSeconds: number; readonly node: string }
  | { readonly kind: "link"; readonly atSeconds: number; readonly node: string; readonly peer: string; isUp: boolean }
  | { readonly kind: "route"; readonly atSeconds: number; readonly node: string; readonly to: string; hop: string };

export interface Story {
  readonly report: Report;
  /** In order; `hop` is "" for a route that was lost. */
  readonly events: readonly StoryEvent[];
  /** Datagrams that the network or the hosts dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

/** The world at the end of a second. */
export class Scene {
  private readonly view: ShardView;
  private readonly nowUs: number;

  constructor(view: ShardView, nowUs: number) {
    this.view = view;
    this.nowUs = nowUs;
  }

  /** Names of the nodes that packets from `from` to `to` pass, both ends included; undefined if they do not arrive. */
  way(from: string, to: string): readonly string[] | undefined {
    const { census } = this.view;
    const target = this.numberOf(to);
    const way = [from];
    for (let node = this.numberOf(from); node !== target; ) {
      node = census.hop[node * census.nodes + target]! - 1;
      if (node < 0 || way.length > census.nodes) return undefined;
      way.push(this.view.plan.nodes[node]!.name);
    }
    return way;
  }

  /** Nodes with a route to `to`. */
  holders(to: string): readonly string[] {
    const { census, plan } = this.view;
    const target = this.numberOf(to);
    return plan.nodes.filter((_, node) => census.hop[node * census.nodes + target] !== 0).map(({ name }) => name);
  }

  /** Do all of these have routes to each other? All that live, unless named. */
  isMeshed(names: readonly string[] = this.alive()): boolean {
    return names.every((to) => names.every((from) => from === to || this.way(from, to) !== undefined));
  }

  /** "a b" for each pair that links join, as both their ends see them, and that has no route all the same. */
  get unserved(): readonly string[] {
    const { census, plan } = this.view;
    const { nodes, linkPeer } = census;
    const isLinked = (a: number, b: number) =>
      linkPeer.subarray(a * LINKS_MAX, (a + 1) * LINKS_MAX).includes(b + 1) && census.alive[b] === 1;
    const unserved: string[] = [];
    for (let to = 0; to < nodes; to += 1) {
      if (census.alive[to] === 0) continue;
      const reached = new Set([to]);
      for (const at of reached) {
        for (let node = 0; node < nodes; node += 1) if (isLinked(node, at) && isLinked(at, node)) reached.add(node);
      }
      for (const from of reached) {
        if (from !== to && census.hop[from * nodes + to] === 0)
          unserved.push(`${plan.nodes[from]!.name} ${plan.nodes[to]!.name}`);
      }
    }
    return unserved;
  }

  alive(): readonly string[] {
    return this.view.plan.nodes.filter((_, node) => this.view.census.alive[node] === 1).map(({ name }) => name);
  }

  stack(name: string): Stack {
    return this.hostOf(name).stack;
  }

  /** What `name` says of its link to `peer`; undefined without one. */
  link(name: string, peer: string): PeerStatus | undefined {
    const host = this.hostOf(name);
    const other = this.numberOf(peer);
    return host.stack.peers(host.localUs(this.nowUs)).find(({ path }) => host.paths.peerOf(path) === other);
  }

  private hostOf(name: string): Host {
    const host = this.view.host(this.numberOf(name));
    if (host === undefined) throw new Error(`story: ${name} does not live at ${this.nowUs / SECOND_US} s`);
    return host;
  }

  private numberOf(name: string): number {
    const node = this.view.plan.nodes.findIndex((one) => one.name === name);
    if (node < 0) throw new Error(`story: there is no node ${name}`);
    return node;
  }
}

/**
 * Plays the scenario in `yaml`, to which a name is added. `looks` are called at the ends of the seconds that are
 * their keys; what they throw ends the story. Throws, too, when an oracle spoke or an expectation of the scenario failed.
 */
export function tell(yaml: string, looks: Readonly<Record<number, (scene: Scene) => void>> = {}): Story {
  const story = play(yaml, looks);
  const { violation, expect } = story.report;
  if (violation !== undefined) throw new Error(`story: at ${violation.atSeconds} s ${violation.text}`);
  for (const { text, value, ok } of expect) if (!ok) throw new Error(`story: ${text}, but it is ${value}`);
  return story;
}

/** The same, whatever comes of it. */
export function play(yaml: string, looks: Readonly<Record<number, (scene: Scene) => void>> = {}): Story {
  const plan = planOf(yaml);
  const nameOf = (node: number) => plan.nodes[node]!.name;
  const events: StoryEvent[] = [];
  const result = simulate(
    plan,
    { workers: 1 },
    {
      ...PARTS,
      instruments: (view) => {
        const { observer, hooks } = instruments(view);
        const { handleStart, handleEnd, handleRoute, handleLink, handleSecond } = observer;
        observer.handleStart = (atUs, node) => {
          events.push({ kind: "start", atSeconds: atUs / SECOND_US, node: nameOf(node) });
          handleStart.call(observer, atUs, node);
        };
        observer.handleEnd = (atUs, node, how) => {
          events.push({ kind: how, atSeconds: atUs / SECOND_US, node: nameOf(node) });
          handleEnd.call(observer, atUs, node, how);
        };
        observer.handleRoute = (atUs, node, to, hop, metric) => {
          const names = { node: nameOf(node), to: nameOf(to), hop: hop < 0 ? "" : nameOf(hop) };
          events.push({ kind: "route", atSeconds: atUs / SECOND_US, ...names });
          handleRoute.call(observer, atUs, node, to, hop, metric);
        };
        observer.handleLink = (atUs, node, peer, isUp) => {
          events.push({ kind: "link", atSeconds: atUs / SECOND_US, node: nameOf(node), peer: nameOf(peer), isUp });
          handleLink.call(observer, atUs, node, peer, isUp);
        };
        observer.handleSecond = (nowUs) => {
          const violation = handleSecond.call(observer, nowUs);
          if (violation === undefined) looks[nowUs / SECOND_US]?.(new Scene(view, nowUs));
          return violation;
        };
        return { observer, hooks };
      },
    },
  );
  return { report: reportOf(plan, result), events, drops: result.drops };
}

function planOf(yaml: string): Plan {
  const parsed = parseScenario(`name: story\n${yaml}`, "story.yaml");
  if (!parsed.ok) throw new Error(parsed.errors.map(printComplaint).join("\n"));
  return expand(parsed.scenario);
}
