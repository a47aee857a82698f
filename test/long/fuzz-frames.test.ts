import { setPriority } from "node:os";
import { expect, test } from "vitest";
import { fuzz } from "../support/fuzz.js";
import { captureCorpus } from "../support/fuzz-corpus.js";
import { wireTargets } from "../support/fuzz-wire.js";

setPriority(10); // beside daemons that must not be late
const targets = await wireTargets("frames", captureCorpus());

test.each(targets)("$name bears any bytes", (target) => {
  expect(fuzz(target)).toBeGreaterThan(0);
});
