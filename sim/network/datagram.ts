/** What a datagram of the simulated network is: whence, whither, how long, and why it may come to nothing. */

/** An endpoint is `address * PORTS + port`: exact in a number, since addresses stay below 2^36. */
export const PORTS = 65_536;

export function endpointOf(address: number, port: number): number {
  return address * PORTS + port;
}

export function addressOf(endpoint: number): number {
  return Math.floor(endpoint / PORTS);
}

export function portOf(endpoint: number): number {
  return endpoint - addressOf(endpoint) * PORTS; // ten times as fast as the remainder of numbers beyond 32 bits
}

/**
 * Addresses that nobody owns: every other interface in the realm of the sending interface hears a datagram to them, and
 * no NAT or gateway passes it on. In the internet nobody hears it. As 255.255.255.255 (RFC 919) and ff02::1 (RFC 4291).
 */
export const BROADCAST_ADDRESS = 2 ** 36 - 1;
export const MULTICAST_ADDRESS = 2 ** 36 - 2;

/** Largest UDP payload over IPv4: 65,535 less 20 bytes of IP and 8 of UDP. */
export const DATAGRAM_BYTES_MAX = 65_507;

/** Why a datagram came to nothing. The order is stable: reports list them so. */
export const DROPS = [
  "loss", // a lossy line
  "queue", // a rate's queue was full
  "mtu", // larger than a line carries
  "unreachable", // nobody has that address where the datagram got to
  "closedPort", // the node does not listen there
  "partition",
  "cut",
  "udpBlocked", // a NAT that lets no UDP pass
  "hairpin", // a NAT that does not turn its own side's traffic round
  "noMapping", // inward, to a port that is mapped to nobody
  "filtered", // inward, from a stranger
] as const;

export type Drop = (typeof DROPS)[number];
