/** YAML (and JSON, which is YAML) to a value, with the place of every key and value kept. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Complaint, Place } from "./complaint.js";

/** A file this long is no scenario. A graph of 200,000 edges goes into a file of its own. */
const CHARACTERS_MAX = 4_000_000;
/** The schema needs eight. The reader calls itself for each. */
const DEPTH_MAX = 64;
/** Aliases that may be unfolded: a few dozen lines could else unfold to gigabytes. */
const ALIASES_MAX = 1000;

export type Read =
  | { readonly ok: true; readonly value: unknown; readonly place: Place }
  | { readonly ok: false; readonly errors: readonly Complaint[] };

export function readDocument(text: string, file: string): Read {
  const refuse = (message: string, line = 1, column = 1): Read => ({
    ok: false,
    errors: [{ file, line, column, message }],
  });
  if (text.length > CHARACTERS_MAX) return refuse(`the file has ${text.length} characters: this is no scenario`);
  if (isDeep(text)) return refuse("brackets or dashes stand too deep in each other: this is no scenario");
  const counter = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: counter,
      prettyErrors: false,
      uniqueKeys: true,
      stringKeys: true,
    });
    if (document.errors.length > 0) {
      return {
        ok: false,
        errors: document.errors.slice(0, 20).map((error) => {
          const { line, col } = counter.linePos(error.pos[0]);
          return {
            file,
            line: Math.max(1, line),
            column: Math.max(1, col),
            message: syntaxMessage(error.code, error.message),
          };
        }),
      };
    }
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    if (value === null || value === undefined) return refuse("the file is empty");
    if (typeof value !== "object" || Array.isArray(value))
      return refuse("expected keys and values, such as  name: line");
    return { ok: true, value, place: placeIn(document, counter, file) };
  } catch (error) {
    // The reader's own limits: aliases that unfold without end, or to something that is not there.
    return refuse(error instanceof Error ? firstLine(error.message) : "this is not YAML");
  }
}

/** Where the value at a path stands, or its key; the nearest thing around it when there is no such value. */
function placeIn(document: Document.Parsed, counter: LineCounter, file: string): Place {
  return (path, ofKey = false) => {
    let node: unknown = document.contents;
    let offset = offsetOf(node) ?? 0;
    for (const [i, part] of path.entries()) {
      if (isAlias(node)) node = node.resolve(document);
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
        if (pair === undefined) break;
        const isLast = i === path.length - 1;
        offset = (isLast && ofKey ? undefined : offsetOf(pair.value)) ?? offsetOf(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(part)];
        offset = offsetOf(node) ?? offset;
      } else break;
    }
    const { line, col } = counter.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function syntaxMessage(code: string, message: string): string {
  if (code === "DUPLICATE_KEY") return "this key stands here a second time";
  if (code === "TAB_AS_INDENT") return "a tab cannot indent: use spaces";
  return `this is not YAML: ${firstLine(message)}`;
}

function firstLine(message: string): string {
  const line = message.split("\n", 1)[0]!;
  return line.length > 200 ? `${line.slice(0, 200)}...` : line;
}

/** Brackets that stand open, dashes and question marks in a row: each makes the reader call itself. Strings count too, which harms nobody. */
function isDeep(text: string): boolean {
  let open = 0;
  let inRow = 0;
  for (let i = 0; i < text.length; i += 1) {
    const letter = text[i];
    if (letter === "{" || letter === "[") open += 1;
    else if (letter === "}" || letter === "]") open -= open > 0 ? 1 : 0;
    else if (letter === "-" || letter === "?" || letter === ":") inRow += 1;
    else if (letter !== " ") inRow = 0;
    if (open > DEPTH_MAX) return true;
    if (inRow > DEPTH_MAX) return true;
    if (letter === "\n") inRow = 0;
  }
  return false;
}
