/** NATs as people meet them. Terms of RFC 4787: `endpoint` is endpoint-independent, `port` depends on address and port. */
import type { Nat } from "../plan/plan.js";

export type NatProfile = Omit<Nat, "address" | "access">;

const SECOND = 1_000_000;

const HOME: NatProfile = {
  mapping: "endpoint",
  filtering: "port",
  portChoice: "preserve",
  hairpin: true,
  timeoutUs: 60 * SECOND,
  inboundRefresh: true,
  udpBlocked: false,
  mappingsMax: 4096,
};

export const NAT_PROFILES = {
  /** A router at home: one port for everybody, answers only from whom was asked. */
  home: HOME,
  /** Another port for every peer. */
  symmetric: { ...HOME, mapping: "port", portChoice: "random", hairpin: false },
  /** RFC 6888: many houses, ports in turn, mappings of two minutes. */
  "carrier-grade": {
    ...HOME,
    filtering: "endpoint",
    portChoice: "sequential",
    timeoutUs: 120 * SECOND,
    inboundRefresh: false,
    mappingsMax: 32_768,
  },
  /** A firewall that forgets after half a minute, which RFC 4787 forbids and many do. */
  corporate: {
    ...HOME,
    mapping: "port",
    portChoice: "random",
    hairpin: false,
    timeoutUs: 30 * SECOND,
    inboundRefresh: false,
  },
  "udp-blocked": { ...HOME, udpBlocked: true },
} as const satisfies Record<string, NatProfile>;
