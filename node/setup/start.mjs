/** `npm start`: sets up, then shows the network at work on this machine (node/demo). Arguments go to the demo. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PreparationFailed, prepare, ROOT } from "./preparation.mjs";

try {
  prepare({ rooms: ["core", "node"] });
} catch (error) {
  if (!(error instanceof PreparationFailed)) throw error;
  process.exit(error.code);
}
const { runDemo } = await import(pathToFileURL(join(ROOT, "dist", "node", "demo", "demo.js")).href);
process.exitCode = await runDemo(process.argv.slice(2));
