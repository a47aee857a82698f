/**
 * The authority of a request target: `host:port` as RFC 9112 section 3.2.3 and the Host header (RFC 9110 section 7.2)
 * write it. Userinfo is never accepted: it would be sent in clear to whoever is named behind the "@".
 */
export interface Authority {
  /** Lower case, without the dot of the root; an IPv6 literal keeps its brackets. */
  readonly host: string;
  /** 1 .. 65 535 */
  readonly port: number;
}

const PORT_MAX = 65_535;
const HOST_MAX = 255;
const HOST_PATTERN = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])$/;
const PORT_PATTERN = /^[0-9]{1,5}$/;

/** Undefined when `text` is not an authority, or names no port and there is no `defaultPort`. */
export function parseAuthority(text: string, defaultPort: number | undefined): Authority | undefined {
  const colon = text.startsWith("[") ? text.indexOf(":", text.indexOf("]")) : text.indexOf(":");
  const written = colon < 0 ? text : text.slice(0, colon);
  const host = written.length > 1 && written.endsWith(".") ? written.slice(0, -1) : written;
  if (host.length > HOST_MAX || !HOST_PATTERN.test(host)) return undefined;
  const digits = colon < 0 ? "" : text.slice(colon + 1);
  const port = digits === "" ? defaultPort : parsePort(digits);
  return port === undefined ? undefined : { host: host.toLowerCase(), port };
}

function parsePort(digits: string): number | undefined {
  if (!PORT_PATTERN.test(digits)) return undefined;
  const port = Number(digits);
  return port >= 1 && port <= PORT_MAX ? port : undefined;
}
