/** A link of a scenario between two real processes: whatever one sends comes to the other so much later, over sockets on 127.0.0.1. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";

const LOOPBACK = "127.0.0.1";
/** On their way at once, in both directions; what is more is dropped, as a full queue does. */
const UNDERWAY_MAX = 4_096;

export class DelayingRelay {
  packets = 0;
  /** What timers rang late, all packets together. */
  lateMs = 0;
  private readonly near: Socket;
  private readonly far: Socket;
  private readonly delayMs: number;
  private readonly underway = new Set<NodeJS.Timeout>();
  private nearPort = 0;
  private farPort = 0;

  private constructor(delayMs: number, near: Socket, far: Socket) {
    this.delayMs = delayMs;
    this.near = near;
    this.far = far;
    // A process that is dead answers with ICMP: nobody is to hear of it, as over a wire.
    for (const socket of [near, far]) socket.on("error", () => undefined);
    near.on("message", (bytes, from: RemoteInfo) => {
      this.nearPort = from.port; // who dials may come from another port after a restart
      this.later(() => this.send(far, bytes, this.farPort));
    });
    far.on("message", (bytes) => this.later(() => this.send(near, bytes, this.nearPort)));
  }

  static async open(delayMs: number): Promise<DelayingRelay> {
    const [near, far] = await Promise.all([bound(), bound()]);
    return new DelayingRelay(delayMs, near, far);
  }

  /** Whom the dialling end is to dial. */
  get endpoint(): string {
    return `${LOOPBACK}:${this.near.address().port}`;
  }

  /** Who is dialled. What was sent before this was known is lost. */
  leadTo(port: number): void {
    this.farPort = port;
  }

  close(): void {
    for (const timer of this.underway) clearTimeout(timer);
    this.near.close();
    this.far.close();
  }

  private later(send: () => void): void {
    if (this.underway.size >= UNDERWAY_MAX) return;
    const dueMs = performance.now() + this.delayMs;
    const timer = setTimeout(() => {
      this.underway.delete(timer);
      this.packets += 1;
      this.lateMs += performance.now() - dueMs;
      send();
    }, this.delayMs);
    this.underway.add(timer);
  }

  private send(socket: Socket, bytes: Buffer, port: number): void {
    if (port > 0) socket.send(bytes, port, LOOPBACK);
  }
}

async function bound(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, LOOPBACK);
  await once(socket, "listening");
  return socket;
}
