/** The schema of a scenario file. Strict: a key that is not known is an error. What comes out counts in the plan's units. */
import { z } from "zod";
import { linkOrClass, links, subnet } from "./links.js";
import { churn, flap, traffic } from "./processes.js";
import { nameText, selector } from "./selectors.js";
import { nats, roleName, timelineEntry } from "./timeline.js";
import { NODES_MAX, topology } from "./topologies.js";
import { drift, span, time } from "./units.js";

const cpu = z.strictObject({ packet: time, queue: z.int().min(1).max(1_000_000).default(256) });

const nodes = z.strictObject({
  count: z.int().min(1).max(NODES_MAX).optional(),
  /** Instead of n0, n1, ... */
  names: z.array(nameText).min(1).max(NODES_MAX).optional(),
  /** They start at random times of this span, not all at once. */
  over: time.prefault("0s"),
  /** Each clock runs up to so much too fast or too slow. */
  drift: drift.optional(),
  cpu: cpu.optional(),
  /** The line between each node and its network. */
  access: linkOrClass.optional(),
  /** What is different for nodes of a role. */
  roles: z
    .partialRecord(
      roleName,
      z.strictObject({ drift: drift.optional(), cpu: cpu.optional(), access: linkOrClass.optional() }),
    )
    .prefault({}),
});

const regions = z.strictObject({
  names: z.array(nameText).min(1).max(64),
  /** Round trips, a symmetric matrix in the order of the names. */
  rtt: z.array(z.array(time).max(64)).max(64),
  /** Of a hundred nodes; all alike when it is not given. */
  weights: z.record(nameText, z.int().min(0).max(1_000_000)).optional(),
  /** Nodes that stand in a region for certain. */
  place: z.record(nameText, selector).prefault({}),
});

export const SCHEMA = z.strictObject({
  /** For editors that read schemas from JSON files. */
  $schema: z.string().optional(),
  name: nameText,
  description: z.string().max(2000).optional(),
  seed: z
    .union([z.string().min(1).max(200), z.int().min(0)])
    .transform(String)
    .default("1"),
  duration: span,
  /** Control traffic counts from here on. */
  warmup: time.prefault("0s"),
  nodes: nodes.prefault({}),
  topology,
  regions: regions.optional(),
  links: links.prefault({}),
  subnets: z.array(subnet).max(NODES_MAX).prefault([]),
  nats,
  timeline: z.array(timelineEntry).max(10_000).prefault([]),
  churn: z.array(churn).max(16).prefault([]),
  flaps: z.array(flap).max(1000).prefault([]),
  traffic: z.array(traffic).max(1000).prefault([]),
  /** strict: every node proves every 15 s that it lives, whatever the size of the network. */
  routing: z.strictObject({ profile: z.enum(["auto", "strict"]).default("auto") }).prefault({}),
  crypto: z.enum(["modelled", "real"]).default("modelled"),
  /** A core broken on purpose. */
  mutate: z.enum(["feasibility", "retraction", "death", "delta"]).optional(),
  /** METRIC OP VALUE [from T to T] */
  expect: z.array(z.string().max(200)).max(100).prefault([]),
});
export type ScenarioData = z.output<typeof SCHEMA>;

/** Keys that are left out of the canonical form of a scenario: they change nothing of what happens. */
export const UNHASHED: readonly string[] = ["$schema", "description", "seed"];

/** JSON Schema 2020-12 of a scenario file, for editors. */
export function schema(): Record<string, unknown> {
  return { title: "A scenario of mariana sim", ...z.toJSONSchema(SCHEMA, { io: "input" }) };
}
