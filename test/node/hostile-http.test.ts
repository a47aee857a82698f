/**
 * What clients and servers send that is no HTTP, or could be read in two ways: each is refused for a reason that is
 * counted, and nothing of it reaches the other side as something else. Raw sockets throughout: no library would write it.
 */
import { once } from "node:events";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { printName } from "../../core/address/name.js";
import { buildSite, cleanUp, cleanups, NAC, NAME, type Site, sayRaw, until } from "../support/proxy-site.js";

afterEach(cleanUp);

const OTHER = printName(NAC.map((byte, i) => (i === 0 ? byte ^ 1 : byte)));
const ABSOLUTE = `http://${NAME}/`;
/** What no server may ever see. */
const SMUGGLED = `GET http://${NAME}/smuggled HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;

/** A server that keeps all it hears and answers every head it gets. */
async function buildListener(limits = {}): Promise<Site & { heard: () => string }> {
  let heard = "";
  const target = createTcpServer((socket) => {
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
      if (heard.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  return { ...(await buildSite(target, limits)), heard: () => heard };
}

/** Says it, and answers all that came back; a connection that is left open is ended after `waitMs`. */
async function say(site: Site, bytes: string, waitMs = 2_500): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: site.proxyPort }).on("error", () => undefined);
  cleanups.push(() => void socket.destroy());
  let answer = "";
  socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString("latin1");
  });
  socket.write(Buffer.from(bytes, "latin1"));
  const timer = setTimeout(() => socket.destroy(), waitMs);
  await new Promise((resolve) => socket.once("close", resolve));
  clearTimeout(timer);
  return answer;
}

const get = (fields: string, target = ABSOLUTE): string => `GET ${target} HTTP/1.1\r\nHost: ${NAME}\r\n${fields}\r\n`;
const post = (fields: string, body = ""): string =>
  `POST ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\n${fields}\r\n${body}`;

describe("a request is refused, closes its connection and reaches no server", () => {
  test.each<[string, string, number, string]>([
    ["a length and chunks", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "framing"],
    ["chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400, "framing"],
    ["two different lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400, "framing"],
    ["the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400, "framing"],
    ["a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), 400, "framing"],
    ["a length with a sign", post("Content-Length: +3\r\n", "abc"), 400, "framing"],
    ["a length below zero", post("Content-Length: -3\r\n", "abc"), 400, "framing"],
    ["a hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), 400, "framing"],
    ["a length that overflows", post("Content-Length: 99999999999999999999999\r\n", "abc"), 400, "framing"],
    ["an empty length", post("Content-Length:\r\n", "abc"), 400, "framing"],
    [
      "a coding in HTTP/1.0",
      `POST ${ABSOLUTE} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      "framing",
    ],
    ["an unknown coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, "transferCoding"],
    ["chunks that are not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400, "framing"],
    ["chunks twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400, "framing"],
    ["a coding that looks like chunks", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501, "transferCoding"],
    ["a coding after a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400, "badHeaders"],
    ["a bare line feed after the request line", `GET ${ABSOLUTE} HTTP/1.1\nHost: ${NAME}\r\n\r\n`, 400, "malformed"],
    ["a bare line feed after a field", get("X: a\nY: b\r\n"), 400, "badHeaders"],
    ["a bare carriage return in a field", get("X: a\rY: b\r\n"), 400, "badHeaders"],
    ["a folded field", get("X: a\r\n Content-Length: 3\r\n"), 400, "badHeaders"],
    ["a space before the colon", get("X : a\r\n"), 400, "badHeaders"],
    ["a tab before the colon", get("Content-Length\t: 3\r\n"), 400, "badHeaders"],
    ["a field without a colon", get("X\r\n"), 400, "badHeaders"],
    ["a field without a name", get(": a\r\n"), 400, "badHeaders"],
    ["a NUL in a field", get("X: a\0b\r\n"), 400, "badHeaders"],
    ["a NUL in a field's name", get("X\0: a\r\n"), 400, "badHeaders"],
    ["a control character in a field", get("X: a\x01b\r\n"), 400, "badHeaders"],
    ["another Host", `GET ${ABSOLUTE} HTTP/1.1\r\nHost: example.com\r\n\r\n`, 400, "hostMismatch"],
    ["the Host of another NAC", `GET ${ABSOLUTE} HTTP/1.1\r\nHost: ${OTHER}\r\n\r\n`, 400, "hostMismatch"],
    ["two Hosts", get(`Host: ${NAME}\r\n`), 400, "badHeaders"],
    ["no Host", `GET ${ABSOLUTE} HTTP/1.1\r\n\r\n`, 400, "noHost"],
    ["an empty Host", `GET ${ABSOLUTE} HTTP/1.1\r\nHost:\r\n\r\n`, 400, "hostMismatch"],
    ["six hundred fields", get(Array.from({ length: 600 }, (_, i) => `X-${i}: 1\r\n`).join("")), 431, "tooManyFields"],
    ["70 KiB of fields", get(`Cookie: ${"x".repeat(70 * 1024)}\r\n`), 431, "headTooLarge"],
    ["a request line of 70 KiB", get("", `${ABSOLUTE}${"x".repeat(70 * 1024)}`), 431, "headTooLarge"],
    ["userinfo in the authority", get("", `http://user:secret@${NAME}/`), 400, "badTarget"],
    ["an escape in the authority", get("", `http://${NAME.slice(0, -1)}%61/`), 400, "badTarget"],
    ["a backslash in the authority", get("", `http://${NAME}\\@example.com/`), 400, "badTarget"],
    ["port 0", get("", `http://${NAME}:0/`), 400, "badTarget"],
    ["port 65536", get("", `http://${NAME}:65536/`), 400, "badTarget"],
    ["two ports", get("", `http://${NAME}:80:80/`), 400, "badTarget"],
    ["a fragment", get("", `${ABSOLUTE}#top`), 400, "badTarget"],
    ["the scheme https", get("", `https://${NAME}/`), 400, "scheme"],
    ["the scheme ftp", get("", `ftp://${NAME}/`), 400, "scheme"],
    ["the scheme file", get("", `file://${NAME}/etc/passwd`), 400, "scheme"],
    ["TRACE", `TRACE ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`, 501, "method"],
    ["a method that nobody registered", `FOO ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`, 501, "method"],
    ["an unknown expectation", get("Expect: the moon\r\n"), 417, "expectation"],
    [
      "a change of protocol with a body",
      post("Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n"),
      400,
      "upgradeBody",
    ],
    [
      "Connection that names the length",
      post("Connection: content-length\r\nContent-Length: 3\r\n"),
      400,
      "badHeaders",
    ],
    ["another version", `GET ${ABSOLUTE} HTTP/3.0\r\nHost: ${NAME}\r\n\r\n`, 400, "malformed"],
    ["HTTP/0.9", `GET ${ABSOLUTE}\r\n\r\n`, 400, "malformed"],
    ["HTTP/2 without a tunnel", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed"],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed"],
  ])("with %s", async (_name, bytes, status, reason) => {
    const site = await buildListener();
    const answer = await say(site, bytes + SMUGGLED);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1); // the second request was never one
    expect(answer.toLowerCase()).toContain("connection: close");
    expect(site.proxy.refusals).toEqual({ [reason]: 1 });
    expect(site.connections()).toBe(0);
    expect(site.world.opened).toBe(0);
  });

  test.each([
    ["CONNECT with a path", `${NAME}:80/x`, 400, "badTarget"],
    ["CONNECT without a port", NAME, 400, "badTarget"],
    ["CONNECT to port 0", `${NAME}:0`, 400, "badTarget"],
    ["CONNECT to port 65536", `${NAME}:65536`, 400, "badTarget"],
    ["CONNECT with userinfo", `user@${NAME}:80`, 400, "badTarget"],
    ["CONNECT in absolute form", `http://${NAME}:80`, 400, "badTarget"],
    ["CONNECT to loopback", "127.0.0.1:22", 403, "notMariana"],
  ])("%s is refused and opens nothing", async (_name, authority, status, reason) => {
    const site = await buildListener();
    const answer = await say(site, `CONNECT ${authority} HTTP/1.1\r\n\r\n${SMUGGLED}`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1);
    expect(Object.keys(site.proxy.refusals)).toEqual([reason]);
    expect(site.world.opened).toBe(0);
  });

  test("CONNECT whose Host names another place", async () => {
    const site = await buildListener();
    const answer = await say(site, `CONNECT ${NAME}:80 HTTP/1.1\r\nHost: ${OTHER}:80\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(site.proxy.refusals).toEqual({ hostMismatch: 1 });
  });
});

test.each([
  "127.0.0.1",
  "2130706433",
  "017700000001",
  "0x7f000001",
  "0x7f.1",
  "127.1",
  "0",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[0:0:0:0:0:0:0:1]",
  "localhost",
  "localhost.",
  "LOCALHOST",
  "10.0.0.1",
  "192.168.0.1",
  "169.254.169.254",
  "printer.local",
  `${NAME}.example.com`,
])("%s is not for the overlay, however it is written, with the target's own port and with ours", async (host) => {
  const site = await buildListener();
  for (const port of [site.targetPort, 22]) {
    const answer = await sayRaw(
      site.proxyPort,
      `GET http://${host}:${port}/ HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  }
  expect(site.proxy.refusals).toEqual({ notMariana: 2 });
  expect(site.connections()).toBe(0);
});

describe("a request that turns bad in its body", () => {
  const chunked = (body: string): string => post("Transfer-Encoding: chunked\r\n", body);

  test.each([
    ["a chunk size that is no number", chunked("3\r\nabc\r\nxyz\r\n")],
    ["a chunk size below zero", chunked("-1\r\nabc\r\n")],
    ["a chunk size with 0x", chunked("0x3\r\nabc\r\n")],
    ["a chunk size that overflows", chunked("fffffffffffffffff\r\nabc\r\n")],
    ["a chunk longer than its size", chunked("3\r\nabcdef\r\n0\r\n\r\n")],
    ["a bare line feed after a chunk size", chunked("3\nabc\r\n0\r\n\r\n")],
    ["endless chunk extensions", chunked(`3;${"x".repeat(40_000)}\r\nabc\r\n0\r\n\r\n`)],
  ])("by %s is answered 400, and the server never takes it for a whole one", async (_name, bytes) => {
    const site = await buildListener();
    const answer = await say(site, bytes + SMUGGLED);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1);
    expect(Object.values(site.proxy.refusals)).toEqual([1]);
    await until(() => site.world.held === 0 && site.hosting.counts.open === 0);
    expect(site.heard()).not.toContain("0\r\n\r\n");
    expect(site.heard()).not.toContain("smuggled");
  });

  test("chunk extensions are read over and not passed on", async () => {
    const site = await buildListener();
    const answer = await say(site, chunked('3;name="v"\r\nabc\r\n0\r\n\r\n'), 500);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(site.heard()).toMatch(/\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
  });

  test("a second request behind a good one is a request like any other", async () => {
    const site = await buildListener();
    const answer = await say(site, get("") + SMUGGLED.replace("GET http", "GET HTTP"), 700);
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  test("a request whose head is junk behind a good one gets no answer that could be taken for the first's", async () => {
    const site = await buildSite(createTcpServer(() => undefined)); // never answers
    const answer = await say(site, `${get("")}\x01\x02\x03\r\n\r\n`);
    expect(answer).toBe("");
    await until(() => site.world.held === 0);
  });
});

describe("a client that is slow on purpose", () => {
  test("and never completes its head is told so, after a bounded time", async () => {
    const site = await buildListener({ headMs: 200 });
    const answer = await say(site, `GET ${ABSOLUTE} HTTP/1.1\r\nHost: ${NAME}\r\nX-Slow: `);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(site.proxy.refusals).toEqual({ headTooSlow: 1 });
  });

  test("and drips its head byte by byte is no better off", async () => {
    const site = await buildListener({ headMs: 200 });
    const socket = connect({ host: "127.0.0.1", port: site.proxyPort }).on("error", () => undefined);
    const drip = setInterval(() => socket.write("x"), 20);
    cleanups.push(() => clearInterval(drip));
    socket.write(`GET ${ABSOLUTE} HTTP/1.1\r\nX: `);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("may take its time for the body: that is somebody's slow upload", async () => {
    const site = await buildListener({ headMs: 200 });
    const socket = connect({ host: "127.0.0.1", port: site.proxyPort }).on("error", () => undefined);
    cleanups.push(() => void socket.destroy());
    socket.write(post("Content-Length: 8\r\n"));
    for (const part of ["ab", "cd", "\r\n", "\r\n"]) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      socket.write(part);
    }
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("a hostile server", () => {
  /** A server that says this to whoever speaks to it. */
  async function buildOrigin(say: (socket: Socket) => void, limits = {}): Promise<Site> {
    const target = createTcpServer((socket) => {
      socket.on("error", () => undefined).once("data", () => say(socket));
    });
    return await buildSite(target, limits);
  }

  const ok = "HTTP/1.1 200 OK\r\n";
  test.each<[string, string, string]>([
    ["a length and chunks", `${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, "answerFraming"],
    ["two lengths", `${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, "answerFraming"],
    ["the same length twice", `${ok}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, "answerFraming"],
    ["a length below zero", `${ok}Content-Length: -3\r\n\r\nabc`, "answerFraming"],
    ["an unknown coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, "answerFraming"],
    ["chunks twice", `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, "answerFraming"],
    ["a control character in a field", `${ok}X: a\x01b\r\nContent-Length: 0\r\n\r\n`, "answerHeaders"],
    ["a NUL in a field", `${ok}X: a\0b\r\nContent-Length: 0\r\n\r\n`, "answerHeaders"],
    ["a bare carriage return in a field", `${ok}X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n`, "answerHeaders"],
    ["a folded field", `${ok}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`, "answerHeaders"],
    ["a space before the colon", `${ok}Content-Length : 3\r\n\r\nabc`, "answerHeaders"],
    ["a status of no class", "HTTP/1.1 999 Nonsense\r\nContent-Length: 0\r\n\r\n", "answerMalformed"],
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "answerMalformed"],
    ["HTTP/2 frames", "\0\0\0\x04\0\0\0\0\0", "answerMalformed"],
    ["nothing", "", "answerEmpty"],
    ["half a head", `${ok}Content-`, "answerEmpty"],
    [
      "another protocol",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
      "answerUpgrade",
    ],
  ])("that sends %s gets a page in its place", async (_name, bytes, fault) => {
    const site = await buildOrigin((socket) => socket.end(Buffer.from(bytes, "latin1")));
    const answer = await say(site, get("Connection: close\r\n"));
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1);
    expect(answer).not.toContain("Set-Cookie");
    expect(site.proxy.refusals).toEqual({ [fault]: 1 });
    await until(() => site.world.held === 0);
  });

  test("whose head never ends is cut off at 64 KiB", async () => {
    const site = await buildOrigin((socket) => {
      const pour = (): void => {
        while (!socket.destroyed && socket.write(`X-More: ${"x".repeat(1000)}\r\n`));
      };
      socket.on("drain", pour).write(ok);
      pour();
    });
    const answer = await say(site, get("Connection: close\r\n"));
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(site.proxy.refusals).toEqual({ answerTooLarge: 1 });
    await until(() => site.world.held === 0);
  });

  test("that goes on with interim answers is cut off, and they are not passed on", async () => {
    const site = await buildOrigin((socket) => {
      const pour = (): void => {
        while (!socket.destroyed && socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"));
      };
      socket.on("drain", pour);
      pour();
    });
    const answer = await say(site, get("Connection: close\r\n"));
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(site.proxy.refusals).toEqual({ answerInterim: 1 });
    await until(() => site.world.held === 0);
  });

  test("that says nothing gets a 504 in its place, with a reason", async () => {
    const site = await buildOrigin(() => undefined, { answerMs: 150 });
    const answer = await say(site, get("Connection: close\r\n"));
    expect(answer).toMatch(/^HTTP\/1\.1 504 /);
    expect(answer).toContain("did not answer in time");
    expect(site.proxy.refusals).toEqual({ answerTimeout: 1 });
    await until(() => site.world.held === 0);
  });

  test("that begins its head in time and never ends it gets one too", async () => {
    const site = await buildOrigin((socket) => socket.write(`${ok}X: `), { answerMs: 150 });
    expect(await say(site, get("Connection: close\r\n"))).toMatch(/^HTTP\/1\.1 504 /);
  });

  test("that hides a second answer behind the first cannot poison the next request", async () => {
    const site = await buildOrigin((socket) => {
      socket.write(`${ok}Content-Length: 2\r\n\r\nok${ok}Content-Length: 6\r\n\r\npoison`);
    });
    const first = await say(site, get(""), 300);
    expect(first).toMatch(/ok$/);
    await until(() => site.world.held === 0); // what spoke out of turn is not used again
    expect(await say(site, get(""), 300)).not.toContain("poison");
  });

  test.each([
    ["204", get("Connection: close\r\n"), "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nextra"],
    ["304", get("Connection: close\r\n"), "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nextra"],
    ["HEAD", get("Connection: close\r\n").replace("GET", "HEAD"), `${ok}Content-Length: 5\r\n\r\nextra`],
  ])("that sends a body with the answer to %s is believed in all but that", async (_name, bytes, head) => {
    const site = await buildOrigin((socket) => socket.write(head));
    const answer = await say(site, bytes);
    expect(answer.slice(0, 12)).toBe(head.slice(0, 12));
    expect(answer).toMatch(/\r\n\r\n$/);
    expect(answer).not.toContain("extra");
    await until(() => site.world.held === 0);
  });

  test("that writes malformed trailers breaks its answer", async () => {
    const site = await buildOrigin((socket) => {
      socket.end(Buffer.from(`${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: a\0b\r\n\r\n`, "latin1"));
    });
    const answer = await say(site, get("Connection: close, TE\r\nTE: trailers\r\n"));
    expect(answer).not.toContain("0\r\n\r\n");
    await until(() => site.world.held === 0);
  });
});
