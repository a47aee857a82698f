/**
 * A plan run by real daemons on 127.0.0.1: public nodes, links with a delay, and nodes that are killed, started again, stopped and
 * continued. What happened comes out of their journals, afterwards: nobody asks the daemons anything while they work.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { printNac } from "../../core/address/nac.js";
import { Trace } from "../../core/trace/trace.js";
import { DaemonProcess } from "../../node/demo/daemon-process.js";
import { replayJournal } from "../../node/journal/replay.js";
import type { Action, Plan } from "../../sim/plan/plan.js";
import type { Happening } from "./chronicle.js";
import { eventually, NETWORK, stopAll } from "./daemons.js";
import { DelayingRelay } from "./delaying-relay.js";

/** Processes start one after the other: all at once they would want both cores for many seconds. */
const STAGGER_MS = 250;
const START_MS_MAX = 90_000;
/** After all know all. */
const REST_MS = 4_000;
/** For what the last action leads to. */
const AFTERMATH_MS = 5_000;

export interface RealRun {
  readonly happenings: readonly Happening[];
  /** What begins earlier is the start of the whole. */
  readonly fromUs: number;
  /** Packets came so much later than the links of the plan let them, milliseconds, on average. */
  readonly relayLateMs: number;
}

/** One process, from its start to its end. */
interface Life {
  readonly node: number;
  readonly daemon: DaemonProcess;
  readonly journal: string;
  /** Where in the log it begins. */
  readonly logAt: number;
}

export async function realRun(plan: Plan, base: string): Promise<RealRun> {
  const crowd = new Crowd(plan, base);
  try {
    await crowd.start();
    await crowd.befall();
    await crowd.expectWhole();
  } finally {
    await crowd.end();
  }
  return crowd.chronicle();
}

class Crowd {
  private readonly plan: Plan;
  private readonly base: string;
  private readonly lives: Life[] = [];
  private readonly daemons: DaemonProcess[] = [];
  private readonly endpoints: string[] = [];
  private readonly nacs: string[] = [];
  /** By dialling node, then in the order of its dials. */
  private readonly relays: DelayingRelay[][] = [];
  private readonly stopped = new Set<number>();
  private readonly done: Happening[] = [];
  private fromUs = 0;

  constructor(plan: Plan, base: string) {
    this.plan = plan;
    this.base = base;
  }

  /** All are up, and each has a route to each. */
  async start(): Promise<void> {
    const { nodes } = this.plan;
    for (const [node, { dials }] of nodes.entries()) {
      const opened = dials.map((dial) => DelayingRelay.open(this.delayMs(node, dial.node)));
      this.relays.push(await Promise.all(opened));
    }
    const ready = nodes.map(async (_, node) => {
      await sleep(node * STAGGER_MS);
      const daemon = this.spawn(node);
      await eventually(`${daemon.name} has its socket`, () => this.isReached(node), START_MS_MAX);
      this.nacs[node] = (await daemon.id()).nac;
    });
    await Promise.allSettled(ready); // when one fails the others must be known before they can be ended
    await Promise.all(ready);
    await this.expectWhole();
    await sleep(REST_MS);
  }

  /** The actions of the plan, from the first that is no start, each at its time. */
  async befall(): Promise<void> {
    const actions = this.plan.actions.filter((action) => action.do !== "start");
    const [first] = actions;
    if (first === undefined) return;
    this.fromUs = wallUs();
    const beganMs = performance.now();
    for (const action of actions) {
      const dueMs = beganMs + (action.atUs - first.atUs) / 1000;
      await sleep(Math.max(0, dueMs - performance.now()));
      this.act(action);
    }
    await sleep(AFTERMATH_MS);
  }

  /** Everybody has a route to everybody. */
  async expectWhole(): Promise<void> {
    for (const [node, daemon] of this.daemons.entries()) {
      const others = this.nacs.filter((_, other) => other !== node);
      const isWhole = async () => {
        const known = new Set((await daemon.routes()).map(({ nac }) => nac));
        return others.every((nac) => known.has(nac));
      };
      await eventually(`${daemon.name} has a route to all others`, isWhole, START_MS_MAX);
    }
  }

  async end(): Promise<void> {
    for (const node of this.stopped) this.signal(node, "SIGCONT");
    try {
      await stopAll(this.daemons);
    } finally {
      for (const relay of this.relays.flat()) relay.close();
    }
  }

  /** Everything, by the wall clock. */
  chronicle(): RealRun {
    const happenings = [...this.done];
    for (const life of this.lives) happenings.push(...this.tell(life));
    const relays = this.relays.flat();
    const packets = relays.reduce((sum, relay) => sum + relay.packets, 0);
    const relayLateMs = relays.reduce((sum, relay) => sum + relay.lateMs, 0) / packets;
    return { happenings, fromUs: this.fromUs, relayLateMs };
  }

  private act(action: Action): void {
    if (!("node" in action)) throw new Error(`daemons cannot do "${action.do}"`);
    const { node } = action;
    const atUs = wallUs();
    switch (action.do) {
      case "crash":
        void this.daemons[node]!.kill();
        this.done.push({ kind: "crash", node, atUs });
        return;
      case "restart":
        this.spawn(node);
        return;
      case "pause":
        this.signal(node, "SIGSTOP");
        this.stopped.add(node);
        this.done.push({ kind: "pause", node, atUs });
        return;
      case "resume":
        this.signal(node, "SIGCONT");
        this.stopped.delete(node);
        this.done.push({ kind: "resume", node, atUs });
        return;
      default:
        throw new Error(`daemons cannot do "${action.do}"`);
    }
  }

  /** A process that has ended by itself has no pid any more that is ours. */
  private signal(node: number, signal: "SIGSTOP" | "SIGCONT"): void {
    const daemon = this.daemons[node]!;
    if (!daemon.hasExited) process.kill(daemon.pid, signal);
  }

  private spawn(node: number): DaemonProcess {
    const { name } = this.plan.nodes[node]!;
    const journal = join(this.base, `${name}-${this.lives.length}.journal`);
    const udp = this.endpoints[node];
    const peers = this.relays[node]!.map(({ endpoint }) => endpoint);
    const former = this.daemons[node];
    const logAt = former === undefined ? 0 : readFileSync(former.logFile).length;
    this.done.push({ kind: "start", node, atUs: wallUs() });
    const daemon = new DaemonProcess({
      name,
      base: this.base,
      network: NETWORK,
      http: "off",
      peers,
      hosts: [],
      journal,
      ...(udp === undefined ? {} : { udp }),
    });
    this.daemons[node] = daemon;
    this.lives.push({ node, daemon, journal, logAt });
    return daemon;
  }

  /** As soon as its port is known, those who dial it are led there. */
  private async isReached(node: number): Promise<boolean> {
    const [endpoint] = await this.daemons[node]!.status().then(
      ({ udp }) => udp,
      () => [],
    );
    if (endpoint === undefined) return false;
    this.endpoints[node] = endpoint;
    for (const [from, { dials }] of this.plan.nodes.entries()) {
      for (const [index, dial] of dials.entries()) {
        if (dial.node === node) this.relays[from]![index]!.leadTo(Number(endpoint.split(":")[1]));
      }
    }
    return true;
  }

  private delayMs(a: number, b: number): number {
    const { pairs, models, defaultModel } = this.plan;
    const pair = pairs.find((one) => (one.a === a && one.b === b) || (one.a === b && one.b === a));
    return models[pair?.model ?? defaultModel]!.delayUs / 1000;
  }

  /** What one process did. */
  private tell({ node, daemon, journal, logAt }: Life): Happening[] {
    const told: Happening[] = [];
    const byNac = new Map(this.nacs.map((nac, of) => [nac, of]));
    const replay = replayJournal(journal, undefined, (nowUs, [code, a], nacOf) => {
      if (code === Trace.linkUp) told.push({ kind: "linkUp", atUs: nowUs, node });
      if (code !== Trace.routeSelected && code !== Trace.routeLost) return;
      const destination = byNac.get(printNac(nacOf(a)));
      if (destination === undefined || destination === node) return;
      told.push({ kind: "route", atUs: nowUs, node, destination, isHeld: code === Trace.routeSelected });
    });
    // What was built is older than the sources (npm run build), or the core is not the same twice.
    if (replay.difference !== null) throw new Error(`${journal} replays otherwise: ${replay.difference}`);
    if (!told.some(({ kind }) => kind === "linkUp"))
      throw new Error(`${daemon.name} never had a link:\n${daemon.logTail()}`);
    const zeroUs = this.clockZeroUs(daemon, logAt);
    return told.map((one) => ({ ...one, atUs: zeroUs + one.atUs }));
  }

  /** When the clock of a process was zero, by the wall clock. */
  private clockZeroUs(daemon: DaemonProcess, logAt: number): number {
    const [, zeroMs] = /"clockZeroMs":([\d.]+)/.exec(readFileSync(daemon.logFile).subarray(logAt).toString()) ?? [];
    if (zeroMs === undefined)
      throw new Error(`${daemon.name} does not say when its journal begins:\n${daemon.logTail()}`);
    return Math.round(Number(zeroMs) * 1000);
  }
}

function wallUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
