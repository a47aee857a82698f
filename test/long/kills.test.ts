/** kill -9 at any moment: what is on the disk stays whole, and the network works again by itself. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bulk } from "../support/bulk.js";
import { lengthOf } from "../support/length.js";
import { randomFrom } from "../support/random.js";
import { ROLES, type Role, ShortLine } from "../support/short-line.js";

/** In each round every daemon is killed once. */
const ROUNDS = lengthOf({ short: 3, full: 200 });
/** Up to so long after the one before was started again: some kills fall into a start, some into links, some into traffic. */
const MOMENT_MS = 500;

describe("three daemons under traffic", () => {
  const line = new ShortLine(Buffer.concat([...bulk(300_000, "kills")]));
  beforeAll(() => line.start());
  afterAll(() => line.stop());

  test(`each killed at ${ROUNDS} random moments: no key and no configuration is lost, and pages are served again`, async () => {
    const random = randomFrom("kills");
    const before = new Map(ROLES.map((role) => [role, kept(line, role)]));
    const waits: number[] = [];
    let busy = true;
    const traffic = (async () => {
      while (busy) await line.fetch(2_000).catch(() => undefined);
    })();
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const role of ROLES) {
          await sleep(random.below(MOMENT_MS));
          await line.daemon(role).kill();

          expect(kept(line, role)).toEqual(before.get(role));
          await line.restart(role);
        }
        waits.push(await line.untilServed());
      }
    } finally {
      busy = false;
      await traffic;
    }

    for (const role of ROLES) {
      expect(kept(line, role)).toEqual(before.get(role));
      expect(readdirSync(join(line.base, role)).filter((name) => name.includes(".tmp"))).toEqual([]);
    }
    expect(Math.max(...waits)).toBeLessThan(20_000);
  });
});

/** What must survive, as it stands on the disk. The epoch must only be whole: it grows. */
function kept(line: ShortLine, role: Role) {
  const read = (name: string) => readFileSync(join(line.base, role, name), "utf8");
  const state = JSON.parse(read("state.json")) as { epoch: number };
  expect(Number.isInteger(state.epoch)).toBe(true);
  return {
    key: read("privatekey.pem"),
    linkKey: read("linkkey.pem"),
    config: JSON.parse(read("config.json")) as unknown,
  };
}
