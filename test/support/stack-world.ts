import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import {
  type Identity,
  identityFromSeeds,
  linkKeyHashOf,
  networkIdOf,
  SUITE_FLOOR,
} from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite, KemKeys } from "../../core/crypto/suite.js";
import type { TableCounts } from "../../core/routing/table-search.js";
import type { SessionLimits } from "../../core/session/limits.js";
import type { Links } from "../../core/stack/links.js";
import type { FormerIdentity, StackEvent } from "../../core/stack/ports.js";
import { Stack } from "../../core/stack/stack.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import type { StackSurface } from "../../node/journal/inputs.js";
import type { StackMaker } from "../../node/journal/journal.js";
import { type Random, randomFrom } from "./random.js";

/** What a cable does to datagrams, each way. Shares are out of 1. */
export interface Cable {
  readonly delayUs?: number;
  readonly jitterUs?: number;
  readonly loss?: number;
  readonly duplication?: number;
}

/** A datagram as somebody on the cable saw it. */
export interface Seen {
  readonly from: string;
  readonly to: string;
  readonly atUs: number;
  readonly bytes: Uint8Array;
}

interface Flying {
  readonly dueUs: number;
  readonly order: number;
  readonly to: WorldNode;
  readonly path: number;
  readonly bytes: Uint8Array;
}

interface Socket {
  readonly peer: WorldNode;
  /** The path on which the peer sees what is sent here: another one after a change of address. */
  peerPath: number;
  readonly cable: Cable;
  isCut: boolean;
}

/** What a lying node reaches into, and what leaks are counted by. */
export interface StackInside {
  readonly links: Pick<Links, "forward" | "sendKeyPacket"> & { readonly index: { readonly size: number } };
  readonly ends: {
    readonly contacts: { readonly all: ReadonlyMap<number, unknown>; readonly seekers: ReadonlySet<unknown> };
    readonly index: { readonly size: number };
  };
  readonly plane: {
    readonly routing: { nextHop(destination: number): number; readonly tables: TableCounts };
    readonly timed: readonly (object | undefined)[];
  };
  readonly ports: { readonly dictionary: NacDictionary };
}

/** A bound on steps of one `run`, so that a broken stack fails instead of spinning. */
const STEPS_MAX = 5_000_000;

/** One node of the world: a real Stack with everything that happened to it. */
export class WorldNode {
  readonly name: string;
  /** Exchanged by a rotation. */
  identity: Identity;
  /** What the next boot is told of identities before this one. */
  former: readonly FormerIdentity[] = [];
  readonly events: StackEvent[] = [];
  /** Delivered bytes per stream, in order. */
  readonly received = new Map<number, Uint8Array[]>();
  readonly datagrams: { readonly flow: number; readonly bytes: Uint8Array }[] = [];
  /** Of the service NAC, and of all others that were persisted. */
  readonly epochs: number[] = [];
  readonly formerEpochs: number[] = [];
  readonly sockets: Socket[] = [];
  /** Consume what is delivered at once; a test that reads slowly turns it off. */
  isHungry = true;
  isAlive = true;
  /** Stopped, as by SIGSTOP: what arrives waits in the system's buffer. */
  isFrozen = false;
  readonly waiting: Flying[] = [];
  stack: StackSurface;
  /** The same without what a test has put around it. */
  private core!: Stack;
  /** Answers what arrives on a stream that a peer opened; called between inputs. */
  onEvent: (event: StackEvent) => void = () => undefined;
  readonly consumed: { stream: number; bytes: number }[] = [];
  /** Of this process: a restart draws new ones. */
  linkKeys: KemKeys;
  readonly pending: StackEvent[] = [];

  private readonly world: StackWorld;

  constructor(world: StackWorld, name: string, identity: Identity) {
    this.world = world;
    this.name = name;
    this.identity = identity;
    this.linkKeys = world.suite.kemKeys(world.random.bytes(64));
    this.stack = this.boot();
  }

  get nac(): Uint8Array {
    return this.identity.nac;
  }

  /**
   * The parts of the stack, for a node that lies: it does with them what the stack never would. And for counting what is
   * left behind, which no status tells.
   */
  get inside(): StackInside {
    return this.core as unknown as StackInside;
  }

  /** The number of the link to `name`. */
  linkTo(name: string): number {
    const path = this.sockets.findIndex((socket) => socket.peer.name === name);
    const peer = this.stack.peers(this.world.nowUs).find((one) => one.path === path);
    if (peer === undefined) throw new Error(`${this.name} has no link to ${name}`);
    return peer.link;
  }

  bytesReceived(stream: number): Uint8Array {
    const parts = this.received.get(stream) ?? [];
    return Uint8Array.from(Buffer.concat(parts));
  }

  /** A fresh process with the same keys: what restart with kept files is. */
  boot(): StackSurface {
    const { world } = this;
    const random = world.random;
    this.stack = world.makeStack(
      (...given) => {
        this.core = new Stack(...given);
        return this.core;
      },
      this.name,
      world.nowUs,
      {
        networkName: "world",
        service: this.identity,
        former: this.former,
        linkKeys: this.linkKeys,
        storedEpoch: this.epochs.at(-1) ?? 0,
        wallClockSeconds: 1_800_000_000 + Math.floor(world.nowUs / SECOND_US),
        sessionLimits: world.sessionLimits,
        chainSeed: world.isChained ? random.bytes(32) : undefined,
      },
      {
        suite: watched(world.suite, this.name, world),
        entropy: (length) => random.bytes(length),
        random32: () => random.u32(),
        sink: {
          transmit: (path, bytes, at, length) => world.transmit(this, path, bytes.slice(at, at + length)),
          event: (event) => {
            this.events.push(event);
            this.pending.push(event);
          },
          deliver: (stream, bytes, at, length) => {
            const parts = this.received.get(stream) ?? [];
            parts.push(bytes.slice(at, at + length));
            this.received.set(stream, parts);
            if (this.isHungry) this.consumed.push({ stream, bytes: length });
          },
          deliverDatagram: (flow, bytes, at, length) => {
            this.datagrams.push({ flow, bytes: bytes.slice(at, at + length) });
          },
          persist: ({ nac, epoch }) => {
            const isService = Buffer.compare(nac, this.identity.nac) === 0;
            (isService ? this.epochs : this.formerEpochs).push(epoch);
          },
        },
        trace: traceNothing,
        allocate: heapAllocator,
        dictionary: new NacDictionary(),
      },
    );
    return this.stack;
  }
}

/** The same suite, which tells of what it seals: of records by `onSeal`, of everything by `onPlaintext`. */
function watched(suite: CryptoSuite, node: string, { onSeal, onPlaintext }: StackWorld): CryptoSuite {
  if (onSeal === undefined && onPlaintext === undefined) return suite;
  return {
    ...suite,
    aead: (key) => {
      const aead = suite.aead(key);
      const name = Buffer.from(key).toString("hex"); // the key itself may be erased any time
      return {
        seal: (nonce, associated, data, at, length) => {
          if (associated.length === RECORD_HEADER_BYTES) onSeal?.(node, data.slice(at, at + length), name);
          onPlaintext?.(node, data.subarray(at, at + length), associated.length);
          aead.seal(nonce, associated, data, at, length);
        },
        open: (nonce, associated, data, at, length) => aead.open(nonce, associated, data, at, length),
      };
    },
  };
}

/** Real stacks over cables of virtual time: no sockets, no sleeping, the same every time for one seed. */
export class StackWorld {
  nowUs = SECOND_US;
  readonly random: Random;
  readonly suite: CryptoSuite;
  readonly nodes = new Map<string, WorldNode>();
  readonly seen: Seen[] = [];
  isRecording = false;
  /** What the cables carry, beside what chance and cuts take. */
  carries: (from: string, to: string, bytes: Uint8Array) => boolean = () => true;
  /** Makes the stack of a node that boots; a test may record it. */
  readonly makeStack: (make: StackMaker, name: string, ...given: Parameters<StackMaker>) => StackSurface;
  private readonly flying: Flying[] = [];
  private order = 0;

  readonly sessionLimits: Partial<SessionLimits> | undefined;
  /** Somebody claims a router id that is not his, so that digests of tables need not agree. */
  hasLiar = false;
  /** Adverts are proven by real hash chains. */
  readonly isChained: boolean;
  /** Told of every plaintext that a node seals under traffic keys: what its neighbour or its peer will read. */
  readonly onSeal: ((node: string, plaintext: Uint8Array, key: string) => void) | undefined;
  /** Told of everything that a node is about to seal, and may change it: `plaintext` is not a copy. */
  readonly onPlaintext: ((node: string, plaintext: Uint8Array, associatedBytes: number) => void) | undefined;

  constructor(
    options: {
      seed?: string;
      suite?: "noble" | "native" | CryptoSuite;
      makeStack?: StackWorld["makeStack"];
      sessionLimits?: Partial<SessionLimits>;
      isChained?: boolean;
      onSeal?: (node: string, plaintext: Uint8Array, key: string) => void;
      onPlaintext?: (node: string, plaintext: Uint8Array, associatedBytes: number) => void;
    } = {},
  ) {
    this.random = randomFrom(options.seed ?? "world");
    const { suite = "native" } = options;
    this.suite = suite === "noble" ? nobleSuite : suite === "native" ? createNativeSuite() : suite;
    this.sessionLimits = options.sessionLimits;
    this.isChained = options.isChained ?? false;
    this.onSeal = options.onSeal;
    this.onPlaintext = options.onPlaintext;
    this.makeStack = options.makeStack ?? ((make, _name, ...given) => make(...given));
  }

  node(name: string): WorldNode {
    const known = this.nodes.get(name);
    if (known !== undefined) return known;
    const node = new WorldNode(this, name, this.newIdentity());
    this.nodes.set(name, node);
    node.stack.start(this.nowUs);
    return node;
  }

  newIdentity(): Identity {
    const networkId = networkIdOf(this.suite, "world");
    return identityFromSeeds(this.suite, networkId, this.random.bytes(64), this.random.bytes(32));
  }

  /** Lays a cable; `from` dials `to`. */
  wire(from: string, to: string, cable: Cable = {}): this {
    return this.lay(from, to, cable).dial(from, to);
  }

  /** `from` keeps a link to `to`, over the cable that there is. */
  dial(from: string, to: string, pin?: Uint8Array): this {
    const node = this.node(from);
    const path = node.sockets.findIndex((socket) => socket.peer.name === to);
    if (path < 0) throw new Error(`no cable from ${from} to ${to}`);
    node.stack.addPeer(this.nowUs, path, pin);
    return this;
  }

  /** A cable that nobody dials yet. */
  lay(from: string, to: string, cable: Cable = {}): this {
    const a = this.node(from);
    const b = this.node(to);
    const path = a.sockets.length;
    const peerPath = b.sockets.length;
    a.sockets.push({ peer: b, peerPath, cable, isCut: false });
    b.sockets.push({ peer: a, peerPath: path, cable, isCut: false });
    return this;
  }

  /** What `node` calls itself when it is asked for its link key: the hash to pin it by. */
  pinOf(name: string): Uint8Array {
    const { suite } = this;
    return linkKeyHashOf(suite, networkIdOf(suite, "world"), SUITE_FLOOR, this.node(name).linkKeys.publicKey);
  }

  line(...names: string[]): this {
    for (let i = 1; i < names.length; i += 1) this.wire(names[i - 1]!, names[i]!);
    return this;
  }

  cut(a: string, b: string): void {
    this.block(a, b);
    this.block(b, a);
  }

  /** From now on nothing gets from `from` to `to`; the other direction is as it was. */
  block(from: string, to: string, isCut = true): void {
    for (const socket of this.node(from).sockets) if (socket.peer.name === to) socket.isCut = isCut;
  }

  mend(a: string, b: string): void {
    this.block(a, b, false);
    this.block(b, a, false);
  }

  /**
   * From now on what `name` sends to `peer` comes from another address, as from behind a NAT that chose a new port. What is
   * still sent to the old one is lost, unless the NAT `keepsOld`.
   */
  rebind(name: string, peer: string, keepsOld = false): void {
    const node = this.node(name);
    const other = this.node(peer);
    for (const [path, socket] of node.sockets.entries()) {
      if (socket.peer !== other) continue;
      const before = other.sockets[socket.peerPath]!;
      before.isCut = !keepsOld;
      socket.peerPath = other.sockets.length;
      other.sockets.push({ peer: node, peerPath: path, cable: before.cable, isCut: false });
    }
  }

  /** The process is gone without a word. */
  kill(name: string): void {
    this.node(name).isAlive = false;
  }

  /** The process stands still, and datagrams wait for it. */
  freeze(name: string): void {
    this.node(name).isFrozen = true;
  }

  /** It goes on, and finds what arrived meanwhile. */
  thaw(name: string): void {
    const node = this.node(name);
    node.isFrozen = false;
    for (const datagram of node.waiting.splice(0)) this.push({ ...datagram, dueUs: this.nowUs, order: this.order++ });
  }

  /** The same keys and addresses, a fresh process; it dials whom it dialled before. */
  restart(name: string, dials: readonly string[]): void {
    const node = this.node(name);
    node.isAlive = true;
    node.pending.length = 0;
    node.linkKeys = this.suite.kemKeys(this.random.bytes(64));
    node.boot().start(this.nowUs);
    for (const [path, socket] of node.sockets.entries()) {
      if (dials.includes(socket.peer.name)) node.stack.addPeer(this.nowUs, path, undefined);
    }
  }

  /** A restart with a new identity; the old one is served for `graceUs` more. Answers the old one. */
  rotate(name: string, dials: readonly string[], graceUs: number): Identity {
    const node = this.node(name);
    const { identity } = node;
    const storedEpoch = node.epochs.splice(0).at(-1) ?? 0; // those of the new NAC begin anew
    node.former = [{ identity, storedEpoch, untilUs: this.nowUs + graceUs }];
    node.identity = this.newIdentity();
    this.restart(name, dials);
    return identity;
  }

  transmit(from: WorldNode, path: number, bytes: Uint8Array): void {
    const socket = from.sockets[path];
    if (socket === undefined) throw new Error(`${from.name} sent on path ${path}, which it never had`);
    if (this.isRecording) this.seen.push({ from: from.name, to: socket.peer.name, atUs: this.nowUs, bytes });
    const { delayUs = MILLISECOND_US, jitterUs = 0, loss = 0, duplication = 0 } = socket.cable;
    if (socket.isCut || this.random.chance(loss) || !this.carries(from.name, socket.peer.name, bytes)) return;
    const copies = this.random.chance(duplication) ? 2 : 1;
    for (let i = 0; i < copies; i += 1) {
      const dueUs = this.nowUs + delayUs + this.random.below(jitterUs + 1);
      this.push({ dueUs, order: this.order++, to: socket.peer, path: socket.peerPath, bytes: bytes.slice() });
    }
  }

  /** Puts a datagram on the wire as if `from` had sent it. */
  inject(from: string, to: string, bytes: Uint8Array): void {
    const socket = this.node(from).sockets.find((one) => one.peer.name === to);
    if (socket === undefined) throw new Error(`no cable from ${from} to ${to}`);
    this.push({ dueUs: this.nowUs, order: this.order++, to: socket.peer, path: socket.peerPath, bytes: bytes.slice() });
  }

  /** Runs until `done` holds or the time is over; answers whether it held. */
  run(forUs: number, done: () => boolean = () => false): boolean {
    const endUs = this.nowUs + forUs;
    for (let step = 0; step < STEPS_MAX; step += 1) {
      this.settle();
      if (done()) return true;
      const nextUs = this.nextUs();
      if (nextUs > endUs) {
        this.nowUs = endUs;
        return done();
      }
      this.nowUs = Math.max(this.nowUs, nextUs);
      this.step();
    }
    throw new Error("the world took too many steps: something spins");
  }

  private step(): void {
    const datagram = this.flying[0];
    if (datagram !== undefined && datagram.dueUs <= this.nowUs) {
      this.flying.shift();
      if (!datagram.to.isAlive) return;
      if (datagram.to.isFrozen) {
        datagram.to.waiting.push(datagram);
        return;
      }
      datagram.to.stack.handleDatagram(this.nowUs, datagram.path, datagram.bytes, 0, datagram.bytes.length);
      return;
    }
    for (const node of this.nodes.values()) {
      if (isAwake(node) && node.stack.nextDeadlineUs <= this.nowUs) node.stack.handleTimer(this.nowUs);
    }
  }

  /** What a shell does between inputs: gives back credit, tells the application. */
  private settle(): void {
    for (const node of this.nodes.values()) {
      const { searches, miscounts } = node.inside.plane.routing.tables;
      if (!this.hasLiar && searches + miscounts > 0)
        throw new Error(`${node.name} doubts a table of routes that nobody made wrong`);
      while (node.isAlive && (node.consumed.length > 0 || node.pending.length > 0)) {
        const taken = node.consumed.splice(0);
        for (const { stream, bytes } of taken) node.stack.consume(this.nowUs, stream, bytes);
        const event = node.pending.shift();
        if (event !== undefined) node.onEvent(event);
      }
    }
  }

  private nextUs(): number {
    let soonestUs = this.flying[0]?.dueUs ?? NEVER;
    for (const node of this.nodes.values()) {
      if (isAwake(node)) soonestUs = Math.min(soonestUs, node.stack.nextDeadlineUs);
    }
    return soonestUs;
  }

  private push(datagram: Flying): void {
    let at = this.flying.length;
    while (at > 0 && this.flying[at - 1]!.dueUs > datagram.dueUs) at -= 1;
    this.flying.splice(at, 0, datagram);
  }
}

function isAwake(node: WorldNode): boolean {
  return node.isAlive && !node.isFrozen;
}
