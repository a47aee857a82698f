/**
 * A datagram between a SOCKS5 client and the proxy (RFC 1928 section 7). The same header stands before what comes back.
 *
 *   offset  size  field
 *        0     2  reserved, zero
 *        2     1  fragment, zero: a fragmented datagram is refused, as most proxies do
 *        3     n  address as in a request: type, address, port
 *      3+n        data
 */
import type { Tunnel } from "./request-decision.js";
import { addressEnd, decideAddress, type SocksFault } from "./socks5.js";

const ADDRESS_OFFSET = 3;

export interface SocksDatagram {
  readonly target: Tunnel;
  /** Where the data begins. What stands before it is the header of all answers. */
  readonly dataAt: number;
}

export function decideDatagram(bytes: Uint8Array, isolation: string): SocksDatagram | SocksFault {
  if (bytes.length < ADDRESS_OFFSET + 2 || bytes[0] !== 0 || bytes[1] !== 0) return "malformed";
  if (bytes[2] !== 0) return "fragment";
  const dataAt = addressEnd(bytes, ADDRESS_OFFSET);
  if (dataAt === undefined) return "addressType";
  if (bytes.length < dataAt) return "malformed";
  const target = decideAddress(bytes, ADDRESS_OFFSET, isolation);
  return typeof target === "string" ? target : { target, dataAt };
}
