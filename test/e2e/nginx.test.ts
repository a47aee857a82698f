import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { residentBytes } from "../../node/bench/process-usage.js";
import type { Line } from "../../node/demo/line.js";
import { fetchThrough, openThrough } from "../../node/demo/proxy-request.js";
import { bulk, hashOf, sha256, writeBulk } from "../support/bulk.js";
import { eventually, removeFolder, startLineTo, stopAll, temporaryFolder } from "../support/daemons.js";
import { isMissing, openFiles, pathOf } from "../support/machine.js";
import { startNginx, type WebServer } from "../support/web-servers.js";

const MB = 1_000_000;
const MIB = 1 << 20;
const DOWNLOAD_BYTES = 100 * MB;
const UPLOAD_BYTES = 50 * MB;
/** What a daemon may grow by while it carries something far larger. */
const GROWTH_BYTES_MAX = 64 * MIB;
const PAGE = "<!doctype html><title>Nginx here</title><p>Hello from behind five daemons.</p>\n";

describe.skipIf(isMissing("nginx"))("nginx behind the last of five daemons", () => {
  let base: string;
  let nginx: WebServer;
  let line: Line;
  let bigSha256: string;
  const url = (path: string) => `http://${line.name}${path}`;

  beforeAll(async () => {
    base = temporaryFolder();
    nginx = await startNginx(join(base, "nginx"));
    writeFileSync(join(nginx.root, "index.html"), PAGE);
    bigSha256 = await writeBulk(join(nginx.root, "big.bin"), DOWNLOAD_BYTES, "big");
    line = await startLineTo(nginx.address, base);
  });

  afterAll(async () => {
    await stopAll(line?.daemons ?? []);
    await nginx?.stop();
    removeFolder(base);
  });

  test("a page arrives as nginx serves it", async () => {
    const answer = await fetchThrough(line.proxy, url("/"));

    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toBe(PAGE);
    expect(answer.headers["content-type"]).toBe("text/html");
    expect(answer.headers.server).toMatch(/^nginx/);
    expect(answer.headers.via).toBeUndefined();
  });

  test("HEAD brings the head of the page and no body", async () => {
    const answer = await fetchThrough(line.proxy, url("/"), { method: "HEAD" });

    expect(answer.status).toBe(200);
    expect(answer.headers["content-length"]).toBe(String(PAGE.length));
    expect(answer.body.length).toBe(0);
  });

  test("a page the client already has is answered with 304", async () => {
    const first = await fetchThrough(line.proxy, url("/"));
    const headers = { "if-none-match": first.headers.etag! };

    const second = await fetchThrough(line.proxy, url("/"), { headers });

    expect(second.status).toBe(304);
    expect(second.body.length).toBe(0);
  });

  test("several requests travel over one kept connection", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();

    for (let number = 0; number < 5; number++) {
      const outgoing = openThrough(line.proxy, url("/"), { agent });
      outgoing.once("socket", (socket: Socket) => {
        const note = () => ports.add(socket.localPort);
        if (socket.connecting) socket.once("connect", note);
        else note();
      });
      outgoing.end();
      const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
      expect((await hashOf(answer)).length).toBe(PAGE.length);
    }
    agent.destroy();

    expect(ports.size).toBe(1);
  });

  test("a download of 100 MB arrives with the same sha256", async () => {
    const outgoing = openThrough(line.proxy, url("/big.bin"));
    outgoing.end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];

    expect(await hashOf(answer)).toEqual({ length: DOWNLOAD_BYTES, sha256: bigSha256 });
  });

  test("an upload of 50 MB in chunks lands whole on the disk of the server", async () => {
    const outgoing = openThrough(line.proxy, url("/upload/file.bin"), { method: "PUT" });
    outgoing.setHeader("transfer-encoding", "chunked");
    const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;

    await pipeline(Readable.from(bulk(UPLOAD_BYTES, "upload")), outgoing);
    const [answer] = await answered;

    expect(answer.statusCode).toBe(201);
    const expected = sha256(Buffer.concat([...bulk(UPLOAD_BYTES, "upload")]));
    expect(sha256(readFileSync(join(nginx.root, "upload", "file.bin")))).toBe(expected);
    answer.resume();
  });

  test("a reader that falls asleep costs none of the five daemons memory", async () => {
    const before = line.daemons.map((daemon) => residentBytes(daemon.pid));
    const outgoing = openThrough(line.proxy, url("/big.bin"));
    outgoing.end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    const most = [...before];
    const watch = () => {
      for (const [index, daemon] of line.daemons.entries()) {
        most[index] = Math.max(most[index]!, residentBytes(daemon.pid));
      }
    };

    const socket = outgoing.socket!;
    const sleepingFor = async (steps: number) => {
      for (let number = 0; number < steps; number++) {
        await sleep(250);
        watch();
      }
      return socket.bytesRead;
    };
    const early = await sleepingFor(24);
    const late = await sleepingFor(8);
    expect(late).toBe(early); // nothing comes to who does not read
    expect(late).toBeLessThan(DOWNLOAD_BYTES / 4);
    const timer = setInterval(watch, 250);
    const arrived = await hashOf(answer);
    clearInterval(timer);

    expect(arrived.sha256).toBe(bigSha256);
    for (const [index, daemon] of line.daemons.entries()) {
      const grownBytes = most[index]! - before[index]!;
      expect(grownBytes, `${daemon.name} grew by ${(grownBytes / MIB).toFixed(0)} MiB`).toBeLessThan(GROWTH_BYTES_MAX);
    }
  });

  test("clients that hang up in the middle leave nothing open behind them", async () => {
    await fetchThrough(line.proxy, url("/"));
    const connectionsBefore = await activeConnections(nginx);
    const filesBefore = line.daemons.map((daemon) => openFiles(daemon.pid));

    const sockets = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const outgoing = openThrough(line.proxy, url("/big.bin"), { agent: new Agent() });
        outgoing.on("error", () => {}); // we hang up on purpose
        outgoing.end();
        const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
        await once(answer, "data");
        return outgoing;
      }),
    );
    expect(await activeConnections(nginx)).toBeGreaterThanOrEqual(connectionsBefore + 9);
    for (const outgoing of sockets) outgoing.destroy();

    await eventually("nginx lets go", async () => (await activeConnections(nginx)) <= connectionsBefore);
    for (const [index, daemon] of line.daemons.entries()) {
      await eventually(`${daemon.name} closes its sockets`, () => openFiles(daemon.pid) <= filesBefore[index]!);
    }
    expect((await fetchThrough(line.proxy, url("/"))).status).toBe(200);
  });

  test("a server that is down shows as a page that says so, and its return is noticed", async () => {
    await nginx.stop();
    const down = await fetchThrough(line.proxy, url("/"));
    await nginx.restart();
    const up = await fetchThrough(line.proxy, url("/"));

    expect(down.status).toBe(502);
    expect(down.headers["content-type"]).toMatch(/^text\/html/);
    expect(down.body.toString()).toContain("The server behind the node is down");
    expect(up.status).toBe(200);
  });

  test("a port that is not hosted shows as a page that says so", async () => {
    const answer = await fetchThrough(line.proxy, `http://${line.name}:81/`);

    expect(answer.status).toBe(502);
    expect(answer.body.toString()).toContain("Nothing is hosted there");
  });

  test("the long name leads to the same place as the short one", async () => {
    const { longName } = await line.host.id();

    expect((await fetchThrough(line.proxy, `http://${longName}/`)).body.toString()).toBe(PAGE);
  });

  test("CONNECT opens a tunnel to the hosted port", async () => {
    const text = await exchange(line, `CONNECT ${line.name}:80 HTTP/1.1\r\nHost: ${line.name}:80\r\n\r\n`, (socket) =>
      socket.end(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    );

    expect(text).toMatch(/^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    expect(text.endsWith(PAGE)).toBe(true);
  });

  test("what is not under .mariana is refused with a page, and nobody is called", async () => {
    let calls = 0;
    const clearNet = createServer((socket) => {
      calls++;
      socket.destroy();
    });
    clearNet.listen(0, "127.0.0.1");
    await once(clearNet, "listening");
    const { port } = clearNet.address() as AddressInfo;

    for (const target of [`http://127.0.0.1:${port}/`, `http://localhost:${port}/`, "http://example.com/"]) {
      const answer = await fetchThrough(line.proxy, target);
      expect(answer.status, target).toBe(403);
      expect(answer.body.toString()).toContain("Not a Mariana address");
    }
    const tunnel = await exchange(line, `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(tunnel).toMatch(/^HTTP\/1\.1 403 /);
    clearNet.close();

    expect(calls).toBe(0);
  });

  test("a request meant for a web server gets 421 from the proxy port", async () => {
    const own = await exchange(line, `GET / HTTP/1.1\r\nHost: ${line.proxy.host}:${line.proxy.port}\r\n\r\n`);
    const foreign = await exchange(line, "GET / HTTP/1.1\r\nHost: bank.example\r\n\r\n");

    expect(own).toMatch(/^HTTP\/1\.1 421 [\s\S]*This is a proxy, not a web site/);
    expect(foreign).toMatch(/^HTTP\/1\.1 421 [\s\S]*Not the server you meant/);
  });

  describe.skipIf(isMissing("curl"))("as curl sees it", () => {
    const curl = async (...args: string[]): Promise<Buffer> => {
      const proxy = `http://${line.proxy.host}:${line.proxy.port}`;
      const all = ["--silent", "--show-error", "--fail", "--max-time", "120", "--proxy", proxy, ...args];
      const options = { encoding: "buffer", maxBuffer: 2 * DOWNLOAD_BYTES } as const;
      return (await promisify(execFile)(pathOf("curl"), all, options)).stdout;
    };

    test("the page comes with status 200", async () => {
      const printed = await curl("--write-out", "%{http_code}", url("/"));

      expect(printed.toString()).toBe(`${PAGE}200`);
    });

    test("a range of a file holds exactly the bytes asked for", async () => {
      const printed = await curl("--range", "1000000-1999999", url("/big.bin"));

      expect(printed.equals(readFileSync(join(nginx.root, "big.bin")).subarray(1_000_000, 2_000_000))).toBe(true);
    });

    test("a download that broke off is taken up where it ended", async () => {
      const path = join(base, "resumed.bin");
      writeFileSync(path, readFileSync(join(nginx.root, "big.bin")).subarray(0, 95 * MB));

      await curl("--continue-at", "-", "--output", path, url("/big.bin"));

      expect(sha256(readFileSync(path))).toBe(bigSha256);
    });

    test("an upload by curl lands whole on the disk of the server", async () => {
      const path = join(base, "sent.bin");
      const expected = await writeBulk(path, 3 * MB, "sent");

      await curl("--upload-file", path, url("/upload/sent.bin"));

      expect(sha256(readFileSync(join(nginx.root, "upload", "sent.bin")))).toBe(expected);
    });
  });
});

/** What nginx counts by itself, asked directly, less the connection that asks. */
async function activeConnections(nginx: WebServer): Promise<number> {
  const answer = await fetch(`http://${nginx.address}/status`, { headers: { connection: "close" } });
  return Number(/Active connections: (\d+)/.exec(await answer.text())![1]) - 1;
}

/** Sends raw text to the proxy and returns everything it says; `then` goes on once the first answer is there. */
function exchange(line: Line, text: string, then?: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(line.proxy.port, line.proxy.host, () => socket.write(text));
    let said = "";
    socket.setTimeout(20_000, () => socket.destroy(new Error(`the proxy fell silent after: ${said}`)));
    socket.once("error", reject);
    socket.once("data", () => (then ? then(socket) : socket.end()));
    socket.on("data", (part: Buffer) => {
      said += part.toString("latin1");
    });
    socket.once("close", () => resolve(said));
  });
}
