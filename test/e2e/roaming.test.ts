import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DaemonProcess, pinnedEndpoint, proxyOf, startDaemon } from "../../node/demo/daemon-process.js";
import { openThrough } from "../../node/demo/proxy-request.js";
import { bulk, hashOf } from "../support/bulk.js";
import { eventually, NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import { Nat } from "../support/nat.js";

const BIG_BYTES = 40_000_000;
const PAUSE_MS_MAX = 3_000;

let base: string;
let server: Server;
let nat: Nat;
let host: DaemonProcess;
let client: DaemonProcess;
let bigSha256: string;
let url: string;
let proxy: { readonly host: string; readonly port: number };

/** client -- NAT -- host, each a daemon; what the host serves is larger than any buffer on the way. */
beforeAll(async () => {
  base = temporaryFolder();
  const parts = [...bulk(BIG_BYTES, "roaming")];
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  bigSha256 = hash.digest("hex");
  server = createServer((_request, answer) => {
    answer.end(Buffer.concat(parts));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const common = { base, network: NETWORK };
  const hosts = [`80=127.0.0.1:${port}`];
  host = (await startDaemon({ ...common, name: "host", http: "off", hosts, peers: [] })).daemon;
  const [address, pin] = (await pinnedEndpoint(host)).split("#");
  nat = await Nat.before(Number(address!.split(":")[1]));
  const peers = [`${nat.endpoint}#${pin}`];
  const started = await startDaemon({ ...common, name: "client", http: "127.0.0.1:0", hosts: [], peers });
  client = started.daemon;
  proxy = proxyOf(started.status);
  const { nac } = await host.id();
  url = `http://${nac}.mariana/`;
  await eventually("the client knows the host", async () => (await client.routes()).some((route) => route.nac === nac));
});

afterAll(async () => {
  await stopAll([client, host].filter((daemon) => daemon !== undefined));
  nat?.close();
  server?.close();
  removeFolder(base);
});

function count(daemon: DaemonProcess, event: string): number {
  return readFileSync(daemon.logFile, "utf8").split(`"${event}"`).length - 1;
}

/** Downloads, and calls `change` at each third. Answers the longest time without a byte. */
async function download(change: () => Promise<void>): Promise<number> {
  const outgoing = openThrough(proxy, url);
  outgoing.end();
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  let arrived = 0;
  let lastMs = performance.now();
  let pauseMs = 0;
  answer.on("data", (part: Buffer) => {
    const third = (bytes: number) => Math.floor((3 * bytes) / BIG_BYTES);
    const before = third(arrived);
    arrived += part.length;
    if (third(arrived) > before && arrived < BIG_BYTES) void change();
    const nowMs = performance.now();
    pauseMs = Math.max(pauseMs, nowMs - lastMs);
    lastMs = nowMs;
  });
  expect(await hashOf(answer)).toEqual({ length: BIG_BYTES, sha256: bigSha256 });
  return pauseMs;
}

test.each([
  ["the client's address changes", "host", () => nat.rebindOuter()],
  ["the host's address changes", "client", () => nat.rebindInner()],
] as const)("a download goes on when %s in the middle of it, twice", async (_what, follower, change) => {
  const before = count(follower === "host" ? host : client, "link.moved");

  const pauseMs = await download(change);

  expect(pauseMs).toBeLessThan(PAUSE_MS_MAX);
  expect(count(follower === "host" ? host : client, "link.moved") - before).toBe(2);
  for (const daemon of [host, client]) expect(count(daemon, "link.down")).toBe(0);
  const { endpoint, pinned } = (await client.peers())[0]!;
  expect(pinned).toBe(true);
  if (follower === "client") expect(endpoint).toBe(nat.endpoint);
});
