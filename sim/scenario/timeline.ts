/** What happens at a moment. Every entry has `at` and `do`; what lasts may say `for`, and is undone after that time. */
import { z } from "zod";
import { BYZANTINE } from "../plan/plan.js";
import { linkOrClass, nat } from "./links.js";
import { between, nameText, ROLES, selector } from "./selectors.js";
import { NODES_MAX } from "./topologies.js";
import { drift, share, size, span, time } from "./units.js";

const at = time;
/** Not all at once, but spread evenly at random over so long. */
const over = time.optional();
const lasting = span.optional();
const oneWay = z.boolean().default(false);

/** A transfer: a stream, an answer to a request, or `count` datagrams of `size`, one each `gap`. */
export const transfer = {
  from: selector,
  to: selector,
  kind: z.enum(["stream", "datagrams", "request"]),
  size: size.prefault("64KiB"),
  count: z.int().min(1).max(1_000_000).default(1),
  gap: time.prefault("20ms"),
};

const LINKS = {
  between,
  /** Of the links between those two, drawn from the seed. */
  share: share.optional(),
  count: z.int().min(1).max(200_000).optional(),
};

/** Where nodes come in that were not there before. */
export const arriving = {
  /** Live nodes that an arriving one dials, public ones first of all. */
  peers: z.int().min(1).max(32).default(5),
  /** Share of those that arrive which everybody can reach; the others stand behind a NAT of their own. */
  public: share.prefault("20%"),
  /** Its profile. Of the mix of the topology when it is not given, else `home`. */
  nat: nameText.optional(),
  region: nameText.optional(),
};

export const timelineEntry = z.discriminatedUnion("do", [
  z.strictObject({ at, do: z.literal("crash"), select: selector, over, for: lasting }),
  z.strictObject({ at, do: z.literal("leave"), select: selector, over, for: lasting }),
  /** `state: lost` forgets the epoch, never the keys. */
  z.strictObject({
    at,
    do: z.literal("restart"),
    select: selector,
    over,
    state: z.enum(["kept", "lost"]).default("kept"),
  }),
  z.strictObject({ at, do: z.literal("pause"), select: selector, over, for: lasting }),
  z.strictObject({ at, do: z.literal("resume"), select: selector, over }),
  z.strictObject({
    at,
    do: z.literal("join"),
    count: z.int().min(1).max(NODES_MAX),
    over,
    ...arriving,
  }),
  /** Nothing passes from `from` to `to`, and back unless one-way. `to` is everybody else when it is not given. */
  z.strictObject({
    at,
    do: z.literal("partition"),
    id: nameText.default("partition"),
    from: selector,
    to: selector.optional(),
    oneWay,
    for: lasting,
  }),
  z.strictObject({ at, do: z.literal("heal"), id: nameText.default("partition") }),
  z.strictObject({ at, do: z.literal("cut"), ...LINKS, oneWay, for: lasting }),
  /** Undoes cut and degrade. */
  z.strictObject({ at, do: z.literal("mend"), ...LINKS }),
  z.strictObject({ at, do: z.literal("degrade"), ...LINKS, link: linkOrClass, oneWay, for: lasting }),
  /** Links that are cut for `down` of each `every`; with `select` nodes, which crash and come back with their state. */
  z.strictObject({
    at,
    do: z.literal("flap"),
    between: between.optional(),
    select: selector.optional(),
    every: span,
    down: span,
    times: z.int().min(1).max(100_000).default(10),
  }),
  /** Crashes gateways of the subnets. */
  z.strictObject({
    at,
    do: z.literal("gateway-death"),
    subnet: nameText,
    count: z.int().min(1).max(64).default(1),
    for: lasting,
  }),
  /** All mappings of the NAT before the subnet, or before the selected nodes, get other ports. */
  z.strictObject({ at, do: z.literal("rebind"), subnet: nameText.optional(), select: selector.optional(), over }),
  /** The NAT forgets its mappings and comes back with another address. */
  z.strictObject({ at, do: z.literal("reboot"), subnet: nameText.optional(), select: selector.optional(), over }),
  /** The node has another address from then on. */
  z.strictObject({
    at,
    do: z.literal("move"),
    select: selector,
    interface: z.int().min(0).max(7).default(0),
    over,
  }),
  /** The monotonic clock leaps forward, as after a sleep, and drifts from then on. */
  z.strictObject({ at, do: z.literal("clock"), select: selector, leap: time.prefault("0s"), drift: drift.optional() }),
  z.strictObject({
    at,
    do: z.literal("slow"),
    select: selector,
    packet: time,
    queue: z.int().min(1).max(1_000_000).default(256),
    for: lasting,
  }),
  /** Liars, from then on: those who are selected, or all who have a link to one of `around`. Several roles at once: a list. */
  z.strictObject({
    at,
    do: z.literal("byzantine"),
    select: selector.optional(),
    around: selector.optional(),
    as: z.union([z.enum(BYZANTINE), z.array(z.enum(BYZANTINE)).min(1).max(BYZANTINE.length)]),
  }),
  /** A further peer to keep a link to. */
  z.strictObject({ at, do: z.literal("dial"), from: selector, to: selector }),
  z.strictObject({ at, do: z.literal("traffic"), ...transfer, over }),
]);
export type TimelineEntry = z.output<typeof timelineEntry>;
export type EntryOf<K extends TimelineEntry["do"]> = Extract<TimelineEntry, { do: K }>;

export const nats = z.record(nameText, nat).prefault({});
export const roleName = z.enum(ROLES);
