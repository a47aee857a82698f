/** `mariana host`, `streams` and the drain at an end, with one real daemon that reaches itself through its own proxy. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostCheck } from "../../node/cli/host-check.js";
import type { HostReport, IdReport, StatusReport, StreamReport } from "../../node/control/protocol.js";
import { fetchThrough, openThrough, type ProxyAddress } from "../../node/demo/proxy-request.js";
import { COMMAND, end, endAll, json, mariana, start } from "../support/command.js";

let folder: string;
let directory: string;
const servers: { close(): unknown }[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-host-"));
  directory = join(folder, "node");
});
afterEach(async () => {
  await endAll();
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A web server on a free port, or on a unix socket. */
async function site(listener: RequestListener, path?: string): Promise<{ server: Server; target: string }> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>(
    (resolve) => void (path === undefined ? server.listen(0, "127.0.0.1", resolve) : server.listen(path, resolve)),
  );
  return {
    server,
    target: path === undefined ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`,
  };
}

const saying = (text: string) => site((_request, response) => void response.end(text));

/** A daemon with a proxy of its own. */
async function browsing(...args: string[]) {
  const flags = ["up", "--dir", directory, "--udp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--socks", "off", ...args];
  const { child, text } = start(process.execPath, [COMMAND, ...flags]);
  const status = await json<StatusReport>("status", "--dir", directory, "--wait", "ready", "--timeout", "20");
  const [host, port] = status.http[0]!.split(":");
  const proxy: ProxyAddress = { host: host!, port: Number(port) };
  return { child, text, proxy, url: `http://${status.nac}.mariana/` };
}

const hosts = () => json<HostReport[]>("host", "ls", "--dir", directory);
const keptHosts = () => (JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as { hosts: object }).hosts;

test("ports come and go while the daemon runs, and stay for the next start", async () => {
  const { child, text, proxy, url } = await browsing();
  const one = await saying("one");
  const two = await site((_request, response) => void response.end("two"), join(folder, "two.sock"));
  expect((await fetchThrough(proxy, url)).status).toBe(502);

  const added = await json<object>("host", "add", "80", one.target.split(":")[1]!, "--dir", directory);
  expect(added).toEqual({ port: 80, target: one.target, from: "config", live: true, running: true, targetDown: null });
  expect(String((await fetchThrough(proxy, url)).body)).toBe("one");

  expect((await mariana("host", "rm", "80", "--dir", directory)).out).toContain("goes by it from now on");
  expect((await fetchThrough(proxy, url)).status).toBe(502);

  expect((await mariana("host", "add", "80", two.target, "--dir", directory)).code).toBe(0);
  expect(String((await fetchThrough(proxy, url)).body)).toBe("two");
  expect(await hosts()).toEqual([{ port: 80, target: two.target, from: "config", live: true }]);
  expect(keptHosts()).toEqual({ 80: two.target });

  expect(await end(child), text.err).toBe(0);
  expect(await hosts()).toEqual([{ port: 80, target: two.target, from: "config", live: false }]);
  const again = await browsing();
  expect(String((await fetchThrough(again.proxy, again.url)).body)).toBe("two");
});

test("a --host of this run wins over what is kept, and is not kept", async () => {
  const one = await saying("one");
  const two = await saying("two");
  const { proxy, url } = await browsing("--host", `80=${one.target}`);

  const added = await mariana("host", "add", "80", two.target, "--dir", directory);

  expect(added.out).toContain("a --host of this run answers there until the daemon ends");
  expect(String((await fetchThrough(proxy, url)).body)).toBe("one");
  expect(await hosts()).toEqual([
    { port: 80, target: two.target, from: "config", live: false },
    { port: 80, target: one.target, from: "flag", live: true },
  ]);
  expect(keptHosts()).toEqual({ 80: two.target });
});

test("without a daemon the file is changed, and the command says that nobody answers yet", async () => {
  const added = await mariana("host", "add", "80", "127.0.0.1:1", "--dir", directory);
  expect(added).toMatchObject({
    code: 0,
    out: expect.stringContaining("no daemon runs, so it counts from the next start"),
  });
  expect(added.err).toContain("nothing answers at 127.0.0.1:1 yet: ECONNREFUSED"); // a warning, not a refusal
  expect(keptHosts()).toEqual({ 80: "127.0.0.1:1" });

  const twice = await mariana("host", "add", "80", "8081", "--dir", directory);
  expect(twice).toMatchObject({ code: 8, out: "" });
  expect(twice.err).toContain(
    "overlay port 80 is hosted already, by 127.0.0.1:1\n  fix: to change it:  mariana host rm 80",
  );
  expect((await mariana("host", "rm", "81", "--dir", directory)).code).toBe(3);
  expect((await mariana("host", "rm", "80", "--dir", join(folder, "nowhere"))).code).toBe(3);
  expect(keptHosts()).toEqual({ 80: "127.0.0.1:1" });

  expect((await mariana("host", "rm", "80", "--dir", directory)).code).toBe(0);
  expect(keptHosts()).toEqual({});
});

test("many changes at once all come to be kept", async () => {
  const ports = [1, 2, 3, 4, 5, 6];
  const outcomes = await Promise.all(ports.map((port) => mariana("host", "add", `${port}`, "9", "--dir", directory)));

  expect(outcomes.map(({ code }) => code)).toEqual(ports.map(() => 0));
  expect(keptHosts()).toEqual(Object.fromEntries(ports.map((port) => [port, "127.0.0.1:9"])));
});

test("a config.json that was spoiled meanwhile is named, and the daemon goes on", async () => {
  const { proxy, url } = await browsing();
  writeFileSync(join(directory, "config.json"), "{");

  const { code, err } = await mariana("host", "add", "80", "8080", "--dir", directory);

  expect(code).toBe(3);
  expect(err).toMatch(/config\.json:1:2: this is not JSON\n {2}fix: correct it there/);
  expect(readFileSync(join(directory, "config.json"), "utf8")).toBe("{");
  expect((await fetchThrough(proxy, url)).status).toBe(502);
});

describe("check", () => {
  const check = async (...args: string[]) => {
    const { code, out } = await mariana("host", "check", ...args, "--dir", directory, "--json");
    return { code, checks: JSON.parse(out) as HostCheck[] };
  };
  const codes = ({ findings }: HostCheck) => findings.map(({ code }) => code);

  test("finds nothing at a site that keeps to itself, and follows its own redirects", async () => {
    const seen: string[] = [];
    const { target } = await site((request, response) => {
      seen.push(`${request.headers.host}${request.url}`);
      if (request.url === "/") response.writeHead(302, { location: `http://${request.headers.host}/home` }).end();
      else if (request.url === "/home") response.end(`<a href="/x">x</a><img src="http://${request.headers.host}/y">`);
      else response.writeHead(404).end();
    });
    await mariana("host", "add", "8080", target, "--dir", directory);
    await browsing();
    const { name } = await json<IdReport>("id", "--dir", directory);

    expect(await check()).toEqual({ code: 0, checks: [{ port: 8080, target, protocol: "http", findings: [] }] });
    expect(seen.slice(0, 2)).toEqual([`${name}:8080/`, `${name}:8080/home`]); // as a visitor's request comes
  });

  test("warns of all that a careless site tells", async () => {
    const { target } = await site((request, response) => {
      const page = { "content-type": "text/html", server: "nginx/1.22.1" };
      if (request.url === "/nginx_status") response.end("Active connections: 3 \nserver accepts");
      else if (request.url === "/server-status") response.end("<h1>Apache Server Status for localhost</h1>");
      else if (request.url === "/") {
        response
          .writeHead(200, page)
          .end(
            '<link href="//cdn.example/a.css"><img src=https://pics.example/1><a href="/fine">http://text.example</a>',
          );
      } else response.end("Apache"); // an application that answers every path is no status page
    });
    await mariana("host", "add", "80", target, "--dir", directory);

    const { code, checks } = await check("80");

    expect(code).toBe(9);
    expect(codes(checks[0]!)).toEqual(["serverVersion", "clearnetLinks", "statusPage", "statusPage"]);
    expect(checks[0]!.findings[1]!.message).toContain("cdn.example, pics.example");
    expect(checks[0]!.findings[1]!.message).not.toContain("text.example");
    const text = await mariana("host", "check", "--dir", directory);
    expect(text).toMatchObject({ code: 9, out: expect.stringContaining("server_tokens off") });
    expect(text.err).toContain("4 things want mending");
  });

  test.each([
    ["http://localhost:8080/x", "redirectLocal"],
    ["http://127.0.0.1/", "redirectLocal"],
    ["https://www.example.org/", "redirectElsewhere"],
    ["http://HOST:8080/home", "redirectPort"],
    ["https://HOST/", "redirectPort"],
    ["http://00000000-0000-8000-8000-000000000001.mariana/", undefined],
    ["/", undefined], // round and round: given up, and no finding of its own
  ])("a front page that redirects to %s: %s", async (location, finding) => {
    const { target } = await site((request, response) => {
      if (request.url !== "/") return void response.writeHead(404).end();
      response.writeHead(301, { location: location.replace("HOST", request.headers.host!) }).end();
    });
    await mariana("host", "add", "80", target, "--dir", directory);

    const { code, checks } = await check();

    expect(codes(checks[0]!)).toEqual(finding === undefined ? [] : [finding]);
    expect(code).toBe(finding === undefined ? 0 : 9);
  });

  test("tells what is down from what is no web server", async () => {
    const ssh = createTcpServer((socket) => void socket.on("error", () => undefined).write("SSH-2.0-x\r\n"));
    servers.push(ssh);
    await new Promise<void>((resolve) => void ssh.listen(0, "127.0.0.1", resolve));
    await mariana("host", "add", "22", `${(ssh.address() as AddressInfo).port}`, "--dir", directory);
    await mariana("host", "add", "80", join("unix:", folder, "nobody.sock"), "--dir", directory);

    const { code, checks } = await check();

    expect(code).toBe(9);
    expect(checks.map(({ port, protocol }) => [port, protocol])).toEqual([
      [22, "tcp"],
      [80, null],
    ]);
    expect(checks.map(codes)).toEqual([[], ["targetDown"]]);
    expect(checks[1]!.findings[0]!.message).toContain("ENOENT");
    expect((await check("22")).code).toBe(0);
    expect((await mariana("host", "check", "23", "--dir", directory)).code).toBe(3);
  });
});

describe("a download that is open", () => {
  /** A site that sends half of a page and waits. */
  async function halfway() {
    let finish: () => void = () => undefined;
    const { target } = await site((_request, response) => {
      response.write("a".repeat(10_000));
      finish = () => void response.end("b".repeat(10_000));
    });
    const { child, proxy, url } = await browsing("--host", `80=${target}`);
    const outgoing = openThrough(proxy, url);
    const chunks: Buffer[] = [];
    const ended = new Promise<string>((resolve) => {
      outgoing.on("response", (answer) => {
        answer.on("data", (chunk: Buffer) => void chunks.push(chunk));
        answer.on("error", () => resolve("broken"));
        answer.on("end", () => resolve("whole"));
      });
      outgoing.on("error", () => resolve("broken"));
    });
    outgoing.end();
    const length = () => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    while (length() < 10_000) await new Promise((resolve) => setTimeout(resolve, 20));
    return { child, ended, length, finish: () => finish(), nac: url.slice(7, 43) };
  }

  test("is shown by streams, from both ends, and the one who was called knows no NAC", async () => {
    const { nac } = await halfway();

    const streams = await json<StreamReport[]>("streams", "--dir", directory);

    const [out, incoming] = streams.toSorted((a, b) => b.direction.localeCompare(a.direction));
    expect(streams).toHaveLength(2);
    expect(out).toMatchObject({ nac, port: 80, direction: "out" });
    expect(incoming).toMatchObject({ nac: null, port: 80, direction: "in" });
    expect(out!.bytesIn).toBeGreaterThanOrEqual(10_000);
    expect(out!.bytesIn).toBe(incoming!.bytesOut);
    expect(out!.bytesOut).toBe(incoming!.bytesIn);
    expect(incoming!.ageSeconds).toBeLessThan(30);
    expect((await mariana("streams", "--dir", directory)).out).toMatch(/^id +with +port +direction +in +out +age\n/);
    const status = await json<StatusReport>("status", "--dir", directory);
    expect(status.handshakes.done).toBeGreaterThanOrEqual(1);
    expect(Object.keys(status.caps).length).toBeGreaterThan(3);
    for (const { limit, peak } of Object.values(status.caps)) expect(peak).toBeLessThanOrEqual(limit);
    expect(status).toMatchObject({ replays: 0, queues: expect.any(Object), loopLagMs: { p99: expect.any(Number) } });
  });

  test("comes to its end after SIGTERM, and then the daemon ends with 0", async () => {
    const { child, ended, length, finish } = await halfway();

    const exit = end(child);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(child.exitCode).toBe(null); // it waits for what is open
    finish();

    expect(await ended).toBe("whole");
    expect(length()).toBe(20_000);
    expect(await exit).toBe(0);
  });

  test("is broken by a second signal, which ends the daemon at once with 130", async () => {
    const { child, ended } = await halfway();
    child.kill("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(child.exitCode).toBe(null);

    const sinceMs = performance.now();
    expect(await end(child, "SIGINT")).toBe(130);

    expect(performance.now() - sinceMs).toBeLessThan(2_000);
    expect(await ended).toBe("broken");
  });
});
