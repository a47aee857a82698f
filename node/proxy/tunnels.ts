/** Tunnels: a client's connection joined to an overlay stream, however the client asked for it (CONNECT, SOCKS, Upgrade). */
import type { Duplex } from "node:stream";
import { breakStream, joinStreams, OpenStreams, watchClient } from "../tunnel.js";
import { type Connect, limitOpening, type StreamTarget } from "./stream-agent.js";

export class Tunnels {
  private readonly connect: Connect;
  private readonly streams = new OpenStreams<Duplex>();

  constructor(connect: Connect) {
    this.connect = connect;
  }

  get size(): number {
    return this.streams.size;
  }

  /**
   * Opens a stream to `target` and joins it to `client`. `accepted` is called, before anything is joined, once the far end
   * took the stream: a client can then tell "down" from "hung up". `failed` leaves the client's connection to the caller.
   * `early` is what the client said before it was answered.
   */
  open(
    target: StreamTarget,
    client: Duplex,
    early: Buffer,
    then: { readonly accepted: () => void; readonly failed: (error: Error) => void },
  ): void {
    const stream = this.connect(target.nac, target.port, target.hash, target.isolation);
    limitOpening(stream);
    this.keep(client, stream);
    const stop = watchClient(client, early.length > 0, () => void stream.destroy());
    const fail = (error: Error): void => {
      stop();
      then.failed(error);
    };
    stream.once("error", fail);
    stream.once("accepted", () => {
      stop();
      stream.off("error", fail);
      then.accepted();
      this.splice(client, early, stream);
    });
  }

  /** Joins a stream that is open already. */
  join(client: Duplex, early: Buffer, stream: Duplex): void {
    stream.allowHalfOpen = true;
    this.keep(client, stream);
    this.splice(client, early, stream);
  }

  /** Lets them end by themselves for at most `drainMs`, then breaks what is left. */
  close(drainMs: number): Promise<void> {
    return this.streams.close(drainMs);
  }

  private keep(client: Duplex, stream: Duplex): void {
    this.streams.add(stream);
    stream.once("close", () => {
      this.streams.delete(stream);
      if (!client.writableEnded && !client.destroyed) breakStream(client);
    });
  }

  private splice(client: Duplex, early: Buffer, stream: Duplex): void {
    if (early.length > 0) stream.write(early);
    joinStreams(client, stream, () => undefined);
  }
}
