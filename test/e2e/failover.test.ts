import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DaemonProcess, pinnedEndpoint, startDaemon } from "../../node/demo/daemon-process.js";
import { followRoute, type Line, waitForRoute } from "../../node/demo/line.js";
import { fetchThrough, openThrough } from "../../node/demo/proxy-request.js";
import { hashOf, writeBulk } from "../support/bulk.js";
import { eventually, NETWORK, removeFolder, startLineTo, stopAll, temporaryFolder } from "../support/daemons.js";
import { isMissing } from "../support/machine.js";
import { startNginx, type WebServer } from "../support/web-servers.js";

const BIG_BYTES = 100_000_000;
/** The relay dies when this much has arrived. */
const BEFORE_BYTES = 10_000_000;
const PAGE = "<!doctype html><title>Still here</title>\n";
const ROUTABLE_MS_MAX = 2_000;

describe.skipIf(isMissing("nginx"))("five daemons in a row, and a sixth beside the middle one", () => {
  let base: string;
  let nginx: WebServer;
  let line: Line;
  let daemons: DaemonProcess[];
  let bigSha256: string;

  beforeAll(async () => {
    base = temporaryFolder();
    nginx = await startNginx(join(base, "nginx"));
    writeFileSync(join(nginx.root, "index.html"), PAGE);
    bigSha256 = await writeBulk(join(nginx.root, "big.bin"), BIG_BYTES, "failover");
    line = await startLineTo(nginx.address, base);
    const peers = await Promise.all([line.relays[0]!, line.relays[2]!].map(pinnedEndpoint));
    const { daemon } = await startDaemon({ name: "spare", base, network: NETWORK, http: "off", hosts: [], peers });
    daemons = [...line.daemons, daemon];
    const [, , last] = line.relays;
    await eventually("the spare relay has both its links", async () => (await daemon.peers()).length === 2);
    const { nac } = await last!.id();
    await waitForRoute(daemon, nac, daemons);
  });

  afterAll(async () => {
    await stopAll(daemons ?? line?.daemons ?? []);
    await nginx?.stop();
    removeFolder(base);
  });

  test("when the host is restarted it is routable again within two seconds", async () => {
    const before = await fetchThrough(line.proxy, `http://${line.name}/`);
    await line.host.stop();
    const isRouted = async () => (await line.client.routes()).some((route) => route.nac === line.nac);
    await eventually("the client hears that the host has left", async () => !(await isRouted()));

    const startedAt = performance.now();
    const host = await startDaemon(line.host.plan);
    daemons = [...daemons.filter((daemon) => daemon !== line.host), host.daemon];
    await eventually("the client has a route to the host again", isRouted);
    const tookMs = performance.now() - startedAt;

    expect(before.status).toBe(200);
    expect((await host.daemon.id()).nac).toBe(line.nac);
    expect(tookMs).toBeLessThan(ROUTABLE_MS_MAX);
    const after = await fetchThrough(line.proxy, `http://${line.name}/`);
    expect(after.body.toString()).toBe(PAGE);
  });

  test("a host that is killed and restarted is served again, over new sessions", async () => {
    const host = daemons.find((daemon) => daemon.name === "host")!;
    await host.kill();

    const restarted = await startDaemon(host.plan);
    const readyAt = performance.now();
    daemons = [...daemons.filter((daemon) => daemon !== host), restarted.daemon];
    await eventually("the page is served again", async () => {
      const answer = await fetchThrough(line.proxy, `http://${line.name}/`);
      return answer.status === 200 && answer.body.toString() === PAGE;
    });

    // The old session died with the old process: a page counts, a line in a table does not.
    expect(performance.now() - readyAt).toBeLessThan(ROUTABLE_MS_MAX);
  });

  test("a download goes on when the relay that carries it is killed", async () => {
    const path = await waitForRoute(line.client, line.nac, daemons);
    const middle = path[2]!;
    expect(["relay-2", "spare"]).toContain(middle.name);

    const outgoing = openThrough(line.proxy, `http://${line.name}/big.bin`);
    outgoing.end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    let arrivedBytes = 0;
    answer.on("data", (part: Buffer) => {
      const crossed = arrivedBytes < BEFORE_BYTES && arrivedBytes + part.length >= BEFORE_BYTES;
      arrivedBytes += part.length;
      if (crossed) void middle.kill();
    });

    expect(await hashOf(answer)).toEqual({ length: BIG_BYTES, sha256: bigSha256 });
    expect(middle.hasExited).toBe(true);
    const after = await followRoute(
      line.client,
      line.nac,
      daemons.filter((daemon) => daemon !== middle),
    );
    expect(after?.map((daemon) => daemon.name)).not.toContain(middle.name);
  });
});
