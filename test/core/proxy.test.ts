import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nacFromHash, printNac } from "../../core/address/nac.js";
import { parseName, printLongName, printName } from "../../core/address/name.js";
import { parseAuthority } from "../../core/proxy/authority.js";
import { describeFailure } from "../../core/proxy/failure.js";
import { endToEndFields, forwardedTrailers } from "../../core/proxy/header-fields.js";
import { tagOf } from "../../core/proxy/isolation.js";
import { keepsConnection } from "../../core/proxy/refusal.js";
import { decideConnect, decideRequest, type Forward } from "../../core/proxy/request-decision.js";
import { decideAnswer, decideSwitch } from "../../core/proxy/response-head.js";
import { refuseUnparsed } from "../../core/proxy/unparsed.js";

const HASH = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 3);
const NAC = nacFromHash(HASH);
const NAME = printName(NAC);
const LONG_NAME = printLongName(HASH);
const OTHER = printName(nacFromHash(HASH.map((byte) => byte ^ 1)));
const LOCAL = ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"];

/** With the Host that belongs to the target, unless the test gives one. */
function decide(url: string, headers: string[] = [], method = "GET", version = "1.1") {
  const hasHost = headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === "host");
  const host = /^http:\/\/([^/?#]*)/i.exec(url)?.[1];
  const all = hasHost || host === undefined ? headers : ["Host", host, ...headers];
  return decideRequest({ method, version, url, headers: all, localNames: LOCAL });
}

function forwarded(url: string, headers: string[] = [], method = "GET", version = "1.1"): Forward {
  const decision = decide(url, headers, method, version);
  if (decision.kind !== "forward") throw new Error(`refused: ${decision.reason}`);
  return decision;
}

function refusal(url: string, headers: string[] = [], method = "GET"): string {
  const decision = decide(url, headers, method);
  return decision.kind === "refuse" ? `${decision.status} ${decision.reason}` : "forward";
}

describe("a request is forwarded", () => {
  test("to the NAC and port it names, in origin form, with a Host of its own", () => {
    const decision = forwarded(`http://${NAME}:8080/a/b?c=d&e`, ["Accept", "*/*"]);
    expect(decision.nac).toEqual(NAC);
    expect(decision.port).toBe(8080);
    expect(decision.path).toBe("/a/b?c=d&e");
    expect(decision.host).toBe(`${NAME}:8080`);
    expect(decision.headers).toEqual(["Host", `${NAME}:8080`, "Accept", "*/*"]);
    expect(decision.hash).toBeUndefined();
  });

  test("to port 80 when none is named, and then Host names none", () => {
    expect(forwarded(`http://${NAME}/`)).toMatchObject({ port: 80, host: NAME });
    expect(forwarded(`http://${NAME}:80/`)).toMatchObject({ port: 80, host: NAME });
  });

  test("by the long name, with the whole hash to check the keys against", () => {
    const decision = forwarded(`http://${LONG_NAME}/`);
    expect(decision.nac).toEqual(NAC);
    expect(decision.hash).toEqual(HASH);
    expect(decision.host).toBe(LONG_NAME);
  });

  test("whatever the case of scheme and name", () => {
    expect(forwarded(`HTTP://${NAME.toUpperCase()}/`).nac).toEqual(NAC);
  });

  test.each([
    ["", "GET", "/"],
    ["?q", "GET", "/?q"],
    ["", "OPTIONS", "*"],
    ["/", "OPTIONS", "/"],
    ["?q", "OPTIONS", "/?q"],
    ["//double", "GET", "//double"],
    ["/http://else.example/", "GET", "/http://else.example/"],
  ])("with rest %j of a %s becoming the path %s", (rest, method, path) => {
    expect(forwarded(`http://${NAME}${rest}`, [], method).path).toBe(path);
  });

  test("when Host agrees, in either name and with or without the port 80", () => {
    for (const host of [NAME, `${NAME}:80`, NAME.toUpperCase(), LONG_NAME, ` ${NAME} `]) {
      expect(forwarded(`http://${NAME}/`, ["Host", host]).headers).toEqual(["Host", NAME]);
    }
  });

  test("without what was meant for the proxy alone, order and repetition kept", () => {
    const headers = [
      ["Host", NAME],
      ["Cookie", "a=1"],
      ["Proxy-Connection", "keep-alive"],
      ["Proxy-Authorization", "Basic eDp5"],
      ["Connection", "close, X-Private"],
      ["connection", "x-more"],
      ["X-Private", "1"],
      ["X-More", "2"],
      ["Keep-Alive", "timeout=5"],
      ["TE", "deflate"],
      ["Trailer", "Expires"],
      ["Upgrade", "h2c"],
      ["cookie", "b=2"],
      ["Range", "bytes=0-1"],
    ].flat();
    expect(forwarded(`http://${NAME}/`, headers).headers).toEqual([
      "Host",
      NAME,
      "Cookie",
      "a=1",
      "cookie",
      "b=2",
      "Range",
      "bytes=0-1",
    ]);
  });

  test("with nothing added that names the client or the proxy", () => {
    const { headers } = forwarded(`http://${NAME}/`, ["Host", NAME, "Accept", "*/*"]);
    expect(headers.join("\n")).not.toMatch(/via|forwarded|x-/i);
  });

  test("with its body framed as it came", () => {
    expect(forwarded(`http://${NAME}/`, ["Content-Length", "5"], "POST")).toMatchObject({ body: "length" });
    const chunked = forwarded(`http://${NAME}/`, ["Transfer-Encoding", "Chunked"], "PUT");
    expect(chunked.body).toBe("chunked");
    expect(chunked.headers.slice(-2)).toEqual(["Transfer-Encoding", "chunked"]);
  });

  test.each(["POST", "PUT", "PROPFIND", "MKCOL", "DELETE", "LIST-ALL"])(
    "without a body, and without words about one, when a %s has none",
    (method) => {
      expect(forwarded(`http://${NAME}/`, [], method)).toMatchObject({ body: "none", headers: ["Host", NAME] });
      expect(forwarded(`http://${NAME}/`, ["Content-Length", "2"], method).body).toBe("length");
    },
  );

  test("by a name with the dot of the root, which the server does not see", () => {
    expect(forwarded(`http://${NAME}./`)).toMatchObject({ nac: NAC, headers: ["Host", NAME] });
    expect(forwarded(`http://${NAME}.:81/`, ["Host", `${NAME}:81`])).toMatchObject({ host: `${NAME}:81` });
  });

  test("with the trailers it announces, and a word that the client takes some, when it does", () => {
    const fields = ["Transfer-Encoding", "chunked", "Trailer", "X-Sum", "TE", "trailers, deflate", "Connection", "TE"];
    const decision = forwarded(`http://${NAME}/`, fields, "POST");
    expect(decision.takesTrailers).toBe(true);
    expect(decision.headers.slice(2)).toEqual(["Transfer-Encoding", "chunked", "Trailer", "X-Sum", "TE", "trailers"]);
    expect(forwarded(`http://${NAME}/`, ["Trailer", "X-Sum"]).headers).toEqual(["Host", NAME]);
  });

  test("with its Expect, which is the server's to answer", () => {
    const decision = forwarded(`http://${NAME}/`, ["Expect", "100-Continue", "Content-Length", "4"], "PUT");
    expect(decision.expectsContinue).toBe(true);
    expect(decision.headers).toContain("Expect");
    expect(forwarded(`http://${NAME}/`, ["Expect", "100-continue"], "PUT", "1.0").expectsContinue).toBe(false);
  });

  test("for a change of protocol only when the client asks for one, and never to h2c", () => {
    const upgrade = forwarded(`http://${NAME}/`, ["Connection", "keep-alive, Upgrade", "Upgrade", "websocket"]);
    expect(upgrade.upgrade).toBe("websocket");
    expect(upgrade.headers).toEqual(["Host", NAME, "Upgrade", "websocket"]);
    const h2c = ["Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAM"];
    expect(forwarded(`http://${NAME}/`, h2c).upgrade).toBeUndefined();
    expect(forwarded(`http://${NAME}/`, h2c).headers).toEqual(["Host", NAME]);
    const both = ["Connection", "Upgrade", "Upgrade", "h2c, websocket"];
    expect(forwarded(`http://${NAME}/`, both).upgrade).toBe("websocket");
    const old = forwarded(`http://${NAME}/`, ["Connection", "Upgrade", "Upgrade", "websocket"], "GET", "1.0");
    expect(old.upgrade).toBeUndefined();
  });

  test("without Host only when it is HTTP/1.0", () => {
    const ask = (version: string) =>
      decideRequest({ method: "GET", version, url: `http://${NAME}/`, headers: [], localNames: LOCAL });
    expect(ask("1.0")).toMatchObject({ kind: "forward", headers: ["Host", NAME] });
    expect(ask("1.1")).toMatchObject({ kind: "refuse", status: 400, reason: "noHost" });
  });
});

describe("a request is refused", () => {
  test.each([
    ["http://example.com/", "403 notMariana"],
    ["http://127.0.0.1/", "403 notMariana"],
    ["http://[::1]:631/", "403 notMariana"],
    ["http://localhost/", "403 notMariana"],
    ["ftp://example.com/", "403 notMariana"],
    [`http://${NAME}.example.com/`, "403 notMariana"],
    [`http://${NAME}../`, "403 notMariana"],
    ["http://localhost./", "403 notMariana"],
    ["http://2130706433/", "403 notMariana"],
    ["http://017700000001/", "403 notMariana"],
    ["http://0x7f.1/", "403 notMariana"],
    ["http://[::ffff:127.0.0.1]/", "403 notMariana"],
    ["http://[::ffff:7f00:1]:8000/", "403 notMariana"],
    ["http://%6cocalhost/", "400 badTarget"],
    ["http://[fe80::1%25lo]/", "400 badTarget"],
    ["http://localhost.:8000/", "421 originForm"],
    [`http://evil${NAME.slice(0, -8)}mariana/`, "403 notMariana"],
    ["http://mariana/", "400 badName"],
    ["http://shop.mariana/", "400 badName"],
    [`http://www.${NAME}/`, "400 badName"],
    [`http://${printNac(NAC).replaceAll("-", "")}.mariana/`, "400 badName"],
    ["http://6ba7b810-9dad-11d1-80b4-00c04fd430c8.mariana/", "400 badName"],
    [`https://${NAME}/`, "400 scheme"],
    [`ws://${NAME}/`, "400 scheme"],
    [`http://user:secret@${NAME}/`, "400 badTarget"],
    [`http://${NAME}:0/`, "400 badTarget"],
    [`http://${NAME}:65536/`, "400 badTarget"],
    [`http://${NAME}:80:80/`, "400 badTarget"],
    [`http://${NAME}/a b`, "400 badTarget"],
    [`http://${NAME}/#top`, "400 badTarget"],
    [`http://${NAME}/\r\nX: y`, "400 badTarget"],
    [`http://${NAME}\\@example.com/`, "400 badTarget"],
    ["http:///", "400 badTarget"],
    ["http://localhost:8000/", "421 originForm"],
    ["http://[::1]:8000/", "421 originForm"],
    ["/", "421 originForm"],
    ["*", "421 originForm"],
    ["", "421 originForm"],
  ])("for the target %j: %s", (url, expected) => {
    expect(refusal(url)).toBe(expected);
  });

  test("when it comes in origin form under another host's name (DNS rebinding)", () => {
    expect(refusal("/admin", ["Host", "evil.example:8000"])).toBe("421 foreignHost");
    expect(refusal("/admin", ["Host", NAME])).toBe("421 foreignHost");
    expect(refusal("/", ["Host", "LOCALHOST:8000"])).toBe("421 originForm");
  });

  test.each([
    [["Host", "example.com"], "400 hostMismatch"],
    [["Host", OTHER], "400 hostMismatch"],
    [["Host", `${NAME}:81`], "400 hostMismatch"],
    [["Host", ""], "400 hostMismatch"],
    [["Host", NAME, "Host", NAME], "400 badHeaders"],
    [["X y", "1"], "400 badHeaders"],
    [["X", "a\r\nY: b"], "400 badHeaders"],
    [["X", "\u0100"], "400 badHeaders"],
    [["Connection", "Content-Length", "Content-Length", "3"], "400 badHeaders"],
    [["Connection", "close, host"], "400 badHeaders"],
    [["Content-Length", "3", "Transfer-Encoding", "chunked"], "400 framing"],
    [["Content-Length", "3", "Content-Length", "3"], "400 framing"],
    [["Content-Length", "3, 3"], "400 framing"],
    [["Content-Length", "+3"], "400 framing"],
    [["Content-Length", "0x3"], "400 framing"],
    [["Content-Length", ""], "400 framing"],
    [["Transfer-Encoding", "gzip, chunked"], "501 transferCoding"],
    [["Transfer-Encoding", "chunked", "transfer-encoding", "chunked"], "400 framing"],
    [["Transfer-Encoding", "xchunked"], "501 transferCoding"],
    [["Expect", "the moon"], "417 expectation"],
    [["Expect", "100-continue, the moon"], "417 expectation"],
    [["Connection", "Upgrade", "Upgrade", "websocket", "Content-Length", "3"], "400 upgradeBody"],
    [["Connection", "Upgrade", "Upgrade", "h2c", "Transfer-Encoding", "chunked"], "400 upgradeBody"],
    [["Proxy-Authorization", "Basic eDp5", "Proxy-Authorization", "Basic eDp6"], "400 badHeaders"],
    [["Proxy-Authorization", "x".repeat(1025)], "400 badHeaders"],
    [Array.from({ length: 513 }, (_, i) => [`X-${i}`, ""]).flat(), "431 tooManyFields"],
  ])("for the headers %j: %s", (headers, expected) => {
    expect(refusal(`http://${NAME}/`, headers, "POST")).toBe(expected);
  });

  test("for methods that would echo it, or that are not tokens", () => {
    expect(refusal(`http://${NAME}/`, [], "TRACE")).toBe("501 method");
    expect(refusal(`http://${NAME}/`, [], "GET /x")).toBe("400 badHeaders");
  });

  test("with a text that says what to do, however long the name", () => {
    const decision = decide(`http://${"a".repeat(200)}.mariana/`);
    expect(decision).toMatchObject({ kind: "refuse", status: 400 });
    if (decision.kind === "refuse") {
      expect(decision.text).toContain("A NAC looks like");
      expect(decision.text.length).toBeLessThan(600);
    }
  });
});

test("the NAC shown as an example in the refusal is a valid one", () => {
  const decision = decide("http://x.mariana/");
  const example = decision.kind === "refuse" ? /[0-9a-f-]{36}\.mariana/.exec(decision.text)?.[0] : undefined;
  expect(parseName(example ?? "")).toBeDefined();
});

describe("CONNECT", () => {
  test("tunnels to any port of a NAC", () => {
    expect(decideConnect(`${NAME}:443`)).toEqual({ kind: "tunnel", nac: NAC, port: 443, isolation: "" });
    expect(decideConnect(`${LONG_NAME}:22`)).toEqual({
      kind: "tunnel",
      nac: NAC,
      hash: HASH,
      port: 22,
      isolation: "",
    });
  });

  test("takes a Host that agrees, with or without the port, and refuses another", () => {
    for (const host of [NAME, `${NAME}:22`, LONG_NAME]) {
      expect(decideConnect(`${NAME}:22`, ["Host", host]).kind).toBe("tunnel");
    }
    for (const host of [OTHER, `${NAME}:23`, "example.com:22"]) {
      expect(decideConnect(`${NAME}:22`, ["Host", host])).toMatchObject({ kind: "refuse", reason: "hostMismatch" });
    }
  });

  test.each([
    ["example.com:443", 403],
    ["127.0.0.1:22", 403],
    ["[::1]:22", 403],
    ["nobody.mariana:443", 400],
    [NAME, 400],
    [`${NAME}:`, 400],
    [`${NAME}:0`, 400],
    [`user@${NAME}:80`, 400],
    [`http://${NAME}:80`, 400],
    [`${NAME}:80/path`, 400],
    [`${NAME}:65536`, 400],
    [`${NAME}:0080`, "tunnel"],
    ["", 400],
  ])("to %j gives %s", (authority, expected) => {
    const decision = decideConnect(authority);
    expect(decision.kind === "refuse" ? decision.status : decision.kind).toBe(expected);
  });
});

describe("isolation", () => {
  const basic = (text: string) => `Basic ${Buffer.from(text, "latin1").toString("base64")}`;
  const tagFor = (value: string) => forwarded(`http://${NAME}/`, ["Proxy-Authorization", value]).isolation;

  test("user and password are a tag, the same for requests and tunnels, and nobody is told of it", () => {
    const headers = ["Host", NAME, "Proxy-Authorization", basic("work:1")];
    const decision = forwarded(`http://${NAME}/`, headers);
    expect(decision.isolation).toBe(tagOf("work", "1"));
    expect(decision.headers).toEqual(["Host", NAME]);
    expect(decideConnect(`${NAME}:80`, headers)).toMatchObject({ isolation: tagOf("work", "1") });
    expect(forwarded(`http://${NAME}/`).isolation).toBe("");
  });

  test("whatever the characters, a tag is that of its pair alone", () => {
    const texts = fc.string({ unit: "binary-ascii", maxLength: 8 });
    const user = texts.map((text) => text.replaceAll(":", ";"));
    fc.assert(
      fc.property(user, texts, user, texts, (user1, password1, user2, password2) => {
        const isSame = user1 === user2 && password1 === password2;
        expect(tagFor(basic(`${user1}:${password1}`))).toBe(tagOf(user1, password1));
        expect(tagOf(user1, password1) === tagOf(user2, password2)).toBe(isSame);
      }),
    );
  });

  test("what is no user and password is a tag of its own kind", () => {
    const tags = ["Bearer x", "Basic !", "Basic A", "", basic("a"), basic("a:b")].map(tagFor);
    expect(new Set(tags).size).toBe(tags.length);
    expect(tags).not.toContain("");
  });
});

describe("whatever the strings are", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(NAME, LONG_NAME, OTHER, "example.com", "mariana", ".mariana", `${NAME}.example`),
  );
  const piece = fc.oneof(
    hostile,
    fc.constantFrom("http://", "://", "/", ":", "@", "?", "#", "[", "]", "\\", " ", ":80", "%00"),
  );
  const target = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  const name = fc.oneof(
    hostile,
    fc.constantFrom("Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade"),
  );
  const fields = fc.array(fc.tuple(name, fc.oneof(hostile, fc.constantFrom("chunked", "close", "5"))), {
    maxLength: 5,
  });

  test("deciding never throws and never forwards to anything but a NAC name", () => {
    fc.assert(
      fc.property(hostile, target, fields, (method, url, pairs) => {
        const decision = decide(url, pairs.flat(), method, "1.0");
        if (decision.kind === "refuse") {
          expect(decision.status).toBeGreaterThanOrEqual(400);
          return;
        }
        const authority = parseAuthority(decision.host, 80);
        expect(parseName(authority?.host ?? "")?.nac).toEqual(decision.nac);
        expect(url.toLowerCase()).toMatch(/^http:\/\/[^/?#@]*\.mariana\.?(?:[:/?]|$)/);
        expect(decision.path).toMatch(/^(?:\/[\x21-\x7e]*|\*)$/);
        expect(decision.headers.join("")).not.toMatch(/[\r\n\0]/);
      }),
      { numRuns: 3000 },
    );
  });

  test("CONNECT never throws and never tunnels to anything but a NAC name", () => {
    fc.assert(
      fc.property(target, (authority) => {
        const decision = decideConnect(authority);
        if (decision.kind === "refuse") return;
        const host = authority.slice(0, authority.lastIndexOf(":")).replace(/\.$/, "");
        expect(parseName(host)?.nac).toEqual(decision.nac);
        expect(decision.port).toBeGreaterThan(0);
      }),
      { numRuns: 3000 },
    );
  });

  test("no hop-by-hop field survives", () => {
    fc.assert(
      fc.property(fields, (pairs) => {
        const kept = endToEndFields(pairs.flat()).filter((_, i) => i % 2 === 0);
        for (const field of kept)
          expect(field.toLowerCase()).not.toMatch(
            /^(?:connection|transfer-encoding|upgrade|te|trailer|keep-alive|proxy-.*)$/,
          );
      }),
    );
  });
});

describe("an answer", () => {
  const answer = (headers: string[], status = 200, method = "GET") => decideAnswer({ status, headers, method });

  test("keeps its cookies apart and loses what concerned the last hop", () => {
    const fields = ["Set-Cookie", "a=1", "Connection", "keep-alive", "set-cookie", "b=2", "Keep-Alive", "5"];
    const kept = ["Set-Cookie", "a=1", "set-cookie", "b=2"];
    expect(answer([...fields, "Transfer-Encoding", "chunked"])).toEqual({
      kind: "answer",
      fields: kept,
      hasBody: true,
    });
  });

  test("has no body when the request or the status says so", () => {
    expect(answer(["Content-Length", "5"], 200, "HEAD")).toMatchObject({
      hasBody: false,
      fields: ["Content-Length", "5"],
    });
    expect(answer(["Content-Length", "5"], 204)).toMatchObject({ hasBody: false, fields: [] });
    expect(answer(["Content-Length", "5"], 304)).toMatchObject({ hasBody: false, fields: ["Content-Length", "5"] });
  });

  test("tells of trailers only when some may follow", () => {
    const fields = ["Trailer", "X-Sum", "Transfer-Encoding", "chunked"];
    expect(answer(fields)).toMatchObject({ trailer: "x-sum" });
    expect(answer(fields, 304)).not.toHaveProperty("trailer");
    expect(answer(["Trailer", "X-Sum", "Content-Length", "5"])).not.toHaveProperty("trailer");
  });

  test.each([
    [["X", "a\nb"], "answerHeaders"],
    [["X y", "1"], "answerHeaders"],
    [["Content-Length", "5", "Transfer-Encoding", "chunked"], "answerFraming"],
    [["Content-Length", "5", "Content-Length", "5"], "answerFraming"],
    [["Content-Length", "5, 5"], "answerFraming"],
    [["Content-Length", "-5"], "answerFraming"],
    [["Transfer-Encoding", "gzip, chunked"], "answerFraming"],
  ])("with %j is not passed on", (headers, fault) => {
    expect(answer(headers)).toBe(fault);
  });

  test.each([100, 199, 600, 999])("with the status %i is not passed on", (status) => {
    expect(answer([], status)).toBe("answerMalformed");
  });

  test("that changes the protocol names one, once", () => {
    const fields = ["Upgrade", "websocket", "Connection", "upgrade", "Sec-WebSocket-Accept", "x"];
    expect(decideSwitch(fields)).toEqual([
      "Connection",
      "Upgrade",
      "Upgrade",
      "websocket",
      "Sec-WebSocket-Accept",
      "x",
    ]);
    expect(decideSwitch(["Connection", "upgrade"])).toBeUndefined();
    expect(decideSwitch(["Upgrade", "websocket"])).toBeUndefined();
    expect(decideSwitch([...fields, "X", "a\rb"])).toBeUndefined();
  });
});

test("trailers lose what belongs into a head, and a malformed one is none", () => {
  const fields = ["X-Sum", "1", "Content-Length", "5", "Host", "x", "Transfer-Encoding", "chunked", "x-sum", "2"];
  expect(forwardedTrailers(fields)).toEqual([
    ["X-Sum", "1"],
    ["x-sum", "2"],
  ]);
  expect(forwardedTrailers(["X", "a\rb"])).toBeUndefined();
});

test("TLS at the port of the proxy hears that plain HTTP is spoken here, and a method nobody knows hears that", () => {
  expect(refuseUnparsed("HPE_INVALID_METHOD", 0x16)).toMatchObject({ status: 400, reason: "malformed" });
  expect(refuseUnparsed("HPE_INVALID_METHOD", 0x16).text).toContain("this port speaks plain HTTP");
  expect(refuseUnparsed("HPE_INVALID_METHOD", 0x47)).toMatchObject({ status: 501, reason: "method" });
});

test("what the parser gave up on is told apart", () => {
  const codes = ["HPE_HEADER_OVERFLOW", "ERR_HTTP_REQUEST_TIMEOUT", "HPE_INVALID_METHOD", "HPE_INVALID_CONTENT_LENGTH"];
  const more = ["HPE_INVALID_CHUNK_SIZE", "HPE_INVALID_HEADER_TOKEN", "HPE_INVALID_CONSTANT", undefined];
  const told = [...codes, ...more]
    .map((code) => refuseUnparsed(code))
    .map(({ status, reason }) => `${status} ${reason}`);
  expect(told).toEqual([
    "431 headTooLarge",
    "408 headTooSlow",
    "501 method",
    "400 framing",
    "400 chunking",
    "400 badHeaders",
    "400 malformed",
    "400 malformed",
  ]);
});

test("after a refusal the connection is kept only when nothing about the request is in doubt", () => {
  const refusals = [decide("http://example.com/"), decide("/"), decide(`http://${NAME}/`, ["Content-Length", "x"])];
  expect(refusals.map((one) => one.kind === "refuse" && keepsConnection(one))).toEqual([true, true, false]);
});

test("every stream code has a page: 502 when somebody said no, 504 when nobody answered", () => {
  const statuses = Array.from({ length: 12 }, (_, code) => describeFailure(code, 80).status);
  expect(statuses).toEqual([502, 502, 502, 502, 502, 504, 503, 502, 504, 504, 504, 502]);
  expect(describeFailure(1, 8123).text).toContain("8123");
});
