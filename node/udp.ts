/**
 * UDP as the core sees it: datagrams come and go on paths, small integers for (local socket, remote address, port).
 *
 * Addresses live here and nowhere else. In steady state a datagram costs a comparison with the last path seen, or one
 * walk of a hash chain; no string is built and no string-keyed map is asked. Sending copies into a ring of buffers made
 * at the start, because the system may read the bytes after `send` returned while the core reuses its own.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { LINK_DATAGRAM_BYTES } from "../core/wire/control-frame.js";
import { type Endpoint, printEndpoint } from "./config/endpoint.js";
import { systemRandom32 } from "./entropy.js";
import { ExitCode, Failure, messageOf, systemCode } from "./failure.js";
import type { Log } from "./log.js";

/** Links to remember, and the strangers that flood us. At the bound the oldest path that nobody uses is given away. */
export const PATHS_MAX = 4096;
/** Datagrams handed to the system and not yet taken. At the bound a datagram is dropped and counted, as a full link would. */
const SEND_SLOTS = 512;
/** Full-size datagrams leave so many slots to the others: hellos leave also when data has filled the rest. */
const RESERVED_SLOTS = 64;
/** Above every datagram of ours (LINK_DATAGRAM_BYTES); anything longer is a caller's mistake. */
const SLOT_BYTES = 1280;
/** The system clamps it to its own maximum (net.core.rmem_max). Bursts arrive while JavaScript is busy. */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;
const CHAINS = 8192;
/**
 * Turns of the clock hand that an address outlives without another datagram: one when it was only heard, more when it was
 * answered. So a flood from invented addresses takes its own paths away, and not that of a handshake under way.
 */
const HEARD_TURNS = 1;
const ANSWERED_TURNS = 8;
const PORT_ATTEMPTS = 8;

export interface UdpListen extends Endpoint {
  /** A machine without this address family is only warned about. */
  readonly optional?: boolean;
}

export interface UdpDrops {
  /** The send ring was full. */
  sendRing: number;
  /** The system refused or failed a send, by its code (ECONNREFUSED, ENETUNREACH, ...). */
  sendErrors: Record<string, number>;
  /** A datagram from a new address while every path was in use. */
  pathsFull: number;
}

export class UdpPort {
  /** Called for each datagram. The bytes, a Uint8Array and no Buffer, belong to the receiver, who may decrypt in place. */
  onDatagram: (path: number, bytes: Uint8Array, length: number) => void = () => undefined;
  /** Asked before a path is given to another address: true while a link or a dial needs it. */
  isPathInUse: (path: number) => boolean = () => false;
  readonly drops: UdpDrops = { sendRing: 0, sendErrors: {}, pathsFull: 0 };

  private readonly sockets: readonly Socket[];
  private readonly locals: readonly Endpoint[];
  private readonly log: Log;
  private closed = false;

  // Columns, by path.
  private readonly addresses: string[] = [];
  private readonly ports = new Uint16Array(PATHS_MAX);
  private readonly crowds = new Uint32Array(PATHS_MAX);
  private readonly socketOf = new Uint8Array(PATHS_MAX);
  private readonly chainNext = new Int32Array(PATHS_MAX).fill(-1);
  /** Turns of the hand that are left. */
  private readonly recent = new Uint8Array(PATHS_MAX);
  private readonly chainHead = new Int32Array(CHAINS).fill(-1);
  private readonly hashSeed = systemRandom32();
  private last = -1;
  private hand = 0;

  // The send ring: a stack of free slots, since completions may come in any order.
  private readonly slots: readonly Buffer[];
  /** Views of the slots for a whole datagram, by far the most frequent length: `send` with an offset would make one anew. */
  private readonly wholes: readonly Buffer[];
  private readonly slotDone: readonly ((error: Error | null) => void)[];
  private readonly free = new Uint16Array(SEND_SLOTS);
  private freeCount = SEND_SLOTS;

  private constructor(sockets: readonly Socket[], log: Log) {
    this.sockets = sockets;
    this.log = log;
    this.locals = sockets.map((socket) => {
      const { address, port } = socket.address();
      return { host: address, port };
    });
    const slab = Buffer.alloc(SEND_SLOTS * SLOT_BYTES);
    this.slots = Array.from({ length: SEND_SLOTS }, (_, i) => slab.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
    this.wholes = this.slots.map((slot) => slot.subarray(0, LINK_DATAGRAM_BYTES));
    this.slotDone = Array.from({ length: SEND_SLOTS }, (_, i) => (error: Error | null) => {
      if (error) this.countSendError(error);
      this.free[this.freeCount] = i;
      this.freeCount += 1;
    });
    for (let i = 0; i < SEND_SLOTS; i += 1) this.free[i] = i;
    sockets.forEach((socket, index) => {
      socket.on("message", (bytes, from) => this.handleMessage(index, from.address, from.port, bytes));
      // ICMP errors of earlier sends surface here on some systems; they say nothing that a hello timeout does not.
      socket.on("error", (error) => this.countSendError(error));
      growBuffers(socket);
    });
  }

  /**
   * Binds every address of `listen`. Those with port 0 share one free port. Throws a Failure for one that cannot be
   * bound (exit 8 in use, 7 not permitted) and leaves nothing bound then.
   */
  static async open(listen: readonly UdpListen[], log: Log): Promise<UdpPort> {
    for (let attempt = 1; ; attempt += 1) {
      const sockets: Socket[] = [];
      let shared = 0;
      let failed: { entry: UdpListen; error: unknown } | undefined;
      for (const entry of listen) {
        try {
          const socket = await bind({ host: entry.host, port: entry.port || shared });
          sockets.push(socket);
          if (entry.port === 0) shared = socket.address().port;
        } catch (error) {
          if (entry.optional === true && isFamilyMissing(error)) {
            log.warn("udp.skipped", { udp: printEndpoint(entry), error: messageOf(error) });
            continue;
          }
          failed = { entry: { ...entry, port: entry.port || shared }, error };
          break;
        }
      }
      if (failed === undefined) return new UdpPort(sockets, log);
      for (const socket of sockets) socket.close();
      // A port that is free for IPv4 may be taken for IPv6: then another one is chosen for both.
      const retry = shared !== 0 && failed.entry.port === shared && systemCode(failed.error) === "EADDRINUSE";
      if (!retry || attempt === PORT_ATTEMPTS) throw bindFailure("UDP", failed.entry, failed.error);
    }
  }

  /** The local addresses, ports as really bound. */
  get endpoints(): readonly Endpoint[] {
    return this.locals;
  }

  /**
   * The path to a remote address, made when new. -1 when no socket of that family is bound, `address` is no IP address,
   * or every path is in use.
   */
  pathOf(address: string, port: number): number {
    const family = isIP(address);
    const socket = this.locals.findIndex((local) => family !== 0 && isIP(local.host) === family);
    return socket < 0 ? -1 : this.pathFor(socket, address, port);
  }

  /** `host:port` of the remote end, IPv6 in brackets. */
  endpointOf(path: number): string {
    return printEndpoint({
      host: this.addressOf(path),
      port: this.portOf(path),
    });
  }

  addressOf(path: number): string {
    const address = this.addresses[path];
    if (address === undefined) throw new RangeError(`UdpPort: no path has the number ${path}`);
    return address;
  }

  portOf(path: number): number {
    return this.ports[path]!;
  }

  /**
   * The same number for all ports of one machine: of one IPv4 address, and of one /64 of IPv6, in which a machine has as many
   * addresses as it wants. Two machines may have the same by chance, one pair in 2^32.
   */
  crowdOf(path: number): number {
    return this.crowds[path]!;
  }

  /** Hands a copy of `bytes[at, at + length)` to the system. Never throws for the network's sake; losses are counted. */
  send(path: number, bytes: Uint8Array, at: number, length: number): void {
    if (length > SLOT_BYTES) throw new RangeError(`UdpPort: a datagram of ${length} B is longer than ${SLOT_BYTES}`);
    if (this.closed) return;
    if (this.freeCount <= (length === LINK_DATAGRAM_BYTES ? RESERVED_SLOTS : 0)) {
      this.drops.sendRing += 1;
      return;
    }
    this.recent[path] = ANSWERED_TURNS;
    this.freeCount -= 1;
    const slot = this.free[this.freeCount]!;
    const buffer = length === LINK_DATAGRAM_BYTES ? this.wholes[slot]! : this.slots[slot]!.subarray(0, length);
    buffer.set(at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length));
    const done = this.slotDone[slot]!;
    try {
      this.sockets[this.socketOf[path]!]!.send(buffer, this.ports[path]!, this.addresses[path]!, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all(this.sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  private handleMessage(socket: number, address: string, port: number, bytes: Uint8Array): void {
    // Port 0 cannot be answered; nothing honest sends from it.
    if (port === 0) return;
    const path = this.pathFor(socket, address, port);
    if (path < 0) return;
    // A plain Uint8Array: the slice() of a Buffer is a view where the core, rightly, expects a copy.
    this.onDatagram(path, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), bytes.length);
  }

  private pathFor(socket: number, address: string, port: number): number {
    if (this.last >= 0 && this.isPath(this.last, socket, address, port)) return this.last;
    const chain = this.chainOf(socket, address, port);
    for (let path = this.chainHead[chain]!; path >= 0; path = this.chainNext[path]!) {
      if (this.isPath(path, socket, address, port)) {
        if (this.recent[path] === 0) this.recent[path] = HEARD_TURNS;
        this.last = path;
        return path;
      }
    }
    const path = this.takePath();
    if (path < 0) {
      this.drops.pathsFull += 1;
      return -1;
    }
    this.addresses[path] = address;
    this.ports[path] = port;
    this.socketOf[path] = socket;
    this.crowds[path] = hashOf(machineOf(address), this.hashSeed);
    this.recent[path] = HEARD_TURNS;
    this.chainNext[path] = this.chainHead[chain]!;
    this.chainHead[chain] = path;
    this.last = path;
    return path;
  }

  private isPath(path: number, socket: number, address: string, port: number): boolean {
    return this.ports[path] === port && this.socketOf[path] === socket && this.addresses[path] === address;
  }

  /** A number never given yet, else one taken from an address that is out of turns; -1 if none. */
  private takePath(): number {
    if (this.addresses.length < PATHS_MAX) return this.addresses.length;
    for (let step = 0; step < (ANSWERED_TURNS + 1) * PATHS_MAX; step += 1) {
      const path = this.hand;
      this.hand = (this.hand + 1) % PATHS_MAX;
      if (this.recent[path] !== 0) this.recent[path]! -= 1;
      else if (!this.isPathInUse(path)) {
        this.unchain(path);
        return path;
      }
    }
    return -1;
  }

  private unchain(path: number): void {
    const chain = this.chainOf(this.socketOf[path]!, this.addresses[path]!, this.ports[path]!);
    if (this.chainHead[chain] === path) {
      this.chainHead[chain] = this.chainNext[path]!;
      return;
    }
    for (let before = this.chainHead[chain]!; before >= 0; before = this.chainNext[before]!) {
      if (this.chainNext[before] === path) {
        this.chainNext[before] = this.chainNext[path]!;
        return;
      }
    }
  }

  /** Seeded, so that nobody can aim all their addresses at one chain. */
  private chainOf(socket: number, address: string, port: number): number {
    return (hashOf(address, this.hashSeed ^ Math.imul(port * 8 + socket, 0x9e3779b1)) >>> 16) % CHAINS;
  }

  private countSendError(error: Error): void {
    const code = systemCode(error) ?? "unknown";
    const before = this.drops.sendErrors[code] ?? 0;
    this.drops.sendErrors[code] = before + 1;
    if (before === 0) this.log.warn("udp.sendError", { code });
  }
}

function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

/**
 * What a machine cannot easily have many of: its IPv4 address, or the first 64 bits of its IPv6 address. Neighbours on a
 * cable share the first 64 bits of their link-local ones (fe80::1%eth0), so these count whole.
 */
function machineOf(address: string): string {
  if (!address.includes(":") || address.includes("%")) return address;
  const [head = "", tail] = address.split("::");
  const words = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (words.length + last.length < 8) words.push("0");
    words.push(...last);
  }
  return words.slice(0, 4).join(":");
}

/** True when the machine has no such address: IPv6 switched off, mostly. */
export function isFamilyMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT" || code === "EINVAL";
}

/** What to tell a person who cannot bind `entry`. `what` is "UDP" or "HTTP". */
export function bindFailure(what: "UDP" | "HTTP" | "SOCKS", entry: Endpoint, error: unknown): Failure {
  const where = `${what} ${printEndpoint(entry)}`;
  const flag = `--${what.toLowerCase()} HOST:PORT`;
  switch (systemCode(error)) {
    case "EADDRINUSE": {
      const look = what === "UDP" ? `ss -lunp 'sport = :${entry.port}'` : `ss -ltnp 'sport = :${entry.port}'`;
      const fix = `see who holds it with  ${look}  (or lsof -i :${entry.port}), or choose another with ${flag}`;
      return new Failure("port.inUse", ExitCode.inUse, `${where} is in use`, fix);
    }
    case "EACCES":
    case "EPERM": {
      const fix = `ports below 1024 need a privilege: choose another with ${flag}`;
      return new Failure("port.permission", ExitCode.permission, `${where} may not be bound by this user`, fix);
    }
    default:
      return new Failure(
        "port.unusable",
        ExitCode.unexpected,
        `${where} cannot be bound: ${messageOf(error)}`,
        `choose an address of this machine with ${flag}`,
      );
  }
}

/** The address is an IP address already: no resolver runs for each datagram. */
function lookupNothing(
  host: string,
  _options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, host, isIP(host));
}

function bind(entry: Endpoint): Promise<Socket> {
  const six = isIP(entry.host) === 6;
  const socket = createSocket({
    type: six ? "udp6" : "udp4",
    ipv6Only: six,
    lookup: lookupNothing,
  });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address: entry.host, port: entry.port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

function growBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  } catch {
    // A system that refuses keeps its default: more loss in bursts, repaired like any other.
  }
}
