import type { CryptoSuite } from "../../core/crypto/suite.js";
import { NEVER, SECOND_US } from "../../core/time/instant.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import type { Action, Plan } from "../plan/plan.js";
import { watchSeals } from "../suite/seal-watch.js";
import { Agenda } from "./agenda.js";
import { Calendar } from "./calendar.js";
import type { Census } from "./census.js";
import { CensusFeed } from "./census-feed.js";
import { Datagrams, type Post } from "./datagrams.js";
import { EventHeap } from "./event-heap.js";
import { Fingerprints } from "./fingerprints.js";
import type { Host } from "./host.js";
import type { HostHooks } from "./host-hooks.js";
import { Lives } from "./lives.js";
import { DATAGRAM, KIND, type Moment, SOURCE, TIMER } from "./moment.js";
import type { NetworkPort } from "./network-port.js";
import type { Observer, ShardView } from "./observer.js";
import { Packets } from "./packets.js";
import { Recording, type Span } from "./recording.js";
import { Roster } from "./roster.js";
import type { Instruments } from "./run.js";
import { sharesOf } from "./shares.js";

/** Taking leave lasts so long (Stack.depart). */
const LEAVE_US = 300_000;
/** A stack that asks for its timer so often at one moment does nothing else any more. */
const TIMERS_AT_ONCE_MAX = 100_000;

/** The nodes of some islands, run window by window. All shards together are the simulation. */
export class Shard implements ShardView {
  readonly plan: Plan;
  readonly shard: number;
  readonly shards: number;
  readonly census: Census;
  readonly network: NetworkPort;
  readonly observer: Observer;
  readonly fingerprints: Fingerprints;
  readonly calendar: Calendar;
  /** Datagrams, timers and actions so far. */
  events = 0;
  private readonly packets = new Packets();
  private readonly hooks: HostHooks;
  private readonly roster: Roster;
  private readonly hosts: (Host | undefined)[];
  private readonly feed: CensusFeed;
  private readonly datagrams: Datagrams;
  private readonly lives: Lives;
  private readonly islandOf: Int32Array;
  /** By island. */
  private readonly shardOf: Uint8Array;
  private readonly actions: readonly Action[];
  private nextAction = 0;
  private readonly moment: Moment = { nowUs: 0, endUs: 0, island: -1 };
  private readonly agenda: Agenda;
  /** What the island that runs has still to do in this window. */
  private readonly heap = new EventHeap(256);
  private timersAtOnce = 0;

  constructor(args: {
    plan: Plan;
    shard: number;
    shards: number;
    census: Census;
    network: NetworkPort;
    suite: CryptoSuite;
    shuffle: string | undefined;
    record: Span | undefined;
    instruments: (view: ShardView) => Instruments;
    post: Post;
  }) {
    const { plan, shard, census, network } = args;
    const nodes = plan.nodes.length;
    this.plan = plan;
    this.shard = shard;
    this.shards = args.shards;
    this.census = census;
    this.network = network;
    this.hosts = plan.nodes.map(() => undefined);
    this.islandOf = Int32Array.from(plan.nodes, (_, node) => network.islandOf(node));
    this.shardOf = sharesOf(plan, this.islandOf, network.islands, args.shards);
    this.agenda = new Agenda(network.islands);
    this.fingerprints = new Fingerprints(nodes, args.record && new Recording(args.record, this.moment));
    this.calendar = new Calendar(this.packets, nodes, network.lookaheadUs);
    this.roster = new Roster(plan, args.suite, args.shuffle);
    this.actions = plan.actions.filter((action) => isGlobal(action) || this.owns(nodeOfAction(action)));
    const { observer, hooks } = args.instruments(this);
    this.observer = observer;
    this.hooks = hooks;
    const { moment, packets, calendar, fingerprints, roster, hosts, heap, shardOf } = this;
    // Modelled crypto leaves the plaintext where it is; of real crypto one has to have seen it.
    const seals = args.suite.name === "modelled" ? undefined : watchSeals(args.suite);
    const kindOfRecord = seals?.lastByte ?? ((bytes: Uint8Array, at: number) => bytes[at + RECORD_HEADER_BYTES]!);
    const suite = seals?.suite ?? args.suite;
    this.feed = new CensusFeed({ census, shard, roster, moment, fingerprints, observer });
    const ways = { shard, shardOf, moment, packets, calendar, heap, network, fingerprints, observer, hosts };
    this.datagrams = new Datagrams({ ...ways, kindOfRecord, post: args.post });
    const { feed, datagrams } = this;
    const world = { plan, moment, hosts, roster, suite, census, feed, calendar, packets, datagrams };
    this.lives = new Lives({ ...world, observer, hooks });
  }

  nacOf(node: number): Uint8Array {
    return this.roster.nacOf(node);
  }

  nodeOf(nac: Uint8Array): number {
    return this.roster.nodeOf(nac);
  }

  owns(node: number): boolean {
    return this.shardOf[this.islandOf[node]!] === this.shard;
  }

  host(node: number): Host | undefined {
    return this.hosts[node];
  }

  /** Of the hosts' own doing. */
  get drops(): Readonly<Record<string, number>> {
    return this.datagrams.drops;
  }

  /** The next window in which this shard has something to do; Infinity for none. */
  nextWindow(): number {
    const action = this.actions[this.nextAction];
    const ofAction = action === undefined ? Number.POSITIVE_INFINITY : this.calendar.windowOf(action.atUs);
    return Math.min(ofAction, this.calendar.nextWindow());
  }

  /** Runs all that is due in the window, before `untilUs`. Faults of the network fall between events: they cut the window. */
  runWindow(window: number, untilUs: number): void {
    const windowEndUs = Math.min(this.calendar.startOf(window + 1), untilUs);
    for (;;) {
      const cutAt = this.nextGlobal(windowEndUs);
      const cut = cutAt < 0 ? undefined : this.actions[cutAt]!;
      this.run(window, cut === undefined ? windowEndUs : cut.atUs, cutAt);
      if (cut === undefined) return;
      this.events += this.shard === 0 ? 1 : 0;
      this.network.handleAction(cut.atUs, cut);
      this.nextAction = cutAt + 1;
    }
  }

  /** A datagram from another shard. */
  accept(slot: number): void {
    this.calendar.addPacket(slot);
  }

  get arena(): Packets {
    return this.packets;
  }

  private nextGlobal(endUs: number): number {
    for (let i = this.nextAction; i < this.actions.length && this.actions[i]!.atUs < endUs; i += 1) {
      if (isGlobal(this.actions[i]!)) return i;
    }
    return -1;
  }

  private readonly takePacket = (slot: number): void => {
    this.agenda.enter(this.packets.island[slot]!, this.packets.dueUs[slot]!, this.packets.key[slot]!, slot);
  };

  private readonly takeTimer = (node: number): void => {
    this.agenda.enter(this.islandOf[node]!, this.calendar.timerUs[node]!, TIMER * KIND + node * SOURCE, node);
  };

  private run(window: number, endUs: number, untilAction: number): void {
    const { agenda } = this;
    this.moment.endUs = endUs;
    this.calendar.take(window, endUs, this.takePacket, this.takeTimer);
    const last = untilAction < 0 ? this.actions.length : untilAction;
    for (
      ;
      this.nextAction < last && (untilAction >= 0 || this.actions[this.nextAction]!.atUs < endUs);
      this.nextAction += 1
    ) {
      const action = this.actions[this.nextAction]!;
      const island = this.islandOf[nodeOfAction(action)]!;
      // An action at the time of a cut stands before it in the plan; events of that time do not.
      agenda.enter(island, action.atUs, this.nextAction, this.nextAction);
    }
    for (let i = 0; i < agenda.touched; i += 1) this.runIsland(agenda.islandAt(i));
    agenda.clear();
  }

  private runIsland(island: number): void {
    const { heap, moment } = this;
    this.agenda.pour(island, heap);
    moment.island = island;
    while (heap.size > 0) {
      const { timeUs, key, id } = heap;
      heap.shift();
      moment.nowUs = timeUs;
      if (key >= TIMER * KIND) this.ring(id);
      else if (key >= DATAGRAM * KIND) this.arrive(id);
      else this.act(this.actions[id]!);
    }
    moment.island = -1;
  }

  private arrive(slot: number): void {
    this.events += 1;
    const host = this.datagrams.arrive(slot);
    if (host !== undefined) this.deliver(host, slot);
  }

  private deliver(host: Host, slot: number): void {
    const { packets } = this;
    const path = this.datagrams.pathOf(host, slot);
    if (path >= 0) {
      const localUs = host.localUs(this.moment.nowUs);
      host.stack.handleDatagram(localUs, path, packets.chunk[slot]!, packets.at[slot]!, packets.length[slot]!);
      packets.release(slot);
      this.settle(host, localUs);
    } else packets.release(slot);
  }

  private ring(node: number): void {
    const host = this.hosts[node];
    const { nowUs } = this.moment;
    if (host === undefined || this.calendar.timerUs[node] !== nowUs) return;
    this.calendar.clearTimer(node);
    this.events += 1;
    if (host.isPaused) return;
    if (nowUs >= host.endUs) return this.leave(host);
    const localUs = host.localUs(nowUs);
    if (nowUs >= host.loadDueUs) this.reportLoad(host, localUs);
    if (host.stack.nextDeadlineUs <= localUs) host.stack.handleTimer(localUs);
    this.settle(host, localUs);
  }

  /** After a call to the stack: its events reach the applications, what came of that too, and the timer is set. */
  private settle(host: Host, localUs: number): void {
    const { events } = host;
    for (let i = 0; i < events.length; i += 1) this.hooks.handleEvent(localUs, host, events[i]!);
    if (events.length > 0) events.length = 0; // to set a length is slow, and most calls bring no events
    if (host.isSoon || host.wakeUs <= localUs) {
      host.isSoon = false;
      if (host.wakeUs <= localUs) host.wakeUs = Number.POSITIVE_INFINITY;
      this.hooks.handleWake(localUs, host);
      if (host.events.length > 0) return this.settle(host, localUs);
    }
    this.schedule(host);
  }

  private schedule(host: Host): void {
    const { node, stack } = host;
    if (host.isPaused) return;
    const localUs = Math.min(stack.nextDeadlineUs, host.wakeUs);
    let dueUs = localUs >= NEVER ? Number.POSITIVE_INFINITY : Math.max(this.moment.nowUs, host.virtualUs(localUs));
    dueUs = Math.min(dueUs, host.endUs, host.loadDueUs);
    if (dueUs === this.calendar.timerUs[node]) return;
    if (dueUs === Number.POSITIVE_INFINITY) return this.calendar.clearTimer(node);
    if (dueUs < this.moment.endUs) {
      this.timersAtOnce = dueUs === this.moment.nowUs ? this.timersAtOnce + 1 : 0;
      if (this.timersAtOnce > TIMERS_AT_ONCE_MAX)
        throw new Error(`node ${node} asks for its timer at ${dueUs} us for ever`);
      this.calendar.clearTimer(node);
      this.calendar.timerUs[node] = dueUs;
      this.heap.push(dueUs, TIMER * KIND + node * SOURCE, node);
      return;
    }
    this.calendar.setTimer(node, dueUs);
  }

  private reportLoad(host: Host, localUs: number): void {
    // A node that is slow no more says so once: the last second of its labour must not be its load for ever.
    const isAtWork = host.packetUs > 0 || host.workedUs > 0 || host.longestWaitUs > 0;
    host.loadDueUs = isAtWork ? this.moment.nowUs + SECOND_US : Number.POSITIVE_INFINITY;
    const busy = Math.min(255, Math.floor((host.workedUs * 255) / SECOND_US));
    host.stack.handleLoad(localUs, { queueDelayUs: host.longestWaitUs, busy });
    host.longestWaitUs = 0;
    host.workedUs = 0;
  }

  private act(action: Action): void {
    this.events += 1;
    const { nowUs } = this.moment;
    const node = nodeOfAction(action);
    const host = this.hosts[node];
    if (action.do === "start") {
      if (host === undefined) this.start(node);
      return;
    }
    if (action.do === "restart") {
      if (host !== undefined) this.lives.end(host, "crash");
      if (!action.keepsState) this.lives.forget(node);
      return this.start(node);
    }
    if (host === undefined) return;
    const localUs = host.localUs(nowUs);
    switch (action.do) {
      case "crash":
        return this.lives.end(host, "crash");
      case "leave":
        host.endUs = nowUs + LEAVE_US;
        host.isPaused = false;
        host.stack.depart(localUs);
        break;
      case "pause":
        host.isPaused = true;
        return this.calendar.clearTimer(node);
      case "resume":
        host.isPaused = false;
        if (host.stack.nextDeadlineUs <= localUs) host.stack.handleTimer(localUs);
        for (const slot of host.held.splice(0)) this.deliver(host, slot);
        break;
      case "clock":
        host.leap(nowUs, action.leapUs, action.driftPpm);
        break;
      case "slow":
        host.slow(nowUs, action.packetUs, action.queuePackets);
        break;
      case "dial":
        this.lives.dial(host, action.dial, localUs);
        break;
      case "byzantine":
        this.hooks.handleByzantine(localUs, host, action.as);
        break;
      case "traffic":
        this.hooks.handleTraffic(localUs, host, action.flow);
        break;
      default:
        return;
    }
    this.settle(host, host.localUs(nowUs));
  }

  private start(node: number): void {
    const host = this.lives.start(node);
    this.settle(host, host.localUs(this.moment.nowUs));
  }

  private leave(host: Host): void {
    host.stack.shutdown(host.localUs(this.moment.nowUs));
    this.lives.end(host, "leave");
  }
}

function isGlobal(action: Action): boolean {
  return nodeOfAction(action) < 0;
}

/** -1 for what happens to the network, `move` included: every shard is told. */
function nodeOfAction(action: Action): number {
  if (action.do === "traffic") return action.flow.from;
  return "node" in action && action.do !== "move" ? action.node : -1;
}
