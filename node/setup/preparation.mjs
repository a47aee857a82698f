/**
 * Everything that must be true before our own code can run: a Node that is new enough, the packages of the lockfile,
 * the compiled rooms, the `mariana` command. Plain JavaScript and Node builtins only: it works in a bare clone.
 *
 * Each step prints one line with the time it took, on stderr.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the clone. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The oldest Node that our packages support, as [major, minor]. */
const NODE_OLDEST = [20, 19];

/** What a set-up that cannot go on exits with: EX_UNAVAILABLE of sysexits.h. */
export const EXIT_UNAVAILABLE = 69;

const NODE_MODULES = join(ROOT, "node_modules");
const STAMP = join(NODE_MODULES, ".mariana-lockfile");
const COMMAND = join(ROOT, "dist", "node", "cli", "main.js");

/** A step that failed, already explained to the reader on stderr. */
export class PreparationFailed extends Error {
  /** @param {string} message what failed @param {number} code the exit code that says so */
  constructor(message, code = 1) {
    super(message);
    this.code = code;
  }
}

/**
 * Checks, installs, builds, links. Throws PreparationFailed.
 *
 * @param {{ rooms?: string[] }} [options] `rooms` to compile; all of them, tests included, when left out
 */
export function prepare({ rooms = [] } = {}) {
  checkNode();
  installPackages();
  build(rooms);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [oldestMajor, oldestMinor] = NODE_OLDEST;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  const need = `Node ${oldestMajor}.${oldestMinor} or newer`;
  explain(`Mariana's Qubit needs ${need}; this is ${process.version} (${process.execPath}).`);
  explain("Get a newer one from https://nodejs.org/en/download, or with a version manager: nvm install --lts");
  throw new PreparationFailed(`needs ${need}`, EXIT_UNAVAILABLE);
}

function installPackages() {
  const lockHash = createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === lockHash) return;
  step("packages installed", () => run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]));
  writeFileSync(STAMP, lockHash);
}

/** `tsc -b` is incremental: with nothing changed it ends at once. */
function build(rooms) {
  const compiler = join(NODE_MODULES, "typescript", "bin", "tsc");
  step("rooms compiled", () => run(process.execPath, [compiler, "-b", ...rooms]));
  if (!existsSync(COMMAND)) return;
  chmodSync(COMMAND, 0o755);
  linkCommand();
}

/** Makes `npx mariana` find this clone's command, as an installed package would. */
function linkCommand() {
  const bin = join(NODE_MODULES, ".bin");
  mkdirSync(bin, { recursive: true });
  if (process.platform === "win32") {
    writeFileSync(join(bin, "mariana.cmd"), `@node "${COMMAND}" %*\r\n`);
    return;
  }
  const link = join(bin, "mariana");
  rmSync(link, { force: true });
  symlinkSync(join("..", "..", "dist", "node", "cli", "main.js"), link);
}

function step(done, work) {
  const startedAt = performance.now();
  work();
  explain(`${done.padEnd(20)} ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** Runs a program in the clone; what it prints is shown only when it fails. */
function run(program, args) {
  const shell = process.platform === "win32" && program === "npm";
  const result = spawnSync(program, args, {
    cwd: ROOT,
    encoding: "utf8",
    shell,
    maxBuffer: 1 << 26,
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  const command = [program, ...args].join(" ");
  explain(result.error ? `${command}: ${result.error.message}` : `${command} ended with ${result.status}`);
  throw new PreparationFailed(`${command} failed`);
}

/** @param {string} line */
export function explain(line) {
  process.stderr.write(`${line}\n`);
}
