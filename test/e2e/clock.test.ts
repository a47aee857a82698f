/** Wall clocks that jump by a day, back and forth: what runs does not notice, what starts is believed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bulk } from "../support/bulk.js";
import { isMissing } from "../support/machine.js";
import { type Role, ShortLine } from "../support/short-line.js";

/** How long after a start the page may take, milliseconds: two restarts and two new epochs in a row are held back as a destination that flaps. */
const SERVED_MS = 30_000;

describe.skipIf(isMissing("faketime"))("three daemons whose wall clocks are set", () => {
  const folder = mkdtempSync(join(tmpdir(), "mq-clock-"));
  const clockOf = (role: Role) => join(folder, role);
  const set = (role: Role, offset: string) => writeFileSync(clockOf(role), `${offset}\n`);
  const line = new ShortLine(Buffer.concat([...bulk(200_000, "clock")]), (role) => [
    "env",
    `LD_PRELOAD=${fakeTimeLibrary()}`,
    `FAKETIME_TIMESTAMP_FILE=${clockOf(role)}`,
    "FAKETIME_NO_CACHE=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1", // the monotonic clock of a machine does not jump
  ]);

  beforeAll(async () => {
    for (const role of ["client", "relay", "host"] as const) set(role, "+0");
    await line.start();
  });

  afterAll(async () => {
    await line.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(["+1d", "-1d", "+0"])(
    "pages are served while the clock of the relay and the host is set to %s",
    async (offset) => {
      set("relay", offset);
      set("host", offset);

      for (let visit = 0; visit < 5; visit += 1) expect((await line.fetch()).status).toBe(200);

      for (const role of ["client", "relay", "host"] as const) {
        expect(readFileSync(line.daemon(role).logFile, "utf8")).not.toContain("link.down");
      }
    },
  );

  test("a host that was a day ahead and starts again in the present is believed, by a newer epoch", async () => {
    set("host", "+1d");
    await line.daemon("host").stop();
    await line.restart("host");
    await line.untilServed(SERVED_MS);
    const ahead = (await line.daemon("host").status()).epoch!;

    set("host", "-1d");
    await line.daemon("host").stop();
    await line.restart("host");
    await line.untilServed(SERVED_MS);

    expect((await line.daemon("host").status()).epoch!).toBeGreaterThan(ahead);
  });

  test("a client and a relay a day behind still find the host", async () => {
    for (const role of ["relay", "client"] as const) {
      set(role, "-1d");
      await line.daemon(role).stop();
      await line.restart(role);
    }

    expect(await line.untilServed(SERVED_MS)).toBeLessThan(SERVED_MS);
  });
});

/** Where Debian puts it, for whatever machine this is. */
function fakeTimeLibrary(): string {
  const folder = readdirSync("/usr/lib").find((name) => {
    try {
      return readdirSync(join("/usr/lib", name, "faketime")).includes("libfaketime.so.1");
    } catch {
      return false;
    }
  });
  return join("/usr/lib", folder ?? "missing", "faketime", "libfaketime.so.1");
}
