import { Stream } from "../random/stream.js";
import { pathName } from "./complaint.js";
import type { Draft } from "./draft.js";
import { Membership } from "./membership.js";
import type { Selector } from "./selectors.js";

/** Numbers of the nodes that a selector means before anything happens, ascending. Complains when there is none. */
export function matching(draft: Draft, selector: Selector, path: readonly PropertyKey[]): number[] {
  const membership = new Membership(selector);
  const fitting: number[] = [];
  for (const [i, node] of draft.nodes.entries()) if (membership.has(node)) fitting.push(i);
  if (fitting.length === 0) draft.complain(path, `${pathName(path)}: selects nothing`);
  if (!membership.isThinned) return fitting;
  const stream = new Stream(draft.seed, "select", pathName(path));
  return stream.sample(fitting, membership.howMany(fitting.length)).sort((a, b) => a - b);
}
