/**
 * UDP ASSOCIATE: datagrams of one SOCKS5 client, as long as its TCP connection lives. They go to overlay ports, one flow
 * for each, and only the client that associated may send them: from its address, and from the port that it named or first
 * used. Nothing is promised to a datagram; one that cannot be sent is dropped and counted.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import type { Socket } from "node:net";
import { decideDatagram } from "../../core/proxy/socks-datagram.js";
import type { SocksFault } from "../../core/proxy/socks5.js";
import type { DatagramFlow } from "../datagram-flow.js";

/** As Driver.openFlow. */
export type OpenFlow = (nac: Uint8Array, port: number, hash?: Uint8Array, isolation?: string) => DatagramFlow;

/** Targets of one client. */
const FLOWS_MAX = 64;

export class SocksAssociation {
  private readonly client: Socket;
  private readonly udp: UdpSocket;
  private readonly openFlow: OpenFlow;
  private readonly isolation: string;
  private readonly drop: (fault: SocksFault) => void;
  /** By the header that the client wrote: the same header stands before what comes back. */
  private readonly flows = new Map<string, DatagramFlow>();
  /** Where the client sends from; 0 until it does. */
  private clientPort: number;

  constructor(args: {
    client: Socket;
    clientPort: number;
    isolation: string;
    openFlow: OpenFlow;
    /** A datagram was dropped. */
    drop: (fault: SocksFault) => void;
  }) {
    this.client = args.client;
    this.clientPort = args.clientPort;
    this.isolation = args.isolation;
    this.openFlow = args.openFlow;
    this.drop = args.drop;
    this.udp = createSocket(args.client.localFamily === "IPv6" ? "udp6" : "udp4");
  }

  /** Answers the port that it listens on, on the address that the client is connected to. */
  listen(): Promise<number> {
    const { udp, client } = this;
    client.once("close", () => this.close());
    udp.on("message", (bytes, from) => this.handleDatagram(bytes, from));
    return new Promise((resolve, reject) => {
      udp.once("error", reject);
      udp.bind({ address: client.localAddress!, port: 0, exclusive: true }, () => {
        udp.off("error", reject);
        udp.on("error", () => client.destroy());
        resolve(udp.address().port);
      });
    });
  }

  private handleDatagram(bytes: Buffer, from: RemoteInfo): void {
    const isClient =
      from.address === this.client.remoteAddress && (from.port === this.clientPort || this.clientPort === 0);
    if (!isClient) {
      this.drop("stranger");
      return;
    }
    this.clientPort = from.port;
    const decision = decideDatagram(bytes, this.isolation);
    if (typeof decision === "string") {
      this.drop(decision);
      return;
    }
    const { target, dataAt } = decision;
    const header = bytes.subarray(0, dataAt);
    const key = header.toString("latin1");
    let flow = this.flows.get(key);
    if (flow === undefined) {
      if (this.flows.size >= FLOWS_MAX) {
        this.drop("busy");
        return;
      }
      flow = this.openFlow(target.nac, target.port, target.hash, target.isolation);
      this.keep(key, flow, Buffer.from(header));
    }
    if (!flow.send(bytes.subarray(dataAt))) this.drop(flow.isClosed ? "busy" : "tooLarge");
  }

  private keep(key: string, flow: DatagramFlow, header: Buffer): void {
    if (flow.isClosed) return;
    this.flows.set(key, flow);
    flow.onClose = () => void this.flows.delete(key);
    flow.onDatagram = (bytes) => {
      this.udp.send(Buffer.concat([header, bytes]), this.clientPort, this.client.remoteAddress, () => undefined);
    };
  }

  private close(): void {
    for (const flow of this.flows.values()) flow.close();
    this.flows.clear();
    this.udp.close();
  }
}
