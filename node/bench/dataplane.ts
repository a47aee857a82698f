/**
 * The data plane as a user meets it: HTTP through the proxy, three relays and a host, all on one machine. Five daemons,
 * the web server and the client of the bench share its cores, so the figures are for comparing commits, not for boasting.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pinnedEndpoint, proxyOf, startDaemon } from "../demo/daemon-process.js";
import { type Line, startLine, waitForRoute } from "../demo/line.js";
import { fetchThrough, openThrough, type ProxyAddress } from "../demo/proxy-request.js";
import { handshakesPerSecond } from "./handshakes.js";
import { junkInitMicroseconds } from "./init-flood.js";
import { percentile } from "./percentile.js";
import { cpuSeconds, residentBytes } from "./process-usage.js";

const MB = 1_000_000;
const NETWORK = "bench";
const TTFB_SAMPLES = 100;
const FIRST_SAMPLES = 5;
const PARALLEL = 8;

export interface DataplaneFigures {
  readonly goodputMBps: number;
  readonly parallel8MBps: number;
  readonly ttfbMs: { readonly p50: number; readonly p95: number };
  readonly firstRequestMs: { readonly p50: number };
  readonly coldRequestMs: { readonly p50: number };
  readonly handshakesPerSecond: number;
  readonly junkInitUs: number;
  readonly cpuSecondsPerGB: number;
  readonly rssMB: number;
}

/** Throws when a daemon fails or an answer is not whole: a figure from a broken run is worse than none. */
export async function benchDataplane(options: {
  readonly megabytes: number;
  readonly say: (line: string) => void;
}): Promise<DataplaneFigures> {
  const { megabytes, say } = options;
  say("handshakes, both ends in one process");
  const handshakes = handshakesPerSecond();
  const junkInit = junkInitMicroseconds();

  const base = mkdtempSync(join(tmpdir(), "mq-bench-"));
  const site = await startServer();
  const target = `80=127.0.0.1:${(site.address() as AddressInfo).port}`;
  let line: Line | undefined;
  try {
    say("five daemons");
    line = await startLine({ base, network: NETWORK, http: "127.0.0.1:0", hosts: [target] });
    await waitForRoute(line.client, line.nac, line.daemons);
    await download(line.proxy, line.name, MB); // the session, and code that has been run before

    say("time to first byte");
    const ttfb = await timesToFirstByte(line);
    say(`one download of ${megabytes} MB`);
    const cpuBefore = cpuOf(line);
    const goodput = await rateOf(() => download(line!.proxy, line!.name, megabytes * MB));
    say(`eight downloads of ${Math.ceil(megabytes / PARALLEL)} MB`);
    const each = Math.ceil(megabytes / PARALLEL) * MB;
    const parallel = await rateOf(() => downloadTogether(line!, each));
    const cpuUsed = cpuOf(line) - cpuBefore;
    const carriedBytes = megabytes * MB + PARALLEL * each;
    const rss = Math.max(...line.daemons.map((daemon) => residentBytes(daemon.pid, "peak")));

    say("first requests to new hosts");
    const first = await firstRequests(line, base, target);
    say("first requests of new clients");
    const cold = await coldRequests(line, base);
    return {
      goodputMBps: round(goodput),
      parallel8MBps: round(parallel),
      ttfbMs: { p50: round(percentile(ttfb, 0.5)), p95: round(percentile(ttfb, 0.95)) },
      firstRequestMs: { p50: round(percentile(first, 0.5)) },
      coldRequestMs: { p50: round(percentile(cold, 0.5)) },
      handshakesPerSecond: round(handshakes),
      junkInitUs: round(junkInit),
      cpuSecondsPerGB: round((cpuUsed * 1000 * MB) / carriedBytes),
      rssMB: round(rss / MB),
    };
  } finally {
    await Promise.all(line?.daemons.map((daemon) => daemon.stop()) ?? []);
    site.closeAllConnections();
    site.close();
    rmSync(base, { recursive: true, force: true });
  }
}

/** Answers `/N` with N bytes. */
async function startServer(): Promise<Server> {
  const chunk = Buffer.alloc(1 << 16, "mariana ");
  const server = createServer((request, response) => {
    let left = Number(request.url?.slice(1) ?? 0);
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": left });
    const write = () => {
      while (left > 0) {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
        left -= part.length;
        if (!response.write(part)) return void response.once("drain", write);
      }
      response.end();
    };
    write();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return server;
}

/** Reads the answer and throws it away; resolves with its length. Rejects when it is not whole. */
function download(proxy: ProxyAddress, name: string, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = openThrough(proxy, `http://${name}/${bytes}`, { agent: new Agent() });
    outgoing.once("error", reject);
    outgoing.once("response", (answer) => {
      let arrived = 0;
      answer.on("data", (part: Buffer) => {
        arrived += part.length;
      });
      answer.once("error", reject);
      answer.once("end", () => {
        if (answer.statusCode === 200 && arrived === bytes) resolve(arrived);
        else reject(new Error(`status ${answer.statusCode}, ${arrived} of ${bytes} bytes`));
      });
    });
    outgoing.end();
  });
}

async function downloadTogether(line: Line, bytes: number): Promise<number> {
  const downloads = Array.from({ length: PARALLEL }, () => download(line.proxy, line.name, bytes));
  return (await Promise.all(downloads)).reduce((sum, arrived) => sum + arrived, 0);
}

/** MB per second of what `work` carried. */
async function rateOf(work: () => Promise<number>): Promise<number> {
  const startedAt = performance.now();
  const bytes = await work();
  return bytes / MB / ((performance.now() - startedAt) / 1000);
}

async function timesToFirstByte(line: Line): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const samples: number[] = [];
  for (let number = 0; number < TTFB_SAMPLES; number++) {
    samples.push((await fetchThrough(line.proxy, `http://${line.name}/1000`, { agent })).firstByteMs);
  }
  agent.destroy();
  return samples;
}

/** The client is known to the network; the host is a new one each time: key fetch, handshake, request. */
async function firstRequests(line: Line, base: string, target: string): Promise<number[]> {
  const peer = await pinnedEndpoint(line.relays.at(-1)!);
  const samples: number[] = [];
  for (let number = 1; number <= FIRST_SAMPLES; number++) {
    const plan = { base, network: NETWORK, http: "off", hosts: [target], peers: [peer] };
    const { daemon } = await startDaemon({ ...plan, name: `host-${number}` });
    try {
      const { nac, name } = await daemon.id();
      await waitForRoute(line.client, nac, [...line.daemons, daemon]);
      samples.push((await fetchThrough(line.proxy, `http://${name}/1000`)).totalMs);
    } finally {
      await daemon.stop();
    }
  }
  return samples;
}

/** The client is a new one each time: routes, its own announcement, key fetch, handshake, request. */
async function coldRequests(line: Line, base: string): Promise<number[]> {
  const peer = await pinnedEndpoint(line.relays[0]!);
  const samples: number[] = [];
  for (let number = 1; number <= FIRST_SAMPLES; number++) {
    const plan = { base, network: NETWORK, http: "127.0.0.1:0", hosts: [], peers: [peer] };
    const { daemon, status } = await startDaemon({ ...plan, name: `client-${number}` });
    try {
      samples.push((await fetchThrough(proxyOf(status), `http://${line.name}/1000`)).totalMs);
    } finally {
      await daemon.stop();
    }
  }
  return samples;
}

function cpuOf(line: Line): number {
  return line.daemons.reduce((sum, daemon) => sum + cpuSeconds(daemon.pid), 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
