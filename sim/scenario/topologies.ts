/** Who knows whom at the beginning. One schema per generator of sim/topology. */
import { z } from "zod";
import { nameText } from "./selectors.js";
import { share } from "./units.js";

/** More nodes than this the simulator does not hold. */
export const NODES_MAX = 20_000;
/** Edges of all nodes together. */
export const EDGES_MAX = 200_000;

const count = (min: number, max: number) => z.int().min(min).max(max);
const range = (min: number, max: number) => z.tuple([count(min, max), count(min, max)]);

const edge = z.union([
  z.tuple([nameText, nameText]),
  z.strictObject({ a: nameText, b: nameText, link: nameText.optional() }),
]);

const internet = z.strictObject({
  kind: z.literal("internet"),
  /** Nodes with an address of their own that everybody reaches. */
  public: share.prefault("20%"),
  /** Public nodes that every other node with a way out dials. */
  uplinks: count(1, 32).default(5),
  /** Public nodes that a public node dials. */
  publicLinks: count(1, 32).default(4),
  /** No public node is given more links than this. */
  degreeMax: count(2, 64).default(64),
  /** Share of all nodes that live in closed subnets; their gateways count among them. */
  subnets: share.prefault("25%"),
  /** Nodes of a subnet without its gateways, least and most. */
  subnetNodes: range(1, 64).prefault([2, 8]),
  gateways: range(1, 8).prefault([1, 2]),
  /** Profiles of `nats` or presets, and how many of a hundred houses have each. */
  nats: z
    .record(nameText, z.int().min(0).max(1_000_000))
    .prefault({ home: 60, symmetric: 15, "carrier-grade": 15, corporate: 10 }),
});

export const topology = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("line") }),
  z.strictObject({ kind: z.literal("ring") }),
  z.strictObject({ kind: z.literal("grid"), rows: count(1, NODES_MAX), columns: count(1, NODES_MAX) }),
  z.strictObject({ kind: z.literal("tree"), arity: count(1, 1000).default(2) }),
  z.strictObject({ kind: z.literal("random-regular"), degree: count(2, 64) }),
  /** Barabási and Albert 1999: each new node links to so many, the better known the likelier. */
  z.strictObject({ kind: z.literal("preferential-attachment"), links: count(1, 32).default(2) }),
  /** Waxman 1988: points in a square, joined with chance beta * exp(-distance / (alpha * diagonal)). */
  z.strictObject({ kind: z.literal("waxman"), alpha: share.prefault("15%"), beta: share.prefault("40%") }),
  z.strictObject({
    kind: z.literal("graph"),
    /** Lines of `A B [CLASS]`; `#` begins a comment. Beside the scenario. */
    file: z.string().min(1).max(1024).optional(),
    edges: z.array(edge).max(EDGES_MAX).optional(),
    allowDisconnected: z.boolean().default(false),
  }),
  internet,
]);
export type Topology = z.output<typeof topology>;
export type TopologyOf<K extends Topology["kind"]> = Extract<Topology, { kind: K }>;
