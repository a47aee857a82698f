import type { Cap } from "../collections/cap.js";
import { Digest } from "../collections/digest.js";
import { networkIdOf } from "../crypto/identity.js";
import { LAG_US } from "../link/neighbour.js";
import { NetworkTime, SLOT_MS } from "../link/network-time.js";
import { Routing } from "../routing/routing.js";
import { DeadlineHeap } from "../time/deadline-heap.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { ROUTER_ID_BYTES } from "../wire/hello.js";
import { nodeChains } from "./chains.js";
import { DropCounters } from "./drops.js";
import { Ends } from "./ends.js";
import { Links } from "./links.js";
import { Plane } from "./plane.js";
import type { Load, PeerStatus, RouteStatus, StackConfig, StackPorts, StackStatus } from "./ports.js";

/** Timers of one call: the rest is due at once again, so that the shell can read its sockets in between. */
const TIMEOUTS_MAX = 256;

/** After a pause of so long our own clock is not believed: it may have stood still meanwhile, or leapt. */
const CLOCK_LAG_US = 5 * SECOND_US;

/** The last epoch that fits the wire. */
const EPOCH_MAX = 0xffff_ffff;

/**
 * The whole protocol as one machine: facts in (handle*), commands in, everything else out through the Sink.
 *
 *   datagram -> Links (session, link, routing) -> Ends (forwarding, session, transport, stream) -> Sink
 *
 * It only dispatches; the layers are in their rooms. Pure: the same inputs give the same outputs, byte for byte.
 */
export class Stack {
  private readonly ports: StackPorts;
  private epoch: number;
  private readonly serviceNumber: number;
  /** The deadline as the shell was told it last, and the input before. A shell that sleeps is late for the one after the other. */
  private dueUs: number = NEVER;
  private inputUs: number;
  /** The slot that routing was told last. */
  private slot = -1;
  /** This node stood still, or its time leapt: neighbours may have given it up. */
  private wasAway = false;
  private readonly heap = new DeadlineHeap();
  private readonly plane: Plane;
  private readonly links: Links;
  private readonly ends: Ends;

  /** @param nowUs  the shell's monotonic clock, as every other input */
  constructor(nowUs: number, config: StackConfig, ports: StackPorts) {
    const { suite, entropy, random32, trace, allocate, dictionary } = ports;
    this.ports = ports;
    this.inputUs = nowUs;
    // The one after the stored, which vouches for it; the clock where none is known. Never wraps to 0.
    this.epoch = Math.min(EPOCH_MAX, config.storedEpoch > 0 ? config.storedEpoch + 1 : config.wallClockSeconds);
    this.serviceNumber = dictionary.intern(config.service.nac);
    const routerId = entropy(ROUTER_ID_BYTES);
    const networkId = networkIdOf(suite, config.networkName);
    const chains = ports.elements === undefined ? nodeChains(ports, networkId, config) : undefined;
    this.plane = new Plane({
      ports,
      session: {
        suite,
        entropy,
        networkId,
        limits: config.sessionLimits,
      },
      routing: new Routing(
        {
          dictionary,
          trace,
          allocate,
          elements: ports.elements ?? chains,
          random: random32,
          epochUsed: (nac, epoch) => this.useEpoch(nac, epoch),
          ignored: () => this.plane.drop("routeLimit"),
        },
        { routerId, transit: config.transit, isStrict: config.isStrict },
      ),
      time: new NetworkTime(nowUs, config.wallClockSeconds),
      drops: new DropCounters(),
      heap: this.heap,
    });
    this.ends = new Ends({
      plane: this.plane,
      service: config.service,
      epoch: this.epoch,
      isFresh: config.storedEpoch === 0 || config.isStateDamaged === true,
      former: config.former ?? [],
      wallClockSeconds: config.wallClockSeconds,
      chains,
    });
    this.links = new Links({
      plane: this.plane,
      keys: config.linkKeys,
      routerId,
      transit: config.transit,
      user: this.ends,
    });
    this.ends.join(this.links);
  }

  /** When handleTimer wants to be called next; NEVER when nothing waits. Every input returns it too. */
  get nextDeadlineUs(): number {
    return Math.min(this.heap.soonestUs, this.plane.routing.nextTimeoutUs);
  }

  // Facts.

  /** The first input. Announces the service NAC under a new epoch, which is persisted before anybody is told. */
  start(nowUs: number): number {
    this.tick(nowUs);
    this.plane.time.begin(nowUs);
    this.ends.start(nowUs);
    return this.settle(nowUs);
  }

  /**
   * One UDP payload at `bytes[at, at + length)`, ours to change until return. Paths of one `crowd` are one machine's, as far
   * as the shell can tell: crowds have equal shares of the links that others may open. Each path is its own unless given.
   */
  handleDatagram(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number, crowd = path): number {
    this.tick(nowUs);
    this.links.handleDatagram(nowUs, path, bytes, at, length, crowd);
    return this.settle(nowUs);
  }

  handleTimer(nowUs: number): number {
    this.tick(nowUs);
    for (let i = 0; i < TIMEOUTS_MAX; i += 1) {
      const due = this.plane.due(nowUs);
      if (due === undefined) break;
      due.handleTimeout(nowUs);
    }
    if (this.plane.routing.nextTimeoutUs <= nowUs) this.plane.routing.handleTimeout(nowUs);
    return this.settle(nowUs);
  }

  /** How busy the shell is; hellos tell the neighbours. */
  handleLoad(nowUs: number, load: Load): number {
    this.tick(nowUs);
    this.links.setLoad(load);
    return this.settle(nowUs);
  }

  // Commands.

  /** Keeps a link to whoever answers on `path`. `pin`: the 32-byte hash of its link key, if known. */
  addPeer(nowUs: number, path: number, pin: Uint8Array | undefined): number {
    this.tick(nowUs);
    this.links.addPeer(nowUs, path, pin);
    return this.settle(nowUs);
  }

  /**
   * Opens a stream to `port` of `nac` and answers its number at once; what becomes of it comes as events. Given the
   * 32-byte `nacHash` of a long name, the NAC's keys must hash to all of it. Streams with different `isolation` never share
   * an end-to-end session.
   */
  openStream(nowUs: number, nac: Uint8Array, port: number, nacHash?: Uint8Array, isolation = ""): number {
    this.tick(nowUs);
    const stream = this.ends.openStream(nowUs, nac, port, nacHash, isolation);
    this.settle(nowUs);
    return stream;
  }

  /** Accepts an incoming stream: bytes may flow. */
  acceptStream(nowUs: number, stream: number): number {
    this.tick(nowUs);
    const place = this.ends.streams.find(stream);
    if (place !== undefined) {
      place.end.acceptStream(place.id);
      place.end.pump(nowUs);
    }
    return this.settle(nowUs);
  }

  /** Takes bytes to send, copied. Answers how many: fewer than given when the buffer is full; streamWritable follows. */
  write(nowUs: number, stream: number, bytes: Uint8Array): number {
    this.tick(nowUs);
    const place = this.ends.streams.find(stream);
    if (place === undefined) return 0;
    const taken = place.end.write(place.id, bytes);
    place.end.pump(nowUs);
    this.settle(nowUs);
    return taken;
  }

  /** Nothing more will be written. */
  finish(nowUs: number, stream: number): number {
    this.tick(nowUs);
    const place = this.ends.streams.find(stream);
    if (place !== undefined) {
      place.end.finish(place.id);
      place.end.pump(nowUs);
    }
    return this.settle(nowUs);
  }

  /** Ends both directions at once; no more events of this stream follow. */
  reset(nowUs: number, stream: number, code: number): number {
    this.tick(nowUs);
    const place = this.ends.streams.find(stream);
    if (place === undefined) {
      if (this.ends.streams.has(stream)) this.ends.contacts.cancel(stream);
    } else {
      place.end.reset(place.id, code);
      place.end.pump(nowUs);
    }
    return this.settle(nowUs);
  }

  /** The application took `count` delivered bytes: the peer may send as many more. */
  consume(nowUs: number, stream: number, count: number): number {
    this.tick(nowUs);
    const place = this.ends.streams.find(stream);
    if (place !== undefined) {
      place.end.consume(place.id, count);
      place.end.pump(nowUs);
    }
    return this.settle(nowUs);
  }

  /**
   * A flow of datagrams to `port` of `nac`; -1 when there are too many. Datagrams are never repaired, and may come in any
   * order. A flow outlives sessions; it is closed after 60 s without a datagram. `nacHash`, `isolation` as for openStream.
   */
  openFlow(nowUs: number, nac: Uint8Array, port: number, nacHash?: Uint8Array, isolation = ""): number {
    this.tick(nowUs);
    const flow = this.ends.flows.open(nowUs, { nac, nacHash, isolation }, port);
    this.settle(nowUs);
    return flow;
  }

  /** Sends one datagram of a flow, ours or a peer's. False when it is too large (1,004 bytes fit) or the flow is gone. */
  sendDatagram(nowUs: number, flow: number, bytes: Uint8Array): boolean {
    this.tick(nowUs);
    const isTaken = this.ends.flows.send(nowUs, flow, bytes);
    this.settle(nowUs);
    return isTaken;
  }

  /** Nothing more is wanted of this flow. flowClosed follows for a flow of ours; a peer's is ignored until it is idle. */
  closeFlow(nowUs: number, flow: number): number {
    this.tick(nowUs);
    this.ends.flows.close(flow);
    return this.settle(nowUs);
  }

  /** Asks `nac` for a sign of life; pong or pingFailed follows with the same `id`. `nacHash` as for openStream. */
  ping(nowUs: number, nac: Uint8Array, id: number, nacHash?: Uint8Array): number {
    this.tick(nowUs);
    this.ends.ping(nowUs, nac, id, nacHash);
    return this.settle(nowUs);
  }

  /**
   * Every session takes its leave: what was said, such as resets, is repaired for a moment, then comes CLOSE. All are gone
   * after 0.3 s at most (`status().sessions`); `shutdown` follows.
   */
  depart(nowUs: number): number {
    this.tick(nowUs);
    this.ends.depart(nowUs);
    return this.settle(nowUs);
  }

  /** Closes every session that is left and says goodbye on every link. Nothing may be asked of the stack afterwards. */
  shutdown(nowUs: number): void {
    this.ends.shutdown(nowUs);
    this.links.shutdown(nowUs);
  }

  // Getters.

  status(): StackStatus {
    const { handshakes, replays, drops, routing } = this.plane;
    return {
      epoch: this.epoch,
      suite: this.ports.suite.name,
      neighbours: this.links.upCount,
      routes: routing.count,
      sessions: this.ends.sessionCount,
      streams: this.ends.streams.count,
      drops: drops.all(),
      liveness: routing.liveness,
      chains: routing.chains(this.serviceNumber),
      handshakes: { ...handshakes },
      replays,
      storms: { ...routing.storms, ...this.links.storms },
      queues: { ...this.ends.queues },
      caps: peaksOf([...this.links.caps, ...this.ends.caps, ...routing.caps]),
    };
  }

  peers(nowUs: number): PeerStatus[] {
    return this.links.status(nowUs);
  }

  /** Is `index`, which a RECORD names, the number of a session that a link has now? */
  isSessionKnown(index: number): boolean {
    return this.links.isSessionKnown(index);
  }

  /** Paths that must not become another address's, some of them twice. */
  get pathsInUse(): readonly number[] {
    return this.links.pathsInUse;
  }

  routes(): RouteStatus[] {
    const all: RouteStatus[] = [];
    this.plane.routing.forEachRoute((destination, { metric, nextHop, backups }) => {
      if (nextHop < 0) return; // our own
      all.push({ nac: this.ports.dictionary.bytesOf(destination), metric, nextHop, backups });
    });
    return all;
  }

  /** A hash of the whole state: two runs of the same inputs have the same. */
  digest(): string {
    const into = new Digest();
    const { handshakes, replays } = this.plane;
    into.number(this.epoch).number(replays);
    for (const count of Object.values(handshakes)) into.number(count);
    this.links.digest(into);
    this.ends.digest(into);
    this.plane.routing.digest(into);
    this.plane.time.digest(into);
    this.plane.drops.digest(into);
    return into.hex();
  }

  /** Somebody is about to hear of an epoch of ours. */
  private useEpoch(destination: number, epoch: number): void {
    if (destination === this.serviceNumber) this.epoch = epoch;
    if (!this.ends.isCalled(destination)) return; // the client's is forgotten with it
    this.ports.sink.persist({ kind: "epoch", nac: this.ports.dictionary.bytesOf(destination), epoch });
  }

  /** Before an input: what it means that it comes so late; and routing counts in the current slot of network time. */
  private tick(nowUs: number): void {
    const lagUs = nowUs - Math.max(this.dueUs, this.inputUs);
    this.inputUs = nowUs;
    if (lagUs >= LAG_US) {
      this.links.handleLag(nowUs, lagUs);
      this.ends.handleLag(nowUs, lagUs);
      if (lagUs >= CLOCK_LAG_US) {
        this.plane.time.distrust(nowUs);
        this.wasAway = true;
      }
      this.plane.routing.handlePause(nowUs);
    }
    const { time } = this.plane;
    this.wasAway ||= time.isLeaping(nowUs);
    if ((time.isDoubtful(nowUs) || time.isLeaping(nowUs)) && this.slot >= 0) return; // slots go on when the time is known
    const slot = time.slot(nowUs);
    if (slot === this.slot && !this.wasAway) return;
    this.slot = slot;
    this.plane.routing.setSlot(nowUs, slot, nowUs - (time.milliseconds(nowUs) % SLOT_MS) * MILLISECOND_US);
    if (this.wasAway) this.plane.routing.handleReturn(nowUs);
    this.wasAway = false;
  }

  /** After an input: what it set free goes out, and the next deadline is known. */
  private settle(nowUs: number): number {
    if (this.plane.isWaiting) this.ends.settle(nowUs);
    this.links.flushControl(nowUs);
    this.dueUs = this.nextDeadlineUs;
    return this.dueUs;
  }
}

function peaksOf(caps: readonly Cap[]): StackStatus["caps"] {
  return Object.fromEntries(caps.map(({ name, limit, peak }) => [name, { limit, peak }]));
}
