import type { NetworkPort, Outgoing } from "../engine/network-port.js";
import { type Action, type Plan, PORT } from "../plan/plan.js";
import { weatherKey, weatherSeed } from "../random/weather.js";
import { Barriers } from "./barriers.js";
import {
  addressOf,
  DATAGRAM_BYTES_MAX,
  DROPS,
  type Drop,
  endpointOf,
  MULTICAST_ADDRESS,
  PORTS,
  portOf,
} from "./datagram.js";
import { Islands } from "./islands.js";
import { Lines, LOST, QUEUE_FULL } from "./lines.js";
import { LinkModels } from "./link-models.js";
import { FILTERED, Nat } from "./nat.js";
import { PairModels } from "./pair-models.js";
import { Pairs } from "./pairs.js";
import { Stations } from "./stations.js";

/** Lines of each station: its access line, and the way between it and the NAT of its realm. Then come those of pairs. */
const ACCESS_OUT = 0;
const ACCESS_IN = 1;
const LAN_OUT = 2;
const LAN_IN = 3;
const LINES = 4;

/** Keys of weather for different things. */
const PAIRS = 1;
const NATS = 2;

/** Written by `receive`, valid until the next call. */
interface Delivery {
  /** Which interface of the node. */
  interface: number;
  /** The sender as the node sees it, behind whatever NATs. */
  from: number;
  /** When the node has it: not before the time of `receive`, later where a line or a LAN takes time. */
  dueUs: number;
  /** A line on the last stretch flipped this bit, -1 for none. */
  corruptBit: number;
  /** A line on the last stretch made a copy that arrives then; -1: none. */
  copyUs: number;
}

/**
 * The network between the nodes of a plan, one datagram at a time. It knows no bytes, no queue of events and no clock.
 *
 * A datagram leaves over the access line of its interface, climbs from realm to realm through their NATs until it stands
 * where the address it is sent to is known, crosses to that address over the line of the pair, and at its island goes
 * down through NATs to a node: `send` is the first half, `receive` the second. Each keeps state of its own side only.
 *
 *   node - access - LAN - NAT - access - ... pair ...  access - NAT - LAN - access - node
 *   `------------------ send ------------------´       `---------- receive ----------´
 *
 * So every shard has a Network of its own, gives it every action, and asks it only for its own nodes.
 */
export class Network implements NetworkPort {
  readonly lookaheadUs: number;
  readonly islands: number;
  readonly delivery: Delivery = { interface: 0, from: 0, dueUs: 0, corruptBit: -1, copyUs: -1 };

  private readonly plan: Plan;
  private readonly stations: Stations;
  private readonly places: Islands;
  private readonly lines: Lines;
  private readonly pairs: Pairs;
  private readonly models: LinkModels;
  private readonly pairModels: PairModels;
  private readonly barriers: Barriers;
  /** By realm, made when something first passes. */
  private readonly nats: (Nat | undefined)[];
  private readonly natSeed: number;
  private readonly drops = new Map<Drop, number>(DROPS.map((drop) => [drop, 0]));

  // The datagram in hand.
  private length = 0;
  private key = 0;
  private n = 0;
  private corruptBit = -1;
  private isCopied = false;
  /** By how much the copy is behind, or before if negative. */
  private copyLagUs = 0;

  constructor(plan: Plan, seed: string) {
    const root = weatherSeed(seed);
    this.plan = plan;
    this.models = new LinkModels(plan.models);
    this.stations = new Stations(plan);
    this.pairModels = new PairModels(plan);
    this.places = new Islands(plan, this.stations, this.pairModels);
    this.islands = this.places.count;
    this.lookaheadUs = this.places.lookaheadUs;
    this.lines = new Lines(this.models, this.stations.count * LINES);
    this.pairs = new Pairs(weatherKey(root, PAIRS, 0), this.stations.count);
    this.barriers = new Barriers(plan.nodes.length);
    this.nats = plan.realms.map(() => undefined);
    this.natSeed = weatherKey(root, NATS, 0);
  }

  islandOf(node: number): number {
    return this.places.ofNodeNumber(node);
  }

  /** Of any address that somebody has, had or will have; -1 for others. */
  islandOfAddress(address: number): number {
    const station = this.stations.ownerOf(address);
    return station < 0 ? -1 : this.places.ofStationNumber(station);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.drops);
  }

  /**
   * Sends one UDP payload from interface `i` of `node`, port PORT, to endpoint `to`. `out` is called once if it gets as
   * far as an island, twice if it was copied, not at all if not; for a broadcast or multicast for each hearer. Its `at`
   * is 0 always: nothing is fragmented.
   *
   * `peer` is the node that the sender knows to be behind `to`, from what it heard from there. A datagram to a NAT's
   * address meets the model of the pair only if it is given; without, what lies between any two nodes.
   *
   * Throws RangeError for more bytes than UDP can carry: the caller's mistake, not the network's.
   */
  send(nowUs: number, node: number, i: number, to: number, length: number, out: Outgoing, peer = -1): void {
    if (length > DATAGRAM_BYTES_MAX) {
      throw new RangeError(`Network: a datagram of ${length} B is longer than ${DATAGRAM_BYTES_MAX}`);
    }
    const station = this.stations.firstOf[node]! + i;
    const address = addressOf(to);
    if (address >= MULTICAST_ADDRESS) {
      this.sendToAll(nowUs, station, portOf(to), length, out);
      return;
    }
    const target = this.stations.at(to);
    if (target < 0) this.drop("unreachable");
    else this.sendTo(nowUs, station, target, to, length, out, peer);
  }

  /**
   * A datagram is at its island: down to a node. Answers the node, `delivery` says how; or -1 when it got to none.
   * Times never go back from one call for an island to the next.
   */
  receive(nowUs: number, fromEndpoint: number, toEndpoint: number, length: number, fromNode: number): number {
    const { stations, delivery } = this;
    let station = stations.at(toEndpoint);
    if (station < 0) return this.drop("unreachable");
    if (!this.barriers.isOpen && !this.mayPass(fromNode, this.nodeBehind(toEndpoint))) return -1;
    this.begin(length);
    let to = toEndpoint;
    let atUs = nowUs;
    while (stations.node[station]! < 0) {
      const realm = station - stations.interfaces;
      const { nat: spec, lan } = this.plan.realms[realm]!;
      if (spec!.udpBlocked) return this.drop("udpBlocked");
      if (addressOf(fromEndpoint) !== stations.address[station]) {
        atUs = this.crossInward(station, ACCESS_IN, stations.access[station]!, fromNode, atUs);
        if (atUs < 0) return -1;
      }
      to = this.natOf(realm).inward(nowUs, fromEndpoint, portOf(to));
      if (to < 0) return this.drop(to === FILTERED ? "filtered" : "noMapping");
      station = stations.at(to);
      if (station < 0) return this.drop("unreachable");
      atUs = this.crossInward(station, LAN_IN, lan, fromNode, atUs);
      if (atUs < 0) return -1;
    }
    if (portOf(to) !== PORT) return this.drop("closedPort");
    atUs = this.crossInward(station, ACCESS_IN, stations.access[station]!, fromNode, atUs);
    if (atUs < 0) return -1;
    const node = stations.node[station]!;
    delivery.interface = station - stations.firstOf[node]!;
    delivery.from = fromEndpoint;
    delivery.dueUs = atUs;
    delivery.corruptBit = this.corruptBit;
    delivery.copyUs = this.isCopied ? Math.max(nowUs, atUs + this.copyLagUs) : -1;
    return node;
  }

  /** What is none of the network's business is left alone. */
  handleAction(nowUs: number, action: Action): void {
    switch (action.do) {
      case "partition":
        this.barriers.partition(action.id, action.from, action.to, action.oneWay);
        return;
      case "heal":
        this.barriers.heal(action.id);
        return;
      case "cut":
        this.barriers.cut(action.a, action.b, action.oneWay);
        return;
      case "mend":
        this.barriers.mend(action.a, action.b);
        return;
      case "degrade":
        this.pairModels.degrade(action.a, action.b, action.model, action.oneWay);
        return;
      case "rebind":
        this.nats[action.realm]?.rebind(nowUs);
        return;
      case "reboot":
        this.stations.address[this.stations.natOf(action.realm)] = action.address;
        this.nats[action.realm]?.reboot(action.address);
        return;
      case "move":
        this.stations.address[this.stations.firstOf[action.node]! + action.interface] = action.address;
        return;
      default:
        return;
    }
  }

  /** All other interfaces of the realm: a datagram for each, over the line to each. */
  private sendToAll(nowUs: number, station: number, port: number, length: number, out: Outgoing): void {
    const { stations } = this;
    const realm = stations.realm[station]!;
    if (realm === 0) {
      this.drop("unreachable");
      return;
    }
    for (let i = 0; i < stations.membersOf(realm); i += 1) {
      const target = stations.member(realm, i);
      if (target === station) continue;
      this.sendTo(nowUs, station, target, endpointOf(stations.address[target]!, port), length, out, -1);
    }
  }

  private sendTo(
    nowUs: number,
    source: number,
    target: number,
    to: number,
    length: number,
    out: Outgoing,
    peer: number,
  ): void {
    const { stations, pairs } = this;
    const fromNode = stations.node[source]!;
    const toNode = stations.node[target]! >= 0 ? stations.node[target]! : peer;
    const pair = this.pairOf(source, toNode === peer && peer >= 0 ? stations.count + peer : target);
    this.begin(length);
    this.key = pairs.key[pair]!;
    this.n = pairs.count[pair]!;
    pairs.count[pair]! += 1;

    let station = source;
    let from = stations.address[source]! * PORTS + PORT;
    let atUs = this.cross(source * LINES + ACCESS_OUT, stations.access[source]!, nowUs, 0);
    if (atUs < 0) return;
    let isHairpin = false;
    while (stations.realm[station] !== stations.realm[target] && !isHairpin) {
      const realm = stations.realm[station]!;
      const { nat: spec, lan } = this.plan.realms[realm]!;
      if (spec === undefined) {
        this.drop("unreachable");
        return;
      }
      if (spec.udpBlocked) {
        this.drop("udpBlocked");
        return;
      }
      atUs = this.cross(station * LINES + LAN_OUT, lan, atUs, 0);
      if (atUs < 0) return;
      station = stations.natOf(realm);
      isHairpin = station === target;
      if (isHairpin && !spec.hairpin) {
        this.drop("hairpin");
        return;
      }
      from = this.natOf(realm).outward(nowUs, from, to);
      if (isHairpin) break;
      atUs = this.cross(station * LINES + ACCESS_OUT, stations.access[station]!, atUs, 0);
      if (atUs < 0) return;
    }
    if (toNode >= 0 && !this.mayPass(fromNode, toNode)) return;
    if (!isHairpin) {
      if (pairs.stamp[pair] !== this.pairModels.version) this.resolve(pair, station, target, fromNode, toNode);
      const line = stations.count * LINES + pair;
      atUs = this.cross(line, pairs.model[pair]!, atUs, pairs.extraUs[pair]!);
      if (atUs < 0) return;
    }
    const island = this.places.ofStationNumber(target);
    out(atUs, island, from, to, 0, length, this.corruptBit);
    if (this.isCopied) out(Math.max(nowUs, atUs + this.copyLagUs), island, from, to, 0, length, this.corruptBit);
  }

  /** Which model a pair meets where the ways of its ends join. */
  private resolve(pair: number, station: number, target: number, fromNode: number, toNode: number): void {
    const { stations, pairModels, pairs } = this;
    const realm = stations.realm[target]!;
    const [a, b] = [stations.region[station]!, stations.region[target]!];
    pairs.model[pair] = pairModels.modelFor(fromNode, toNode, realm, a, b);
    pairs.extraUs[pair] = pairModels.extraUs;
    pairs.stamp[pair] = pairModels.version;
  }

  private pairOf(station: number, target: number): number {
    const known = this.pairs.find(station, target);
    if (known >= 0) return known;
    const pair = this.pairs.make(station, target);
    this.lines.grow(this.stations.count * LINES + this.pairs.size);
    this.lines.clear(this.stations.count * LINES + pair);
    return pair;
  }

  private begin(length: number): void {
    this.length = length;
    this.corruptBit = -1;
    this.isCopied = false;
    this.copyLagUs = 0;
    this.n = -1;
  }

  /** The datagram in hand crosses a line; `model` -1: there is none. Answers when it is over, or -1 for never. */
  private cross(line: number, model: number, atUs: number, extraUs: number): number {
    if (model < 0) return atUs;
    const { lines } = this;
    // Numbers of pairs are the shard's affair, in the order of their making: no part of the weather.
    const salt = line < this.stations.count * LINES ? line + 1 : 0;
    const key = (this.key + Math.imul(salt, 0x632be5ab)) | 0;
    const dueUs = lines.cross(line, model, key, this.n, atUs, this.length, extraUs);
    if (dueUs < 0) return this.drop(dueUs === LOST ? "loss" : dueUs === QUEUE_FULL ? "queue" : "mtu");
    if (lines.corruptBit >= 0) this.corruptBit = lines.corruptBit;
    if (lines.copyUs >= 0 && !this.isCopied) {
      this.isCopied = true;
      this.copyLagUs = lines.copyUs - dueUs;
    }
    return dueUs;
  }

  /** As `cross`, with a weather of its own at this end of the pair, asked for only where chance has a say. */
  private crossInward(station: number, way: number, model: number, fromNode: number, atUs: number): number {
    if (model < 0) return atUs;
    if (this.n < 0 && this.models.isRandom[model] === 1) {
      const pair = this.pairOf(station, this.stations.count + this.plan.nodes.length + fromNode);
      this.key = this.pairs.key[pair]!;
      this.n = this.pairs.count[pair]!;
      this.pairs.count[pair]! += 1;
    }
    return this.cross(station * LINES + way, model, atUs, 0);
  }

  /** -1 when no mapping leads to a node. */
  private nodeBehind(endpoint: number): number {
    let to = endpoint;
    for (;;) {
      const station = this.stations.at(to);
      if (station < 0) return -1;
      if (this.stations.node[station]! >= 0) return this.stations.node[station]!;
      to = this.natOf(station - this.stations.interfaces).peek(portOf(to));
      if (to < 0) return -1;
    }
  }

  private mayPass(from: number, to: number): boolean {
    if (from < 0 || to < 0) return true;
    if (this.barriers.isPartitioned(from, to)) this.drop("partition");
    else if (this.barriers.isCut(from, to)) this.drop("cut");
    else return true;
    return false;
  }

  private natOf(realm: number): Nat {
    const known = this.nats[realm];
    if (known !== undefined) return known;
    const nat = new Nat(this.plan.realms[realm]!.nat!, weatherKey(this.natSeed, realm, 0));
    nat.address = this.stations.address[this.stations.natOf(realm)]!;
    this.nats[realm] = nat;
    return nat;
  }

  private drop(why: Drop): -1 {
    this.drops.set(why, this.drops.get(why)! + 1);
    return -1;
  }
}
