/** On which addresses a node listens: what config.json and the flags of this run come to. */
import { isIP } from "node:net";
import type { ProxyListen } from "../proxy/listening.js";
import type { UdpListen } from "../udp.js";
import type { Config } from "./config-file.js";
import { type Endpoint, parseListen } from "./endpoint.js";

/** Of a proxy. A machine without IPv6 still has one on IPv4. */
export function proxyListen(chosen: "off" | readonly (string | Endpoint)[]): ProxyListen[] {
  if (chosen === "off") return [];
  const listen = chosen.map((entry) => (typeof entry === "string" ? parseListen(entry)! : entry));
  return listen.map((entry) => ({ ...entry, optional: listen.length > 1 && isIP(entry.host) === 6 }));
}

/** Port 0 stands for the kept port; while none is kept, for a free one. */
export function udpListen(config: Config, flag: readonly Endpoint[] | undefined): UdpListen[] {
  const chosen: readonly UdpListen[] =
    flag ??
    (config.udp === "auto"
      ? [
          { host: "0.0.0.0", port: 0 },
          { host: "::", port: 0, optional: true },
        ]
      : config.udp.map((text) => parseListen(text)!));
  return chosen.map((entry) => ({ ...entry, port: entry.port || config.udpPort }));
}

/** A new config.json keeps the first port; a later start only fills in what was still open. */
export function portToKeep(
  found: Config | undefined,
  listen: readonly UdpListen[],
  bound: readonly Endpoint[],
): number {
  const kept = found?.udpPort ?? 0;
  if (kept !== 0) return kept;
  const wasOpen = found === undefined || listen.some((entry) => entry.port === 0);
  return wasOpen ? (bound[0]?.port ?? 0) : 0;
}
