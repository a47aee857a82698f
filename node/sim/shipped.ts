/** The scenarios that ship with us: scenarios/ and its families, folders one below. A name means one of them. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ENDING = ".yaml";

/** Names to paths, sorted by name. Empty when the folder is not there. */
export function shippedScenarios(): ReadonlyMap<string, string> {
  const folder = shippedFolder();
  if (!existsSync(folder)) return new Map();
  const entries = readdirSync(folder, { withFileTypes: true });
  const families = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  const files = [folder, ...families].flatMap((place) => readdirSync(place).map((file) => join(place, file)));
  const named = files.filter((path) => path.endsWith(ENDING)).map((path): [string, string] => [nameOf(path), path]);
  return new Map(named.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a scenario at `path` is called on the command line. */
function nameOf(path: string): string {
  return path.slice(dirname(path).length + 1, -ENDING.length);
}

/** Beside the package.json above this file, in a clone as in an installed package. */
export function shippedFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, "scenarios");
}
