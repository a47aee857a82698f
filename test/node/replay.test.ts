/** Journals of real daemons: recorded by `mariana up --journal`, over loopback that loses, and replayed by the command. */
import { execFile, spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type DaemonPlan, DaemonProcess, proxyOf } from "../../node/demo/daemon-process.js";
import { fetchThrough, openThrough } from "../../node/demo/proxy-request.js";
import { ExitCode } from "../../node/failure.js";
import type { Replay } from "../../node/journal/replay.js";
import { eventually, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import { forge, readPlaces } from "../support/journals.js";
import { randomFrom } from "../support/random.js";

/** Built by `tsc -b`: what a user runs. */
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const COMMAND = join(DIST, "node", "cli", "main.js");
const NETWORK = "replay";
/** Both ways, of every link datagram. */
const LOSS = 0.05;
const PAGE = Buffer.from(randomFrom("page").bytes(400_000));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function replay(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, "replay", ...args], (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, out, err });
    });
  });
}

async function replayJson(...args: string[]): Promise<Replay> {
  const { code, out, err } = await replay("--json", ...args);
  if (code !== ExitCode.ok) throw new Error(`exit ${code}: ${err}`);
  return JSON.parse(out) as Replay;
}

/** A path between a client and `port` that drops datagrams both ways, the same ones for the same seed. */
async function lossyPath(port: number, seed: string): Promise<{ endpoint: string; close: () => void }> {
  const random = randomFrom(seed);
  const [front, back] = await Promise.all([bound(), bound()]);
  let client = 0;
  front.on("message", (bytes, from) => {
    client = from.port;
    if (!random.chance(LOSS)) back.send(bytes, port, "127.0.0.1");
  });
  back.on("message", (bytes) => {
    if (client !== 0 && !random.chance(LOSS)) front.send(bytes, client, "127.0.0.1");
  });
  const close = () => {
    front.close();
    back.close();
  };
  return { endpoint: `127.0.0.1:${front.address().port}`, close };
}

async function bound(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

let base: string;
let site: Server;
let sitePort: number;
/** Both daemons' journals of one story: the client's ended in order, the host was killed in the middle of a download. */
let clientJournal: string;
let hostJournal: string;
let clientLog: string;
const cleanups: (() => unknown)[] = [];

function plan(name: string, more: Partial<DaemonPlan> = {}): DaemonPlan {
  return { name, base, network: NETWORK, http: "off", peers: [], hosts: [], ...more };
}

beforeAll(async () => {
  base = temporaryFolder();
  site = createServer((request, response) => {
    if (request.url !== "/endless") return void response.end(PAGE);
    const more = () => {
      while (!response.destroyed && response.write(PAGE.subarray(0, 65_536)));
    };
    response.on("drain", more);
    more();
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  sitePort = (site.address() as AddressInfo).port;

  clientJournal = join(base, "client.journal");
  hostJournal = join(base, "host.journal");
  const host = new DaemonProcess(plan("host", { hosts: [`80=127.0.0.1:${sitePort}`], journal: hostJournal }));
  const hostStatus = await host.ready();
  const path = await lossyPath(Number(hostStatus.udp[0]!.split(":")[1]), "lossy path");
  const client = new DaemonProcess(
    plan("client", { http: "127.0.0.1:0", peers: [path.endpoint], journal: clientJournal }),
  );
  clientLog = client.logFile;
  try {
    const proxy = proxyOf(await client.ready());
    const url = `http://${(await host.id()).longName}/`;
    for (let i = 0; i < 2; i += 1) {
      const { status, body } = await fetchThrough(proxy, url);
      if (status !== 200 || !body.equals(PAGE)) throw new Error(`download ${i} came damaged: ${status}`);
    }
    const endless = openThrough(proxy, `${url}endless`).on("error", () => undefined);
    endless.end();
    const [answer] = (await once(endless, "response")) as [IncomingMessage];
    answer.on("error", () => undefined).resume();
    await sleep(1200);
    await host.kill();
    endless.destroy();
  } finally {
    await stopAll([client, host]);
    path.close();
  }
}, 60_000);

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(() => {
  site.closeAllConnections();
  site.close();
  removeFolder(base);
});

test("a journal of browsing over a path that loses replays to the same SHA-256", async () => {
  const found = await replayJson(clientJournal);
  expect(found).toMatchObject({ firstDifference: null, truncated: false, suite: "native" });
  expect(found.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(found.inputs).toBeGreaterThan(600);
  expect(found.outputs).toBeGreaterThan(600);
});

test("a daemon that was killed in mid-traffic leaves a journal that replays up to its end", async () => {
  const found = await replayJson(hostJournal);
  expect(found).toMatchObject({ firstDifference: null, truncated: true });
  expect(found.inputs).toBeGreaterThan(300);
});

test("the start says once what the file holds, and nobody else can read it", () => {
  const warnings = readFileSync(clientLog, "utf8").split("\n");
  expect(warnings.filter((line) => line.includes(`${clientJournal} will hold the keys`))).toHaveLength(1);
  expect(statSync(clientJournal).mode & 0o777).toBe(0o600);
});

test("without --json a person reads that it is identical, and how the journal ended", async () => {
  const { code, out } = await replay(hostJournal);
  expect(code).toBe(ExitCode.ok);
  expect(out).toMatch(/replay +identical/);
  expect(out).toMatch(/end +cut off/);
});

test("a start never writes over a file, and opens nothing then", async () => {
  const second = new DaemonProcess(plan("second", { journal: clientJournal }));
  const before = statSync(clientJournal).size;
  expect(await second.exited).toBe(ExitCode.config);
  expect(second.logTail()).toContain("is there already; no journal overwrites it");
  expect(statSync(clientJournal).size).toBe(before);
});

test("a start that fails leaves no journal behind", async () => {
  const journal = join(base, "failed.journal");
  const busy = await bound();
  cleanups.push(() => busy.close());
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  cleanups.push(() => other.close());
  const http = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const daemon = new DaemonProcess(plan("failed", { http, journal }));
  expect(await daemon.exited).toBe(ExitCode.inUse);
  expect(existsSync(journal)).toBe(false);
});

describe("what the command says of a bad journal", () => {
  test("11 and the input, when one byte of what went in is another", async () => {
    const file = join(base, "forged.journal");
    const { inputs } = readPlaces(clientJournal);
    const written = inputs.find(({ name, places }) => name === "write" && places[3]!.end > places[3]!.at)!;
    forge(clientJournal, file, written.places[3]!.at);
    const { code, out, err } = await replay("--json", file);
    expect(code).toBe(ExitCode.differs);
    const { firstDifference } = JSON.parse(out) as Replay;
    expect(firstDifference).toBeGreaterThanOrEqual(written.input);
    expect(firstDifference).toBeLessThan(written.input + 20);
    expect(err).toContain(`differs from input ${firstDifference} on`);
  });

  test.each<[string, (file: string) => void, RegExp]>([
    ["it is no journal", (file) => writeFileSync(file, "hello"), /is no journal/],
    ["a newer program wrote it", (file) => patch(file, 8, 9), /of version 9; this program reads version 1/],
    ["a byte of it is another", (file) => patch(file, 1000, 0x55), /is damaged at byte 12/],
  ])("3 and the place, when %s", async (_what, change, message) => {
    const file = join(base, "bad.journal");
    writeFileSync(file, readFileSync(clientJournal));
    change(file);
    const { code, out, err } = await replay("--json", file);
    expect(code).toBe(ExitCode.config);
    expect(out).toBe("");
    expect(err).toMatch(message);
  });

  test("3 when there is no such file, and when it is a directory", async () => {
    for (const path of [join(base, "nowhere"), base]) expect((await replay(path)).code).toBe(ExitCode.config);
  });
});

test("a file that may not grow ends the journal, and the daemon goes on", async () => {
  const journal = join(base, "limited.journal");
  const args = ["up", "--dir", join(base, "limited"), "--udp", "127.0.0.1:0", "--http", "off", "--socks", "off"];
  // 512-byte blocks: the limit of one file, which node meets as an error of the write.
  const shell = 'ulimit -f 600; exec "$0" "$@"';
  const child = spawn("sh", ["-c", shell, process.execPath, COMMAND, ...args, "--journal", journal], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  cleanups.push(async () => {
    if (child.exitCode !== null) return;
    const ended = once(child, "exit");
    child.kill();
    await ended;
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  await eventually("it runs", () => log.includes('"node.ready"'));
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(await portOf(join(base, "limited")))!;
  const sender = await bound();
  cleanups.push(() => sender.close());
  for (let i = 0; i < 200 && !log.includes("journal.stopped"); i += 1) {
    for (let j = 0; j < 10; j += 1) sender.send(Buffer.alloc(1200, j), Number(port), "127.0.0.1");
    await sleep(10);
  }
  await eventually("the journal has stopped", () => log.includes("journal.stopped"));
  expect(log).toMatch(/"event":"journal.stopped".*"reason":"EFBIG/);
  expect(child.exitCode).toBeNull();
  expect(await portOf(join(base, "limited"))).toContain(port); // it still answers
  const found = await replayJson(journal);
  expect(found).toMatchObject({ firstDifference: null, truncated: true });
  expect(found.inputs).toBeGreaterThan(1);
});

test("a process that ends without a word to its journal leaves the last input in it", async () => {
  const file = join(base, "exit.journal");
  const program = `
    import { Journal } from "${DIST}/node/journal/journal.js";
    import { tellStory } from "${DIST}/test/support/journals.js";
    const say = () => undefined;
    tellStory("exit", { ada: Journal.create(${JSON.stringify(file)}, { debug: say, info: say, warn: say, error: say }) });
    process.exit(7);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" });
  expect(await once(child, "exit")).toEqual([7, null]);
  const found = await replayJson(file);
  expect(found).toMatchObject({ firstDifference: null, truncated: true });
  expect(readPlaces(file).inputs.at(-1)).toMatchObject({ input: found.inputs, name: "shutdown" });
});

/** What `status` says of the daemon's UDP address. */
function portOf(directory: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [COMMAND, "status", "--json", "--dir", directory], (error, out) => {
      if (error !== null) reject(error);
      else resolve((JSON.parse(out) as { udp: string[] }).udp.join());
    });
  });
}

function patch(file: string, at: number, value: number): void {
  const bytes = readFileSync(file);
  bytes[at] = value;
  writeFileSync(file, bytes);
}
