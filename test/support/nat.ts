/** A NAT in miniature: carries datagrams between two ends on 127.0.0.1, and can show either of them a new address. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

/** The end that dials knows the NAT's inner address; the end that is dialled sees its outer one. */
export class Nat {
  private inner!: Socket;
  private outer!: Socket;
  /** Where the end inside is: whoever sent to us last. */
  private insidePort = 0;
  private readonly outsidePort: number;

  private constructor(outsidePort: number) {
    this.outsidePort = outsidePort;
  }

  static async before(outsidePort: number): Promise<Nat> {
    const nat = new Nat(outsidePort);
    await nat.rebindInner();
    await nat.rebindOuter();
    return nat;
  }

  /** Where the end inside sends to. */
  get endpoint(): string {
    return `127.0.0.1:${this.inner.address().port}`;
  }

  /** The end outside sees the one inside at a new port from now on; the old one is closed. */
  async rebindOuter(): Promise<void> {
    const socket = await openSocket((bytes) => {
      if (this.insidePort !== 0) this.inner.send(bytes, this.insidePort, "127.0.0.1");
    });
    this.outer?.close();
    this.outer = socket;
  }

  /** The end inside sees the one outside at a new port from now on; the old one is closed. */
  async rebindInner(): Promise<void> {
    const socket = await openSocket((bytes, port) => {
      this.insidePort = port;
      this.outer.send(bytes, this.outsidePort, "127.0.0.1");
    });
    this.inner?.close();
    this.inner = socket;
  }

  close(): void {
    this.inner.close();
    this.outer.close();
  }
}

async function openSocket(handle: (bytes: Buffer, port: number) => void): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, from) => handle(bytes, from.port));
  socket.on("error", () => undefined); // an ICMP answer to what was sent to a closed port
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}
