import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createLog } from "../../node/log.js";
import { PATHS_MAX, UdpPort } from "../../node/udp.js";
import type { Port, PortWorld, Remote } from "./port.js";

const quiet = createLog({ level: "error", unsafe: false, write: () => undefined });
/** Real time: as long as a datagram on loopback may ever take on a busy machine. */
const PATIENCE_MS = 5_000;
/** As long as to see that nothing comes. */
const SILENCE_MS = 100;

class RealPort implements Port {
  readonly arrivals: Port["arrivals"] = [];
  readonly udp: UdpPort;

  constructor(udp: UdpPort) {
    this.udp = udp;
    udp.onDatagram = (path, bytes, length) => this.arrivals.push({ path, bytes: bytes.slice(0, length) });
  }

  set isPathInUse(isInUse: (path: number) => boolean) {
    this.udp.isPathInUse = isInUse;
  }

  get pathsFull(): number {
    return this.udp.drops.pathsFull;
  }

  pathTo(remote: Remote): number {
    return this.udp.pathOf(remote.host, remote.port);
  }

  send(path: number, bytes: Uint8Array, at: number, length: number): void {
    this.udp.send(path, bytes, at, length);
  }
}

/** Real sockets on loopback: 127.0.0.1 or ::1. */
export class UdpWorld implements PortWorld {
  readonly pathsMax = PATHS_MAX;
  private readonly host: string;
  private readonly ports: RealPort[] = [];

  constructor(host: "127.0.0.1" | "::1") {
    this.host = host;
  }

  async open(): Promise<Port> {
    const port = new RealPort(await UdpPort.open([{ host: this.host, port: 0 }], quiet));
    this.ports.push(port);
    return port;
  }

  async remoteOf(port: Port): Promise<Remote> {
    if (!(port instanceof RealPort)) throw new TypeError("a port of another world");
    return port.udp.endpoints[0]!;
  }

  nobody(n: number): Remote {
    return { host: this.host, port: 1 + n };
  }

  async settle(isDone: () => boolean): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS;
    while (!isDone() && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
  }

  async close(): Promise<void> {
    await Promise.all(this.ports.map(({ udp }) => udp.close()));
  }
}

/** Machines without IPv6 on loopback are spared its half of the contract. */
export async function hasIpv6(): Promise<boolean> {
  const socket = createSocket("udp6");
  try {
    socket.bind(0, "::1");
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
