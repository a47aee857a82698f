/** `npm run setup`: only the set-up. Afterwards lint, build, test and `npx mariana` work. */
import { PreparationFailed, prepare } from "./preparation.mjs";

try {
  prepare();
} catch (error) {
  if (!(error instanceof PreparationFailed)) throw error;
  process.exit(error.code);
}
