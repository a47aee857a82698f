/**
 * A scenario: what a file says after everything in it has been checked. The same scenario and seed give the same plan on any machine.
 */

import { canonicalHash } from "./canonical.js";
import { type Complaint, complaintsOf, inOrder } from "./complaint.js";
import { readDocument } from "./document.js";
import { withGraphFile } from "./graph-file.js";
import { meaningComplaints } from "./meaning.js";
import { overridden } from "./override.js";
import { SCHEMA, type ScenarioData } from "./schema.js";

export { type Complaint, printComplaint } from "./complaint.js";
export { expand } from "./expand.js";
export { schema } from "./schema.js";

export interface Scenario extends ScenarioData {
  /** 64 hex digits; the order of keys, comments and the spelling of units leave it alone, and so do seed and description. */
  readonly hash: string;
}

export type Parsed =
  | { readonly ok: true; readonly scenario: Scenario }
  | { readonly ok: false; readonly errors: readonly Complaint[] };

export interface ParseOptions {
  /** Of `--set`: `key=value`, the key dotted (`churn.0.crash=50%`), the value YAML. */
  readonly set?: readonly string[];
  /** Text of a file that the scenario names, relative to it. Without it such a scenario is refused. */
  readonly readFile?: (path: string) => string | undefined;
}

/** Never throws, whatever the text. `file` is only named in errors, at most 20 of them. */
export function parseScenario(text: string, file: string, options: ParseOptions = {}): Parsed {
  const document = readDocument(text, file);
  if (!document.ok) return document;
  const set = overridden(document.value, options.set ?? []);
  if (!set.ok) return { ok: false, errors: inOrder(set.errors) };
  const result = SCHEMA.safeParse(set.value, { reportInput: true });
  const place = (path: readonly PropertyKey[], ofKey = false) => set.flagOf(path) ?? document.place(path, ofKey);
  if (!result.success) return { ok: false, errors: inOrder(complaintsOf(result.error.issues, set.value, place)) };
  const whole = withGraphFile(result.data, options.readFile, place);
  if (!whole.ok) return { ok: false, errors: inOrder(whole.errors) };
  const complaints = meaningComplaints(whole.data, whole.place);
  if (complaints.length > 0) return { ok: false, errors: inOrder(complaints) };
  return { ok: true, scenario: { ...whole.data, hash: canonicalHash(whole.data) } };
}
