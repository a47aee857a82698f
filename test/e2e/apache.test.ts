import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Line } from "../../node/demo/line.js";
import { fetchThrough, openThrough } from "../../node/demo/proxy-request.js";
import { hashOf, writeBulk } from "../support/bulk.js";
import { removeFolder, startLineTo, stopAll, temporaryFolder } from "../support/daemons.js";
import { isMissing } from "../support/machine.js";
import { startApache, type WebServer } from "../support/web-servers.js";

const BIG_BYTES = 10_000_000;
const PAGE = "<!doctype html><title>Apache here</title>\n";

describe.skipIf(isMissing("apache2"))("Apache behind the last of five daemons", () => {
  let base: string;
  let apache: WebServer;
  let line: Line;
  let bigSha256: string;

  beforeAll(async () => {
    base = temporaryFolder();
    apache = await startApache(join(base, "apache"));
    writeFileSync(join(apache.root, "index.html"), PAGE);
    bigSha256 = await writeBulk(join(apache.root, "big.bin"), BIG_BYTES, "apache");
    line = await startLineTo(apache.address, base);
  });

  afterAll(async () => {
    await stopAll(line?.daemons ?? []);
    await apache?.stop();
    removeFolder(base);
  });

  test("a page arrives, and 304 when the client already has it", async () => {
    const url = `http://${line.name}/index.html`;
    const first = await fetchThrough(line.proxy, url);
    const second = await fetchThrough(line.proxy, url, { headers: { "if-none-match": first.headers.etag! } });

    expect(first.status).toBe(200);
    expect(first.body.toString()).toBe(PAGE);
    expect(first.headers.server).toMatch(/^Apache/);
    expect(second.status).toBe(304);
  });

  test("a download arrives with the same sha256, a range with the bytes asked for", async () => {
    const outgoing = openThrough(line.proxy, `http://${line.name}/big.bin`);
    outgoing.end();
    const [whole] = (await once(outgoing, "response")) as [IncomingMessage];
    expect(await hashOf(whole)).toEqual({ length: BIG_BYTES, sha256: bigSha256 });

    const headers = { range: "bytes=5-14" };
    const part = await fetchThrough(line.proxy, `http://${line.name}/big.bin`, { headers });
    expect(part.status).toBe(206);
    expect(part.body.length).toBe(10);
  });
});
