/** What of the machine a test needs: programs of other people, and /proc. */
import { readdirSync } from "node:fs";
import { findProgram, isEverythingRequired } from "../../node/setup/programs.mjs";

/**
 * For `test.skipIf(isMissing("nginx"))`: true when the program is not here and missing it is allowed. Where everything
 * is required the test runs, and fails by the name of what is not there.
 */
export function isMissing(...names: string[]): boolean {
  return !isEverythingRequired() && names.some((name) => findProgram(name) === undefined);
}

/** The program's path. Throws when it is not on this machine. */
export function pathOf(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not on this machine`);
  return path;
}

/** How many files, sockets included, a process holds open. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
