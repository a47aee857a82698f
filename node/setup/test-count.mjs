/**
 * A vitest reporter that only counts, for the last line of `npm test`. A file that cannot be loaded and an error that
 * belongs to no test count as one failure each: otherwise a broken file would pass as "0 failed".
 *
 * The counts go as JSON to the file that MARIANA_TEST_COUNT names.
 */
import { writeFileSync } from "node:fs";

export default class TestCount {
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) count[test.result().state] = (count[test.result().state] ?? 0) + 1;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
    }
    const path = process.env.MARIANA_TEST_COUNT;
    if (path !== undefined) writeFileSync(path, JSON.stringify(count));
  }
}
