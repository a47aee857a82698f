/** Binding the addresses of a proxy: all of them or none. */
import type { AddressInfo, Server, Socket } from "node:net";
import { type Endpoint, printEndpoint } from "../config/endpoint.js";
import { messageOf, systemCode } from "../failure.js";
import type { Log } from "../log.js";
import { OpenStreams } from "../tunnel.js";
import { bindFailure, isFamilyMissing } from "../udp.js";

const COMPLAINT_MS = 60_000;

export interface ProxyListen extends Endpoint {
  /** A machine without this address family is only warned about. */
  readonly optional?: boolean;
}

export interface Bound<S extends Server> {
  readonly server: S;
  readonly endpoint: Endpoint;
}

/**
 * Binds every address, each to a server of its own. Throws a Failure for one that cannot be bound (exit 8 in use, 7 not
 * permitted) and leaves nothing bound then. Port 0 takes a free one, and the same for the addresses after it.
 */
export async function bindAll<S extends Server>(
  kind: "HTTP" | "SOCKS",
  entries: readonly ProxyListen[],
  log: Log,
  create: () => S,
): Promise<Bound<S>[]> {
  const bound: Bound<S>[] = [];
  let chosen = 0;
  for (const entry of entries) {
    const wanted = { host: entry.host, port: entry.port === 0 ? chosen : entry.port };
    try {
      const server = await bind(create(), wanted, log);
      chosen = (server.address() as AddressInfo).port;
      bound.push({ server, endpoint: { host: entry.host, port: chosen } });
    } catch (error) {
      if (entry.optional === true && isFamilyMissing(error)) {
        log.warn("proxy.skipped", { address: printEndpoint(wanted), error: messageOf(error) });
        continue;
      }
      for (const { server } of bound) server.close();
      throw bindFailure(kind, wanted, error);
    }
  }
  return bound;
}

/** The connections of a proxy's clients, all of its servers together. */
export class Clients extends OpenStreams<Socket> {
  watch(server: Server): void {
    server.on("connection", (socket) => {
      this.add(socket);
      socket.once("close", () => this.delete(socket));
    });
  }
}

/** A process without a free file descriptor fails at each client that comes: told once a minute is enough. */
function complainTo(log: Log): (error: Error) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (performance.now() - lastMs < COMPLAINT_MS) return;
    lastMs = performance.now();
    const isCramped = ["EMFILE", "ENFILE"].includes(systemCode(error) ?? "");
    log.warn("proxy.error", { error: messageOf(error), ...(isCramped && { fix: "more open files: ulimit -n 65536" }) });
  };
}

function bind<S extends Server>(server: S, { host, port }: Endpoint, log: Log): Promise<S> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: true, exclusive: true }, () => {
      server.off("error", reject);
      server.on("error", complainTo(log));
      resolve(server);
    });
  });
}
