import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { HttpProxy } from "../../node/proxy/http-server.js";
import { StreamCode } from "../../node/stream-error.js";
import {
  answerTo,
  ask,
  buildProxy,
  buildSite,
  cleanUp,
  cleanups,
  get,
  log,
  NAME,
  type Site,
  sayRaw,
  siteOf,
  until,
} from "../support/proxy-site.js";
import { StreamWorld } from "../support/stream-world.js";

const MIB = 1024 * 1024;

afterEach(cleanUp);

describe("a request through the proxy", () => {
  test("reaches the server in origin form, with its own Host and nothing that names the way", async () => {
    let seen: IncomingMessage | undefined;
    const site = await siteOf((req, res) => {
      seen = req;
      res.writeHead(200, "Fine", ["Set-Cookie", "a=1", "set-cookie", "b=2", "X-Case", "Kept", "Content-Length", "5"]);
      res.end("hello");
    });
    const answer = await get(site, "/a?b=c", { headers: { "Proxy-Connection": "keep-alive", Accept: "*/*" } });
    expect(answer).toMatchObject({ status: 200, body: "hello" });
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(answer.raw).toContain("X-Case");
    expect(seen?.url).toBe("/a?b=c");
    expect(seen?.headers).toEqual({ host: NAME, accept: "*/*", connection: "keep-alive" });
    expect(answer.headers.via).toBeUndefined();
  });

  test("HEAD gives the head of the answer and no body, and the connection goes on", async () => {
    const site = await siteOf((req, res) => {
      res.writeHead(200, { "Content-Length": "1234", Date: "then" });
      res.end(req.method === "HEAD" ? undefined : Buffer.alloc(1234));
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.push(() => agent.destroy());
    const head = await get(site, "/", { method: "HEAD", agent });
    expect(head).toMatchObject({ status: 200, body: "" });
    expect(head.headers["content-length"]).toBe("1234");
    expect(head.headers["transfer-encoding"]).toBeUndefined();
    expect(head.headers.date).toBe("then");
    expect((await get(site, "/", { agent })).body.length).toBe(1234);
  });

  test("304 and 204 come without a body or a length of their own", async () => {
    const site = await siteOf((req, res) => {
      const fresh = req.headers["if-none-match"] === '"v1"';
      res.writeHead(fresh ? 304 : 204, { ETag: '"v1"' });
      res.end();
    });
    const fresh = await get(site, "/", { headers: { "If-None-Match": '"v1"' } });
    expect(fresh).toMatchObject({ status: 304, body: "" });
    expect(fresh.headers.etag).toBe('"v1"');
    expect(fresh.headers["transfer-encoding"]).toBeUndefined();
    expect((await get(site, "/")).status).toBe(204);
  });

  test("ranges pass through", async () => {
    const site = await siteOf((req, res) => {
      expect(req.headers.range).toBe("bytes=2-4");
      res.writeHead(206, { "Content-Range": "bytes 2-4/10", "Content-Length": "3" });
      res.end("cde");
    });
    const answer = await get(site, "/", { headers: { Range: "bytes=2-4" } });
    expect(answer).toMatchObject({ status: 206, body: "cde" });
    expect(answer.headers["content-range"]).toBe("bytes 2-4/10");
  });

  test("twenty in a row share one client connection, one stream and one connection to the server", async () => {
    const site = await siteOf((_req, res) => res.end("ok"));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.push(() => agent.destroy());
    for (let i = 0; i < 20; i += 1) expect((await get(site, "/", { agent })).body).toBe("ok");
    expect(site.world.opened).toBe(1);
    expect(site.connections()).toBe(1);
  });

  test("one that must not be repeated gets a stream of its own", async () => {
    const site = await siteOf((req, res) => {
      req.resume();
      res.end(req.headers.connection);
    });
    expect((await get(site, "/")).body).toBe("keep-alive");
    expect((await get(site, "/", { method: "DELETE" })).body).toBe("close");
    expect(site.world.opened).toBe(2);
  });

  test("a kept connection that the server closed meanwhile is replaced unnoticed", async () => {
    // Answers once per connection, takes the second request, and closes without a word.
    const target = createTcpServer((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        socket.once("data", () => socket.end());
      });
    });
    const site = await buildSite(target);
    expect((await get(site, "/")).body).toBe("ok");
    expect((await get(site, "/")).body).toBe("ok");
    expect(site.connections()).toBe(2);
  });

  test("an idle stream is let go when the server ends it, and when it speaks out of turn", async () => {
    let socket: Socket | undefined;
    const target = createTcpServer((incoming) => {
      socket = incoming;
      incoming.once("data", () => incoming.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    });
    const site = await buildSite(target);
    await get(site, "/");
    expect(site.world.held).toBe(2);
    socket?.end();
    await until(() => site.world.held === 0);
    await get(site, "/");
    expect(site.world.held).toBe(2);
    socket?.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    await until(() => site.world.held === 0);
    expect((await get(site, "/")).body).toBe("ok");
  });

  test("an answer without a length, ended by closing, arrives whole", async () => {
    const target = createTcpServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold but good"));
    });
    const site = await buildSite(target);
    expect(await get(site, "/")).toMatchObject({ status: 200, body: "old but good" });
  });

  test("an event stream's head and first event do not wait for the second", async () => {
    let finish: () => void = () => undefined;
    const site = await siteOf((_req, res) => {
      res.writeHead(200, { "Content-Type": "text/event-stream" });
      res.flushHeaders();
      finish = () => res.end("data: 1\n\n");
    });
    const request = ask(site, "/");
    request.end();
    const answer = await answerTo(request); // though no byte of the body exists
    finish();
    expect(await text(answer)).toBe("data: 1\n\n");
  });

  test("Expect: 100-continue is the server's to answer", async () => {
    const server = createServer();
    server.on("checkContinue", (req: IncomingMessage, res) => {
      if (req.url === "/no") {
        res.writeHead(417);
        res.end();
        return;
      }
      res.writeContinue();
      text(req).then((body) => res.end(`got ${body}`));
    });
    const site = await buildSite(server);
    const request = ask(site, "/yes", { method: "PUT", headers: { Expect: "100-continue", "Content-Length": "4" } });
    request.flushHeaders();
    await once(request, "continue");
    request.end("body");
    expect(await text(await answerTo(request))).toBe("got body");

    const denied = ask(site, "/no", { method: "PUT", headers: { Expect: "100-continue", "Content-Length": "4" } });
    denied.on("error", () => undefined);
    denied.flushHeaders();
    expect((await answerTo(denied)).statusCode).toBe(417);
    denied.destroy();
  });
});

describe("big bodies", () => {
  test("a chunked upload is streamed and arrives whole", async () => {
    const size = 16 * MIB;
    let coding: string | undefined;
    const site = await siteOf(async (req, res) => {
      coding = req.headers["transfer-encoding"];
      const hash = createHash("sha256");
      for await (const chunk of req) hash.update(chunk as Buffer);
      res.end(hash.digest("hex"));
    });
    const request = ask(site, "/", { method: "POST" });
    const hash = createHash("sha256");
    for (let sent = 0; sent < size; sent += 64 * 1024) {
      const chunk = Buffer.alloc(64 * 1024, sent >> 16);
      hash.update(chunk);
      if (!request.write(chunk)) await once(request, "drain");
    }
    request.end();
    expect(await text(await answerTo(request))).toBe(hash.digest("hex"));
    expect(coding).toBe("chunked");
  });

  test("a download waits for a reader that is slow, with bounded memory, and arrives whole", async () => {
    const size = 32 * MIB;
    let produced = 0;
    const site = await siteOf(async (_req, res) => {
      res.writeHead(200, { "Content-Length": String(size) });
      const chunk = Buffer.alloc(64 * 1024, 7);
      while (produced < size) {
        produced += chunk.length;
        if (!res.write(chunk)) await once(res, "drain");
      }
      res.end();
    });
    const request = ask(site, "/");
    request.end();
    const answer = await answerTo(request);
    answer.pause();
    let before = -1;
    while (before !== produced) {
      before = produced;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    // Socket buffers of the system on both sides, the send buffer, the credit: far less than the whole.
    expect(produced).toBeLessThan(20 * MIB);
    expect(site.world.bufferedBytes).toBeLessThanOrEqual(512 * 1024);
    const body = await buffer(answer);
    expect(body.length).toBe(size);
    expect(body.every((byte) => byte === 7)).toBe(true);
  });

  test("a client that goes away frees the stream and the server's connection", async () => {
    let closed = false;
    const site = await siteOf((_req, res) => {
      res.once("close", () => {
        closed = true;
      });
      const more = (): void => {
        while (!res.destroyed && res.write(Buffer.alloc(64 * 1024)));
        res.once("drain", more);
      };
      more();
    });
    const request = ask(site, "/");
    request.on("error", () => undefined);
    request.end();
    const answer = await answerTo(request);
    answer.on("error", () => undefined);
    await once(answer, "data");
    request.destroy();
    await until(() => closed && site.world.held === 0 && site.hosting.counts.open === 0);
  });

  test("a client that goes away before the answer frees all too", async () => {
    let closed = false;
    const site = await siteOf((_req, res) => {
      res.once("close", () => {
        closed = true;
      });
    });
    const request = ask(site, "/");
    request.on("error", () => undefined);
    request.end();
    await until(() => site.connections() === 1);
    request.destroy();
    await until(() => closed && site.world.held === 0 && site.hosting.counts.open === 0);
  });

  test("an answer that comes before the upload is over is delivered", async () => {
    const site = await siteOf((_req, res) => {
      res.writeHead(413, { Connection: "close", "Content-Length": "3" });
      res.end("big");
    });
    const request = ask(site, "/", { method: "POST", headers: { "Content-Length": String(64 * MIB) } });
    request.on("error", () => undefined);
    request.write(Buffer.alloc(1024));
    const answer = await answerTo(request);
    expect(answer.statusCode).toBe(413);
    expect(await text(answer)).toBe("big");
    request.destroy();
    await until(() => site.world.held === 0);
  });

  test.each([
    ["with a length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"],
    ["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"],
    ["ended by closing", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart"],
  ])("an answer %s that is cut off is not taken for a whole one", async (_name, head) => {
    const target = createTcpServer((socket) => socket.once("data", () => socket.write(head)));
    const site = await buildSite(target);
    const request = ask(site, "/");
    request.on("error", () => undefined).end();
    const answer = await answerTo(request);
    answer.once("data", () => site.world.loseAll());
    await expect(text(answer)).rejects.toThrow("aborted");
  });
});

describe("when it fails, the page says why", () => {
  test.each([
    [StreamCode.refused, 502, "hosts nothing on port 80"],
    [StreamCode.targetDown, 502, "is down"],
    [StreamCode.sessionLost, 502, "was lost"],
    [StreamCode.timeout, 504, "did not answer in time"],
    [StreamCode.overload, 503, "busy"],
    [StreamCode.unreachable, 504, "No route"],
    [StreamCode.noKey, 504, "key could not be fetched"],
    [StreamCode.handshakeFailed, 504, "handshake"],
  ])("stream code %i: %i", async (code, status, words) => {
    const world = new StreamWorld();
    world.onStream = (stream) => stream.refuse(code);
    const proxy = await buildProxy((port) => world.connect(port));
    const proxyPort = proxy.endpoints[0]!.port;
    const answer = await get({ proxyPort }, "/");
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toMatch(/^text\/html/);
    expect(answer.body).toContain(words);
    const tunnel = await sayRaw(proxyPort, `CONNECT ${NAME}:80 HTTP/1.1\r\n\r\n`);
    expect(tunnel).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(tunnel).toContain(words);
    expect(world.held).toBe(0);
    expect(proxy.counts.failed[status]).toBe(2);
  });

  test("a target that is not listening: 502, then 200 once it is", async () => {
    const server = createServer((_req, res) => res.end("back"));
    const site = await buildSite(server);
    await new Promise((resolve) => server.close(resolve));
    const down = await get(site, "/");
    expect(down.status).toBe(502);
    expect(down.body).toContain("config.json");
    expect(site.hosting.counts.refusedTargetDown).toBe(1);
    server.listen(site.targetPort, "127.0.0.1");
    await once(server, "listening");
    expect((await get(site, "/")).body).toBe("back");
  });

  test("a server that does not speak HTTP, or says nothing: 502", async () => {
    const site = await buildSite(createTcpServer((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")));
    expect(await get(site, "/")).toMatchObject({ status: 502 });
    const silent = await buildSite(createTcpServer((socket) => socket.once("data", () => socket.end())));
    expect(await get(silent, "/")).toMatchObject({ status: 502 });
  });

  test("a server that changes the protocol though nobody asked: 502", async () => {
    const answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    const site = await buildSite(createTcpServer((socket) => socket.once("data", () => socket.write(answer))));
    expect(await get(site, "/")).toMatchObject({ status: 502 });
  });

  test("the connection to the proxy stays usable after a page", async () => {
    const site = await siteOf((_req, res) => res.end("ok"));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.push(() => agent.destroy());
    expect((await get(site, "http://example.com/", { agent })).status).toBe(403);
    expect((await get(site, "/", { agent })).body).toBe("ok");
  });
});

describe("what is not for the overlay", () => {
  test("gets 403 with a page, and opens nothing", async () => {
    const site = await siteOf((_req, res) => res.end("never"));
    for (const url of ["http://example.com/", "http://127.0.0.1/", `http://localhost:${site.targetPort}/`]) {
      const answer = await get(site, url);
      expect(answer.status).toBe(403);
      expect(answer.body).toContain("nothing was looked up");
      expect(answer.headers["cache-control"]).toBe("no-store");
    }
    const tunnel = await sayRaw(site.proxyPort, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
    expect(tunnel).toMatch(/^HTTP\/1.1 403 /);
    expect(tunnel).toContain("nothing was looked up");
    expect(site.world.opened).toBe(0);
    expect(site.connections()).toBe(0);
    expect(site.proxy.counts.refused.notMariana).toBe(4);
  });

  test("a bad NAC gets 400 and sees what one looks like, escaped", async () => {
    const site = await siteOf((_req, res) => res.end());
    const answer = await get(site, "http://shop.mariana/");
    expect(answer.status).toBe(400);
    expect(answer.body).toContain("A NAC looks like");
    const evil = await sayRaw(
      site.proxyPort,
      `GET http://<script>x</script>/ HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`,
    );
    expect(evil).toMatch(/^HTTP\/1.1 400 /);
    expect(evil).not.toContain("<script>");
  });

  test("requests to the proxy's own port get 421", async () => {
    const site = await siteOf((_req, res) => res.end());
    const port = site.proxyPort;
    for (const host of [`localhost:${port}`, "evil.example", NAME]) {
      const answer = await sayRaw(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 421 /);
    }
    const self = await sayRaw(
      port,
      `GET http://localhost:${port}/ HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`,
    );
    expect(self).toMatch(/^HTTP\/1.1 421 /);
    expect(self).toContain("The Mariana proxy is running");
    expect(site.world.opened).toBe(0);
  });

  test.each([
    [
      "both lengths",
      `POST http://${NAME}/ HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "two lengths",
      `POST http://${NAME}/ HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    ],
    ["a bare line feed", `GET http://${NAME}/ HTTP/1.1\nHost: ${NAME}\n\n`],
    ["a space before the colon", `GET http://${NAME}/ HTTP/1.1\r\nHost : ${NAME}\r\n\r\n`],
    ["a folded header", `GET http://${NAME}/ HTTP/1.1\r\nHost: ${NAME}\r\nX: a\r\n Content-Length: 3\r\n\r\n`],
    ["no Host", `GET http://${NAME}/ HTTP/1.1\r\nConnection: close\r\n\r\n`],
    ["another Host", `GET http://${NAME}/ HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n`],
    [
      "an unknown coding",
      `POST http://${NAME}/ HTTP/1.1\r\nHost: ${NAME}\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n`,
    ],
    ["a head of 70 KiB", `GET http://${NAME}/ HTTP/1.1\r\nHost: ${NAME}\r\nCookie: ${"x".repeat(70 * 1024)}\r\n\r\n`],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
  ])("a request with %s is refused and not sent on", async (_name, bytes) => {
    const site = await siteOf((_req, res) => res.end());
    expect(await sayRaw(site.proxyPort, bytes)).toMatch(/^HTTP\/1.1 (?:4\d\d|501) /);
    expect(site.connections()).toBe(0);
  });
});

describe("CONNECT", () => {
  /** A tunnel that is open, and what came with the answer's head. */
  async function openTunnel(site: Site, early = ""): Promise<Socket> {
    const socket = connect({ host: "127.0.0.1", port: site.proxyPort, allowHalfOpen: true });
    cleanups.push(() => void socket.destroy());
    socket.write(`CONNECT ${NAME}:80 HTTP/1.1\r\n\r\n${early}`);
    const wanted = "HTTP/1.1 200 Connection Established\r\n\r\n";
    let head = "";
    while (head.length < wanted.length) {
      await once(socket, "readable");
      const chunk = socket.read(Math.min(socket.readableLength, wanted.length - head.length)) as Buffer | null;
      head += chunk?.toString("latin1") ?? "";
    }
    expect(head).toBe(wanted);
    return socket;
  }

  test("carries bytes both ways, those that came with the head first, and half-closes", async () => {
    const target = createTcpServer({ allowHalfOpen: true }, (socket) => {
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk;
      });
      socket.on("end", () => socket.end(`you said ${heard}`)); // answers only after the client's end
    });
    const site = await buildSite(target);
    const tunnel = await openTunnel(site, "early ");
    tunnel.end("late");
    expect(await text(tunnel)).toBe("you said early late");
    await until(() => site.world.held === 0 && site.hosting.counts.open === 0);
  });

  test("an end from the server leaves the client's direction open", async () => {
    let heard = "";
    const target = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.end("greeting");
      socket.on("data", (chunk) => {
        heard += chunk;
      });
    });
    const site = await buildSite(target);
    const tunnel = await openTunnel(site);
    let greeting = "";
    tunnel.on("data", (chunk) => {
      greeting += chunk;
    });
    await once(tunnel, "end");
    expect(greeting).toBe("greeting");
    tunnel.end("goodbye");
    await until(() => heard !== "");
    expect(heard).toBe("goodbye");
  });

  test("a lost session breaks the tunnel instead of ending it", async () => {
    const site = await buildSite(createTcpServer(() => undefined));
    const tunnel = await openTunnel(site);
    site.world.loseAll();
    const [error] = (await once(tunnel, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  });

  test("a client that goes away while the tunnel opens frees the stream", async () => {
    const world = new StreamWorld();
    world.onStream = (stream) => void stream.on("error", () => undefined); // neither yes nor no
    const proxy = await buildProxy((port) => world.connect(port));
    const socket = connect(proxy.endpoints[0]!.port, "127.0.0.1");
    socket.write(`CONNECT ${NAME}:22 HTTP/1.1\r\n\r\n`);
    await until(() => world.opened === 1);
    socket.destroy();
    await until(() => world.held === 0);
  });
});

test("a port in use is refused with exit code 8, and nothing stays bound", async () => {
  const taken = createTcpServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  cleanups.push(() => void taken.close());
  const proxy = new HttpProxy({ connect: () => new StreamWorld().connect(80), log });
  const { port } = taken.address() as AddressInfo;
  const failure = await proxy
    .listen([
      { host: "127.0.0.1", port: 0 },
      { host: "127.0.0.1", port },
    ])
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "port.inUse", exit: 8 });
  expect(proxy.endpoints).toEqual([]);
});

test("closing lets a request under way finish and breaks tunnels", async () => {
  let finish: () => void = () => undefined;
  const site = await siteOf((_req, res) => {
    finish = () => res.end("finished");
    res.flushHeaders();
  });
  const request = ask(site, "/");
  request.end();
  const answer = await answerTo(request);
  const closed = site.proxy.close(5_000);
  finish();
  expect(await text(answer)).toBe("finished");
  await closed;
  await until(() => site.world.held === 0);
});
