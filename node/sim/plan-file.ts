/**
 * A plan as a YAML file of its own, whose only key is `plan`: every node, link and event of one run written out, as
 * `shrink` leaves it. `run`, `validate`, `verify` and `shrink` take it wherever they take a scenario.
 */
import { Document, isMap, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { z } from "zod";
import { type Action, BYZANTINE, type Plan } from "../../sim/plan/plan.js";

const MICROSECONDS_MAX = 7 * 24 * 3600 * 1_000_000;
const NODES_MAX = 20_000;

const whole = (max: number) => z.int().min(0).max(max);
const index = whole(1_000_000_000);
const indexOrNone = z.int().min(-1).max(1_000_000_000);
const timeUs = whole(MICROSECONDS_MAX);
const ppm = whole(1_000_000);
const bytes = whole(Number.MAX_SAFE_INTEGER);
const text = z.string().max(200);
const list = <T extends z.ZodType>(inner: T) => z.array(inner).max(1_000_000);

/** A key that may be missing, and is undefined then. */
function absent<T extends z.ZodType>(inner: T) {
  return inner.optional().transform((value): z.output<T> | undefined => value);
}

const dial = z.strictObject({ node: index, from: whole(64), address: index });
const cpu = z.strictObject({ packetUs: timeUs, queuePackets: whole(1_000_000) });
const node = z.strictObject({
  name: text.min(1),
  role: z.enum(["public", "private", "gateway"]),
  region: index,
  interfaces: z
    .array(z.strictObject({ realm: index, address: index, access: indexOrNone }))
    .min(1)
    .max(64),
  dials: list(dial),
  driftPpm: z.int().min(-1_000_000).max(1_000_000),
  cpu: absent(cpu),
});
const sameness = z.enum(["endpoint", "address", "port"]);
const nat = z.strictObject({
  address: index,
  mapping: sameness,
  filtering: sameness,
  portChoice: z.enum(["preserve", "sequential", "random"]),
  hairpin: z.boolean(),
  timeoutUs: timeUs,
  inboundRefresh: z.boolean(),
  udpBlocked: z.boolean(),
  mappingsMax: whole(1_000_000),
  access: indexOrNone,
});
const realm = z.strictObject({ name: text, parent: indexOrNone, region: index, nat: absent(nat), lan: indexOrNone });
const model = z.strictObject({
  delayUs: timeUs,
  jitterUs: timeUs,
  jitterCorrelationPpm: ppm,
  lossPpm: ppm,
  burst: absent(z.strictObject({ toBadPpm: ppm, toGoodPpm: ppm, goodLossPpm: ppm, badLossPpm: ppm })),
  duplicatePpm: ppm,
  reorderPpm: ppm,
  reorderUs: timeUs,
  corruptPpm: ppm,
  rate: bytes,
  queueBytes: bytes,
  mtuBytes: bytes,
});
const flow = z.strictObject({
  from: index,
  to: index,
  kind: z.enum(["stream", "datagrams", "request"]),
  bytes,
  count: bytes,
  gapUs: timeUs,
});
const ends = { a: index, b: index };
const does = <K extends string, S extends z.ZodRawShape>(kind: K, shape: S) =>
  z.strictObject({ atUs: timeUs, do: z.literal(kind), ...shape });
const action = z.discriminatedUnion("do", [
  does("start", { node: index }),
  does("crash", { node: index }),
  does("leave", { node: index }),
  does("restart", { node: index, keepsState: z.boolean() }),
  does("pause", { node: index }),
  does("resume", { node: index }),
  does("partition", { id: index, from: list(index), to: list(index), oneWay: z.boolean() }),
  does("heal", { id: index }),
  does("cut", { ...ends, oneWay: z.boolean() }),
  does("mend", ends),
  does("degrade", { ...ends, model: indexOrNone, oneWay: z.boolean() }),
  does("rebind", { realm: index }),
  does("reboot", { realm: index, address: index }),
  does("move", { node: index, interface: whole(64), address: index }),
  does("clock", { node: index, leapUs: timeUs, driftPpm: z.int() }),
  does("slow", { node: index, packetUs: timeUs, queuePackets: whole(1_000_000) }),
  does("byzantine", { node: index, as: z.enum(BYZANTINE) }),
  does("dial", { node: index, dial }),
  does("traffic", { flow }),
]);

const PLAN = z.strictObject({
  name: text.min(1),
  seed: text.min(1),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  durationUs: timeUs,
  warmupUs: timeUs,
  crypto: z.enum(["modelled", "real"]),
  isStrict: z.boolean().default(false),
  mutate: absent(z.enum(["feasibility", "retraction", "death", "delta"])),
  expect: z.array(text).max(100),
  regions: z.strictObject({ names: list(text), rttUs: list(timeUs) }),
  models: list(model),
  defaultModel: index,
  realms: list(realm),
  nodes: z.array(node).min(1).max(NODES_MAX),
  pairs: list(z.strictObject({ ...ends, model: index, oneWay: z.boolean() })),
  actions: list(action),
});

/** Does the text look like a plan rather than a scenario? */
export function isPlanText(text: string): boolean {
  return /^(?:plan:|"plan":|\{\s*"plan"\s*:)/m.test(text);
}

export type DecodedPlan = { readonly plan: Plan } | { readonly errors: readonly string[] };

/** Never throws. Errors are `file:line:column: what`, 20 at most. */
export function decodePlan(text: string, file: string): DecodedPlan {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, stringKeys: true });
  const at = (offset: number) => {
    const { line, col } = counter.linePos(offset);
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  if (document.errors.length > 0) {
    return {
      errors: document.errors.slice(0, 20).map((error) => `${at(error.pos[0])}: ${error.message.split("\n")[0]}`),
    };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { errors: [`${at(0)}: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const result = z.strictObject({ plan: PLAN }).safeParse(value);
  const place = (path: readonly PropertyKey[]): string => {
    for (let length = path.length; length > 0; length -= 1) {
      const found = document.getIn(path.slice(0, length), true) as Node | undefined;
      if (found?.range) return at(found.range[0]);
    }
    return at(0);
  };
  if (!result.success) {
    const { issues } = result.error;
    return { errors: issues.slice(0, 20).map(({ path, message }) => `${place(path)}: ${path.join(".")}: ${message}`) };
  }
  const { plan } = result.data;
  const wrong = danglingIn(plan);
  if (wrong.length > 0) return { errors: wrong.map(({ path, what }) => `${place(["plan", ...path])}: ${what}`) };
  return { plan };
}

interface Dangling {
  readonly path: readonly PropertyKey[];
  readonly what: string;
}

/** Indexes that lead nowhere. */
function danglingIn(plan: Plan): Dangling[] {
  const wrong: Dangling[] = [];
  const check = (count: number, what: string) => (value: number, path: readonly PropertyKey[]) => {
    if (value >= count) wrong.push({ path, what: `there is no ${what} ${value}: there are ${count}, counted from 0` });
  };
  const aNode = check(plan.nodes.length, "node");
  const aModel = check(plan.models.length, "model");
  const aRealm = check(plan.realms.length, "realm");
  const aRegion = check(plan.regions.names.length, "region");
  const addresses = new Set(plan.nodes.flatMap((one) => one.interfaces.map(({ address }) => address)));
  const anAddress = (value: number, path: readonly PropertyKey[]) => {
    if (!addresses.has(value)) wrong.push({ path, what: `no node has the address ${value}` });
  };
  aModel(plan.defaultModel, ["defaultModel"]);
  if (plan.regions.rttUs.length !== plan.regions.names.length ** 2) {
    wrong.push({ path: ["regions", "rttUs"], what: `expected ${plan.regions.names.length ** 2} round trips` });
  }
  for (const [i, { parent, region, nat: own, lan }] of plan.realms.entries()) {
    aRealm(parent, ["realms", i, "parent"]);
    aRegion(region, ["realms", i, "region"]);
    aModel(lan, ["realms", i, "lan"]);
    if (own !== undefined) aModel(own.access, ["realms", i, "nat", "access"]);
  }
  for (const [i, { region, interfaces, dials }] of plan.nodes.entries()) {
    aRegion(region, ["nodes", i, "region"]);
    for (const [j, one] of interfaces.entries()) {
      aRealm(one.realm, ["nodes", i, "interfaces", j, "realm"]);
      aModel(one.access, ["nodes", i, "interfaces", j, "access"]);
    }
    for (const [j, one] of dials.entries()) {
      aNode(one.node, ["nodes", i, "dials", j, "node"]);
      anAddress(one.address, ["nodes", i, "dials", j, "address"]);
      check(interfaces.length, "interface")(one.from, ["nodes", i, "dials", j, "from"]);
    }
  }
  for (const [i, pair] of plan.pairs.entries()) {
    aNode(pair.a, ["pairs", i, "a"]);
    aNode(pair.b, ["pairs", i, "b"]);
    aModel(pair.model, ["pairs", i, "model"]);
  }
  for (const [i, one] of plan.actions.entries()) {
    for (const named of nodesOf(one)) aNode(named, ["actions", i]);
    if (one.do === "degrade") aModel(one.model, ["actions", i, "model"]);
    if (one.do === "rebind" || one.do === "reboot") aRealm(one.realm, ["actions", i, "realm"]);
    if (i > 0 && one.atUs < plan.actions[i - 1]!.atUs)
      wrong.push({ path: ["actions", i], what: "earlier than the one before" });
  }
  return wrong.slice(0, 20);
}

function nodesOf(one: Action): readonly number[] {
  switch (one.do) {
    case "partition":
      return [...one.from, ...one.to];
    case "cut":
    case "mend":
    case "degrade":
      return [one.a, one.b];
    case "traffic":
      return [one.flow.from, one.flow.to];
    case "dial":
      return [one.node, one.dial.node];
    case "heal":
    case "rebind":
    case "reboot":
      return [];
    default:
      return [one.node];
  }
}

/** `heading` becomes a comment at the top: one line each. */
export function encodePlan(plan: Plan, heading: readonly string[]): string {
  const { name, seed, hash, durationUs, warmupUs, crypto, isStrict, mutate, expect, ...rest } = plan;
  const { regions, models, defaultModel, realms, nodes, pairs, actions } = rest;
  const ordered = {
    name,
    seed,
    hash,
    durationUs,
    warmupUs,
    crypto,
    isStrict,
    mutate,
    expect,
    regions,
    models,
    defaultModel,
  };
  const document = new Document({ plan: { ...ordered, realms, nodes, pairs, actions } });
  document.commentBefore = heading.map((line) => ` ${line}`).join("\n");
  for (const key of ["expect", "regions", "models", "realms", "nodes", "pairs", "actions"] as const) {
    const found = document.getIn(["plan", key], true);
    if (isMap(found)) found.flow = true;
    if (!isSeq(found)) continue;
    if (found.items.length === 0) found.flow = true;
    for (const [i, item] of found.items.entries()) {
      if (!isMap(item)) continue;
      item.flow = true;
      if (key === "actions") item.commentBefore = ` ${describeAction(plan, plan.actions[i]!)}`;
      if (key !== "actions" && key !== "pairs") item.comment = ` ${i}`;
    }
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** "12.5 s: n3 crash". */
function describeAction(plan: Plan, one: Action): string {
  const names = [...new Set(nodesOf(one))].map((at) => plan.nodes[at]?.name ?? String(at)).join(" ");
  return `${one.atUs / 1e6} s: ${one.do}${names === "" ? "" : ` ${names}`}`;
}
