import { isIP } from "node:net";

/** host:port. `host` is an IP address without brackets, or a name where names are allowed. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:4000`, `[::1]:4000`, `relay.example:4000`; undefined when the text is none of these. Port 0 is allowed. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > 65_535) return undefined;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : undefined;
  if (plain === undefined || !isHost(plain)) return undefined;
  return { host: plain, port };
}

/** An address to listen on: IP only, and `localhost` for 127.0.0.1, so that no resolver decides where we are reachable. */
export function parseListen(text: string): Endpoint | undefined {
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) return undefined;
  if (endpoint.host.toLowerCase() === "localhost") return { host: "127.0.0.1", port: endpoint.port };
  return isIP(endpoint.host) === 0 ? undefined : endpoint;
}

export function printEndpoint(endpoint: Endpoint): string {
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** A peer to keep a link to: where it is, and the hash of its link key if it must be that one and no other. */
export interface PeerAddress extends Endpoint {
  /** 32 bytes, from 64 hexadecimal digits behind `#`. */
  readonly pin?: Uint8Array;
}

/** `HOST:PORT` or `HOST:PORT#LINKKEYHASH`. */
export function parsePeer(text: string): PeerAddress | undefined {
  const [where, hash, ...rest] = text.split("#");
  if (rest.length > 0) return undefined;
  const endpoint = parseEndpoint(where!);
  if (endpoint === undefined || endpoint.port === 0) return undefined;
  if (hash === undefined) return endpoint;
  if (!/^[0-9a-f]{64}$/i.test(hash)) return undefined;
  return { ...endpoint, pin: new Uint8Array(Buffer.from(hash, "hex")) };
}

/** What answers at a hosted port: a TCP server, one on a unix socket, or a UDP server, to which datagrams go. */
export type Target =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "udp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** sockaddr_un: 108 bytes with the closing zero. */
const UNIX_PATH_BYTES_MAX = 107;

/** `127.0.0.1:8080`, `8080` (on 127.0.0.1), `unix:/run/site.sock`, `udp:127.0.0.1:53`. */
export function parseTarget(text: string): Target | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    const isUsable = path.startsWith("/") && !path.includes("\0") && Buffer.byteLength(path) <= UNIX_PATH_BYTES_MAX;
    return isUsable ? { kind: "unix", path } : undefined;
  }
  const kind = text.startsWith("udp:") ? "udp" : "tcp";
  const where = kind === "udp" ? text.slice("udp:".length) : text;
  const endpoint = parseEndpoint(/^\d+$/.test(where) ? `127.0.0.1:${where}` : where);
  return endpoint === undefined || endpoint.port === 0 ? undefined : { kind, ...endpoint };
}

/** As config.json keeps it. */
export function printTarget(target: Target): string {
  if (target.kind === "unix") return `unix:${target.path}`;
  return target.kind === "udp" ? `udp:${printEndpoint(target)}` : printEndpoint(target);
}

/** A port of the overlay, and what answers there. */
export interface HostedPort {
  readonly port: number;
  readonly target: Target;
}

/** `80=127.0.0.1:8080`. */
export function parseHosted(text: string): HostedPort | undefined {
  const match = /^(\d{1,5})=(.+)$/.exec(text);
  return match === null ? undefined : hostedPort(match[1]!, match[2]!);
}

/** The two halves of a hosted port, as config.json holds them. */
export function hostedPort(port: string, text: string): HostedPort | undefined {
  const number = parsePort(port);
  const target = parseTarget(text);
  return number === undefined || target === undefined ? undefined : { port: number, target };
}

/** 1 to 65,535, without leading zeros: one port has one spelling. */
export function parsePort(text: string): number | undefined {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** An IPv4 address, or a DNS name; a text of digits and dots that is no address is neither. */
function isHost(text: string): boolean {
  if (isIP(text) === 4) return true;
  if (/^[\d.]+$/.test(text) || text.length > 253) return false;
  return text.split(".").every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}
