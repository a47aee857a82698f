/** Edges of a topology that stand in a file of their own: lines of `A B [CLASS]`, `#` begins a comment. */
import type { Complaint, Place } from "./complaint.js";
import type { ScenarioData } from "./schema.js";
import { EDGES_MAX } from "./topologies.js";

export type Whole =
  | { readonly ok: true; readonly data: ScenarioData; readonly place: Place }
  | { readonly ok: false; readonly errors: readonly Complaint[] };

const CHARACTERS_MAX = 20_000_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** The scenario with the edges of its graph file in it, so that its hash covers them. */
export function withGraphFile(
  data: ScenarioData,
  readFile: ((path: string) => string | undefined) | undefined,
  place: Place,
): Whole {
  const { topology } = data;
  if (topology.kind !== "graph") return { ok: true, data, place };
  const refuse = (key: string, message: string): Whole => ({
    ok: false,
    errors: [{ ...place(["topology", key], true), message }],
  });
  const { file, ...rest } = topology;
  if (file === undefined) {
    return rest.edges === undefined
      ? refuse("kind", "topology: a graph needs edges or a file")
      : { ok: true, data, place };
  }
  if (rest.edges !== undefined) return refuse("file", "topology.file: edges stand here and in a file; one of them");
  const text = readFile?.(file);
  if (text === undefined) return refuse("file", `topology.file: ${file} cannot be read`);
  if (text.length > CHARACTERS_MAX) return refuse("file", `topology.file: ${file} is too long`);
  const errors: Complaint[] = [];
  const edges: { a: string; b: string; link?: string }[] = [];
  const lines: number[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") continue;
    const [a, b, link, ...more] = line.split(/\s+/);
    const names = [a, b, link].filter((name) => name !== undefined);
    lines.push(i + 1);
    if (b === undefined || more.length > 0 || !names.every((name) => NAME.test(name))) {
      errors.push({
        file,
        line: i + 1,
        column: 1,
        message: "expected two names of nodes, and perhaps one of a link class",
      });
    } else edges.push(link === undefined ? { a: a!, b } : { a: a!, b, link });
    if (errors.length >= 20 || edges.length > EDGES_MAX) break;
  }
  if (edges.length > EDGES_MAX) return refuse("file", `topology.file: more than ${EDGES_MAX} edges`);
  if (errors.length > 0) return { ok: false, errors };
  return {
    ok: true,
    data: { ...data, topology: { ...rest, edges } },
    // What is wrong with an edge is wrong there.
    place: (path, ofKey) =>
      path[0] === "topology" && path[1] === "edges" && typeof path[2] === "number"
        ? { file, line: lines[path[2]] ?? 1, column: 1 }
        : place(path, ofKey),
  };
}
