/** `npm run bench -- NAME [--json]`: sets up, then measures (node/bench). */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PreparationFailed, prepare, ROOT } from "./preparation.mjs";

try {
  prepare({ rooms: ["core", "node"] });
} catch (error) {
  if (!(error instanceof PreparationFailed)) throw error;
  process.exit(error.code);
}
const { runBench } = await import(pathToFileURL(join(ROOT, "dist", "node", "bench", "bench.js")).href);
process.exitCode = await runBench(process.argv.slice(2));
