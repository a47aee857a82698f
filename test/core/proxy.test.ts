import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nacFromHash, printNac } from "../../core/address/nac.js";
import { parseName, printLongName, printName } from "../../core/address/name.js";
import { parseAuthority } from "../../core/proxy/authority.js";
import { describeFailure } from "../../core/proxy/failure.js";
import { endToEndFields } from "../../core/proxy/header-fields.js";
import { decideConnect, decideRequest, type Forward } from "../../core/proxy/request-decision.js";
import { forwardedResponseFields } from "../../core/proxy/response-head.js";

const HASH = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 3);
const NAC = nacFromHash(HASH);
const NAME = printName(NAC);
const LONG_NAME = printLongName(HASH);
const OTHER = printName(nacFromHash(HASH.map((byte) => byte ^ 1)));
const LOCAL = ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"];

function decide(url: string, headers: string[] = [], method = "GET") {
  return decideRequest({ method, url, headers, localNames: LOCAL });
}

function forwarded(url: string, headers: string[] = [], method = "GET"): Forward {
  const decision = decide(url, headers, method);
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
      ["TE", "trailers"],
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
    const empty = forwarded(`http://${NAME}/`, [], "POST");
    expect(empty.body).toBe("none");
    expect(empty.headers.slice(-2)).toEqual(["Content-Length", "0"]);
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
    [`http://${NAME}./`, "403 notMariana"],
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
    expect(decideConnect(`${NAME}:443`)).toEqual({ kind: "tunnel", nac: NAC, port: 443 });
    expect(decideConnect(`${LONG_NAME}:22`)).toEqual({ kind: "tunnel", nac: NAC, hash: HASH, port: 22 });
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
    ["", 400],
  ])("refuses %j with %i", (authority, status) => {
    expect(decideConnect(authority)).toMatchObject({ kind: "refuse", status });
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
        const decision = decide(url, pairs.flat(), method);
        if (decision.kind === "refuse") {
          expect(decision.status).toBeGreaterThanOrEqual(400);
          return;
        }
        const authority = parseAuthority(decision.host, 80);
        expect(parseName(authority?.host ?? "")?.nac).toEqual(decision.nac);
        expect(url.toLowerCase()).toMatch(/^http:\/\/[^/?#@]*\.mariana(?:[:/?]|$)/);
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
        expect(parseName(authority.slice(0, authority.lastIndexOf(":")))?.nac).toEqual(decision.nac);
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

test("an answer keeps its cookies apart and loses what concerned the last hop", () => {
  const fields = ["Set-Cookie", "a=1", "Connection", "keep-alive", "set-cookie", "b=2", "Transfer-Encoding", "chunked"];
  expect(forwardedResponseFields(fields)).toEqual(["Set-Cookie", "a=1", "set-cookie", "b=2"]);
  expect(forwardedResponseFields(["X", "a\nb"])).toBeUndefined();
});

test("every stream code has a page: 502 when somebody said no, 504 when nobody answered", () => {
  const statuses = Array.from({ length: 12 }, (_, code) => describeFailure(code, 80).status);
  expect(statuses).toEqual([502, 502, 502, 502, 502, 504, 503, 502, 504, 504, 504, 502]);
  expect(describeFailure(1, 8123).text).toContain("8123");
});
