/**
 * Real daemons, real time: a browser that listens to a stream of events and speaks over a WebSocket all the while, pages
 * and downloads beside it, keys renewed every few seconds. Nothing may break, and memory must stay flat.
 */
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { residentBytes } from "../../node/bench/process-usage.js";
import { type Line, startLine, waitForRoute } from "../../node/demo/line.js";
import { fetchThrough, openThrough } from "../../node/demo/proxy-request.js";
import { openBrowser } from "../support/browser.js";
import { bulk, hashOf, sha256 } from "../support/bulk.js";
import { NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import { lengthOf } from "../support/length.js";
import { isMissing, openFiles } from "../support/machine.js";

const SOAK_MS = lengthOf({ short: 30_000, full: 20 * 60_000 });
const MIB = 1 << 20;
const TICK_MS = 500;
const DOWNLOAD_BYTES = 5_000_000;
/** The heap of a process that works breathes by so much between two collections. */
const BREATH_BYTES = 48 * MIB;

/** Listens and speaks; keeps what came, so that the test can ask for it. */
const PAGE = `<!doctype html><title>Soak</title><script>
  const story = { events: [], opened: 0, echoes: 0, wrong: 0, broken: [] };
  const events = new EventSource("/events");
  events.onopen = () => { story.opened += 1; };
  events.onmessage = (event) => { story.events.push(Number(event.data)); };
  events.onerror = () => { story.broken.push("events"); };
  const socket = new WebSocket("ws://" + location.host + "/socket");
  let said = 0;
  socket.onopen = () => setInterval(() => socket.send("number " + said++), ${TICK_MS});
  socket.onmessage = (event) => { if (event.data === "number " + story.echoes) story.echoes += 1; else story.wrong += 1; };
  socket.onclose = () => { story.broken.push("socket"); };
</script>`;

interface Story {
  readonly events: readonly number[];
  readonly opened: number;
  readonly echoes: number;
  readonly wrong: number;
  readonly broken: readonly string[];
}

describe.skipIf(isMissing("chromium"))("a network that works for a long time", () => {
  let base: string;
  let server: Server;
  let line: Line;
  let browser: BrowserContext;
  const sent = Buffer.concat([...bulk(DOWNLOAD_BYTES, "soak")]);

  beforeAll(async () => {
    base = temporaryFolder();
    server = webServer(sent);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    for (const name of ["client", "relay-1", "host"]) renewKeysOften(join(base, name));
    const hosts = [`80=127.0.0.1:${port}`];
    line = await startLine({ base, network: NETWORK, relays: 1, http: "127.0.0.1:0", hosts });
    await waitForRoute(line.client, line.nac, line.daemons);
    const profile = join(base, "profile");
    mkdirSync(profile);
    browser = await openBrowser(profile, line.proxy);
  });

  afterAll(async () => {
    await browser?.close();
    await stopAll(line?.daemons ?? []);
    server?.closeAllConnections();
    server?.close();
    removeFolder(base);
  });

  test(`${SOAK_MS / 1000} s of events, messages, pages and downloads break nothing and leave nothing`, async () => {
    const url = (path: string) => `http://${line.name}${path}`;
    const page = await browser.newPage();
    await page.goto(url("/"));
    const samples: number[][] = [];
    const files: number[][] = [];
    const endMs = performance.now() + SOAK_MS;
    let pages = 0;
    let downloads = 0;
    for (let round = 0; performance.now() < endMs; round += 1) {
      const answer = await fetchThrough(line.proxy, url("/"));
      expect(answer.status).toBe(200);
      pages += 1;
      if (round % 20 === 0) {
        const outgoing = openThrough(line.proxy, url("/download"));
        outgoing.end();
        const [body] = (await once(outgoing, "response")) as [IncomingMessage];
        expect(await hashOf(body)).toEqual({ length: DOWNLOAD_BYTES, sha256: sha256(sent) });
        downloads += 1;
        samples.push(line.daemons.map((daemon) => residentBytes(daemon.pid)));
        files.push(line.daemons.map((daemon) => openFiles(daemon.pid)));
      }
      await sleep(100);
    }
    const story = (await page.evaluate("story")) as Story;
    const ticks = Math.floor(SOAK_MS / TICK_MS);

    expect(story).toMatchObject({ opened: 1, wrong: 0, broken: [] });
    expect(story.events).toEqual(story.events.map((_, number) => number)); // each once, in order
    expect(story.events.length).toBeGreaterThan(0.8 * ticks);
    expect(story.echoes).toBeGreaterThan(0.8 * ticks);
    expect(pages).toBeGreaterThan(downloads);
    line.daemons.forEach((_, daemon) => {
      const at = (from: number, to: number, of: number[][]) =>
        Math.max(...of.slice(Math.floor(of.length * from), Math.ceil(of.length * to)).map((all) => all[daemon]!));
      expect(at(0.75, 1, samples)).toBeLessThan(at(0.25, 0.75, samples) + BREATH_BYTES);
      expect(at(0.75, 1, files)).toBeLessThanOrEqual(at(0, 0.75, files) + 4);
    });
    for (const daemon of line.daemons) {
      const log = readFileSync(daemon.logFile, "utf8");
      expect(log).not.toContain("link.down");
      expect(daemon.hasExited).toBe(false);
    }
  });
});

/** Keys are updated after 2,000 packets and renewed every 3 s: what happens in days happens in minutes. */
function renewKeysOften(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const config = { version: 1, network: { name: NETWORK }, session: { keyUpdatePackets: 2000, rekeySeconds: 3 } };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config), { mode: 0o600 });
}

function webServer(download: Buffer): Server {
  const server = createServer((request, response) => {
    if (request.url === "/download") return void response.end(download);
    if (request.url !== "/events") return void response.setHeader("content-type", "text/html").end(PAGE);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    let number = 0;
    const timer = setInterval(() => response.write(`data: ${number++}\n\n`), TICK_MS);
    response.once("close", () => clearInterval(timer));
  });
  new WebSocketServer({ server, path: "/socket" }).on("connection", (socket) =>
    socket.on("message", (data) => socket.send(data.toString())),
  );
  return server;
}
