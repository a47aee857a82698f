/**
 * `npm test`: sets up, runs every test, and ends with the line `N passed, N failed` (and `, N skipped`), alone. Exits
 * with 0 only when something passed and nothing failed. Arguments go to vitest: `npm test -- test/core`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explain, PreparationFailed, prepare, ROOT } from "./preparation.mjs";
import { findProgram, installCommand, isEverythingRequired, PROGRAM_NAMES } from "./programs.mjs";

let count = { passed: 0, failed: 1, skipped: 0 };
let exitCode = 1;
try {
  prepare();
  ({ count, exitCode } = runTests(process.argv.slice(2)));
  nameWhatIsMissing();
} catch (error) {
  if (!(error instanceof PreparationFailed)) throw error;
  exitCode = error.code;
}
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped}\n`);
process.exitCode = exitCode;

function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), "mariana-test-"));
  const countPath = join(folder, "count.json");
  try {
    const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
    const config = join(ROOT, ".config", "vitest.config.ts");
    const counter = join(ROOT, "node", "setup", "test-count.mjs");
    const reporters = ["--reporter=default", `--reporter=${counter}`];
    const result = spawnSync(process.execPath, [vitest, "run", "--config", config, ...reporters, ...args], {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, MARIANA_TEST_COUNT: countPath },
    });
    const count = readCount(countPath);
    if (result.status !== 0 && count.failed === 0) count.failed = 1; // vitest itself broke off
    return { count, exitCode: count.failed === 0 && count.passed > 0 ? 0 : 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readCount(path) {
  try {
    return {
      passed: 0,
      failed: 0,
      skipped: 0,
      ...JSON.parse(readFileSync(path, "utf8")),
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // no run came to its end
  }
}

function nameWhatIsMissing() {
  for (const name of PROGRAM_NAMES) {
    if (findProgram(name) !== undefined) continue;
    const consequence = isEverythingRequired() ? "its tests fail" : "its tests were skipped";
    explain(`${name} is not on this machine: ${consequence}. To have it: ${installCommand(name)}`);
  }
}
