/**
 * The rules of the house as functions: a file in, its offences out. test/tidy.test.ts runs them over the tree, and over
 * bad samples that each rule must catch.
 */
import { posix } from "node:path";
import { importsOf, lineOf, type SourceText } from "./source-text.js";

/** `path:line: what is wrong`. */
export type Offence = string;

/**
 * The rooms of core from the ground up. A room imports only from rows above its own in this list, and from itself. The
 * ground (level 0 of the design) has an order of its own: collections need instants, traces need collections.
 */
export const CORE_LEVELS: readonly (readonly string[])[] = [
  ["address", "time"],
  ["collections"],
  ["trace"],
  ["wire"],
  ["crypto"],
  ["session"],
  ["link", "discovery"],
  ["routing"],
  ["chain", "forwarding", "transport", "circuit"],
  ["stream"],
  ["proxy"],
  ["stack"],
];

/** Folders at the top, and the folders at the top that each may import from. */
const WALLS: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  sim: ["sim", "core"],
  node: ["node", "sim", "core"],
  viz: ["viz", "sim", "core"],
  test: ["test", "node", "sim", "core", "viz", "scenarios"],
};

/** Packages that each may import, as prefixes; `node:` stands for the builtins. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  core: [],
  "core/crypto": ["@noble/post-quantum", "@noble/ciphers", "@noble/curves", "@noble/hashes"],
  sim: ["seedrandom"],
  "sim/scenario": ["seedrandom", "yaml", "zod"],
  "sim/record": ["seedrandom", "d3-force"],
  node: ["node:", "yargs", "yaml", "zod"],
  "node/setup": ["node:"], // it runs before anything is installed
  viz: ["d3", "vite"],
};

/** Rule of the walls: who may import what. */
export function wallOffences(source: SourceText): Offence[] {
  const top = source.path.split("/")[0]!;
  const allowedTops = WALLS[top];
  if (allowedTops === undefined) return [];
  return importsOf(source).flatMap(({ target, offset }) => {
    const offend = (what: string) => [at(source, offset, what)];
    if (!target.startsWith(".")) return isPackageAllowed(source.path, target) ? [] : offend(`imports ${target}`);
    const path = posix.normalize(posix.join(posix.dirname(source.path), target));
    const targetTop = path.split("/")[0]!;
    if (!allowedTops.includes(targetTop)) return offend(`${top} imports from ${targetTop}`);
    if (top !== "core") return [];
    const own = roomOf(source.path);
    const other = roomOf(path);
    if (own === other) return [];
    const ownLevel = levelOf(own);
    const otherLevel = levelOf(other);
    if (ownLevel < 0) return offend(`${own} is no room of core`);
    if (otherLevel < 0) return offend(`${other} is no room of core`);
    return otherLevel < ownLevel ? [] : offend(`${own} imports ${other}, which is not below it`);
  });
}

/** What would make two runs of the core differ, or read the world behind the shell's back. */
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\b/g, "Date"],
  [/\bMath\s*\.\s*random\b/g, "Math.random"],
  [/\basync\b/g, "async"],
  [/\bawait\b/g, "await"],
  [/\bPromise\b/g, "Promise"],
  [/\bIntl\b/g, "Intl"],
  [/\blocaleCompare\b/g, "localeCompare"],
  [/\btoLocale\w+/g, "a locale"],
  [/\bfor\s*\(\s*(?:const|let|var)\s+[\w$]+\s+in\b/g, "for..in"],
  [/\bconsole\b/g, "console"],
  [/\bset(?:Timeout|Interval|Immediate)\b/g, "a timer"],
  [/\b(?:0[xXoObB][\da-fA-F_]+|\d[\d_]*)n\b/g, "a BigInt literal"],
  [/\bprocess\s*\./g, "process"],
  [/\bglobalThis\b/g, "globalThis"],
];

/** Rule of purity: core and the simulator's engine. */
export function purityOffences(source: SourceText): Offence[] {
  if (!source.path.startsWith("core/") && !source.path.startsWith("sim/")) return [];
  return IMPURE.flatMap(([pattern, what]) =>
    [...source.code.matchAll(pattern)].map((match) => at(source, match.index, `uses ${what}`)),
  );
}

const TOP_LEVEL = [
  "core",
  "sim",
  "node",
  "viz",
  "scenarios",
  "test",
  "package.json",
  "tsconfig.json",
  "README.md",
  "package-lock.json",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
];

/** What tools leave behind and git ignores. */
const TOP_LEVEL_IGNORED = ["node_modules", "dist", "coverage"];

/** Rule of the front door: nothing at the top but what DESIGN names, dot files, and what tools leave behind. */
export function topLevelOffences(entries: readonly string[]): Offence[] {
  return entries
    .filter((entry) => !entry.startsWith("."))
    .filter((entry) => !TOP_LEVEL.includes(entry) && !TOP_LEVEL_IGNORED.includes(entry))
    .map((entry) => `${entry}: does not belong at the top level`);
}

const NAMELESS = /^(?:utils?|helpers?|misc|common|shared|lib|stuff)$/;

/** Rule of names: kebab-case, manuals in capitals, and no drawer that anything fits in. */
export function nameOffences(path: string): Offence[] {
  const parts = path.split("/");
  const file = parts.pop()!;
  const offences: Offence[] = [];
  for (const folder of parts) {
    if (!/^\.?[a-z0-9]+(?:-[a-z0-9]+)*$/.test(folder)) offences.push(`${path}: the folder ${folder} is not kebab-case`);
    if (NAMELESS.test(folder)) offences.push(`${path}: the folder ${folder} says nothing about what is in it`);
  }
  const stem = file.replace(/(?:\.(?:test|contract|d|config|base))?\.[a-z]+$/, "");
  const isManual = /^[A-Z]+\.md$/.test(file);
  const isDotFile = file.startsWith(".");
  if (!isManual && !isDotFile && !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(stem)) {
    offences.push(`${path}: the name is not kebab-case`);
  }
  if (NAMELESS.test(stem)) offences.push(`${path}: the name says nothing about what is in it`);
  if (/^index\.[mc]?[jt]s$/.test(file)) offences.push(`${path}: import from the file that has it, not from an index`);
  return offences;
}

// Put together here, so that this file does not offend against itself.
const PROMISES = new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`, "g");

/** Rule of the finished: no note in the code that something is still to come. */
export function promiseOffences(source: SourceText): Offence[] {
  return [...source.text.matchAll(PROMISES)].map((match) => at(source, match.index, `says ${match[0]}`));
}

/** Rule of drawn packets: a file of core/wire says what it is before its first export. */
export function docstringOffences(source: SourceText): Offence[] {
  if (!source.path.startsWith("core/wire/")) return [];
  const firstExport = source.code.search(/^export\b/m);
  const head = source.text.slice(0, firstExport < 0 ? source.text.length : firstExport);
  return /\/\*\*[\s\S]{20,}?\*\//.test(head) ? [] : [`${source.path}:1: no docstring before the first export`];
}

const WORDS_MIN = 3;

/** Rule of test titles: a sentence about behaviour. Also: nothing focused, nothing switched off for good. */
export function testOffences(source: SourceText): Offence[] {
  if (!source.path.endsWith(".test.ts") && !source.path.endsWith(".contract.ts")) return [];
  const offences: Offence[] = [];
  for (const match of source.code.matchAll(/\b(?:test|it|describe|suite)\s*\.\s*(only|todo)\b/g)) {
    offences.push(at(source, match.index, `leaves .${match[1]}`));
  }
  for (const { title, offset } of titlesOf(source)) {
    const words = title.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
    const isComputed = title.includes("${"); // its words are known only when it runs
    if (words.length < WORDS_MIN && !isComputed)
      offences.push(at(source, offset, `the title "${title}" is no sentence`));
  }
  return offences;
}

/** Titles of test(...), it(...), test.skipIf(...)(...), test.each(...)(...): the first string literal of the last call. */
function titlesOf(source: SourceText): { title: string; offset: number }[] {
  const titles: { title: string; offset: number }[] = [];
  for (const match of source.code.matchAll(/(?<![\w$.])(?:test|it)(?:\s*\.\s*[a-zA-Z]+)*\s*(?=\()/g)) {
    let open = match.index + match[0].length;
    for (;;) {
      const close = closing(source.code, open);
      if (source.code[close + 1] !== "(") break;
      open = close + 1; // test.each(...)( : the title is in the second call
    }
    const argument = /^\(\s*(["'`])/.exec(source.code.slice(open));
    if (argument === null) continue;
    const start = open + argument[0].length;
    const end = source.code.indexOf(argument[1]!, start);
    titles.push({ title: source.text.slice(start, end), offset: match.index });
  }
  return titles;
}

function closing(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === "(") depth++;
    if (code[at] === ")" && --depth === 0) return at;
  }
  return code.length;
}

function isPackageAllowed(path: string, target: string): boolean {
  const parts = path.split("/");
  if (parts[0] === "test") return true; // tests see everything
  const allowed = PACKAGES[`${parts[0]}/${parts[1]}`] ?? PACKAGES[parts[0]!] ?? [];
  return allowed.some((name) => (name.endsWith(":") ? target.startsWith(name) : matchesPackage(target, name)));
}

function matchesPackage(target: string, name: string): boolean {
  return target === name || target.startsWith(`${name}/`);
}

function roomOf(path: string): string {
  return path.split("/")[1]!;
}

function levelOf(room: string): number {
  return CORE_LEVELS.findIndex((rooms) => rooms.includes(room));
}

function at(source: SourceText, offset: number, what: string): Offence {
  return `${source.path}:${lineOf(source, offset)}: ${what}`;
}
