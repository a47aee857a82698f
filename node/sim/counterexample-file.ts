/**
 * A counterexample as a YAML file of its own: the small network, what could befall it, and the choices that break a promise. `mariana sim
 * explore --replay` takes it.
 */
import { Document, parseDocument } from "yaml";
import { z } from "zod";
import { type Choice, parseChoice, printChoice, printFault } from "../../sim/explore/choice.js";
import type { Counterexample } from "../../sim/explore/explore.js";
import { EXPLORED_NODES_MAX, EXPLORED_NODES_MIN, type Fault, type Setting } from "../../sim/explore/setting.js";

const CHARACTERS_MAX = 1_000_000;
const CHOICES_MAX = 10_000;

const name = z.string().regex(/^[^\s>-][^\s>]{0,63}$/);
const BODY = z.strictObject({
  nodes: z
    .array(z.strictObject({ name, lastResort: z.boolean() }))
    .min(EXPLORED_NODES_MIN)
    .max(EXPLORED_NODES_MAX),
  links: z.array(z.strictObject({ a: name, b: name, cost: z.int().min(1).max(4) })).max(20),
  faults: z.array(z.string().max(200)).max(100),
  warmupUs: z.int().min(0).max(3_600_000_000),
  mutate: z.enum(["feasibility", "retraction", "delta"]).optional(),
  invariant: z.enum(["loop", "ghost", "lost-delta", "deadlock"]),
  what: z.string().max(1000),
  choices: z.array(z.string().max(200)).max(CHOICES_MAX),
  thenRest: z.boolean(),
});
const FILE = z.strictObject({ counterexample: BODY });

export interface CounterexampleFile {
  readonly setting: Setting;
  readonly counterexample: Counterexample;
}

export function encodeCounterexample(
  { setting, counterexample }: CounterexampleFile,
  heading: readonly string[],
): string {
  const { names, isLastResort, edges, faults, warmupUs, mutation } = setting;
  const { violation, choices, thenRest } = counterexample;
  const document = new Document({
    counterexample: {
      nodes: names.map((name, i) => ({ name, lastResort: isLastResort[i]! })),
      links: edges.map(({ a, b, cost }) => ({ a: names[a]!, b: names[b]!, cost })),
      faults: faults.map((fault) => printFault(fault, setting)),
      warmupUs,
      ...(mutation === undefined ? {} : { mutate: mutation }),
      invariant: violation.invariant,
      what: violation.what,
      choices: choices.map((choice) => printChoice(choice, setting)),
      thenRest,
    },
  });
  document.commentBefore = heading.map((line) => ` ${line}`).join("\n");
  return document.toString({ lineWidth: 0 });
}

/** Never throws, whatever the text: a sentence about what is wrong with it. */
export function decodeCounterexample(text: string): CounterexampleFile | string {
  if (text.length > CHARACTERS_MAX) return `${text.length} characters: this is no counterexample`;
  const parsed = FILE.safeParse(documentIn(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `${issue!.path.join(".") || "the file"}: ${issue!.message}`;
  }
  const { nodes, links, mutate, warmupUs, invariant, what, thenRest, ...lines } = parsed.data.counterexample;
  const names = nodes.map(({ name }) => name);
  if (new Set(names).size < names.length) return "nodes: two have the same name";
  const edges = links.map(({ a, b, cost }) => ({ a: names.indexOf(a), b: names.indexOf(b), cost }));
  if (edges.some(({ a, b }) => a < 0 || b < 0 || a === b)) return "links: each joins two of the nodes";
  const faults: Fault[] = [];
  const whole: Setting = {
    names,
    isLastResort: nodes.map(({ lastResort }) => lastResort),
    edges,
    faults,
    warmupUs,
    mutation: mutate,
  };
  for (const line of lines.faults) {
    const fault = everyFault(whole).find((one) => printFault(one, whole) === line);
    if (fault === undefined) return `faults: ${line}: nothing of these nodes and links`;
    faults.push(fault);
  }
  const choices: Choice[] = [];
  const spent = new Set<number>();
  for (const line of lines.choices) {
    const choice = parseChoice(line, whole, (fault) => spent.has(fault));
    if (choice === undefined) return `choices: ${line}: nothing that can happen here`;
    if (choice.do === "fault") spent.add(choice.fault);
    choices.push(choice);
  }
  return { setting: whole, counterexample: { choices, thenRest, violation: { invariant, what } } };
}

function everyFault({ names, edges }: Setting): Fault[] {
  const ofNodes = names.flatMap((_, node) => (["crash", "start"] as const).map((what) => ({ do: what, node })));
  return [...ofNodes, ...edges.flatMap((_, edge) => (["cut", "mend"] as const).map((what) => ({ do: what, edge })))];
}

/** Undefined for what is not YAML. */
function documentIn(text: string): unknown {
  try {
    const document = parseDocument(text, { stringKeys: true });
    return document.errors.length > 0 ? undefined : document.toJS({ maxAliasCount: 0 });
  } catch {
    return undefined; // aliases
  }
}
