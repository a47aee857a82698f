/** Readers of what people and programs on this machine write: names, files, requests. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseNac } from "../../core/address/nac.js";
import { parseName } from "../../core/address/name.js";
import { parseHex } from "../../core/address/text.js";
import { decodeIdentityPem, decodeLinkKeyPem, encodeIdentityPem, encodeLinkKeyPem } from "../../core/crypto/pem.js";
import { parseAuthority } from "../../core/proxy/authority.js";
import { tagOfCredentials } from "../../core/proxy/isolation.js";
import { decideConnect, decideRequest } from "../../core/proxy/request-decision.js";
import { decideAnswer, decideSwitch } from "../../core/proxy/response-head.js";
import { SocksNegotiation } from "../../core/proxy/socks5.js";
import { defaultConfig, parseConfig } from "../../node/config/config-file.js";
import { parseEndpoint, parseHosted, parseListen, parsePeer } from "../../node/config/endpoint.js";
import { readState } from "../../node/config/state-file.js";
import { Failure } from "../../node/failure.js";
import { replayJournal } from "../../node/journal/replay.js";
import { type FuzzTarget, fuzz } from "../support/fuzz.js";
import { seededEntropy } from "../support/handshake-pair.js";

setPriority(10); // beside daemons that must not be late
const folder = mkdtempSync(join(tmpdir(), "mq-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NAC = "4c76dc4b-3983-87fb-bcd9-a72d8bdad5b5";
const LONG_NAME = `${"abcdefghijklmnopqrstuvwxyz234567".repeat(2).slice(0, 52)}.mariana`;
const PIN = "0123456789abcdef".repeat(4);

const texts = (...samples: string[]) => samples.map((sample) => new Uint8Array(Buffer.from(sample, "utf8")));
const utf8 = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

/** A Failure is an answer: it says what is wrong. Anything else is a bug. */
function orFailure(read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

/** A head as node:http hands it over: a request line or a status, then names and values in turn. */
function fieldsOf(bytes: Uint8Array): { first: string; fields: string[] } {
  const [first = "", ...lines] = latin1(bytes).split("\n");
  return {
    first,
    fields: lines.flatMap((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  };
}

const HEADS = texts(
  `GET http://${NAC}.mariana/ 1.1\nHost: ${NAC}.mariana\nConnection: keep-alive, x\nX: y\nAccept: */*`,
  `POST http://${LONG_NAME}:8080/a?b=c 1.1\nHost: ${LONG_NAME}:8080\nContent-Length: 12\nExpect: 100-continue`,
  `PUT http://${NAC}.mariana/ 1.0\nHost: ${NAC}.mariana\nTransfer-Encoding: chunked\nTE: trailers\nTrailer: x`,
  `GET ws://${NAC}.mariana/ 1.1\nHost: ${NAC}.mariana\nConnection: Upgrade\nUpgrade: websocket\nProxy-Authorization: Basic YTpi`,
  "GET /status 1.1\nHost: localhost:8000\nSec-Fetch-Site: none\nOrigin: http://localhost:8000",
  `OPTIONS * 1.1\nHost: ${NAC}.mariana`,
);

const targets: FuzzTarget[] = [
  {
    name: "names, NACs, endpoints and authorities",
    corpus: texts(
      NAC,
      `${NAC}.mariana`,
      LONG_NAME,
      `${NAC}.mariana:80`,
      "[::1]:4000",
      "127.0.0.1:4000",
      `a.b:1#${PIN}`,
      "80=unix:/x",
      PIN,
    ),
    read: (bytes) => {
      const text = utf8(bytes);
      for (const parse of [parseNac, parseName, parseEndpoint, parseListen, parsePeer, parseHosted]) parse(text);
      parseAuthority(text, 80);
      parseAuthority(text, undefined);
      parseHex(text, 32);
      tagOfCredentials(text);
    },
  },
  {
    name: "privatekey.pem",
    corpus: texts(
      encodeIdentityPem(seededEntropy(1)(64), seededEntropy(2)(32)),
      encodeLinkKeyPem(seededEntropy(3)(64)),
    ),
    read: (bytes) => {
      decodeIdentityPem(latin1(bytes));
      decodeLinkKeyPem(utf8(bytes));
    },
  },
  {
    name: "config.json",
    corpus: texts(
      JSON.stringify(
        { ...defaultConfig(), nac: NAC, peers: [`127.0.0.1:1#${PIN}`], hosts: { 80: "127.0.0.1:8080" } },
        null,
        2,
      ),
      JSON.stringify({
        version: 1,
        session: { rekeySeconds: 5 },
        log: { level: "debug" },
        socks: "off",
        udp: ["[::]:1"],
      }),
    ),
    read: (bytes) => orFailure(() => void parseConfig("config.json", utf8(bytes))),
  },
  {
    name: "state.json",
    corpus: texts('{"epoch":4000000000}', '{"epoch":7,"former":{"untilSeconds":1900000000,"epoch":6}}'),
    read: (bytes) => {
      const path = join(folder, "state.json");
      writeFileSync(path, bytes);
      readState(path);
    },
  },
  {
    name: "SOCKS5",
    corpus: [
      Uint8Array.of(
        5,
        2,
        0,
        2,
        1,
        3,
        97,
        100,
        97,
        1,
        98,
        5,
        1,
        0,
        3,
        44,
        ...Buffer.from(`${NAC}.mariana`),
        0,
        80,
        71,
        69,
        84,
      ),
      Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80),
      Uint8Array.of(5, 1, 0, 5, 3, 0, 4, ...new Uint8Array(16), 0, 0),
    ],
    read: (bytes) => {
      const negotiation = new SocksNegotiation();
      const half = bytes.length >> 1;
      for (const part of [bytes.subarray(0, half), bytes.subarray(half)]) {
        negotiation.handle(part);
        for (let step = negotiation.next(); step.kind === "reply"; step = negotiation.next());
      }
    },
  },
  {
    name: "heads of requests",
    corpus: HEADS,
    read: (bytes) => {
      const { first, fields } = fieldsOf(bytes);
      const [method = "", url = "", version = ""] = first.split(" ");
      decideRequest({ method, url, version, headers: fields, localNames: ["localhost:8000"] });
      decideConnect(url, fields);
    },
  },
  {
    name: "heads of answers",
    corpus: texts(
      "200\nContent-Length: 5\nConnection: close\nServer: x",
      "101\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: x",
      "200\nTransfer-Encoding: chunked\nTrailer: a, b",
    ),
    read: (bytes) => {
      const { first, fields } = fieldsOf(bytes);
      for (const method of ["GET", "HEAD"]) decideAnswer({ status: Number(first), headers: fields, method });
      decideSwitch(fields);
    },
  },
  {
    name: "journals",
    corpus: [new Uint8Array([0x89, 0x4d, 0x51, 0x4a, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 1, ...new Uint8Array(40)])],
    read: (bytes) => {
      const path = join(folder, "journal");
      writeFileSync(path, bytes);
      orFailure(() => void replayJournal(path));
    },
  },
];

test.each(targets)("$name: any bytes are borne", (target) => {
  expect(fuzz(target)).toBeGreaterThan(0);
});
