import { RecordKind } from "../../core/wire/control-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import type { Calendar } from "./calendar.js";
import type { EventHeap } from "./event-heap.js";
import type { Fingerprints } from "./fingerprints.js";
import { type Host, PAUSED_PACKETS_MAX } from "./host.js";
import { DATAGRAM, KIND, type Moment, SOURCE } from "./moment.js";
import type { NetworkPort, Outgoing } from "./network-port.js";
import type { Observer } from "./observer.js";
import type { Packets } from "./packets.js";

/** Datagrams for islands of other shards. */
export type Post = (slot: number, packets: Packets, island: number, shard: number) => void;

/** `interface` of a datagram that has been in the queue of a processor. */
const QUEUED = 128;

/** The ways of datagrams in one shard: from a stack through the network to where they are due, and from there to a host. */
export class Datagrams {
  /** Drops that are the hosts' own doing. */
  readonly drops = { paused: 0, busy: 0, noHost: 0, noPath: 0 };
  private readonly shard: number;
  private readonly shardOf: Uint8Array;
  private readonly moment: Moment;
  private readonly packets: Packets;
  private readonly calendar: Calendar;
  private readonly heap: EventHeap;
  private readonly network: NetworkPort;
  private readonly fingerprints: Fingerprints;
  private readonly observer: Observer;
  private readonly hosts: readonly (Host | undefined)[];
  private readonly kindOfRecord: (bytes: Uint8Array, at: number) => number;
  private readonly post: Post;
  /** By node: datagrams sent, and copies made of those received. */
  private readonly sequence: Float64Array;
  // What is being sent.
  private sender = -1;
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;

  constructor(args: {
    shard: number;
    /** By island. */
    shardOf: Uint8Array;
    moment: Moment;
    packets: Packets;
    calendar: Calendar;
    /** What the island that runs has still to do in this window. */
    heap: EventHeap;
    network: NetworkPort;
    fingerprints: Fingerprints;
    observer: Observer;
    hosts: readonly (Host | undefined)[];
    /** RecordKind of the RECORD at `bytes[at]` that was sealed last. */
    kindOfRecord: (bytes: Uint8Array, at: number) => number;
    post: Post;
  }) {
    this.shard = args.shard;
    this.shardOf = args.shardOf;
    this.moment = args.moment;
    this.packets = args.packets;
    this.calendar = args.calendar;
    this.heap = args.heap;
    this.network = args.network;
    this.fingerprints = args.fingerprints;
    this.observer = args.observer;
    this.hosts = args.hosts;
    this.kindOfRecord = args.kindOfRecord;
    this.post = args.post;
    this.sequence = new Float64Array(args.hosts.length);
  }

  transmit(host: Host, path: number, bytes: Uint8Array, at: number, length: number): void {
    const { nowUs } = this.moment;
    const { node, paths } = host;
    const to = paths.endpointOf(path);
    this.fingerprints.handleTransmit(nowUs, node, to, bytes, at, length);
    const isUserData = bytes[at] === PacketType.record && this.kindOfRecord(bytes, at) === RecordKind.forward;
    this.observer.handleTransmit(nowUs, node, bytes, at, length, isUserData);
    this.sender = node;
    this.bytes = bytes;
    this.at = at;
    paths.answer(path);
    this.network.send(nowUs, node, paths.interfaceOf(path), to, length, this.out, paths.peerOf(path));
  }

  /** A datagram is due. Answers the host that gets it now: it must be released then; undefined when nobody does. */
  arrive(slot: number): Host | undefined {
    const { packets } = this;
    if (packets.node[slot] === -1 && !this.comeDown(slot)) return undefined;
    const host = this.hosts[packets.node[slot]!];
    if (host === undefined) {
      this.drops.noHost += 1;
      packets.release(slot);
      return undefined;
    }
    if (host.isPaused) {
      this.hold(host, slot);
      return undefined;
    }
    return host.packetUs > 0 && this.isWaiting(host, slot) ? undefined : host;
  }

  /** The path on which the host has it; -1 when it can have no more. */
  pathOf(host: Host, slot: number): number {
    const { packets } = this;
    const path = host.paths.pathOf(packets.interface[slot]! & (QUEUED - 1), packets.from[slot]!);
    if (path < 0) this.drops.noPath += 1;
    else host.paths.setPeer(path, packets.fromNode[slot]!);
    return path;
  }

  private readonly out: Outgoing = (dueUs, island, fromEndpoint, toEndpoint, _at, length, corruptBit) => {
    const { packets, sender } = this;
    const slot = packets.make(this.bytes, this.at, length);
    if (corruptBit >= 0) packets.flip(slot, corruptBit);
    packets.dueUs[slot] = dueUs;
    packets.key[slot] = this.nextKey(sender);
    packets.from[slot] = fromEndpoint;
    packets.to[slot] = toEndpoint;
    packets.fromNode[slot] = sender;
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
    const { packets, moment } = this;
    const dueUs = packets.dueUs[slot]!;
    if (dueUs >= moment.endUs || packets.island[slot] !== moment.island) this.calendar.addPacket(slot);
    else this.heap.push(dueUs, packets.key[slot]!, slot);
  }

  /** It is at its island: false when it gets to no node, or later. */
  private comeDown(slot: number): boolean {
    const { packets, network } = this;
    const { nowUs } = this.moment;
    const length = packets.length[slot]!;
    const node = network.receive(nowUs, packets.from[slot]!, packets.to[slot]!, length, packets.fromNode[slot]!);
    if (node < 0) {
      packets.release(slot);
      return false;
    }
    const { delivery } = network;
    if (delivery.corruptBit >= 0) packets.flip(slot, delivery.corruptBit);
    packets.node[slot] = node;
    packets.interface[slot] = delivery.interface;
    packets.from[slot] = delivery.from;
    if (delivery.copyUs >= 0) this.copy(slot, delivery.copyUs);
    if (delivery.dueUs <= nowUs) return true;
    packets.dueUs[slot] = delivery.dueUs;
    this.queue(slot);
    return false;
  }

  private copy(slot: number, dueUs: number): void {
    const { packets } = this;
    const copy = packets.copy(slot);
    packets.dueUs[copy] = dueUs;
    packets.key[copy] = this.nextKey(packets.node[slot]!);
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

  /** A processor takes one datagram after the other. */
  private isWaiting(host: Host, slot: number): boolean {
    const { packets } = this;
    const { nowUs } = this.moment;
    if (packets.interface[slot]! >= QUEUED) {
      packets.interface[slot]! -= QUEUED;
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
    packets.interface[slot]! += QUEUED;
    packets.dueUs[slot] = host.busyUs;
    host.busyUs += host.packetUs;
    this.queue(slot);
    return true;
  }
}
