/**
 * Whom something happens to. A selector is a name or glob, a list of them, or an object whose keys all must hold; what is left is then
 * thinned out by `share` or `count`, drawn from the scenario's seed.
 *
 *   hub      [n1, n2]      "n*"      { role: public, share: 10% }      { subnet: home-3, count: 1 }      all
 */
import { z } from "zod";
import { share } from "./units.js";

export const ROLES = ["public", "private", "gateway"] as const;

/** Names of nodes, subnets, classes: short, and safe in a file name and in a shell. */
export const nameText = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "expected a name: letters, digits, and . _ - inside, at most 64")
  .meta({ id: "name" });

/** A name in which `*` stands for any letters and `?` for one. */
const glob = z
  .string()
  .regex(/^[A-Za-z0-9*?][A-Za-z0-9_.*?-]{0,63}$/, "expected a name of a node, or a pattern such as n1*")
  .meta({ id: "pattern", description: "a name of a node; * stands for any letters, ? for one" });
const globs = z.union([glob, z.array(glob).min(1).max(20_000)]);

const picked = z.strictObject({
  name: globs.optional(),
  role: z.enum(ROLES).optional(),
  region: nameText.optional(),
  subnet: globs.optional(),
  /** Of those that are left. At least one of them. */
  share: share.optional(),
  count: z.int().min(1).max(20_000).optional(),
  /** Only those that live, or do not, at that time. Most actions ask the living, restart asks all. */
  state: z.enum(["alive", "dead", "any"]).optional(),
});

export const selector = z
  .union([glob, z.array(glob).min(1).max(20_000), picked])
  .meta({ id: "selector", description: "a name or pattern, a list of them, or { role, share, ... }" });
export type Selector = z.output<typeof selector>;

/** Links of the topology with one end in either; the direction counts where something is one-way. */
export const between = z.tuple([selector, selector]);
