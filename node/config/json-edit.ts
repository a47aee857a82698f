/**
 * Changes one value in a JSON text and leaves every other character where it is: order, spaces, line ends, a byte order
 * mark. What a person laid out stays laid out.
 */
import { isMap, isScalar, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";

/** The text with `value` at `path`; undefined removes it. Objects on the way are made. The text must be a JSON object. */
export function editJson(text: string, path: readonly string[], value: unknown): string {
  const offset = text.startsWith("\ufeff") ? 1 : 0;
  const body = text.slice(offset);
  const root = parseDocument(body, { version: "1.2" }).contents;
  if (!isMap(root)) throw new TypeError("text: not a JSON object");
  return text.slice(0, offset) + editIn(body, root, path, value);
}

function editIn(text: string, parent: YAMLMap, path: readonly string[], value: unknown): string {
  const [key, ...inner] = path;
  if (key === undefined) throw new RangeError("path: empty");
  const at = parent.items.findIndex((item) => isScalar(item.key) && String(item.key.value) === key);
  const pair = parent.items[at];
  if (pair === undefined) {
    const whole = inner.reduceRight<unknown>(
      (rest, name) => (rest === undefined ? undefined : { [name]: rest }),
      value,
    );
    return whole === undefined ? text : insert(text, parent, key, whole);
  }
  if (inner.length > 0 && isMap(pair.value)) return editIn(text, pair.value, inner, value);
  if (value === undefined) return remove(text, parent, at);
  const [start, end] = rangeOf(pair.value as Node);
  return (
    text.slice(0, start) + render(text, start, inner.length === 0 ? value : { [inner[0]!]: value }) + text.slice(end)
  );
}

function insert(text: string, parent: YAMLMap, key: string, value: unknown): string {
  const [open, close] = rangeOf(parent);
  const first = parent.items[0];
  const last = parent.items.at(-1);
  const written = (before: string) =>
    `${before}${JSON.stringify(key)}: ${render(text + before, text.length + before.length, value)}`;
  if (first === undefined || last === undefined) {
    if (!isLaidOut(text))
      return `${text.slice(0, open)}{${JSON.stringify(key)}: ${JSON.stringify(value)}}${text.slice(close)}`;
    const outer = lineEnd(text) + indentAt(text, open);
    return `${text.slice(0, open)}{${written(outer + INDENT)}${outer}}${text.slice(close)}`;
  }
  const gap = text.slice(open + 1, startOf(first)); // what stands before the first stands before the new one
  const end = endOf(last);
  return `${text.slice(0, end)},${written(gap === "" ? " " : gap)}${text.slice(end)}`;
}

function remove(text: string, parent: YAMLMap, at: number): string {
  const { items } = parent;
  const [open, close] = rangeOf(parent);
  if (items.length === 1) return `${text.slice(0, open)}{}${text.slice(close)}`;
  if (at > 0) return text.slice(0, endOf(items[at - 1]!)) + text.slice(endOf(items[at]!));
  return text.slice(0, startOf(items[0]!)) + text.slice(startOf(items[1]!));
}

const INDENT = "  ";

/** As the text around it: on lines of its own where the text has lines. */
function render(text: string, at: number, value: unknown): string {
  if (!isLaidOut(text)) return JSON.stringify(value);
  return JSON.stringify(value, null, INDENT).replaceAll("\n", lineEnd(text) + indentAt(text, at));
}

function isLaidOut(text: string): boolean {
  return text.trim().includes("\n");
}

function lineEnd(text: string): string {
  return text.includes("\r\n") ? "\r\n" : "\n";
}

function indentAt(text: string, at: number): string {
  const line = text.slice(text.lastIndexOf("\n", at - 1) + 1);
  return /^[ \t]*/.exec(line)![0];
}

function startOf(pair: Pair): number {
  return rangeOf(pair.key as Node)[0];
}

function endOf(pair: Pair): number {
  return rangeOf(pair.value as Node)[1];
}

function rangeOf(node: Node): readonly [start: number, end: number] {
  const [start, end] = node.range!;
  return [start, end];
}
