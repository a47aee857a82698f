/** What is wrong with a file, where, in one line. */

import type { z } from "zod";
import { clipped } from "./clipped.js";
import { keysAt } from "./known-keys.js";
import { nearest } from "./nearest.js";

export interface Complaint {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** The place of the value at a path, or of its key. */
export type Place = (path: readonly PropertyKey[], ofKey?: boolean) => Omit<Complaint, "message">;

/** More than these nobody reads. */
const COMPLAINTS_MAX = 20;

/** `file:line:column: message`; what comes from a flag has no line. */
export function printComplaint({ file, line, column, message }: Complaint): string {
  return line === 0 ? `${file}: ${message}` : `${file}:${line}:${column}: ${message}`;
}

/** In the order of the file, each once. */
export function inOrder(complaints: readonly Complaint[]): Complaint[] {
  const seen = new Map(complaints.map((complaint) => [printComplaint(complaint), complaint]));
  return [...seen.values()].sort((a, b) => a.line - b.line || a.column - b.column).slice(0, COMPLAINTS_MAX);
}

/** `links.default`, `timeline[3]`. */
export function pathName(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, part) =>
      typeof part === "number" ? `${name}[${part}]` : name === "" ? String(part) : `${name}.${String(part)}`,
    "",
  );
}

type Issue = z.core.$ZodIssue;

export function complaintsOf(issues: readonly Issue[], value: unknown, place: Place): Complaint[] {
  return issues.slice(0, 200).flatMap((issue) => {
    const { path, inner } = theBranchMeant(issue);
    if (inner !== undefined)
      return complaintsOf(
        inner.map((one) => ({ ...one, path: [...path, ...one.path] })),
        value,
        place,
      );
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ ...place([...path, key], true), message: unknownKey(key, path, value) }));
    }
    const isMissing = issue.code === "invalid_type" && issue.input === undefined;
    const name = pathName(path);
    const message = name === "" ? plain(issue) : `${name}: ${plain(issue)}`;
    return [{ ...place(isMissing ? path.slice(0, -1) : path, isMissing), message }];
  });
}

/** Of a union the branch whose errors lie inside the value rather than in what it is. */
function theBranchMeant(issue: Issue): { path: PropertyKey[]; inner?: readonly Issue[] } {
  if (issue.code !== "invalid_union") return { path: issue.path };
  const isInside = (error: Issue) => error.path.length > 0 || error.code === "unrecognized_keys";
  const fitting = issue.errors.find((errors) => errors.length > 0 && errors.every(isInside));
  return fitting === undefined ? { path: issue.path } : { path: issue.path, inner: fitting };
}

function unknownKey(key: string, path: readonly PropertyKey[], value: unknown): string {
  const known = keysAt(path, value);
  const near = nearest(key, known);
  const where = path.length === 0 ? "" : ` in ${pathName(path)}`;
  const hint = near === undefined ? `known here: ${known.join(", ")}` : `nearest: "${near}"`;
  return `unknown key "${clipped(key)}"${where}; ${hint}`;
}

function plain(issue: Issue): string {
  const input = "input" in issue ? issue.input : undefined;
  switch (issue.code) {
    case "invalid_type":
      if (!issue.message.startsWith("Invalid input")) return issue.message;
      if (input === undefined) return "is missing";
      return `expected ${KINDS[issue.expected] ?? issue.expected}, got ${shown(input)}`;
    case "invalid_value": {
      const near = typeof input === "string" ? nearest(input, issue.values.map(String)) : undefined;
      const hint = near === undefined ? "" : `; nearest: "${near}"`;
      return `expected ${issue.values.map(String).join(", ")}, got ${shown(input)}${hint}`;
    }
    case "invalid_union": {
      if (!("options" in issue) || !Array.isArray(issue.options)) return unionText(issue.errors, input);
      const options = issue.options.map(String);
      const given = (input as Record<string, unknown> | undefined)?.[issue.discriminator ?? ""];
      if (given === undefined) return `is missing; expected ${options.join(", ")}`;
      const near = typeof given === "string" ? nearest(given, options) : undefined;
      const hint = near === undefined ? `known: ${options.join(", ")}` : `nearest: "${near}"`;
      return `${shown(given)} is not known; ${hint}`;
    }
    case "invalid_key":
      return issue.issues[0]?.message ?? "is no name";
    case "too_small":
      return `expected at least ${issue.minimum}${unitOf(issue.origin)}`;
    case "too_big":
      return `expected at most ${issue.maximum}${unitOf(issue.origin)}`;
    default:
      return issue.message;
  }
}

/** Nothing of a union fits: what its branches expected, in one breath. */
function unionText(errors: readonly (readonly Issue[])[], input: unknown): string {
  // A branch for another kind of value (a list, say) has nothing to tell who wrote a text.
  const sameKind = errors.filter((branch) => !branch.some((error) => error.code === "invalid_type"));
  const texts = (sameKind.length > 0 ? sameKind : errors).flatMap((branch) =>
    branch.map(plain).map((text) => text.replace(/^expected |[,:;] got .*$/g, "")),
  );
  const unique = [...new Set(texts)].filter((text) => text !== "is missing");
  return unique.length === 0 ? "is missing" : `expected ${unique.join(" or ")}, got ${shown(input)}`;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  int: "a whole number",
  number: "a number",
  object: "keys and values",
  record: "names and values",
  array: "a list",
  tuple: "a list",
  boolean: "true or false",
};

function unitOf(origin: string): string {
  return origin === "string" ? " characters" : origin === "array" ? " entries" : "";
}

function shown(input: unknown): string {
  if (input === null || input === undefined) return "nothing";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "keys and values";
  return typeof input === "string" ? `"${clipped(input)}"` : String(input);
}
