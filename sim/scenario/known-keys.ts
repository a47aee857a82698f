/** Which keys may stand at a place of a scenario: read from its JSON Schema, so that there is no second list. */
import { schema } from "./schema.js";

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly prefixItems?: readonly Node[];
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly const?: unknown;
  readonly $ref?: string;
}

interface Root extends Node {
  readonly $defs?: Readonly<Record<string, Node>>;
}

/** Made at the first error. */
let root: Root | undefined;

/** `value` is the whole file: in it stands which of several forms was meant. */
export function keysAt(path: readonly PropertyKey[], value: unknown): string[] {
  root ??= schema() as Root;
  let nodes: Node[] = formsOf(root, value);
  let at = value;
  for (const part of path) {
    at = (at as Record<PropertyKey, unknown> | undefined)?.[part];
    nodes = nodes.flatMap((node) => below(node, part)).flatMap((node) => formsOf(node, at));
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})))];
}

function below(node: Node, part: PropertyKey): Node[] {
  if (typeof part === "number") return [node.prefixItems?.[part], node.items].filter((one) => one !== undefined);
  const own = node.properties?.[String(part)];
  if (own !== undefined) return [own];
  return typeof node.additionalProperties === "object" ? [node.additionalProperties] : [];
}

/** All forms of a union that the value's constants (`kind`, `do`) do not rule out. */
function formsOf(node: Node, value: unknown): Node[] {
  const named = node.$ref === undefined ? undefined : root?.$defs?.[node.$ref.replace("#/$defs/", "")];
  if (named !== undefined) return formsOf(named, value);
  const forms = node.anyOf ?? node.oneOf;
  if (forms !== undefined) return forms.flatMap((form) => formsOf(form, value));
  const isRuledOut = Object.entries(node.properties ?? {}).some(
    ([key, one]) => one.const !== undefined && (value as Record<string, unknown> | undefined)?.[key] !== one.const,
  );
  return isRuledOut ? [] : [node];
}
