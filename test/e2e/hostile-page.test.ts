/**
 * A page of the overlay that tries what a page can against the machine of whoever looks at it: the proxy itself, other
 * servers on loopback under every spelling, private addresses. It must read nothing, and reach no server.
 */
import { mkdirSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Line, startLine, waitForRoute } from "../../node/demo/line.js";
import { fetchThrough } from "../../node/demo/proxy-request.js";
import { openBrowser } from "../support/browser.js";
import { NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import { isMissing } from "../support/machine.js";

const SECRET = "what only this machine may read";
const ATTEMPT_MS = 4_000;

/** All tricks on all targets; answers what it could read, see or open. */
const TRICKS = `async (targets) => {
  const withTimeout = (promise) => Promise.race([promise, new Promise((_, no) => setTimeout(no, ${ATTEMPT_MS}))]);
  const gained = [];
  const attempt = async (what, target, act) => {
    try { const got = await withTimeout(act()); if (got) gained.push(what + " " + target + ": " + String(got).slice(0, 200)); } catch {}
  };
  const text = async (options, target) => (await (await fetch(target, options)).text());
  const socket = (target) => new Promise((yes, no) => {
    const one = new WebSocket(target.replace("http", "ws")); one.onopen = () => yes("open"); one.onerror = no;
  });
  const events = (target) => new Promise((yes, no) => {
    const one = new EventSource(target); one.onmessage = (event) => yes(event.data); one.onerror = () => { one.close(); no(); };
  });
  const image = (target) => new Promise((yes, no) => {
    const one = new Image(); one.onload = () => yes("loaded"); one.onerror = no; one.src = target;
  });
  const script = (target) => new Promise((yes, no) => {
    const one = document.createElement("script"); one.onload = () => yes(window.SECRET); one.onerror = no; one.src = target;
    document.head.append(one);
  });
  const frame = (target) => new Promise((yes) => {
    const one = document.createElement("iframe"); one.src = target; document.body.append(one);
    one.onload = () => { try { yes(one.contentDocument.body.textContent); } catch { yes(""); } };
  });
  const form = (target) => new Promise((yes) => {
    const name = "f" + Math.random(); const one = document.createElement("iframe"); one.name = name; document.body.append(one);
    const post = document.createElement("form"); post.method = "post"; post.action = target; post.target = name;
    document.body.append(post); post.submit(); setTimeout(() => yes(""), 500);
  });
  await Promise.all(targets.flatMap((target) => [
    attempt("GET", target, () => text({}, target)),
    attempt("GET without cors", target, () => text({ mode: "no-cors" }, target)),
    attempt("POST", target, () => text({ method: "POST", body: "{}", headers: { "content-type": "application/json" } }, target)),
    attempt("POST without cors", target, () => text({ method: "POST", mode: "no-cors", body: "a=b" }, target)),
    attempt("DELETE", target, () => text({ method: "DELETE" }, target)),
    attempt("WebSocket", target, () => socket(target)),
    attempt("EventSource", target, () => events(target)),
    attempt("image", target, () => image(target)),
    attempt("script", target, () => script(target)),
    attempt("frame", target, () => frame(target)),
    attempt("form", target, () => form(target)),
    attempt("beacon", target, async () => { navigator.sendBeacon(target, "x"); }),
  ]));
  return gained;
}`;

describe.skipIf(isMissing("chromium"))("a hostile page", () => {
  let base: string;
  let secret: Server;
  let secretPort: number;
  let site: Server;
  let line: Line;
  const reached: string[] = [];

  beforeAll(async () => {
    base = temporaryFolder();
    secret = createServer((request, response) => {
      reached.push(`${request.method} ${request.headers.host}${request.url}`);
      response.setHeader("access-control-allow-origin", "*");
      response.end(SECRET);
    });
    secret.on("upgrade", (request, socket) => {
      reached.push(`upgrade ${request.headers.host}`);
      socket.destroy();
    });
    site = createServer((_request, response) =>
      response.setHeader("content-type", "text/html").end("<!doctype html><title>Come in</title><body>"),
    );
    for (const server of [secret, site]) await new Promise<void>((yes) => server.listen(0, "127.0.0.1", yes));
    secretPort = (secret.address() as AddressInfo).port;
    const hosts = [`80=127.0.0.1:${(site.address() as AddressInfo).port}`];
    line = await startLine({ base, network: NETWORK, relays: 1, http: "127.0.0.1:0", hosts });
    await waitForRoute(line.client, line.nac, line.daemons);
  });

  afterAll(async () => {
    await stopAll(line?.daemons ?? []);
    for (const server of [secret, site]) {
      server?.closeAllConnections();
      server?.close();
    }
    removeFolder(base);
  });

  /** Every way to write an address of this machine or its network. */
  function spellings(port: number): string[] {
    const hosts = [
      "127.0.0.1",
      "localhost",
      "localhost.",
      "[::1]",
      "127.1",
      "0",
      "0x7f.1",
      "2130706433",
      "017700000001",
    ];
    hosts.push("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "a.localhost", "10.0.0.1", "192.168.0.1", "169.254.169.254");
    return hosts.map((host) => `http://${host}:${port}/`);
  }

  async function attack(isLoopbackDirect: boolean, targets: string[]): Promise<string[]> {
    const profile = join(base, `profile-${isLoopbackDirect}`);
    mkdirSync(profile);
    const browser = await openBrowser(profile, line.proxy, { isLoopbackDirect });
    try {
      const page = await browser.newPage();
      await page.goto(`http://${line.name}/`);
      return (await page.evaluate(`(${TRICKS})(${JSON.stringify(targets)})`)) as string[];
    } finally {
      await browser.close();
    }
  }

  test("reads nothing of this machine and reaches no server on it, when loopback goes through the proxy", async () => {
    const before = (await line.client.status()).verdict;

    const gained = await attack(false, [...spellings(secretPort), ...spellings(line.proxy.port)]);

    expect(gained).toEqual([]);
    expect(reached).toEqual([]);
    expect((await line.client.status()).verdict).toBe(before);
  });

  test("reads nothing of the proxy in a browser that asks loopback directly", async () => {
    const names = ["127.0.0.1", "localhost", "a.localhost"].map((host) => `http://${host}:${line.proxy.port}`);
    const paths = ["/", "/api/v1/status", "/proxy.pac", `/http://${line.name}/`];

    const gained = await attack(
      true,
      names.flatMap((name) => paths.map((path) => name + path)),
    );

    expect(gained).toEqual([]);
  });

  test("is a page like any other for whoever only reads it, and the secret can be read where it may be", async () => {
    expect((await fetchThrough(line.proxy, `http://${line.name}/`)).status).toBe(200);
    const direct = await fetch(`http://127.0.0.1:${secretPort}/`);
    expect(await direct.text()).toBe(SECRET); // what was tried above was there to be had
    expect(reached).toHaveLength(1);
  });
});
