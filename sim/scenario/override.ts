/** `--set key=value`: changes a scenario before it is checked, so that a wrong value is found like one of the file. */
import { parse } from "yaml";
import type { Complaint } from "./complaint.js";

export type Overridden =
  | {
      readonly ok: true;
      readonly value: unknown;
      readonly flagOf: (path: readonly PropertyKey[]) => Omit<Complaint, "message"> | undefined;
    }
  | { readonly ok: false; readonly errors: readonly Complaint[] };

const FLAGS_MAX = 100;

/** `value` is changed only as a copy. A number in the path is a place of a list. */
export function overridden(value: unknown, flags: readonly string[]): Overridden {
  const copy: unknown = flags.length === 0 ? value : JSON.parse(JSON.stringify(value));
  const errors: Complaint[] = [];
  const set: { readonly path: readonly string[]; readonly flag: string }[] = [];
  for (const flag of flags.slice(0, FLAGS_MAX)) {
    const message = applied(copy, flag, set);
    if (message !== undefined) errors.push({ file: nameOf(flag), line: 0, column: 0, message });
  }
  if (flags.length > FLAGS_MAX)
    errors.push({ file: "--set", line: 0, column: 0, message: `more than ${FLAGS_MAX} of them` });
  if (errors.length > 0) return { ok: false, errors };
  return {
    ok: true,
    value: copy,
    flagOf(path) {
      const names = path.map(String);
      const hit = set.findLast((one) => {
        const length = Math.min(one.path.length, names.length);
        // A key that is missing or wrong around the flag's own place is the flag's when the flag reaches into it.
        return names.length >= one.path.length && one.path.slice(0, length).every((part, i) => part === names[i]);
      });
      return hit === undefined ? undefined : { file: nameOf(hit.flag), line: 0, column: 0 };
    },
  };
}

function nameOf(flag: string): string {
  return `--set ${flag.length > 60 ? `${flag.slice(0, 60)}...` : flag}`;
}

function applied(root: unknown, flag: string, set: { path: readonly string[]; flag: string }[]): string | undefined {
  const equals = flag.indexOf("=");
  if (equals < 1) return "expected KEY=VALUE, such as nodes.count=100";
  const path = flag.slice(0, equals).split(".");
  if (path.length > 16 || path.some((part) => part === "" || part === "__proto__"))
    return "expected a dotted key, such as links.default.loss";
  const text = flag.slice(equals + 1);
  if (text.length > 10_000) return "the value is too long";
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 0 });
  } catch {
    return "the value is no YAML";
  }
  let at = root as Record<string, unknown>;
  for (const [i, part] of path.entries()) {
    if (typeof at !== "object" || at === null) return `${path.slice(0, i).join(".")} holds no keys`;
    if (Array.isArray(at) && !(/^\d{1,6}$/.test(part) && Number(part) < at.length)) {
      return `${path.slice(0, i).join(".")} is a list of ${at.length}: expected a place from 0 to ${at.length - 1}`;
    }
    if (i === path.length - 1) at[part] = value;
    else {
      if (!Object.hasOwn(at, part) || at[part] === null) at[part] = {};
      at = at[part] as Record<string, unknown>;
    }
  }
  set.push({ path, flag });
  return undefined;
}
