/** What datagrams meet between two nodes: links, access lines, NATs. Keys that are left out come from the link it builds upon. */
import { z } from "zod";
import { NAT_PROFILES } from "../network/nat-profiles.js";
import { between, nameText, selector } from "./selectors.js";
import { rate, share, size, span, time } from "./units.js";

export const link = z
  .strictObject({
    latency: time.optional(),
    /** Each datagram takes up to so much longer. */
    jitter: time.optional(),
    /** How much of the jitter a datagram has from the one before it. */
    jitterCorrelation: share.optional(),
    loss: share.optional(),
    /** Gilbert-Elliott, instead of `loss`: chances per datagram to change over, and the loss in either state. */
    burst: z
      .strictObject({ toBad: share, toGood: share, goodLoss: share.prefault("0%"), badLoss: share.prefault("100%") })
      .optional(),
    duplicate: share.optional(),
    reorder: share.optional(),
    /** Such a datagram is held back for so long. */
    reorderBy: time.optional(),
    corrupt: share.optional(),
    rate: rate.optional(),
    /** Bytes that wait for the rate; what comes then is dropped. */
    queue: size.optional(),
    /** Larger UDP payloads are dropped. */
    mtu: size.optional(),
  })
  .meta({ id: "link" });
export type Link = z.output<typeof link>;

/** A class by name, or the link itself. */
export const linkOrClass = z.union([nameText, link]).meta({ id: "linkOrClass" });
export type LinkOrClass = z.output<typeof linkOrClass>;

export const links = z.strictObject({
  /** Between any two nodes that nothing else is said about. With regions, half their round trip comes on top. */
  default: link.prefault({}),
  classes: z.record(nameText, link).prefault({}),
  overrides: z
    .array(z.strictObject({ between, link: linkOrClass, oneWay: z.boolean().default(false) }))
    .max(1000)
    .prefault([]),
});

const BEHAVIOURS = ["endpoint", "address", "port"] as const;
const NAT_PRESETS = Object.keys(NAT_PROFILES) as (keyof typeof NAT_PROFILES)[];

/** RFC 4787. `endpoint` is endpoint-independent, `address` and `port` depend on the peer's. */
export const nat = z.strictObject({
  like: z.enum(NAT_PRESETS).default("home"),
  mapping: z.enum(BEHAVIOURS).optional(),
  filtering: z.enum(BEHAVIOURS).optional(),
  ports: z.enum(["preserve", "sequential", "random"]).optional(),
  hairpin: z.boolean().optional(),
  timeout: span.optional(),
  inboundRefresh: z.boolean().optional(),
  udpBlocked: z.boolean().optional(),
  mappings: z.int().min(1).max(65_535).optional(),
  /** The line of the house or of the carrier. */
  access: linkOrClass.optional(),
});

/** Addresses that reach each other directly, with a NAT before them or closed but for its gateways. */
export const subnet = z.strictObject({
  name: nameText,
  /** Who lives inside; with `each`, everybody in a subnet of his own (`name-0`, `name-1`, ...). */
  select: selector.optional(),
  each: z.boolean().default(false),
  /** Nodes that stand inside as well as outside. */
  gateways: selector.optional(),
  /** A profile of `nats`, or a preset. Without one the gateways are the only way out. */
  nat: nameText.optional(),
  /** The subnet before whose NAT this one lies: a carrier's, for instance. */
  within: nameText.optional(),
  region: nameText.optional(),
  lan: linkOrClass.optional(),
  /** All nodes of the subnet dial each other. */
  mesh: z.boolean().default(false),
});
export type Subnet = z.output<typeof subnet>;
