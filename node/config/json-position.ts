/**
 * Where in a JSON text a value or a key stands, so that an error can say file:line:column.
 *
 * `yaml` keeps positions but accepts far more than JSON; JSON.parse is strict but forgets where. So both read the text:
 * JSON.parse decides, yaml points.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export type JsonPath = readonly PropertyKey[];

export class JsonPositions {
  private readonly lines = new LineCounter();
  private readonly root: Node | null;
  private readonly firstError: number | undefined;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
    const document = parseDocument(text, { lineCounter: this.lines, version: "1.2", uniqueKeys: true });
    this.root = document.contents;
    this.firstError = document.errors[0]?.pos[0];
  }

  /** The place of the value at `path`, or of the last part of the path that exists. */
  ofValue(path: JsonPath): Position {
    return this.at(this.find(path)?.value ?? 0);
  }

  /** The place of the key that `path` ends in. */
  ofKey(path: JsonPath): Position {
    const found = this.find(path);
    return this.at(found?.key ?? found?.value ?? 0);
  }

  /** The place at which the text stops being JSON, from what the parser says, else from the reader that keeps positions. */
  ofSyntaxError(error: unknown): Position {
    const said = /position (\d+)/.exec(String(error));
    if (said !== null) return this.at(Number(said[1]));
    if (/end of JSON input/.test(String(error))) return this.at(this.text.trimEnd().length);
    return this.at(this.firstError ?? 0);
  }

  /** A key that stands twice in one object, which JSON.parse would let pass silently. */
  duplicateKey(): { readonly key: string; readonly position: Position } | undefined {
    const found = duplicateIn(this.root);
    return found === undefined ? undefined : { key: found.key, position: this.at(found.offset) };
  }

  private find(path: JsonPath): { key: number | undefined; value: number } | undefined {
    let node: Node | null = this.root;
    let found = { key: undefined as number | undefined, value: node?.range?.[0] ?? 0 };
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
        if (pair === undefined) return found;
        const key = (pair.key as Node).range?.[0];
        node = (pair.value as Node | null) ?? null;
        found = { key, value: node?.range?.[0] ?? key ?? found.value };
      } else if (isSeq(node)) {
        node = (node.items[Number(part)] as Node | undefined) ?? null;
        if (node === null) return found;
        found = { key: undefined, value: node.range?.[0] ?? found.value };
      } else {
        return found;
      }
    }
    return found;
  }

  private at(offset: number): Position {
    const { line, col } = this.lines.linePos(offset);
    return line === 0 ? { line: 1, column: offset + 1 } : { line, column: col };
  }
}

function duplicateIn(node: unknown): { key: string; offset: number } | undefined {
  if (isSeq(node)) {
    for (const item of node.items) {
      const found = duplicateIn(item);
      if (found !== undefined) return found;
    }
  }
  if (!isMap(node)) return undefined;
  const seen = new Set<string>();
  for (const pair of node.items) {
    if (!isScalar(pair.key)) continue;
    const key = String(pair.key.value);
    if (seen.has(key)) return { key, offset: pair.key.range?.[0] ?? 0 };
    seen.add(key);
    const found = duplicateIn(pair.value);
    if (found !== undefined) return found;
  }
  return undefined;
}
