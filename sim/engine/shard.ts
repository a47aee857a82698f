import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { type Identity, identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { Stack } from "../../core/stack/stack.js";
import { NEVER, SECOND_US } from "../../core/time/instant.js";
import { Trace } from "../../core/trace/trace.js";
import { RecordKind } from "../../core/wire/control-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { type Action, type Dial, type Plan, PORT } from "../plan/plan.js";
import { Stream } from "../random/stream.js";
import { weather, weatherSeed } from "../random/weather.js";
import { Calendar } from "./calendar.js";
import { type Census, LINKS_MAX } from "./census.js";
import { EventHeap } from "./event-heap.js";
import { Fingerprints } from "./fingerprints.js";
import { Host, PAUSED_PACKETS_MAX } from "./host.js";
import type { HostHooks } from "./host-hooks.js";
import type { NetworkPort, Outgoing } from "./network-port.js";
import type { Observer, ShardView } from "./observer.js";
import { Packets } from "./packets.js";
import type { Instruments } from "./run.js";
import { sharesOf } from "./shares.js";

/** The total order of events at one time: kind, source node, source sequence, packed below 2^53. */
const KIND = 2 ** 50;
const SOURCE = 2 ** 34;
const DATAGRAM = 1;
const TIMER = 2;
const NETWORK_NAME = "simulation";
/** 2027 or so: the wall clock when a run begins. */
const EPOCH_SECONDS = 1_800_000_000;
/** Taking leave lasts so long (Stack.depart). */
const LEAVE_US = 300_000;
/** A stack that asks for its timer so often at one moment does nothing else any more. */
const TIMERS_AT_ONCE_MAX = 100_000;

/** Datagrams for islands of other shards. */
export type Post = (slot: number, packets: Packets, island: number, shard: number) => void;

/** The nodes of some islands, run window by window. All shards together are the simulation. */
export class Shard implements ShardView {
  readonly plan: Plan;
  readonly shard: number;
  readonly shards: number;
  readonly census: Census;
  readonly network: NetworkPort;
  readonly observer: Observer;
  readonly fingerprints: Fingerprints;
  events = 0;
  readonly calendar: Calendar;
  private readonly packets = new Packets();
  private readonly hooks: HostHooks;
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  /** Node by number of the dictionary, and back. */
  private readonly nodeByNumber: Int32Array;
  private readonly numberByNode: Int32Array;
  private readonly hosts: (Host | undefined)[];
  private readonly epochs: Uint32Array;
  private readonly sequence: Float64Array;
  private readonly islandOf: Int32Array;
  private readonly shardOf: Uint8Array;
  private readonly post: Post;
  private readonly actions: readonly Action[];
  private nextAction = 0;
  /** Drops that are the hosts' own doing. */
  readonly drops = { paused: 0, busy: 0, noHost: 0, noPath: 0 };

  // The window that runs.
  private readonly heap = new EventHeap(256);
  private nowUs = 0;
  private endUs = 0;
  private island = -1;
  private sender: Host | undefined;
  private bytes: Uint8Array = new Uint8Array(0);
  private bytesAt = 0;
  private readonly islandHead: Int32Array;
  private touched: number[] = [];
  private entryId: number[] = [];
  private entryKey: number[] = [];
  private entryUs: number[] = [];
  private entryNext: number[] = [];
  private timersAtOnce = 0;

  constructor(args: {
    plan: Plan;
    shard: number;
    shards: number;
    census: Census;
    network: NetworkPort;
    suite: CryptoSuite;
    shuffle: string | undefined;
    instruments: (view: ShardView) => Instruments;
    post: Post;
  }) {
    const { plan, network, suite } = args;
    this.plan = plan;
    this.shard = args.shard;
    this.shards = args.shards;
    this.census = args.census;
    this.network = network;
    this.suite = suite;
    this.post = args.post;
    const nodes = plan.nodes.length;
    this.hosts = plan.nodes.map(() => undefined);
    this.epochs = new Uint32Array(nodes);
    this.sequence = new Float64Array(nodes);
    this.islandOf = Int32Array.from(plan.nodes, (_, node) => network.islandOf(node));
    this.shardOf = sharesOf(plan, this.islandOf, network.islands, args.shards);
    this.islandHead = new Int32Array(network.islands).fill(-1);
    this.fingerprints = new Fingerprints(nodes);
    this.calendar = new Calendar(this.packets, nodes, network.lookaheadUs);
    this.dictionary = new NacDictionary(powerOfTwo(nodes * 2));
    this.nodeByNumber = new Int32Array(nodes);
    this.numberByNode = new Int32Array(nodes);
    const order = plan.nodes.map((_, node) => node);
    const mixed = args.shuffle === undefined ? order : new Stream(args.shuffle, "interning").sample(order, nodes);
    for (const node of mixed) {
      const number = this.dictionary.intern(this.identityOf(node).nac);
      this.nodeByNumber[number] = node;
      this.numberByNode[node] = number;
    }
    this.actions = plan.actions.filter((action) => isGlobal(action) || this.owns(nodeOfAction(action)));
    const { observer, hooks } = args.instruments(this);
    this.observer = observer;
    this.hooks = hooks;
  }

  nacOf(node: number): Uint8Array {
    return this.dictionary.bytesOf(this.numberByNode[node]!);
  }

  nodeOf(nac: Uint8Array): number {
    const number = this.dictionary.find(nac);
    return number < 0 || number >= this.nodeByNumber.length ? -1 : this.nodeByNumber[number]!;
  }

  owns(node: number): boolean {
    return this.shardOf[this.islandOf[node]!] === this.shard;
  }

  host(node: number): Host | undefined {
    return this.hosts[node];
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
    this.enter(this.packets.island[slot]!, this.packets.dueUs[slot]!, this.packets.key[slot]!, slot);
  };

  private readonly takeTimer = (node: number): void => {
    this.enter(this.islandOf[node]!, this.calendar.timerUs[node]!, TIMER * KIND + node * SOURCE, node);
  };

  private run(window: number, endUs: number, untilAction: number): void {
    this.endUs = endUs;
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
      this.enter(island, action.atUs, this.nextAction, this.nextAction);
    }
    for (const island of this.touched) this.runIsland(island);
    this.touched.length = 0;
    this.entryId.length = 0;
    this.entryKey.length = 0;
    this.entryUs.length = 0;
    this.entryNext.length = 0;
  }

  private enter(island: number, atUs: number, key: number, id: number): void {
    if (this.islandHead[island] === -1) this.touched.push(island);
    this.entryNext.push(this.islandHead[island]!);
    this.islandHead[island] = this.entryId.length;
    this.entryId.push(id);
    this.entryKey.push(key);
    this.entryUs.push(atUs);
  }

  private runIsland(island: number): void {
    const { heap } = this;
    for (let entry = this.islandHead[island]!; entry !== -1; entry = this.entryNext[entry]!) {
      heap.push(this.entryUs[entry]!, this.entryKey[entry]!, this.entryId[entry]!);
    }
    this.islandHead[island] = -1;
    this.island = island;
    while (heap.size > 0) {
      const { timeUs, key, id } = heap;
      heap.shift();
      this.nowUs = timeUs;
      if (key >= TIMER * KIND) this.ring(id);
      else if (key >= DATAGRAM * KIND) this.arrive(id);
      else this.act(this.actions[id]!);
    }
    this.island = -1;
  }

  // Timers.

  private ring(node: number): void {
    const host = this.hosts[node];
    if (host === undefined || this.calendar.timerUs[node] !== this.nowUs) return;
    this.calendar.clearTimer(node);
    this.events += 1;
    if (host.isPaused) return;
    const { nowUs } = this;
    if (nowUs >= host.endUs) return this.leave(host);
    const localUs = host.localUs(nowUs);
    if (nowUs >= host.loadDueUs) this.reportLoad(host, localUs);
    this.begin(host);
    if (host.stack.nextDeadlineUs <= localUs) host.stack.handleTimer(localUs);
    this.settle(host, localUs);
  }

  private schedule(host: Host): void {
    const { node, stack } = host;
    if (host.isPaused) return;
    const localUs = Math.min(stack.nextDeadlineUs, host.wakeUs);
    let dueUs = localUs >= NEVER ? Number.POSITIVE_INFINITY : Math.max(this.nowUs, host.virtualUs(localUs));
    dueUs = Math.min(dueUs, host.endUs, host.loadDueUs);
    if (dueUs === this.calendar.timerUs[node]) return;
    if (dueUs === Number.POSITIVE_INFINITY) return this.calendar.clearTimer(node);
    if (dueUs < this.endUs) {
      this.timersAtOnce = dueUs === this.nowUs ? this.timersAtOnce + 1 : 0;
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
    host.loadDueUs = isAtWork ? this.nowUs + SECOND_US : Number.POSITIVE_INFINITY;
    const busy = Math.min(255, Math.floor((host.workedUs * 255) / SECOND_US));
    this.begin(host);
    host.stack.handleLoad(localUs, { queueDelayUs: host.longestWaitUs, busy });
    host.longestWaitUs = 0;
    host.workedUs = 0;
  }

  // Datagrams.

  private readonly out: Outgoing = (dueUs, island, fromEndpoint, toEndpoint, _at, length, corruptBit) => {
    const { packets, sender } = this;
    const { node } = sender!;
    const slot = packets.make(this.bytes, this.bytesAt, length);
    if (corruptBit >= 0) packets.chunk[slot]![packets.at[slot]! + (corruptBit >> 3)]! ^= 1 << (corruptBit & 7);
    packets.dueUs[slot] = dueUs;
    packets.key[slot] = this.nextKey(node);
    packets.from[slot] = fromEndpoint;
    packets.to[slot] = toEndpoint;
    packets.fromNode[slot] = node;
    packets.island[slot] = island;
    const shard = this.shardOf[island]!;
    if (shard === this.shard) this.queue(slot);
    else {
      this.post(slot, packets, island, shard);
      packets.release(slot);
    }
  };

  private nextKey(node: number): number {
    const n = this.sequence[node]!;
    this.sequence[node] = n + 1;
    return DATAGRAM * KIND + node * SOURCE + n;
  }

  private queue(slot: number): void {
    const { packets } = this;
    const dueUs = packets.dueUs[slot]!;
    if (dueUs >= this.endUs || packets.island[slot] !== this.island) this.calendar.addPacket(slot);
    else this.heap.push(dueUs, packets.key[slot]!, slot);
  }

  private arrive(slot: number): void {
    const { packets, nowUs, network } = this;
    this.events += 1;
    if (packets.node[slot] === -1) {
      const length = packets.length[slot]!;
      const node = network.receive(nowUs, packets.from[slot]!, packets.to[slot]!, length, packets.fromNode[slot]!);
      if (node < 0) return packets.release(slot);
      const { delivery } = network;
      if (delivery.corruptBit >= 0) {
        const { corruptBit } = delivery;
        packets.chunk[slot]![packets.at[slot]! + (corruptBit >> 3)]! ^= 1 << (corruptBit & 7);
      }
      packets.node[slot] = node;
      packets.interface[slot] = delivery.interface;
      packets.from[slot] = delivery.from;
      if (delivery.copyUs >= 0) this.copy(slot, delivery.copyUs);
      if (delivery.dueUs > nowUs) {
        packets.dueUs[slot] = delivery.dueUs;
        return this.queue(slot);
      }
    }
    const host = this.hosts[packets.node[slot]!];
    if (host === undefined) {
      this.drops.noHost += 1;
      return packets.release(slot);
    }
    if (host.isPaused) return this.hold(host, slot);
    if (host.packetUs > 0 && this.isWaiting(host, slot)) return;
    this.deliver(host, slot);
  }

  private copy(slot: number, dueUs: number): void {
    const { packets } = this;
    const copy = packets.make(packets.chunk[slot]!, packets.at[slot]!, packets.length[slot]!);
    packets.dueUs[copy] = dueUs;
    packets.key[copy] = this.nextKey(packets.node[slot]!);
    packets.from[copy] = packets.from[slot]!;
    packets.to[copy] = packets.to[slot]!;
    packets.fromNode[copy] = packets.fromNode[slot]!;
    packets.island[copy] = packets.island[slot]!;
    packets.node[copy] = packets.node[slot]!;
    packets.interface[copy] = packets.interface[slot]!;
    this.queue(copy);
  }

  private hold(host: Host, slot: number): void {
    if (host.held.length < PAUSED_PACKETS_MAX) {
      host.held.push(slot);
      return;
    }
    this.drops.paused += 1;
    this.packets.release(slot);
  }

  /** A processor takes one datagram after the other. `interface` above 127: it has been in the queue. */
  private isWaiting(host: Host, slot: number): boolean {
    const { packets, nowUs } = this;
    if (packets.interface[slot]! >= 128) {
      packets.interface[slot]! -= 128;
      host.waiting -= 1;
      return false;
    }
    host.workedUs += host.packetUs;
    if (host.busyUs <= nowUs) {
      host.busyUs = nowUs + host.packetUs;
      return false;
    }
    if (host.waiting >= host.queuePackets) {
      host.workedUs -= host.packetUs;
      this.drops.busy += 1;
      packets.release(slot);
      return true;
    }
    host.waiting += 1;
    host.longestWaitUs = Math.max(host.longestWaitUs, host.busyUs - nowUs);
    packets.interface[slot]! += 128;
    packets.dueUs[slot] = host.busyUs;
    host.busyUs += host.packetUs;
    this.queue(slot);
    return true;
  }

  private deliver(host: Host, slot: number): void {
    const { packets, nowUs } = this;
    const path = host.pathOf(packets.interface[slot]! & 127, packets.from[slot]!);
    if (path < 0) {
      this.drops.noPath += 1;
      return packets.release(slot);
    }
    host.peer[path] = packets.fromNode[slot]!;
    const localUs = host.localUs(nowUs);
    this.begin(host);
    host.stack.handleDatagram(localUs, path, packets.chunk[slot]!, packets.at[slot]!, packets.length[slot]!);
    packets.release(slot);
    this.settle(host, localUs);
  }

  private begin(host: Host): void {
    this.sender = host;
  }

  /** After a call to the stack: its events reach the applications, what came of that too, and the timer is set. */
  private settle(host: Host, localUs: number): void {
    if (host.linksUp.length > 0) this.readCosts(host, localUs);
    for (let i = 0; i < host.events.length; i += 1) this.hooks.handleEvent(localUs, host, host.events[i]!);
    host.events.length = 0;
    if (host.isSoon || host.wakeUs <= localUs) {
      host.isSoon = false;
      if (host.wakeUs <= localUs) host.wakeUs = Number.POSITIVE_INFINITY;
      this.hooks.handleWake(localUs, host);
      if (host.events.length > 0) return this.settle(host, localUs);
    }
    this.schedule(host);
  }

  private transmit(host: Host, path: number, bytes: Uint8Array, at: number, length: number): void {
    const { nowUs } = this;
    const { node } = host;
    const to = host.endpoint[path]!;
    this.fingerprints.handleTransmit(nowUs, node, to, bytes, at, length);
    const isUserData =
      bytes[at] === PacketType.record && bytes[at + RECORD_HEADER_BYTES] === RecordKind.forward && this.isModelled;
    this.observer.handleTransmit(nowUs, node, bytes, at, length, isUserData);
    this.bytes = bytes;
    this.bytesAt = at;
    this.network.send(nowUs, node, host.interfaceOf[path]!, to, length, this.out, host.peer[path]!);
  }

  private get isModelled(): boolean {
    return this.suite.name === "modelled";
  }

  // The life of nodes.

  private act(action: Action): void {
    this.events += 1;
    const { nowUs } = this;
    const node = nodeOfAction(action);
    const host = this.hosts[node];
    if (action.do === "start") {
      if (host === undefined) this.start(node);
      return;
    }
    if (action.do === "restart") {
      if (host !== undefined) this.end(host, "crash");
      if (!action.keepsState) this.epochs[node] = 0;
      return this.start(node);
    }
    if (host === undefined) return;
    const localUs = host.localUs(nowUs);
    this.begin(host);
    switch (action.do) {
      case "crash":
        return this.end(host, "crash");
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
        this.dial(host, action.dial, localUs);
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
    const { plan, nowUs, census, suite } = this;
    const starts = census.starts[node]! + 1;
    census.starts[node] = starts;
    const clockUs = SECOND_US + (weather(weatherSeed(plan.seed), node, starts) % (3_600 * SECOND_US));
    const host = new Host(plan, node, nowUs, clockUs);
    const name = `${plan.nodes[node]!.name}/${starts}`;
    const secrets = new Stream(plan.seed, "entropy", name);
    const chance = new Stream(plan.seed, "chance", name);
    const { hooks } = this;
    host.stack = new Stack(
      clockUs,
      {
        networkName: NETWORK_NAME,
        service: this.identityOf(node),
        linkKeys: this.linkKeysOf(node),
        storedEpoch: this.epochs[node]!,
        wallClockSeconds: EPOCH_SECONDS + Math.floor(nowUs / SECOND_US),
      },
      {
        suite: hooks.suiteOf(node, suite),
        entropy: (length) => bytesFrom(secrets, length),
        random32: () => chance.below(0x1_0000_0000),
        sink: {
          transmit: (path, bytes, at, length) => this.transmit(host, path, bytes, at, length),
          event: (event) => {
            if (event.kind !== "linkUp" && event.kind !== "linkDown" && event.kind !== "linkMoved")
              host.events.push(event);
          },
          deliver: (stream, bytes, at, length) =>
            hooks.handleDeliver(host.localUs(this.nowUs), host, stream, bytes, at, length),
          deliverDatagram: (flow, bytes, at, length) =>
            hooks.handleDeliverDatagram(host.localUs(this.nowUs), host, flow, bytes, at, length),
          persist: ({ nac, epoch }) => {
            if (this.nodeOf(nac) === node) this.epochs[node] = epoch;
          },
        },
        trace: (code, a, b, c) => this.trace(host, code, a, b, c),
        allocate: heapAllocator,
        dictionary: this.dictionary,
      },
    );
    this.hosts[node] = host;
    census.alive[node] = 1;
    census.bornUs[node] = nowUs;
    census.linkedUs[node] = -1;
    census.changedUs[this.shard] = nowUs;
    this.observer.handleStart(nowUs, node);
    hooks.handleCreated(clockUs, host);
    this.begin(host);
    host.stack.start(clockUs);
    for (const dial of plan.nodes[node]!.dials) this.dial(host, dial, clockUs);
    this.settle(host, clockUs);
  }

  private dial(host: Host, { node, from, address }: Dial, localUs: number): void {
    const path = host.pathOf(from, address * 65_536 + PORT);
    if (path < 0) return;
    if (host.peer[path]! < 0) host.peer[path] = node;
    host.stack.addPeer(localUs, path, undefined);
  }

  private leave(host: Host): void {
    this.begin(host);
    host.stack.shutdown(host.localUs(this.nowUs));
    this.end(host, "leave");
  }

  private end(host: Host, how: "crash" | "leave"): void {
    const { census, nowUs } = this;
    const { node } = host;
    const { nodes } = census;
    this.hosts[node] = undefined;
    this.calendar.clearTimer(node);
    for (const slot of host.held) this.packets.release(slot);
    census.alive[node] = 0;
    census.diedUs[node] = nowUs;
    for (let destination = 0; destination < nodes; destination += 1) this.setRoute(node, destination, 0, 0);
    for (let link = 0; link < LINKS_MAX; link += 1) this.linkDown(node, link);
    census.changedUs[this.shard] = nowUs;
    this.hooks.handleEnd(nowUs, node);
    this.observer.handleEnd(nowUs, node, how);
  }

  private identityOf(node: number): Identity {
    const stream = new Stream(this.plan.seed, "identity", this.plan.nodes[node]!.name);
    const kemSeed = bytesFrom(stream, 64);
    return identityFromSeeds(this.suite, networkIdOf(this.suite, NETWORK_NAME), kemSeed, bytesFrom(stream, 32));
  }

  private linkKeysOf(node: number) {
    return this.suite.kemKeys(bytesFrom(new Stream(this.plan.seed, "link", this.plan.nodes[node]!.name), 64));
  }

  // What the stack tells of itself.

  private trace(host: Host, code: number, a: number, b: number, c: number): void {
    const { node } = host;
    switch (code) {
      case Trace.routeSelected:
      case Trace.routeLost: {
        const destination = a < this.nodeByNumber.length ? this.nodeByNumber[a]! : node;
        if (destination === node) return;
        const hop = code === Trace.routeLost ? 0 : this.census.linkPeer[node * LINKS_MAX + b]!;
        if (this.setRoute(node, destination, hop, c)) {
          this.observer.handleRoute(this.nowUs, node, destination, hop - 1, c);
        }
        return;
      }
      case Trace.entryWritten:
        if (a < this.nodeByNumber.length) this.observer.handleEntry(this.nowUs, node, this.nodeByNumber[a]!, b, c);
        return;
      case Trace.linkUp:
        return this.linkUp(host, a, b);
      case Trace.linkDown: {
        const peer = this.linkDown(node, a);
        if (peer >= 0) this.observer.handleLink(this.nowUs, node, peer, false);
        return;
      }
      case Trace.linkCost:
        if (a < LINKS_MAX) this.census.linkCost[node * LINKS_MAX + a] = b;
        return;
      default:
        return;
    }
  }

  private setRoute(node: number, destination: number, hop: number, metric: number): boolean {
    const { census, fingerprints } = this;
    const at = node * census.nodes + destination;
    const before = census.hop[at]!;
    if (before === 0 && hop === 0) return false;
    if (before !== 0) fingerprints.count(-1, node, destination, (before << 8) | census.metric[at]!);
    if (hop !== 0) fingerprints.count(1, node, destination, (hop << 8) | metric);
    census.hop[at] = hop;
    census.metric[at] = metric;
    census.changedUs[this.shard] = this.nowUs;
    if (before === 0) Atomics.add(census.holders, destination, 1);
    if (hop === 0) {
      Atomics.sub(census.holders, destination, 1);
      census.lastLossUs[this.shard * census.nodes + destination] = Math.max(
        census.lastLossUs[this.shard * census.nodes + destination]!,
        this.nowUs,
      );
    }
    return true;
  }

  private linkUp(host: Host, link: number, path: number): void {
    const { census, nowUs } = this;
    const { node } = host;
    const peer = host.peer[path]!;
    if (peer < 0 || link >= LINKS_MAX)
      throw new Error(`node ${node}: link ${link} came up on a path nobody was heard on`);
    const at = node * LINKS_MAX + link;
    census.linkPeer[at] = peer + 1;
    census.linkCost[at] = 1;
    census.linkUpUs[at] = nowUs;
    census.changedUs[this.shard] = nowUs;
    if (census.linkedUs[node]! < 0) census.linkedUs[node] = nowUs;
    this.fingerprints.count(1, node, peer, -1 - link);
    host.linksUp.push(link);
    this.observer.handleLink(nowUs, node, peer, true);
  }

  private readCosts(host: Host, localUs: number): void {
    host.linksUp.length = 0;
    for (const { link, cost } of host.stack.peers(localUs)) {
      if (link < LINKS_MAX) this.census.linkCost[host.node * LINKS_MAX + link] = cost;
    }
  }

  /** Answers whose it was; -1 when it was not up. */
  private linkDown(node: number, link: number): number {
    const { census } = this;
    const at = node * LINKS_MAX + link;
    const peer = census.linkPeer[at]! - 1;
    if (peer < 0) return -1;
    this.fingerprints.count(-1, node, peer, -1 - link);
    census.linkPeer[at] = 0;
    census.changedUs[this.shard] = this.nowUs;
    return peer;
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

function bytesFrom(stream: Stream, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) out[i] = stream.below(256);
  return out;
}

function powerOfTwo(least: number): number {
  let power = 64;
  while (power < least) power *= 2;
  return power;
}
