/** What web applications do besides asking for pages, through the proxy: other protocols, streams, trailers, patience. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { tagOf } from "../../core/proxy/isolation.js";
import {
  answerTo,
  ask,
  buildProxy,
  buildSite,
  cleanUp,
  cleanups,
  get,
  NAME,
  type Site,
  siteOf,
  until,
} from "../support/proxy-site.js";
import { StreamWorld } from "../support/stream-world.js";

afterEach(cleanUp);

const MIB = 1024 * 1024;
const ABSOLUTE = `http://${NAME}/`;

/** A connection to the proxy that keeps what it hears. */
function dial(site: { proxyPort: number }): Socket & { heard: string } {
  const socket = connect({ host: "127.0.0.1", port: site.proxyPort, allowHalfOpen: true });
  cleanups.push(() => void socket.destroy());
  const heard = Object.assign(socket, { heard: "" });
  socket
    .on("error", () => undefined)
    .on("data", (chunk: Buffer) => {
      heard.heard += chunk.toString("latin1");
    });
  return heard;
}

/** An end may have come before anybody waits for it; a break is an end too. */
async function ended(socket: Socket): Promise<void> {
  await until(() => socket.readableEnded || socket.destroyed);
}

/** A tunnel that is open and has said nothing. */
async function tunnel(site: { proxyPort: number }): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: site.proxyPort });
  cleanups.push(() => void socket.destroy());
  socket.write(`CONNECT ${NAME}:80 HTTP/1.1\r\nHost: ${NAME}:80\r\n\r\n`);
  await once(socket, "readable");
  expect(String(socket.read())).toBe("HTTP/1.1 200 Connection Established\r\n\r\n");
  return socket;
}

describe("WebSocket", () => {
  const HANDSHAKE = `Host: ${NAME}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; // RFC 6455 section 1.3

  /** Speaks the opening handshake, then hands the connection to the test. */
  async function buildChat(then: (socket: Duplex) => void): Promise<Site & { seen: IncomingMessage[] }> {
    const seen: IncomingMessage[] = [];
    const server = createServer((_req, res) => res.writeHead(426, { Upgrade: "websocket" }).end("upgrade, please"));
    server.on("upgrade", (req: IncomingMessage, socket: Duplex) => {
      seen.push(req);
      socket.on("error", () => undefined);
      if (req.url === "/no") {
        socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nX-Why: closed\r\n\r\nno room");
        return;
      }
      const key = `${req.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      const accept = createHash("sha1").update(key).digest("base64");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nwelcome `,
      );
      then(socket);
    });
    return { ...(await buildSite(server)), seen };
  }

  test("in absolute form is handed through, with what comes right behind either head, and ends in order", async () => {
    const site = await buildChat((socket) => {
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk;
      });
      socket.on("end", () => socket.end(`you said ${heard}`)); // answers only after the client's end
    });
    const client = dial(site);
    client.write(`GET ${ABSOLUTE}chat HTTP/1.1\r\n${HANDSHAKE}early `);
    await until(() => client.heard.endsWith("welcome "));
    expect(client.heard).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(client.heard).toContain(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`);
    expect(client.heard).toMatch(/\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    expect(site.seen[0]!.url).toBe("/chat");
    expect(site.seen[0]!.headers).toMatchObject({ host: NAME, connection: "Upgrade", upgrade: "websocket" });
    client.end("late");
    await ended(client);
    expect(client.heard).toMatch(/you said early late$/);
    await until(() => site.world.held === 0 && site.hosting.counts.open === 0);
  });

  test("may be ended by the server first, and the client still speaks", async () => {
    let heard = "";
    const site = await buildChat((socket) => {
      socket.on("data", (chunk) => {
        heard += chunk;
      });
      socket.end("goodbye");
    });
    const client = dial(site);
    client.write(`GET ${ABSOLUTE}chat HTTP/1.1\r\n${HANDSHAKE}`);
    await ended(client);
    expect(client.heard).toMatch(/welcome goodbye$/);
    client.end("last words");
    await until(() => heard === "last words");
    await until(() => site.world.held === 0 && site.hosting.counts.open === 0);
  });

  test("through CONNECT is bytes like any others", async () => {
    const site = await buildChat((socket) => socket.pipe(socket));
    const client = await tunnel(site);
    client.write(`GET /chat HTTP/1.1\r\n${HANDSHAKE}`);
    let heard = "";
    client.on("data", (chunk) => {
      heard += chunk;
    });
    await until(() => heard.endsWith("welcome "));
    client.write("echo");
    await until(() => heard.endsWith("welcome echo"));
  });

  test("that the server refuses gets the server's answer", async () => {
    const site = await buildChat(() => undefined);
    const client = dial(site);
    client.write(`GET ${ABSOLUTE}no HTTP/1.1\r\n${HANDSHAKE}`);
    await ended(client);
    expect(client.heard).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*X-Why: closed\r\n[\s\S]*\r\n\r\nno room$/);
    client.destroy();
    const { underWay } = site.proxy as unknown as { underWay: Map<unknown, unknown> };
    await until(() => site.world.held === 0 && underWay.size === 0);
  });

  test("that the node cannot serve gets a page", async () => {
    const world = new StreamWorld();
    const proxy = await buildProxy((port) => world.connect(port));
    const client = dial({ proxyPort: proxy.endpoints[0]!.port });
    client.write(`GET ${ABSOLUTE} HTTP/1.1\r\n${HANDSHAKE}`);
    await ended(client);
    expect(client.heard).toMatch(/^HTTP\/1\.1 502 [\s\S]*hosts nothing on port 80/);
    const refused = dial({ proxyPort: proxy.endpoints[0]!.port });
    refused.write(`GET http://example.com/ HTTP/1.1\r\n${HANDSHAKE}`);
    await ended(refused);
    expect(refused.heard).toMatch(/^HTTP\/1\.1 403 /);
  });

  test("breaks on both sides when the session is lost, the server goes, or the client does", async () => {
    const sockets: Duplex[] = [];
    const site = await buildChat((socket) => void sockets.push(socket));
    const open = async (): Promise<Socket & { heard: string }> => {
      const client = dial(site);
      client.write(`GET ${ABSOLUTE} HTTP/1.1\r\n${HANDSHAKE}`);
      await until(() => client.heard.endsWith("welcome "));
      return client;
    };
    const lost = await open();
    site.world.loseAll();
    await ended(lost);
    expect(lost.errored).toMatchObject({ code: "ECONNRESET" });

    const left = await open();
    (sockets.at(-1) as Socket).resetAndDestroy();
    await ended(left);
    expect(left.errored).toMatchObject({ code: "ECONNRESET" });

    const leaving = await open();
    const server = sockets.at(-1)!;
    leaving.resetAndDestroy();
    await until(() => server.destroyed && site.world.held === 0);
  });

  test("given up while the server still thinks about it frees the stream", async () => {
    const site = await buildSite(createTcpServer((socket) => void socket.on("error", () => undefined)));
    const client = dial(site);
    client.write(`GET ${ABSOLUTE} HTTP/1.1\r\n${HANDSHAKE}`);
    await until(() => site.connections() === 1);
    client.end();
    await until(() => site.world.held === 0 && site.hosting.counts.open === 0);
  });

  test("is not mixed up with a request before it that is still being answered", async () => {
    const site = await buildChat(() => undefined);
    const client = dial(site);
    client.write(`GET ${ABSOLUTE}slow HTTP/1.1\r\nHost: ${NAME}\r\n\r\nGET ${ABSOLUTE} HTTP/1.1\r\n${HANDSHAKE}`);
    await ended(client);
    expect(client.heard).not.toContain("101");
  });
});

describe("a stream of events", () => {
  test("arrives event by event, each before the next is sent", async () => {
    const turns: string[] = [];
    let send: (event: string) => void = () => undefined;
    const site = await siteOf((_req, res) => {
      res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
      res.flushHeaders();
      send = (event) => {
        turns.push(`sent ${event}`);
        res.write(`data: ${event}\n\n`);
      };
    });
    const request = ask(site, "/", { headers: { Accept: "text/event-stream" } });
    request.end();
    const answer = await answerTo(request);
    for (const event of ["1", "2", "3", "4", "5"]) {
      send(event);
      const [chunk] = (await once(answer, "data")) as [Buffer];
      turns.push(`got ${chunk.toString().trim().slice(6)}`);
    }
    expect(turns.join(", ")).toBe([1, 2, 3, 4, 5].map((i) => `sent ${i}, got ${i}`).join(", "));
    answer.destroy();
  });

  test("goes up as well as down: a chunk of a body is not kept for the next", async () => {
    const site = await siteOf((req, res) => {
      req.on("data", (chunk) => res.write(`got ${chunk}`));
      req.on("end", () => res.end());
    });
    const request = ask(site, "/", { method: "POST" });
    request.write("1");
    const answer = await answerTo(request);
    expect(String((await once(answer, "data"))[0])).toBe("got 1");
    request.write("2");
    expect(String((await once(answer, "data"))[0])).toBe("got 2");
    request.end();
    expect(await text(answer)).toBe("");
  });
});

describe("HTTP/2 with prior knowledge through CONNECT", () => {
  test("serves many requests at once, pushes bodies both ways, and ends with trailers as gRPC does", async () => {
    const server = createHttp2Server();
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => undefined);
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-path": String(headers[":path"]) }));
      stream.pipe(stream);
    });
    const site = await buildSite(server as unknown as Parameters<typeof buildSite>[0]);
    const socket = await tunnel(site);
    const session = connectHttp2(`http://${NAME}`, { createConnection: () => socket });
    cleanups.push(() => void session.destroy());
    const call = async (path: string, message: Buffer) => {
      const stream = session.request({ ":method": "POST", ":path": path, te: "trailers" });
      let trailers: OutgoingHttpHeaders = {};
      stream.on("trailers", (fields) => {
        trailers = fields;
      });
      stream.end(message);
      return { body: await text(stream), trailers };
    };
    const messages = Array.from({ length: 20 }, (_, i) => Buffer.alloc(50_000, 97 + i));
    const answers = await Promise.all(messages.map((message, i) => call(`/echo/${i}`, message)));
    for (const [i, { body, trailers }] of answers.entries()) {
      expect(body).toBe(messages[i]!.toString());
      expect(trailers).toMatchObject({ "grpc-status": "0", "x-path": `/echo/${i}` });
    }
    expect(site.world.opened).toBe(1);
  });
});

describe("trailers", () => {
  test("of a request and of its answer are handed through to who takes them", async () => {
    const server = createServer((req, res) => {
      req.resume().on("end", () => {
        res.writeHead(200, { Trailer: "X-Sum", "X-Asked": `${req.headers.te}; ${req.headers.trailer}` });
        res.write("body");
        res.addTrailers({ "X-Sum": `answer to ${req.trailers["x-sum"]}` });
        res.end();
      });
    });
    const site = await buildSite(server);
    const request = ask(site, "/", {
      method: "POST",
      headers: { TE: "trailers", Connection: "TE", Trailer: "X-Sum", "Transfer-Encoding": "chunked" },
    });
    request.write("body");
    request.addTrailers({ "X-Sum": "1" });
    request.end();
    const answer = await answerTo(request);
    expect(await text(answer)).toBe("body");
    expect(answer.headers).toMatchObject({ trailer: "x-sum", "x-asked": "trailers; X-Sum" });
    expect(answer.rawTrailers).toEqual(["X-Sum", "answer to 1"]);
  });

  test("of an answer are left out for a client that does not ask for them", async () => {
    const site = await siteOf((req, res) => {
      expect(req.headers.te).toBeUndefined();
      res.writeHead(200, { Trailer: "X-Sum" });
      res.write("body");
      res.addTrailers({ "X-Sum": "1" });
      res.end();
    });
    const request = ask(site, "/");
    request.end();
    const answer = await answerTo(request);
    expect(await text(answer)).toBe("body");
    expect(answer.rawTrailers).toEqual([]);
    expect(answer.headers.trailer).toBeUndefined();
  });
});

describe("Expect: 100-continue", () => {
  const EXPECTING = `PUT ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;

  /** A server that says this when it has the head, and keeps what it hears. */
  async function buildServer(first: string, then: string): Promise<Site & { heard: () => string }> {
    let heard = "";
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        heard += chunk;
        if (heard.endsWith("\r\n\r\n") && first !== "") socket.write(first);
        if (heard.endsWith("body")) socket.write(then);
      });
    });
    return { ...(await buildSite(server)), heard: () => heard };
  }

  test("is handed on, and the body leaves the client only after the server's word", async () => {
    const site = await buildServer(
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    );
    const client = dial(site);
    client.write(EXPECTING);
    await until(() => client.heard === "HTTP/1.1 100 Continue\r\n\r\n");
    expect(site.heard()).toMatch(/\r\nExpect: 100-continue\r\n/);
    expect(site.heard()).not.toContain("body");
    client.write("body");
    await until(() => client.heard.includes("201 Created"));
  });

  test("does not keep the body of a client that goes on without it", async () => {
    const site = await buildServer("", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    const client = dial(site);
    client.write(`${EXPECTING}body`);
    await until(() => client.heard.startsWith("HTTP/1.1 201 Created"));
  });

  test.each(["417 Expectation Failed", "413 Too Large", "200 OK"])(
    "answered at once by %s ends the connection, so that no later request is taken for the body",
    async (status) => {
      const site = await buildServer(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`, "");
      const client = dial(site);
      client.write(EXPECTING);
      await until(() => client.heard.endsWith("no"));
      expect(client.heard.toLowerCase()).toContain("connection: close");
      client.write(`GET ${ABSOLUTE}next HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
      await ended(client);
      expect(site.heard()).not.toContain("next");
      client.destroy();
      await until(() => site.world.held === 0);
    },
  );

  test("from HTTP/1.0 is not answered by an interim answer, which it does not know", async () => {
    const site = await buildServer(
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    );
    const client = dial(site);
    client.write(`${EXPECTING.replace("HTTP/1.1", "HTTP/1.0")}body`);
    await ended(client);
    expect(client.heard).toMatch(/^HTTP\/1\.1 201 /);
  });
});

test("early hints are handed through with their Link, and other interim answers are not", async () => {
  const site = await buildSite(
    createTcpServer((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    }),
  );
  const client = dial(site);
  client.write(`GET ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
  await until(() => client.heard.endsWith("ok"));
  expect(client.heard.match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 103", "HTTP/1.1 200"]);
  expect(client.heard).toContain("Link: </a.css>; rel=preload\r\n");
});

describe("a method", () => {
  test.each(["PROPFIND", "MKCOL", "REPORT", "POST", "DELETE", "OPTIONS"])(
    "such as %s has a body exactly if the client sent one",
    async (method) => {
      const seen: IncomingMessage[] = [];
      const site = await siteOf(async (req, res) => {
        seen.push(req);
        res.end(`got ${await text(req)}`);
      });
      const client = dial(site);
      client.write(`${method} ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
      await until(() => client.heard.endsWith("got "));
      expect(seen[0]!.headers["transfer-encoding"] ?? seen[0]!.headers["content-length"]).toBeUndefined();
      const answer = await get(site, "/", { method, headers: { "Content-Length": "0" } });
      expect(answer.body).toBe("got ");
      const request = ask(site, "/", { method, headers: { "Content-Length": "4" } });
      request.end("body");
      expect(await text(await answerTo(request))).toBe("got body");
      expect(seen[2]!.headers["content-length"]).toBe("4");
    },
  );

  test("OPTIONS about the server as a whole arrives as an asterisk", async () => {
    const site = await siteOf((req, res) => res.end(req.url));
    const client = dial(site);
    client.write(`OPTIONS http://${NAME} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
    await until(() => client.heard.endsWith("*"));
  });
});

describe("patience", () => {
  test("a transfer may take longer than any limit there is for heads", async () => {
    const site = await buildSite(
      createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, async (req, res) => {
        if (req.url === "/down") {
          res.writeHead(200, { "Content-Length": "6" });
          for (const part of ["a", "b", "c", "d", "e", "f"]) {
            await new Promise((resolve) => setTimeout(resolve, 100));
            res.write(part);
          }
          res.end();
        } else res.end(`got ${await text(req)}`);
      }),
      { headMs: 150, answerMs: 150 },
    );
    const [down] = await Promise.all([
      get(site, "/down"),
      (async () => {
        const request = ask(site, "/up", { method: "PUT" });
        for (const part of ["u", "v", "w", "x", "y", "z"]) {
          request.write(part);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        request.end();
        expect(await text(await answerTo(request))).toBe("got uvwxyz");
      })(),
    ]);
    expect(down.body).toBe("abcdef");
    expect(site.proxy.refusals).toEqual({});
  });

  test("node's own limits that would cut a transfer are off, and those for heads are on", async () => {
    const site = await siteOf((_req, res) => res.end("ok"));
    const [server] = (site.proxy as unknown as { servers: ReturnType<typeof createServer>[] }).servers;
    expect(server).toMatchObject({ requestTimeout: 0, timeout: 0, headersTimeout: 60_000, maxRequestsPerSocket: 0 });
    expect(server!.keepAliveTimeout).toBeGreaterThan(60_000);
    expect(server!.maxConnections).toBe(1024);
  });

  test("a server that stops taking a body for too long is given up on, with a page", async () => {
    const stuck = createTcpServer((socket) => void socket.on("error", () => undefined).pause());
    const site = await buildSite(stuck, { answerMs: 400 });
    const request = ask(site, "/", { method: "PUT", headers: { "Content-Length": String(64 * MIB) } });
    request.on("error", () => undefined);
    request.write(Buffer.alloc(32 * MIB));
    const answer = await answerTo(request);
    expect(answer.statusCode).toBe(504);
    expect(site.proxy.refusals).toEqual({ answerTimeout: 1 });
    request.destroy();
    await until(() => site.world.held === 0);
  });
});

describe("isolation by Proxy-Authorization", () => {
  const basic = (pair: string) => ({ "Proxy-Authorization": `Basic ${Buffer.from(pair).toString("base64")}` });

  test("streams are opened under the tag, kept ones are not shared, and the server hears nothing of it", async () => {
    const world = new StreamWorld();
    const tags: string[] = [];
    const seen: IncomingMessage[] = [];
    const server = createServer((req: IncomingMessage, res: ServerResponse) => {
      seen.push(req);
      res.end("ok");
    });
    world.onStream = (stream) => {
      stream.accept();
      server.emit("connection", stream);
    };
    const proxy = await buildProxy((port, tag) => {
      tags.push(tag);
      return world.connect(port);
    });
    const site = { proxyPort: proxy.endpoints[0]!.port };
    for (const pair of ["red:1", "red:1", "blue:1", "red:2"]) await get(site, "/", { headers: basic(pair) });
    await get(site, "/");
    expect(tags).toEqual([tagOf("red", "1"), tagOf("blue", "1"), tagOf("red", "2"), ""]); // the second red was kept
    expect(seen.map((req) => req.headers["proxy-authorization"])).toEqual(Array(5).fill(undefined));
  });
});

test("closing ends a kept connection at once, and one under way with its answer", async () => {
  let finish: () => void = () => undefined;
  const site = await siteOf((req, res) => {
    if (req.url === "/now") res.end("now");
    else finish = () => res.end("later");
  });
  const agent = new Agent({ keepAlive: true });
  cleanups.push(() => agent.destroy());
  await get(site, "/now", { agent });
  const slow = ask(site, "/later", { agent: new Agent({ keepAlive: true }) });
  slow.end();
  await until(() => site.connections() === 1 && site.world.opened >= 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const silent = dial(site); // browsers open connections in advance
  await once(silent, "connect");
  await new Promise((resolve) => setTimeout(resolve, 50));
  const startedMs = performance.now();
  const closed = site.proxy.close(5_000);
  await ended(silent);
  finish();
  expect(await text(await answerTo(slow))).toBe("later");
  await closed;
  expect(performance.now() - startedMs).toBeLessThan(3_000);
});
