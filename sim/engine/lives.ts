import type { CryptoSuite } from "../../core/crypto/suite.js";
import { Stack } from "../../core/stack/stack.js";
import { SECOND_US } from "../../core/time/instant.js";
import { endpointOf } from "../network/datagram.js";
import { type Dial, type Plan, PORT } from "../plan/plan.js";
import { transitOf } from "../plan/transit.js";
import { Stream } from "../random/stream.js";
import { weather, weatherSeed } from "../random/weather.js";
import { ModelledElements } from "../suite/modelled-elements.js";
import type { Calendar } from "./calendar.js";
import type { Census } from "./census.js";
import type { CensusFeed } from "./census-feed.js";
import type { Datagrams } from "./datagrams.js";
import { Host } from "./host.js";
import type { HostHooks } from "./host-hooks.js";
import type { Moment } from "./moment.js";
import type { Observer } from "./observer.js";
import type { Packets } from "./packets.js";
import { bytesFrom, NETWORK_NAME, type Roster } from "./roster.js";
import { NodeTables, TableSlabs } from "./table-slabs.js";

/** 2027 or so: the wall clock when a run begins. */
export const EPOCH_SECONDS = 1_800_000_000;

/** Nodes of one shard come to life and end. What a restarted node has kept, its epoch, is here. */
export class Lives {
  private readonly plan: Plan;
  private readonly moment: Moment;
  private readonly hosts: (Host | undefined)[];
  private readonly roster: Roster;
  private readonly suite: CryptoSuite;
  private readonly census: Census;
  private readonly feed: CensusFeed;
  private readonly calendar: Calendar;
  private readonly packets: Packets;
  private readonly datagrams: Datagrams;
  private readonly observer: Observer;
  private readonly hooks: HostHooks;
  private readonly epochs: Uint32Array;
  private readonly elements: ModelledElements;
  private readonly slabs = new TableSlabs();
  /** By node, while it lives. */
  private readonly tables: (NodeTables | undefined)[];
  /** Of nodes that ended a moment ago: their stacks may not have returned yet from the call that ended them. */
  private readonly ended: NodeTables[] = [];

  constructor(args: {
    plan: Plan;
    moment: Moment;
    hosts: (Host | undefined)[];
    roster: Roster;
    suite: CryptoSuite;
    census: Census;
    feed: CensusFeed;
    calendar: Calendar;
    packets: Packets;
    datagrams: Datagrams;
    observer: Observer;
    hooks: HostHooks;
  }) {
    this.plan = args.plan;
    this.moment = args.moment;
    this.hosts = args.hosts;
    this.roster = args.roster;
    this.suite = args.suite;
    this.census = args.census;
    this.feed = args.feed;
    this.calendar = args.calendar;
    this.packets = args.packets;
    this.datagrams = args.datagrams;
    this.observer = args.observer;
    this.hooks = args.hooks;
    this.elements = new ModelledElements(args.roster.dictionary, weatherSeed(args.plan.seed));
    this.epochs = new Uint32Array(args.plan.nodes.length);
    this.tables = args.plan.nodes.map(() => undefined);
  }

  /** What the node had stored is lost. */
  forget(node: number): void {
    this.epochs[node] = 0;
  }

  /** A node that does not live begins, and dials. */
  start(node: number): Host {
    const { plan, census } = this;
    const { nowUs } = this.moment;
    for (const tables of this.ended.splice(0)) tables.releaseAll();
    const starts = census.starts[node]! + 1;
    census.starts[node] = starts;
    const clockUs = SECOND_US + (weather(weatherSeed(plan.seed), node, starts) % (3_600 * SECOND_US));
    const host = new Host(plan, node, nowUs, clockUs);
    const tables = new NodeTables(this.slabs);
    this.tables[node] = tables;
    host.stack = this.stackOf(host, tables, clockUs, `${plan.nodes[node]!.name}/${starts}`);
    this.hosts[node] = host;
    this.feed.handleStart(node);
    this.observer.handleStart(nowUs, node);
    this.hooks.handleCreated(clockUs, host);
    host.stack.start(clockUs);
    for (const dial of plan.nodes[node]!.dials) this.dial(host, dial, clockUs);
    return host;
  }

  dial(host: Host, { node, from, address }: Dial, localUs: number): void {
    const { paths } = host;
    const path = paths.pathOf(from, endpointOf(address, PORT));
    if (path < 0) return;
    if (paths.peerOf(path) < 0) paths.setPeer(path, node);
    host.stack.addPeer(localUs, path, undefined);
  }

  end(host: Host, how: "crash" | "leave"): void {
    const { node } = host;
    const { nowUs } = this.moment;
    this.hosts[node] = undefined;
    this.ended.push(this.tables[node]!);
    this.tables[node] = undefined;
    this.calendar.clearTimer(node);
    for (const slot of host.held) this.packets.release(slot);
    this.feed.handleEnd(node);
    this.hooks.handleEnd(nowUs, node);
    this.observer.handleEnd(nowUs, node, how);
  }

  private stackOf(host: Host, tables: NodeTables, clockUs: number, life: string): Stack {
    const { plan, moment, hooks, roster, datagrams } = this;
    const { node } = host;
    const secrets = new Stream(plan.seed, "entropy", life);
    const chance = new Stream(plan.seed, "chance", life);
    const localUs = () => host.localUs(moment.nowUs);
    return new Stack(
      clockUs,
      {
        networkName: NETWORK_NAME,
        service: roster.identityOf(node),
        linkKeys: roster.linkKeysOf(node),
        storedEpoch: this.epochs[node]!,
        wallClockSeconds: EPOCH_SECONDS + Math.floor(moment.nowUs / SECOND_US),
        transit: transitOf(plan.nodes[node]!.role),
        isStrict: plan.isStrict,
      },
      {
        suite: hooks.suiteOf(node, this.suite),
        entropy: (length) => bytesFrom(secrets, length),
        random32: () => chance.below(0x1_0000_0000),
        sink: {
          transmit: (path, bytes, at, length) => datagrams.transmit(host, path, bytes, at, length),
          event: (event) => {
            if (event.kind !== "linkUp" && event.kind !== "linkDown" && event.kind !== "linkMoved")
              host.events.push(event);
          },
          deliver: (stream, bytes, at, length) => hooks.handleDeliver(localUs(), host, stream, bytes, at, length),
          deliverDatagram: (flow, bytes, at, length) =>
            hooks.handleDeliverDatagram(localUs(), host, flow, bytes, at, length),
          persist: ({ nac, epoch }) => {
            if (roster.nodeOf(nac) === node) this.epochs[node] = epoch;
          },
        },
        trace: (code, a, b, c) => this.feed.trace(host, code, a, b, c),
        allocate: tables,
        dictionary: roster.dictionary,
        elements: this.elements,
      },
    );
  }
}
