import type { Nat } from "../plan/plan.js";

/** RFC 4787 REQ-5: no less than two minutes, five recommended. Many do less. */
const LONG_US = 300_000_000;
/** Of a flow that nobody answered, by Linux: `nf_conntrack_udp_timeout`. So also natlab. The hardest that is common. */
const SHORT_US = 30_000_000;
const CORPORATE_US = 120_000_000;

/** What scenarios call NATs. Address and access line are the realm's own. */
export type NatProfile = Omit<Nat, "address" | "access">;

export const NAT_PROFILES = {
  /** A house: one port for all remotes, open to endpoints that were sent to ("port-restricted cone"). */
  home: {
    mapping: "endpoint",
    filtering: "port",
    portChoice: "preserve",
    hairpin: true,
    timeoutUs: LONG_US,
    inboundRefresh: true,
    udpBlocked: false,
    mappingsMax: 1024,
  },
  /** Another port for each remote, at random, and soon forgotten: nobody but the remote can guess or use it. */
  symmetric: {
    mapping: "port",
    filtering: "port",
    portChoice: "random",
    hairpin: false,
    timeoutUs: SHORT_US,
    inboundRefresh: true,
    udpBlocked: false,
    mappingsMax: 1024,
  },
  /** RFC 6888: like a house for thousands, random ports (RFC 6056), hairpinning a must. Only the inside keeps a mapping. */
  "carrier-grade": {
    mapping: "endpoint",
    filtering: "address",
    portChoice: "random",
    hairpin: true,
    timeoutUs: LONG_US,
    inboundRefresh: false,
    udpBlocked: false,
    mappingsMax: 60_000,
  },
  /** A firewall that maps by remote endpoint, port after port. */
  corporate: {
    mapping: "port",
    filtering: "port",
    portChoice: "sequential",
    hairpin: false,
    timeoutUs: CORPORATE_US,
    inboundRefresh: false,
    udpBlocked: false,
    mappingsMax: 16_384,
  },
  /** Web only. */
  "udp-blocked": {
    mapping: "port",
    filtering: "port",
    portChoice: "sequential",
    hairpin: false,
    timeoutUs: CORPORATE_US,
    inboundRefresh: false,
    udpBlocked: true,
    mappingsMax: 1,
  },
} as const satisfies Record<string, NatProfile>;
