/** A daemon that stands still for half a minute, as on a laptop that was closed or a machine that swapped. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bulk } from "../support/bulk.js";
import { lengthOf } from "../support/length.js";
import { ROLES, ShortLine } from "../support/short-line.js";

const STOP_MS = lengthOf({ short: 8_000, full: 30_000 });
/** To find the neighbours again, their keys and the way. */
const AGAIN_MS = 15_000;

describe("a daemon that is stopped and goes on", () => {
  const line = new ShortLine(Buffer.concat([...bulk(100_000, "stops")]));
  beforeAll(() => line.start());
  afterAll(() => line.stop());

  test.each(ROLES)(`as %s: after ${STOP_MS / 1000} s without a step the page is served again`, async (role) => {
    const { pid } = line.daemon(role);
    process.kill(pid, "SIGSTOP");
    await sleep(STOP_MS);
    process.kill(pid, "SIGCONT");

    const tookMs = await line.untilServed(AGAIN_MS);

    expect(tookMs).toBeLessThan(AGAIN_MS);
    expect(line.daemon(role).pid).toBe(pid); // the same process went on
    expect((await line.daemon(role).status()).verdict).toBe("ready");
  });
});
