import { NacDictionary } from "../../core/address/dictionary.js";
import { Digest } from "../../core/collections/digest.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import type { Decision } from "../../core/routing/decision.js";
import type { Elements } from "../../core/routing/elements.js";
import type { Feasibility } from "../../core/routing/feasible.js";
import { METRIC_INFINITY } from "../../core/routing/feasible.js";
import type { Neighbour } from "../../core/routing/neighbour.js";
import type { RouteTable } from "../../core/routing/route-table.js";
import { Routing } from "../../core/routing/routing.js";
import type { TableCounts } from "../../core/routing/table-search.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { Trace } from "../../core/trace/trace.js";
import { paddedControlBytes } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { RECORD_OVERHEAD_BYTES } from "../../core/wire/record.js";
import { type Random, randomFrom } from "./random.js";

/**
 * A small world of routing tables in virtual time: real control bytes over links that lose, delay, reorder and repeat them.
 * Sessions, hellos and the detection of dead links are played by the world itself.
 *
 * Two oracles watch. After every event, each destination whose route changed is followed hop by hop: a node met twice is a
 * loop. When all is quiet, every table is compared with the shortest paths of the graph as it is.
 */

const RECORD_ROOM = 1170;
const HELLO_US = 2 * SECOND_US;
/** Nothing changed and nothing was told for this long: settled. Longer than a lost request needs to be repeated. */
const QUIET_US = 8 * SECOND_US;
const SLOT_US = 5 * SECOND_US;

export interface LinkOptions {
  cost?: number;
  latencyMs?: number;
  /** Share of records that are lost, 0 .. 1. */
  loss?: number;
  /** Share of records delayed by up to three latencies more. */
  reorder?: number;
  /** Share of records that arrive twice. */
  duplicate?: number;
}

export interface WorldOptions {
  link?: LinkOptions;
  /** How long a dead link goes unnoticed, milliseconds, least and most. */
  detectMs?: readonly [number, number];
  isFeasible?: Feasibility;
  /** Those who carry for others only as a last resort. */
  lastResort?: readonly string[];
  /** Every node has the strict profile. */
  isStrict?: boolean;
  /**
   * Hellos take along what waits for company: in gears other than the periodic one proofs do. Then a better offer may wait
   * for its next proof in a world that has settled.
   */
  joinsHellos?: boolean;
  /** The chains of a node, made anew each time that it starts; none unless given. */
  elementsOf?: (name: string, dictionary: NacDictionary, incarnation: number) => Elements;
  /** The slot of network time in which the world begins; 0 unless given. */
  firstSlot?: number;
}

/** What a test that plays a bug reaches into. */
export interface RoutingInside {
  readonly table: RouteTable;
  readonly decision: Decision;
}

export function insideOf(routing: Routing): RoutingInside {
  return routing as unknown as RoutingInside;
}

interface Edge {
  readonly ends: readonly [End, End];
  readonly latencyUs: number;
  readonly loss: number;
  readonly reorder: number;
  readonly duplicate: number;
  isConnected: boolean;
  session: number;
  /** Grows with every cut and every wire: what was planned before is void. */
  serial: number;
}

interface End {
  /** Newest control message at the last hello. */
  sentBefore: number;
  readonly owner: Node;
  readonly peer: Node;
  readonly link: number;
  cost: number;
  edge: Edge;
  other: End;
  isUp: boolean;
  session: number;
  peerIncarnation: number;
}

interface Node {
  readonly name: string;
  readonly destination: number;
  readonly ends: End[];
  routing: Routing;
  isAlive: boolean;
  incarnation: number;
  epoch: number;
  timerUs: number;
  /** Of network time, as it was told last. */
  slot: number;
}

export class RoutingWorld {
  readonly seed: string;
  nowUs = 0;
  /** Inputs that any routing got. */
  events = 0;
  /** ROUTES entries told, by all. */
  entriesTold = 0;
  /** UDP payload of control records sent, by all; hellos, which are the world's, are not in it. */
  controlBytes = 0;
  /** A table was made wrong on purpose: searches are no mistake then. */
  isCorrupted = false;

  private readonly dictionary = new NacDictionary();
  private readonly nodes = new Map<string, Node>();
  private readonly edges: Edge[] = [];
  private readonly random: Random;
  private readonly options: WorldOptions;
  private readonly queue = new EventQueue();
  private readonly out = new Uint8Array(RECORD_ROOM);
  private readonly touched: { node: Node; destination: number }[] = [];
  private readonly loops: string[] = [];
  private readonly requestsSent: string[] = [];
  private lastActivityUs = 0;
  private isTimeless = false;
  /** The message that is being written says something of routes. */
  private hasWritten = false;
  private planned = 0;

  constructor(seed: string, options: WorldOptions = {}) {
    this.seed = seed;
    this.random = randomFrom(`world/${seed}`);
    this.options = options;
  }

  add(...names: string[]): this {
    for (const name of names) {
      const destination = this.dictionary.intern(this.random.bytes(16));
      const node: Node = {
        name,
        destination,
        ends: [],
        routing: undefined as unknown as Routing,
        isAlive: false,
        incarnation: 0,
        epoch: 1_000,
        timerUs: NEVER,
        slot: -1,
      };
      this.nodes.set(name, node);
      this.boot(node);
    }
    return this;
  }

  /** Joins two nodes by a cable, or mends the one they have; a session follows. */
  wire(a: string, b: string, options: LinkOptions = {}): this {
    let edge = this.edges.find(({ ends }) => ends.some((end) => end.owner.name === a && end.peer.name === b));
    if (edge === undefined) {
      edge = this.newEdge(this.node(a), this.node(b), { ...this.options.link, ...options });
      this.edges.push(edge);
    } else {
      if (edge.isConnected) return this;
      edge.serial += 1;
    }
    edge.isConnected = true;
    this.note();
    this.plan(3 * edge.latencyUs, () => this.establish(edge));
    return this;
  }

  /** Cuts the cable. Both ends notice after a while, each in its own time. */
  cut(a: string, b: string): this {
    const edge = this.edge(a, b);
    if (!edge.isConnected) return this;
    edge.isConnected = false;
    edge.serial += 1;
    this.note();
    for (const end of edge.ends) this.planDetection(end);
    return this;
  }

  /** The node is gone without a word. */
  crash(name: string): this {
    const node = this.node(name);
    if (!node.isAlive) return this;
    node.isAlive = false;
    this.note();
    for (const end of node.ends) {
      end.isUp = false;
      this.planDetection(end.other);
    }
    return this;
  }

  /** The node starts again, with a new router id and the next epoch, knowing nothing. `isFresh`: not even what its last epoch was. */
  restart(name: string, epoch?: number, isFresh = false): this {
    const node = this.node(name);
    this.crash(name);
    node.epoch = epoch ?? node.epoch + 1;
    this.boot(node, isFresh);
    for (const { edge } of node.ends) {
      if (edge.isConnected) this.plan(3 * edge.latencyUs, () => this.establish(edge));
    }
    return this;
  }

  setCost(a: string, b: string, cost: number): this {
    for (const end of this.edge(a, b).ends) {
      end.cost = cost;
      if (end.isUp) this.input(end.owner, (routing) => routing.linkCost(this.nowUs, end.link, cost));
    }
    return this;
  }

  /** Traffic at `from` towards `to`. */
  want(from: string, to: string): this {
    const { destination } = this.node(to);
    this.input(this.node(from), (routing) => routing.want(this.nowUs, destination));
    return this;
  }

  /** From now on network time stands still: no origin proves anything any more, and nobody is doubted. */
  stopNetworkTime(): this {
    this.isTimeless = true;
    return this;
  }

  /** Runs for a time, or until settled; throws when that takes longer than `within`. Durations as "10s", "250ms". */
  run(options: { untilSettled?: boolean; within: string }): this {
    const endUs = this.nowUs + durationUs(options.within);
    while (this.queue.soonestUs <= endUs) {
      if (options.untilSettled === true && this.isSettled()) return this;
      this.step();
    }
    if (options.untilSettled === true && !this.isSettled()) {
      throw new Error(`${this.repeat()}: not settled within ${options.within}`);
    }
    this.nowUs = endUs;
    return this;
  }

  /** Names along the next hops, from `from` until they end. */
  path(from: string, to: string): string[] {
    const { destination } = this.node(to);
    const names: string[] = [];
    let at: Node | undefined = this.node(from);
    while (at !== undefined && !names.includes(at.name)) {
      names.push(at.name);
      at = this.following(at, destination);
    }
    return names;
  }

  metric(from: string, to: string): number | undefined {
    return this.node(from).routing.route(this.node(to).destination)?.metric;
  }

  backups(from: string, to: string): string[] {
    const node = this.node(from);
    const links = node.routing.route(this.node(to).destination)?.backups ?? [];
    return links.map((link) => node.ends[link]!.peer.name);
  }

  /** Reaches into what `name` learned from its neighbour `from`. Searches are no mistake from then on. */
  corrupt(name: string, from: string, act: (inside: RoutingInside, neighbour: Neighbour) => void): this {
    this.isCorrupted = true;
    const node = this.node(name);
    const { link } = node.ends.find(({ peer, isUp }) => peer.name === from && isUp)!;
    this.input(node, () => act(insideOf(node.routing), insideOf(node.routing).table.byLink[link]!));
    return this;
  }

  /** Any input to a node, and what comes of it. */
  command(name: string, act: (routing: Routing) => void): this {
    this.input(this.node(name), act);
    return this;
  }

  /** Who sits at the other end of a link. */
  peer(name: string, link: number): string {
    return this.node(name).ends[link]!.peer.name;
  }

  /** The node becomes the origin of `count` more destinations. Answers their numbers. */
  originate(name: string, count: number): number[] {
    const node = this.node(name);
    return Array.from({ length: count }, () => {
      const destination = this.dictionary.intern(this.random.bytes(16));
      this.input(node, (routing) => routing.originate(this.nowUs, destination, 1_000));
      return destination;
    });
  }

  /** What all living nodes' digests came to, added up. */
  tables(): TableCounts {
    const sum: TableCounts = { searches: 0, miscounts: 0, repeats: 0, refused: 0 };
    for (const { isAlive, routing } of this.nodes.values()) {
      if (!isAlive) continue;
      sum.searches += routing.tables.searches;
      sum.miscounts += routing.tables.miscounts;
      sum.repeats += routing.tables.repeats;
      sum.refused += routing.tables.refused;
    }
    return sum;
  }

  /** ROUTES entries that all living nodes wrote since they started. */
  entries(): { all: number; short: number } {
    const living = [...this.nodes.values()].filter(({ isAlive }) => isAlive).map(({ routing }) => routing.entries);
    const sumOf = (key: "all" | "short") => living.reduce((sum, entries) => sum + entries[key], 0);
    return { all: sumOf("all"), short: sumOf("short") };
  }

  /** Every NAC that any node of this world holds, and some that none does. */
  get nacs(): NacDictionary {
    return this.dictionary;
  }

  routing(name: string): Routing {
    return this.node(name).routing;
  }

  destination(name: string): number {
    return this.node(name).destination;
  }

  names(): string[] {
    return [...this.nodes.keys()];
  }

  isAlive(name: string): boolean {
    return this.node(name).isAlive;
  }

  cables(): { a: string; b: string; isConnected: boolean }[] {
    return this.edges.map(({ ends, isConnected }) => ({ a: ends[0].owner.name, b: ends[0].peer.name, isConnected }));
  }

  loopsSeen(): number {
    return this.loops.length;
  }

  firstLoop(): string | undefined {
    return this.loops[0];
  }

  requests(): readonly string[] {
    return this.requestsSent;
  }

  /** Living nodes that have a route to `name`. */
  knowing(name: string): string[] {
    const { destination } = this.node(name);
    return [...this.nodes.values()]
      .filter((node) => node.isAlive && node.destination !== destination && node.routing.nextHop(destination) >= 0)
      .map((node) => node.name);
  }

  /** Where tables differ from the shortest paths of the graph as it is now, in words. */
  wrongRoutes(): string[] {
    const wrong: string[] = [];
    for (const target of this.nodes.values()) {
      const truth = target.isAlive ? this.distancesTo(target) : new Map<Node, number>();
      for (const node of this.nodes.values()) {
        if (!node.isAlive || node === target) continue;
        const distance = truth.get(node) ?? METRIC_INFINITY;
        const metric = node.routing.route(target.destination)?.metric ?? METRIC_INFINITY;
        if (metric !== Math.min(distance, METRIC_INFINITY)) {
          wrong.push(`${node.name} to ${target.name}: ${metric}, shortest is ${distance}`);
        }
      }
    }
    return wrong;
  }

  digest(): string {
    const into = new Digest();
    for (const node of this.nodes.values()) if (node.isAlive) node.routing.digest(into);
    return into.hex();
  }

  /** What to write to see this run again. */
  repeat(): string {
    return `repeat with seed "${this.seed}"`;
  }

  private node(name: string): Node {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node is called ${name}`);
    return node;
  }

  private edge(a: string, b: string): Edge {
    const edge = this.edges.find(({ ends }) => ends.some((end) => end.owner.name === a && end.peer.name === b));
    if (edge === undefined) throw new Error(`no cable joins ${a} and ${b}`);
    return edge;
  }

  private newEdge(a: Node, b: Node, options: LinkOptions): Edge {
    const cost = options.cost ?? 1;
    const endOf = (owner: Node, peer: Node): End => {
      const end = {
        owner,
        peer,
        link: owner.ends.length,
        cost,
        isUp: false,
        session: 0,
        peerIncarnation: 0,
        sentBefore: 0,
      } as End;
      owner.ends.push(end);
      return end;
    };
    const ends = [endOf(a, b), endOf(b, a)] as const;
    const edge: Edge = {
      ends,
      latencyUs: (options.latencyMs ?? 10) * MILLISECOND_US,
      loss: options.loss ?? 0,
      reorder: options.reorder ?? 0,
      duplicate: options.duplicate ?? 0,
      isConnected: false,
      session: 0,
      serial: 0,
    };
    for (const [i, end] of ends.entries()) {
      end.edge = edge;
      end.other = ends[1 - i]!;
      this.at(this.nowUs + this.random.below(HELLO_US), () => this.hello(end));
    }
    return edge;
  }

  private boot(node: Node, isFresh = false): void {
    node.isAlive = true;
    node.incarnation += 1;
    node.timerUs = NEVER;
    node.slot = -1;
    const random = randomFrom(`routing/${this.seed}/${node.name}/${node.incarnation}`);
    const { isFeasible, lastResort, isStrict } = this.options;
    const transit = lastResort?.includes(node.name) ? "lastResort" : "always";
    node.routing = new Routing(
      {
        dictionary: this.dictionary,
        allocate: heapAllocator,
        random: () => random.u32(),
        trace: (code, a, b) => this.observe(node, code, a, b),
        elements: this.options.elementsOf?.(node.name, this.dictionary, node.incarnation),
        epochUsed: (destination, epoch) => {
          if (destination === node.destination) node.epoch = epoch;
        },
      },
      { routerId: random.bytes(8), transit, isStrict, ...(isFeasible === undefined ? {} : { isFeasible }) },
    );
    this.input(node, (routing) => routing.originate(this.nowUs, node.destination, node.epoch, isFresh));
  }

  private observe(node: Node, code: number, a: number, b: number): void {
    if (code === Trace.routeRequested) this.requestsSent.push(node.name);
    if (code === Trace.routeSelected) this.touched.push({ node, destination: a });
    if (code === Trace.lifeWritten) return; // origins prove for ever that they live
    if (code === Trace.entryWritten) this.hasWritten = true;
    if (code === Trace.routesSent) {
      if (!this.hasWritten) return;
      this.hasWritten = false;
      this.entriesTold += b;
    }
    this.lastActivityUs = this.nowUs;
  }

  private planDetection(end: End): void {
    const { serial } = end.edge;
    const { session } = end;
    const [least, most] = this.options.detectMs ?? [4_000, 6_000];
    this.plan(this.random.between(least, most) * MILLISECOND_US, () => {
      const isMended = end.edge.isConnected && end.edge.serial !== serial;
      if (!end.isUp || end.session !== session || (isMended && end.other.isUp && end.other.session === session)) return;
      this.takeDown(end);
      // Half of the session is gone though the cable is whole: the ends meet again.
      if (end.edge.isConnected) this.plan(3 * end.edge.latencyUs, () => this.establish(end.edge));
    });
  }

  private takeDown(end: End): void {
    end.isUp = false;
    this.input(end.owner, (routing) => routing.linkDown(this.nowUs, end.link));
  }

  private establish(edge: Edge): void {
    const [a, b] = edge.ends;
    if (!edge.isConnected || !a.owner.isAlive || !b.owner.isAlive) return;
    if (a.isUp && b.isUp && a.session === b.session) return; // the session outlived the cut
    edge.session += 1;
    const session = edge.session;
    this.takeUp(a, session);
    this.plan(edge.latencyUs, () => {
      const isSameProcess = b.owner.isAlive && b.owner.incarnation === a.peerIncarnation;
      if (edge.session === session && isSameProcess && a.isUp && a.session === session) this.takeUp(b, session);
    });
  }

  private takeUp(end: End, session: number): void {
    if (end.isUp) this.takeDown(end);
    end.isUp = true;
    end.session = session;
    end.peerIncarnation = end.peer.incarnation;
    const routerId = randomFrom(`routing/${this.seed}/${end.peer.name}/${end.peer.incarnation}`).bytes(8);
    this.input(end.owner, (routing) => {
      routing.linkUp(this.nowUs, end.link, routerId, end.cost);
      routing.linkRtt(end.link, 2 * end.edge.latencyUs);
    });
  }

  private hello(end: End): void {
    this.at(this.nowUs + HELLO_US, () => this.hello(end));
    if (!end.isUp) return;
    const sent = end.owner.routing.controlSent(end.link);
    const processed = end.owner.routing.controlProcessed(end.link);
    const digest = end.owner.routing.tableDigest(end.link).slice();
    const { other } = end;
    // Of what was sent before the last hello something is missing: still under repair.
    if (other.isUp && other.owner.routing.controlProcessed(other.link) < Math.min(end.sentBefore, sent)) this.note();
    end.sentBefore = sent;
    this.transmit(end, () => {
      this.input(other.owner, (routing) => {
        if (!routing.handleHello(this.nowUs, other.link, sent, processed, digest))
          throw new Error(`${this.repeat()}: bad hello`);
      });
    });
    if (this.options.joinsHellos === true) this.joinHello(end);
  }

  /** What waits for company goes with the hello. */
  private joinHello(end: End): void {
    const out = new Writer(this.out);
    end.owner.routing.joinHello(this.nowUs, end.link, out);
    if (out.offset > 0) this.send(end, out);
    this.flush(end.owner);
  }

  private send(end: End, { offset }: Writer): void {
    const record = this.out.slice(0, offset);
    this.controlBytes += paddedControlBytes(offset + 1 + RECORD_OVERHEAD_BYTES);
    this.transmit(end, (other) => this.deliver(other, record));
  }

  /** Hands something to the far end, as far as the cable and the session allow. */
  private transmit(end: End, arrive: (other: End) => void): void {
    const { edge, session, other } = end;
    if (!edge.isConnected) return;
    const copies = this.random.chance(edge.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i += 1) {
      if (this.random.chance(edge.loss)) continue;
      const late = this.random.chance(edge.reorder) ? this.random.below(3 * edge.latencyUs) : 0;
      this.at(this.nowUs + edge.latencyUs + late, () => {
        if (edge.isConnected && other.isUp && other.session === session) arrive(other);
      });
    }
  }

  private deliver(end: End, record: Uint8Array): void {
    this.input(end.owner, (routing) => {
      const reader = new Reader(record);
      while (reader.remaining > 0) {
        const type = reader.u8();
        if (!routing.handleFrame(this.nowUs, end.link, type, reader)) {
          throw new Error(`${this.repeat()}: ${end.owner.name} refused a frame of type ${type} of ${end.peer.name}`);
        }
      }
    });
  }

  /** One input, all its outputs, then the oracle. */
  private input(node: Node, act: (routing: Routing) => void): void {
    if (!node.isAlive) return;
    this.events += 1;
    const passed = Math.floor(this.nowUs / SLOT_US);
    const slot = (this.options.firstSlot ?? 0) + passed;
    if (slot !== node.slot && !this.isTimeless) {
      node.slot = slot;
      node.routing.setSlot(this.nowUs, slot, passed * SLOT_US);
    }
    act(node.routing);
    const { searches, miscounts } = node.routing.tables;
    if (!this.isCorrupted && searches + miscounts > 0) {
      throw new Error(`${this.repeat()}: ${node.name} doubts a table that nobody made wrong, at ${this.nowUs} us`);
    }
    this.flush(node);
    this.watch();
  }

  private flush(node: Node): void {
    const { routing } = node;
    for (let link = routing.pollLink(); link >= 0; link = routing.pollLink()) {
      const out = new Writer(this.out);
      if (!routing.pollControl(this.nowUs, link, out)) continue;
      this.send(node.ends[link]!, out);
    }
    const dueUs = routing.nextTimeoutUs;
    if (dueUs >= node.timerUs) return;
    node.timerUs = dueUs;
    const { incarnation } = node;
    this.at(Math.max(dueUs, this.nowUs), () => {
      if (node.timerUs !== dueUs || node.incarnation !== incarnation) return;
      node.timerUs = NEVER;
      this.input(node, () => {
        if (routing.nextTimeoutUs <= this.nowUs) routing.handleTimeout(this.nowUs);
      });
    });
  }

  private watch(): void {
    for (const { node, destination } of this.touched.splice(0)) {
      const seen = new Set<Node>();
      for (let at: Node | undefined = node; at !== undefined; at = this.following(at, destination)) {
        if (!seen.has(at)) {
          seen.add(at);
          continue;
        }
        const names = [...seen].map(({ name }) => name).join(" > ");
        this.loops.push(`${this.repeat()}: at ${this.nowUs} us a packet goes round: ${names} > ${at.name}`);
        break;
      }
    }
  }

  /** Where a packet goes from `node`; a cut cable does not stop it here, a neighbour that forgot the session does. */
  private following(node: Node, destination: number): Node | undefined {
    if (node.destination === destination) return undefined;
    const link = node.routing.nextHop(destination);
    if (link < 0) return undefined;
    const end = node.ends[link];
    if (end === undefined) return undefined; // a liar's route to nobody
    const { peer, peerIncarnation } = end;
    return peer.isAlive && peer.incarnation === peerIncarnation ? peer : undefined;
  }

  private distancesTo(target: Node): Map<Node, number> {
    const distances = new Map<Node, number>([[target, 0]]);
    const done = new Set<Node>();
    for (;;) {
      let nearest: Node | undefined;
      for (const [node, distance] of distances) {
        if (!done.has(node) && (nearest === undefined || distance < distances.get(nearest)!)) nearest = node;
      }
      if (nearest === undefined) return distances;
      done.add(nearest);
      for (const { other, edge, peer } of nearest.ends) {
        if (!edge.isConnected || !peer.isAlive) continue;
        const distance = distances.get(nearest)! + other.cost;
        if (distance < (distances.get(peer) ?? Number.POSITIVE_INFINITY)) distances.set(peer, distance);
      }
    }
  }

  private isSettled(): boolean {
    return this.planned === 0 && this.nowUs - this.lastActivityUs >= QUIET_US;
  }

  private note(): void {
    this.lastActivityUs = this.nowUs;
  }

  private step(): void {
    const event = this.queue.take();
    this.nowUs = event.atUs;
    event.act();
  }

  private at(atUs: number, act: () => void): void {
    this.queue.add(atUs, act);
  }

  /** Like `at`, but the world is not settled before it happened. */
  private plan(delayUs: number, act: () => void): void {
    this.planned += 1;
    this.at(this.nowUs + delayUs, () => {
      this.planned -= 1;
      this.note();
      act();
    });
  }
}

export function line(...names: string[]): RoutingWorld {
  const world = new RoutingWorld(`line of ${names.length}`).add(...names);
  for (let i = 1; i < names.length; i += 1) world.wire(names[i - 1]!, names[i]!);
  return world;
}

export function ring(...names: string[]): RoutingWorld {
  return line(...names).wire(names[0]!, names[names.length - 1]!);
}

/** Nodes "0,0" .. "width-1,height-1". */
export function grid(width: number, height: number, options: WorldOptions = {}): RoutingWorld {
  const world = new RoutingWorld(`grid of ${width} x ${height}`, options);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      world.add(`${x},${y}`);
      if (x > 0) world.wire(`${x - 1},${y}`, `${x},${y}`);
      if (y > 0) world.wire(`${x},${y - 1}`, `${x},${y}`);
    }
  }
  return world;
}

/** A connected graph of nodes "n0", "n1", ...: a random tree and `extra` more cables, costs 1 .. 4. */
export function randomGraph(seed: string, size: number, extra: number, options: WorldOptions = {}): RoutingWorld {
  const random = randomFrom(`graph/${seed}`);
  const world = new RoutingWorld(seed, options);
  const cable = () => ({ cost: random.between(1, 4), latencyMs: random.between(5, 60) });
  for (let i = 0; i < size; i += 1) {
    world.add(`n${i}`);
    if (i > 0) world.wire(`n${random.below(i)}`, `n${i}`, cable());
  }
  for (let i = 0; i < extra; i += 1) {
    const a = random.below(size);
    const b = random.below(size);
    if (a !== b) world.wire(`n${a}`, `n${b}`, cable());
  }
  return world;
}

export function durationUs(text: string): number {
  const match = /^(\d+)(ms|s)$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * (match[2] === "s" ? SECOND_US : MILLISECOND_US);
}

class EventQueue {
  private readonly heap: { atUs: number; serial: number; act: () => void }[] = [];
  private serial = 0;

  get soonestUs(): number {
    return this.heap[0]?.atUs ?? NEVER;
  }

  add(atUs: number, act: () => void): void {
    this.heap.push({ atUs, serial: this.serial++, act });
    let at = this.heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  take(): { atUs: number; act: () => void } {
    const top = this.heap[0]!;
    const last = this.heap.pop()!;
    if (this.heap.length === 0) return top;
    this.heap[0] = last;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.heap.length) return top;
      if (child + 1 < this.heap.length && this.isBefore(child + 1, child)) child += 1;
      if (!this.isBefore(child, at)) return top;
      this.swap(at, child);
      at = child;
    }
  }

  private isBefore(a: number, b: number): boolean {
    const x = this.heap[a]!;
    const y = this.heap[b]!;
    return x.atUs !== y.atUs ? x.atUs < y.atUs : x.serial < y.serial;
  }

  private swap(a: number, b: number): void {
    const x = this.heap[a]!;
    this.heap[a] = this.heap[b]!;
    this.heap[b] = x;
  }
}

/**
 * Cuts, mends, changes of cost, crashes and restarts at random, `count` of them, some in bursts and some far apart.
 * Afterwards every cable is whole again and every node lives.
 */
export function shake(world: RoutingWorld, count: number): void {
  const random = randomFrom(`shake/${world.seed}`);
  const cables = world.cables();
  const names = world.names();
  for (let i = 0; i < count; i += 1) {
    const { a, b } = random.pick(cables);
    const name = random.pick(names);
    const what = random.below(20);
    if (what < 8) world.cut(a, b);
    else if (what < 14) world.wire(a, b);
    else if (what < 17) world.setCost(a, b, random.between(1, 4));
    else if (what < 18) world.crash(name);
    else if (what < 19) world.restart(name);
    else world.want(name, random.pick(names));
    if (random.chance(0.3)) world.run({ within: `${random.between(1, 8_000)}ms` });
    else world.run({ within: `${random.between(1, 120)}ms` });
  }
  for (const name of names) if (!world.isAlive(name)) world.restart(name);
  for (const { a, b } of cables) world.wire(a, b);
}
