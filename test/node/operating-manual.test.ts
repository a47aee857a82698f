/** node/OPERATING.md against the code: keys, flags, exit codes, log events and report fields that it must name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ANSWER_FAULTS } from "../../core/proxy/failure.js";
import { REFUSAL_REASONS } from "../../core/proxy/refusal.js";
import { SOCKS_FAULTS } from "../../core/proxy/socks5.js";
import { type Config, defaultConfig } from "../../node/config/config-file.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { EXIT_MEANINGS, ExitCode } from "../../node/failure.js";
import { LoneStack } from "../support/lone-stack.js";

const NODE = fileURLToPath(new URL("../../node", import.meta.url));
const MANUAL = readFileSync(join(NODE, "OPERATING.md"), "utf8");

const SOURCES = readdirSync(NODE, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(join(NODE, name), "utf8"));

/** The text under a heading, up to the next of the same rank or a higher one. */
function section(heading: string): string {
  const start = MANUAL.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`OPERATING.md has no heading "${heading}"`);
  const rest = MANUAL.slice(start + heading.length + 2);
  const rank = heading.split(" ")[0]!.length;
  const end = rest.search(new RegExp(`^#{1,${rank}} `, "m"));
  return end < 0 ? rest : rest.slice(0, end);
}

/** Names in code spans of first table cells; one cell may hold several. */
function firstCells(text: string): string[] {
  const cells = [...text.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell]) => cell!);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
}

/** `link.key` for a key inside an object. */
function keysOf(config: Config): string[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const isGroup = typeof value === "object" && !Array.isArray(value) && key !== "hosts";
    return isGroup ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key];
  });
}

test("every key of config.json is explained, and no other", () => {
  expect(firstCells(section("## config.json")).sort()).toEqual([...keysOf(defaultConfig()), "nac"].sort());
});

test("the exit codes of the manual are those of the code, and each means one thing", () => {
  const rows = [...section("## Exit codes").matchAll(/^\| (\d+) \| (.+) \|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, meaning]) => [code, meaning]))).toEqual(EXIT_MEANINGS);
  expect(Object.keys(EXIT_MEANINGS).map(Number)).toEqual(expect.arrayContaining(Object.values(ExitCode)));
});

test("the log events of the manual are those of the code", () => {
  const calls = SOURCES.flatMap((source) => [...source.matchAll(/\blog\.(?:debug|info|warn|error)\(([^{)]*)/g)]);
  const events = calls.flatMap(([, before]) =>
    [...before!.matchAll(/"([a-z]+\.[A-Za-z]+|crash)"/g)].map(([, name]) => name!),
  );
  expect([...new Set(firstCells(section("## Log")))].sort()).toEqual([...new Set(events)].sort());
});

test("every reason by which something is refused is explained, and no other", () => {
  const reasons = new Set<string>([...REFUSAL_REASONS, ...ANSWER_FAULTS, ...SOCKS_FAULTS]);
  const rows = firstCells(section("### What is refused"));
  expect([...new Set(rows)].sort()).toEqual([...reasons].sort());
});

test("every count of liveness is explained, and no other", () => {
  const { liveness } = new LoneStack(createNativeSuite()).stack.status();
  expect(firstCells(section("#### Liveness counts")).sort()).toEqual(["liveness", ...Object.keys(liveness)].sort());
});

describe("reports", () => {
  const protocol = readFileSync(join(NODE, "control", "protocol.ts"), "utf8");
  const reports = {
    IdReport: "### id",
    StatusReport: "### status",
    PeerReport: "### peers",
    RouteReport: "### routes",
    StreamReport: "### streams",
    HostReport: "### host",
    PeerTrouble: "### status",
  };
  test.each(Object.entries(reports))("every field of %s is named in its section", (report, heading) => {
    const body = new RegExp(`export interface ${report} \\{([^}]+)\\}`).exec(protocol)![1]!;
    const fields = [...body.matchAll(/readonly (\w+):/g)].map(([, field]) => field!);
    const text = section(heading);
    expect(fields.filter((field) => !text.includes(`\`${field}\``))).toEqual([]);
  });
});

test("every flag of up has a row", () => {
  const up = readFileSync(join(NODE, "cli", "commands", "up.ts"), "utf8");
  const flags = [...up.matchAll(/\.option\("(\w+)"/g)].map(([, flag]) => `--${flag}`);
  const rows = firstCells(section("### up")).map((cell) => cell.split(" ")[0]!);
  expect(flags.length).toBeGreaterThan(0);
  expect(flags.filter((flag) => !rows.includes(flag))).toEqual([]);
});
