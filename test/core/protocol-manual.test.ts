/**
 * core/PROTOCOL.md against the code: every constant, layout, drop reason and fault that the manual names is what the
 * code says, and no size of a message is missing from it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { DROP_REASONS } from "../../core/stack/drops.js";

const CORE = fileURLToPath(new URL("../../core", import.meta.url));
const MANUAL = readFileSync(join(CORE, "PROTOCOL.md"), "utf8");

interface Claim {
  readonly name: string;
  /** As the manual writes it: "1,200", "0x0a", "250 ms, 500 ms". */
  readonly text: string;
  /** Relative to core. */
  readonly file: string;
}

/** The rows of every table whose columns begin with constant, value, file. */
function claimsOf(manual: string): Claim[] {
  const claims: Claim[] = [];
  let isClaimTable = false;
  for (const line of manual.split("\n")) {
    const cells = line.startsWith("|") ? line.split("|").map((cell) => cell.trim()) : [];
    if (cells.length === 0) isClaimTable = false;
    else if (cells[1] === "constant") isClaimTable = cells[2] === "value" && cells[3] === "file";
    else if (isClaimTable && !cells[1]!.startsWith("---")) {
      const [name, file] = [cells[1]!, cells[3]!].map((cell) => /^`([^`]+)`$/.exec(cell)?.[1]);
      if (name === undefined || file === undefined) throw new Error(`PROTOCOL.md: this row cannot be read: ${line}`);
      claims.push({ name, text: cells[2]!, file });
    }
  }
  return claims;
}

const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 };

/** The numbers of a value cell, durations in the unit of the constant's name. */
function numbersIn({ name, text }: Claim): number[] {
  return text.split(/, (?=\d)/).map((part) => {
    const match = /^(0x[0-9a-f]+|[\d,]+(?:\.\d+)?)(?: (us|ms|s))?$/.exec(part);
    if (match === null) throw new Error(`PROTOCOL.md: the value of ${name} cannot be read: ${part}`);
    const number = Number(match[1]!.replaceAll(",", ""));
    if (match[2] === undefined) return number;
    const unit = name.endsWith("_MS") ? 1_000 : 1;
    return (number * MICROSECONDS[match[2]]!) / unit;
  });
}

async function valueInCode({ name, file }: Claim): Promise<number[]> {
  const path = join(CORE, file);
  const exported = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const [constant, member] = name.split(".") as [string, string?];
  let value = exported[constant];
  if (member !== undefined) value = (value as Record<string, unknown> | undefined)?.[member];
  if (value === undefined) value = privateConstant(readFileSync(path, "utf8"), exported, constant);
  return [value].flat() as number[];
}

/** What a constant that is not exported comes to. It may name other constants of its file, and units of time. */
function privateConstant(source: string, exported: Record<string, unknown>, name: string): unknown {
  const known = exported[name] ?? UNITS[name];
  if (known !== undefined) return known;
  const text = new RegExp(`^const ${name} =([^;]+);`, "m").exec(source)?.[1];
  if (text === undefined) throw new Error(`there is no constant ${name}`);
  const list = /^\s*\[([^\]]*)\]/.exec(text)?.[1];
  const evaluateOne = (expression: string) =>
    evaluate(expression, (other) => privateConstant(source, exported, other) as number);
  return list === undefined ? evaluateOne(text) : list.split(",").map(evaluateOne);
}

const UNITS: Readonly<Record<string, number>> = { MILLISECOND_US: 1_000, SECOND_US: 1_000_000 };

/** Products and sums of numbers and names, shifts last. */
function evaluate(expression: string, resolve: (name: string) => number): number {
  const [sum, shift] = expression.split("<<") as [string, string?];
  const left = sum.split("+").reduce((total, product) => total + productOf(product, resolve), 0);
  return shift === undefined ? left : left * 2 ** productOf(shift, resolve);
}

function productOf(product: string, resolve: (name: string) => number): number {
  return product
    .split(/(?=[*/])/)
    .map((factor) => /^([*/]?)\s*([\w.]+)\s*$/.exec(factor.trim())!)
    .reduce((total, [, operator, operand]) => {
      const number = /^\d/.test(operand!) ? Number(operand!.replaceAll("_", "")) : resolve(operand!);
      return operator === "/" ? total / number : total * number;
    }, 1);
}

const claims = claimsOf(MANUAL);

test.each(claims)("the manual and $file agree on $name", async (claim) => {
  expect(numbersIn(claim)).toEqual(await valueInCode(claim));
});

test("every size that a message exports stands in the manual", async () => {
  const missing: string[] = [];
  for (const name of readdirSync(join(CORE, "wire"))) {
    const file = `wire/${name}`;
    const exported = (await import(pathToFileURL(join(CORE, file)).href)) as Record<string, unknown>;
    for (const [constant, value] of Object.entries(exported)) {
      const members = typeof value === "object" ? Object.keys(value as object).map((key) => `${constant}.${key}`) : [];
      const isObjectOfNumbers = members.length > 0 && Object.values(value as object).every(Number.isInteger);
      const wanted = isObjectOfNumbers ? members : typeof value === "number" ? [constant] : [];
      for (const one of wanted) {
        if (!claims.some((claim) => claim.file === file && claim.name === one)) missing.push(`${file} ${one}`);
      }
    }
  }
  expect(missing).toEqual([]);
});

const TOLD_IN_WORDS = [
  "link/cost.ts RTT_STEPS_US", // section 8.2
  "forwarding/key-relay.ts ASKED_BY_US", // no time at all
];

test("every wait of the core that has a name stands in the manual", () => {
  const missing: string[] = [];
  for (const path of sourceFiles(CORE)) {
    const file = relative(CORE, path);
    for (const [, name] of readFileSync(path, "utf8").matchAll(/^(?:export )?const ([A-Z][A-Z_]*_US) =/gm)) {
      if (UNITS[name!] === undefined && !claims.some((claim) => claim.file === file && claim.name === name))
        missing.push(`${file} ${name}`);
    }
  }
  expect(missing.filter((one) => !TOLD_IN_WORDS.includes(one))).toEqual([]);
});

/** `offset size field` rows, without what is said behind them. */
function rowsOf(text: string): string[] {
  const rows: string[] = [];
  for (const line of text.split("\n")) {
    const match = /^[\s*]*((?:end)?-?\d*(?:[|+]\w+)*)\s+(\d+(?:\|\d+)?(?:\*n)?|n|-)\s+([A-Za-z]\w*)/.exec(line);
    if (match !== null) rows.push(`${match[1]} ${match[2]} ${match[3]}`);
  }
  return rows;
}

/** The layouts of the manual: blocks whose first line ends with the codec's file. */
const layouts = new Map<string, string>();
for (const [, head, body] of MANUAL.matchAll(/^```\n(.* (?:wire\/[\w-]+\.ts))\n([\s\S]*?)^```$/gm)) {
  layouts.set(head!.trim().split(/\s+/).at(-1)!, body!);
}

test.each([...layouts.keys()])("the layout above the codec in %s is the manual's", (file) => {
  const docs = [...readFileSync(join(CORE, file), "utf8").matchAll(/\/\*\*[\s\S]*?\*\//g)].map(([doc]) => doc);
  const inCode = docs.filter((doc) => /offset\s+size\s+field/.test(doc)).flatMap(rowsOf);
  expect(inCode.length).toBeGreaterThan(0);
  expect(rowsOf(layouts.get(file)!)).toEqual(inCode);
});

test("every codec with a layout has one in the manual", () => {
  const withLayout = readdirSync(join(CORE, "wire"))
    .filter((name) => /offset\s+size\s+field/.test(readFileSync(join(CORE, "wire", name), "utf8")))
    .map((name) => `wire/${name}`);
  expect([...layouts.keys()].sort()).toEqual(withLayout.sort());
});

/** First cells of the table behind `heading`. */
function tableBehind(heading: string): string[] {
  const table = MANUAL.slice(MANUAL.indexOf(heading)).split("\n\n")[1] ?? "";
  return [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name!);
}

test("the drop reasons of the manual are the code's, in its order", () => {
  expect(tableBehind("**Drop reasons**")).toEqual([...DROP_REASONS]);
});

test("the handshake faults of the manual are the code's", () => {
  const source = readFileSync(join(CORE, "session", "context.ts"), "utf8");
  const union = /export type HandshakeFault =([^;]+);/.exec(source)![1]!;
  expect(tableBehind("**Handshake faults**")).toEqual([...union.matchAll(/"(\w+)"/g)].map(([, name]) => name));
});

test("every file that the manual names is there", () => {
  const named = [...MANUAL.matchAll(/`((?:[a-z-]+\/)+[a-z-]+\.ts)`/g)].map(([, file]) => file!);
  const missing = named.filter((file) => !existsSync(join(CORE, file)) && !existsSync(join(CORE, "..", file)));
  expect(missing).toEqual([]);
});

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}
