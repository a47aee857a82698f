import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  docstringOffences,
  nameOffences,
  promiseOffences,
  purityOffences,
  testOffences,
  topLevelOffences,
  wallOffences,
} from "./support/house-rules.js";
import { sourceText } from "./support/source-text.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PATHS = filesOf("");
const SOURCES = PATHS.filter((path) => /\.(?:ts|mjs)$/.test(path)).map((path) =>
  sourceText(path, readFileSync(join(ROOT, path), "utf8")),
);

describe("the tree", () => {
  test("the rules look at a tree that is there", () => {
    expect(SOURCES.filter((source) => source.path.startsWith("core/")).length).toBeGreaterThan(10);
    expect(SOURCES.filter((source) => source.path.startsWith("test/")).length).toBeGreaterThan(5);
  });

  test("every import stays inside the walls", () => {
    expect(SOURCES.flatMap(wallOffences)).toEqual([]);
  });

  test("the core has no clock, no chance, no promises and no locale", () => {
    expect(SOURCES.flatMap(purityOffences)).toEqual([]);
  });

  test("the top level holds what the design names and nothing else", () => {
    expect(topLevelOffences(readdirSync(ROOT))).toEqual([]);
  });

  test("files and folders are named in kebab-case by what they are", () => {
    expect(PATHS.flatMap(nameOffences)).toEqual([]);
  });

  test("nothing in the tree is left for later", () => {
    expect(SOURCES.flatMap(promiseOffences)).toEqual([]);
  });

  test("every file of core/wire begins with what its bytes are", () => {
    expect(SOURCES.flatMap(docstringOffences)).toEqual([]);
  });

  test("every test is named by a sentence, and none is focused", () => {
    expect(SOURCES.flatMap(testOffences)).toEqual([]);
  });
});

describe("the rules catch what they forbid", () => {
  test.each([
    ["core/wire/x.ts", 'import { a } from "../session/a.js";', "wire imports session, which is not below it"],
    ["core/time/x.ts", 'import { a } from "../trace/a.js";', "time imports trace, which is not below it"],
    ["core/forwarding/x.ts", 'import type { A } from "../transport/a.js";', "forwarding imports transport"],
    ["core/attic/x.ts", 'import { a } from "../time/a.js";', "attic is no room of core"],
    ["core/wire/x.ts", 'import { readFile } from "node:fs";', "imports node:fs"],
    ["core/wire/x.ts", 'import { sha3_256 } from "@noble/hashes/sha3.js";', "imports @noble/hashes/sha3.js"],
    ["core/stack/x.ts", 'import { up } from "../../node/daemon.js";', "core imports from node"],
    ["core/wire/x.ts", 'export * from "../../test/support/world.js";', "core imports from test"],
    ["core/wire/x.ts", 'const a = import("zod");', "imports zod"],
    ["node/cli/x.ts", 'import { test } from "vitest";', "imports vitest"],
    ["node/setup/x.mjs", 'import { z } from "zod";', "imports zod"],
    ["node/cli/x.ts", 'import { sha3_256 } from "@noble/hashes/sha3.js";', "imports @noble/hashes/sha3.js"],
    ["node/cli/x.ts", 'import { world } from "../../test/support/world.js";', "node imports from test"],
  ])("an import that breaks the wall: %s says %s", (path, text, offence) => {
    expect(wallOffences(sourceText(path, text))).toEqual([expect.stringContaining(offence)]);
  });

  test.each([
    ["core/stack/x.ts", 'import { a } from "../proxy/a.js";'],
    ["core/wire/x.ts", 'import { Reader } from "./cursor.js";'],
    ["core/crypto/x.ts", 'import { sha3_256 } from "@noble/hashes/sha3.js";'],
    ["node/cli/x.ts", 'import yargs from "yargs";\nimport { join } from "node:path";'],
    ["test/core/x.ts", 'import fc from "fast-check";\nimport { up } from "../../node/daemon.js";'],
    ["core/wire/x.ts", '// import { a } from "node:fs";\nconst a = "import x from \'node:fs\'";'],
  ])("an import inside the walls passes: %s says %s", (path, text) => {
    expect(wallOffences(sourceText(path, text))).toEqual([]);
  });

  test.each([
    ["const now = Date.now();", "Date"],
    ["const dice = Math.random();", "Math.random"],
    ["export async function a() {}", "async"],
    ["names.sort((a, b) => a.localeCompare(b));", "localeCompare"],
    ["new Intl.NumberFormat();", "Intl"],
    ["for (const key in table) count++;", "for..in"],
    ["console.log(1);", "console"],
    ["setTimeout(f, 1);", "a timer"],
    ["const big = 0xffn;", "a BigInt literal"],
    ["const big = 1_000n;", "a BigInt literal"],
    [`const text = \`\${Date.now()}\`;`, "Date"],
    ['const half = a / b; const c = "/"; Date.now();', "Date"],
  ])("impure code in the core: %s", (text, what) => {
    expect(purityOffences(sourceText("core/wire/x.ts", text))).toEqual([`core/wire/x.ts:1: uses ${what}`]);
    expect(purityOffences(sourceText("node/clock.ts", text))).toEqual([]);
  });

  test("words in comments, strings and regular expressions are no code", () => {
    const text = `
      /** The Date of a packet; see console and 10n. */
      const a = "Math.random() in a string"; // await nothing
      const b = \`async \${a} Intl\`;
      const c = /Date["'\`/]/.test(a);
      for (const key of c in d) f();
    `;
    expect(purityOffences(sourceText("core/wire/x.ts", text))).toEqual([]);
  });

  test("an offence names the line it stands in", () => {
    const text = '/* one\ntwo */\nconst a = "\\"";\nDate.now();\n';
    expect(purityOffences(sourceText("core/wire/x.ts", text))).toEqual(["core/wire/x.ts:4: uses Date"]);
  });

  test("strangers at the top level are seen, dot files are not", () => {
    expect(topLevelOffences(["core", "src", "notes.md", ".config", "node_modules"])).toEqual([
      "src: does not belong at the top level",
      "notes.md: does not belong at the top level",
    ]);
  });

  test.each([
    "core/wire/utils.ts",
    "core/helpers/hex.ts",
    "core/wire/index.ts",
    "core/wire/HelloFrame.ts",
    "core/wireFormat/hello.ts",
    "test/core/hello_frame.test.ts",
  ])("a bad name is refused: %s", (path) => {
    expect(nameOffences(path)).not.toEqual([]);
  });

  test.each([
    "core/wire/hello.ts",
    "core/wire/route-head.ts",
    "core/PROTOCOL.md",
    "test/core/gap-register.test.ts",
    ".config/vitest.config.ts",
    ".biome.json",
    "node/setup/programs.d.mts",
  ])("a good name passes: %s", (path) => {
    expect(nameOffences(path)).toEqual([]);
  });

  test("a note for later is found, in comments too", () => {
    const note = `// ${"TO" + "DO"}: think\n`;
    expect(promiseOffences(sourceText("core/wire/x.ts", note))).toHaveLength(1);
  });

  test("a wire file without a docstring is found", () => {
    expect(docstringOffences(sourceText("core/wire/x.ts", "// short\nexport const A = 1;\n"))).toHaveLength(1);
    const late = "export const A = 1;\n/** Far too late to say what these bytes are. */\n";
    expect(docstringOffences(sourceText("core/wire/x.ts", late))).toHaveLength(1);
    const drawn = "/**\n * HELLO: I am here.\n * offset size field\n */\nexport const A = 1;\n";
    expect(docstringOffences(sourceText("core/wire/x.ts", drawn))).toEqual([]);
  });

  test.each([
    ['test("works", () => {});', "is no sentence"],
    ['test.each([[1, 2]])("adds %i", (a) => {});', "is no sentence"],
    ['test.skipIf(a())("GET works", () => {});', "is no sentence"],
    ['test.only("a long enough sentence here", () => {});', "leaves .only"],
    ['describe.only("x", () => {});', "leaves .only"],
  ])("a bad test is found: %s", (text, offence) => {
    expect(testOffences(sourceText("test/core/x.test.ts", text))).toEqual([expect.stringContaining(offence)]);
  });

  test("a test with a sentence for a title passes", () => {
    const text = 'test("a hello that is echoed brings the link up", () => { expect(only).toBe("test(1)"); });';
    expect(testOffences(sourceText("test/core/x.test.ts", text))).toEqual([]);
  });
});

/** All files of the tree but those that git ignores, relative to the top. */
function filesOf(folder: string): string[] {
  if (existsSync(join(ROOT, ".git"))) {
    const list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    const listed = execFileSync("git", list, { cwd: ROOT, encoding: "utf8" }).split("\0");
    return listed.filter((path) => path !== "" && existsSync(join(ROOT, path)));
  }
  const ignored = ["node_modules", "dist", "coverage", ".git"];
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => !ignored.includes(entry.name))
    .flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesOf(path) : [path];
    });
}
