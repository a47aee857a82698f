/** Which nodes a selector means, before chance thins them out. */
import type { Selector } from "./selectors.js";

/** What a selector can ask of a node. */
export interface Member {
  readonly name: string;
  readonly role: string;
  readonly region: string;
  readonly subnets: readonly string[];
}

export class Membership {
  readonly names: (text: string) => boolean;
  readonly subnets: ((text: string) => boolean) | undefined;
  readonly role: string | undefined;
  readonly region: string | undefined;
  readonly sharePpm: number | undefined;
  readonly count: number | undefined;
  readonly state: "alive" | "dead" | "any" | undefined;

  constructor(selector: Selector) {
    const picked = typeof selector === "string" || Array.isArray(selector) ? { name: selector } : selector;
    this.names = picked.name === undefined ? () => true : matcher(picked.name);
    this.subnets = "subnet" in picked && picked.subnet !== undefined ? matcher(picked.subnet) : undefined;
    this.role = "role" in picked ? picked.role : undefined;
    this.region = "region" in picked ? picked.region : undefined;
    this.sharePpm = "share" in picked ? picked.share : undefined;
    this.count = "count" in picked ? picked.count : undefined;
    this.state = "state" in picked ? picked.state : undefined;
  }

  has(node: Member): boolean {
    if (this.role !== undefined && node.role !== this.role) return false;
    if (this.region !== undefined && node.region !== this.region) return false;
    if (this.subnets !== undefined && !node.subnets.some(this.subnets)) return false;
    return this.names(node.name);
  }

  /** How many of `present` are meant. A share is at least one. */
  howMany(present: number): number {
    const shared = this.sharePpm === undefined ? present : Math.round((present * this.sharePpm) / 1_000_000);
    const least = this.sharePpm === 0 ? 0 : Math.min(1, present);
    return Math.min(this.count ?? present, Math.max(least, shared));
  }

  get isThinned(): boolean {
    return this.sharePpm !== undefined || this.count !== undefined;
  }
}

/** `all`, exact names by a set, patterns one after the other. */
function matcher(globs: string | readonly string[]): (text: string) => boolean {
  const list = typeof globs === "string" ? [globs] : globs;
  if (list.includes("all") || list.includes("*")) return () => true;
  const exact = new Set(list.filter((glob) => !/[*?]/.test(glob)));
  const patterns = list.filter((glob) => /[*?]/.test(glob));
  return (text) => exact.has(text) || patterns.some((pattern) => isLike(text, pattern));
}

/** `*` for any letters, `?` for one; never more than text times pattern steps. */
function isLike(text: string, pattern: string): boolean {
  let [t, p, star, from] = [0, 0, -1, 0];
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p;
      p += 1;
      from = t;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      t += 1;
      p += 1;
    } else if (star >= 0) {
      from += 1;
      t = from;
      p = star + 1;
    } else return false;
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}
