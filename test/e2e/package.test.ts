/** The package as npm makes it, installed where there is nothing else. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitReady } from "../../node/cli/status.js";
import { directoryOf } from "../../node/config/directory.js";
import { removeFolder, temporaryFolder } from "../support/daemons.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const runFile = promisify(execFile);
let base: string;
let mariana: string;

beforeAll(async () => {
  base = temporaryFolder();
  const { stdout } = await runFile("npm", ["pack", "--silent", "--pack-destination", base], { cwd: ROOT });
  const tarball = join(base, stdout.trim());
  const place = join(base, "empty");
  mkdirSync(place);
  writeFileSync(join(place, "package.json"), "{}"); // without one npm looks for a project in the folders above
  await runFile("npm", ["install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", tarball], { cwd: place });
  mariana = join(place, "node_modules", ".bin", "mariana");
});
afterAll(() => removeFolder(base));

test("the tarball holds what runs, and neither sources nor tests", async () => {
  const { stdout } = await runFile("npm", ["pack", "--dry-run", "--json"], { cwd: ROOT });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);

  expect(paths).toContain("dist/node/cli/main.js");
  expect(paths).toContain("README.md");
  expect(paths.filter((path) => /^(test|dist\/test|node|core)\//.test(path))).toEqual([]);
});

test("it brings no package that the command does not need", () => {
  const installed = readdirSync(join(base, "empty", "node_modules"));

  expect(installed).toContain("marianas-qubit");
  for (const name of ["vitest", "typescript", "playwright-core", "ws", "undici"]) expect(installed).not.toContain(name);
});

test("a daemon starts from it, says ready, and ends", async () => {
  const directory = join(base, "node");
  const args = ["up", "--dir", directory, "--udp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--socks", "off"];
  const up = runFile(mariana, args);
  try {
    const status = await waitReady(directoryOf(directory, {}), 30);
    const { stdout } = await runFile(mariana, ["id", "--dir", directory, "--json"]);

    expect(status.verdict).toBe("ready");
    expect((JSON.parse(stdout) as { nac: string }).nac).toBe(status.nac);
  } finally {
    up.child.kill("SIGTERM");
    await up;
  }
});
