/** A flow of datagrams joined to a UDP server: one socket for each flow, so that the server can tell its clients apart. */
import { createSocket } from "node:dgram";
import { isIP } from "node:net";
import type { DatagramFlow } from "./datagram-flow.js";

/** Datagrams that wait for the server's name to be resolved; later ones are lost, as datagrams may be. */
const WAITING_MAX = 16;

interface FlowWatcher {
  /** A datagram went one way or the other. */
  moved(): void;
  /** Called once, whoever ended it. */
  ended(): void;
}

/** Returns what ends both. */
export function joinFlow(flow: DatagramFlow, host: string, port: number, watcher: FlowWatcher): () => void {
  const socket = createSocket({ type: isIP(host) === 6 ? "udp6" : "udp4" });
  const waiting: Buffer[] = [];
  let isConnected = false;
  let isEnded = false;
  const end = (): void => {
    if (isEnded) return;
    isEnded = true;
    flow.close();
    socket.close();
    watcher.ended();
  };
  socket.on("message", (bytes) => {
    watcher.moved();
    flow.send(bytes); // one that is too large for a cell is lost
  });
  // A server that is down says so by ICMP, and may be up again for the next datagram; only a name that is none is the end.
  socket.on("error", () => {
    if (!isConnected) end();
  });
  flow.onDatagram = (bytes) => {
    watcher.moved();
    if (isConnected) socket.send(bytes, () => undefined);
    else if (waiting.length < WAITING_MAX) waiting.push(bytes);
  };
  flow.onClose = end;
  socket.once("connect", () => {
    isConnected = true;
    for (const bytes of waiting.splice(0)) socket.send(bytes, () => undefined);
  });
  socket.connect(port, host);
  return end;
}
