import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseNac } from "../../core/address/nac.js";
import { parseName, printLongName } from "../../core/address/name.js";
import { linkKeyHashOf, networkIdOf, SUITE_FLOOR } from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { formatStatus } from "../../node/cli/reports.js";
import { readLinkKey } from "../../node/config/key-files.js";
import type { IdReport, PeerReport, RouteReport, StatusReport } from "../../node/control/protocol.js";
import {
  COMMAND,
  end,
  endAll,
  json,
  LOOPBACK,
  mariana,
  type Outcome,
  type Running,
  run,
  start,
} from "../support/command.js";

function marianaWith(environment: NodeJS.ProcessEnv, ...args: string[]): Promise<Outcome> {
  return run(process.execPath, [COMMAND, ...args], environment);
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-cli-"));
});
afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

function spawnUp(directory: string, args: readonly string[]): Running {
  return start(process.execPath, [COMMAND, "up", "--dir", directory, ...args]);
}

async function up(name: string, ...args: string[]) {
  const directory = join(folder, name);
  const { child, text } = spawnUp(directory, [...LOOPBACK, ...args]);
  const status = await json<StatusReport>("status", "--dir", directory, "--wait", "ready", "--timeout", "20");
  return { child, text, directory, status };
}

/** Fails by the test's own timeout. */
async function untilTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe("usage", () => {
  test.each([
    [["up"], "mariana up --peer"],
    [["id"], "mariana id --json"],
    [["status"], "mariana status --wait ready"],
    [["peers"], "mariana peers --json"],
    [["streams"], "mariana streams --json"],
    [["host", "add"], "mariana host add 80 8080"],
    [["host", "ls"], "mariana host ls --json"],
    [["host", "rm"], "mariana host rm 80"],
    [["host", "check"], "mariana host check 80 --json"],
    [["routes"], "mariana routes --json"],
    [["ping"], "mariana ping -c 1"],
  ])("%s --help shows two examples on stdout", async (command, example) => {
    const { code, out, err } = await mariana(...command, "--help");

    expect({ code, err }).toEqual({ code: 0, err: "" });
    const examples = out.slice(out.indexOf("Examples:")).match(/^ {2}mariana /gm);
    expect(examples).toHaveLength(2);
    expect(out).toContain(example);
  });

  test.each([
    [[], "which command?"],
    [["stat"], "did you mean status?"],
    [["foo"], 'there is no command "foo" (known: up, id,'],
    [["host"], "which command?"],
    [["host", "ad"], "did you mean add?"],
    [["host", "add", "0", "8080"], '"0" is no overlay port'],
    [["host", "add", "80", "8080:"], '"8080:" is no target'],
    [["host", "rm", "http"], '"http" is no overlay port'],
    [["completion", "ksh"], "bash"],
    [["up", "--json"], '"mariana up" takes no --json'],
    [["id", "--wait", "ready"], '"mariana id" takes no --wait'],
    [["up", "--rotate=maybe"], "--rotate takes no value"],
    [["up", "--host", "80=1", "--host", "80=2"], "overlay port 80 stands there twice"],
    [["up", "--wait", "ready", "--wait", "ready"], "--wait stands more than once"],
    [["status", "--dir", ""], "--dir is empty"],
    [["ping", "0f8fad5b-d9cb-869f-a165-70867728950e", "-c", "1.5"], "expected a whole number"],
    [["up", "--peeer", "127.0.0.1:1"], "did you mean --peer?"],
    [["up", "--peer", "127.0.0.1"], "--peer 127.0.0.1: expected HOST:PORT"],
    [["up", "--peer"], "Not enough arguments following: peer"],
    [["up", "--host", "80"], "--host 80: expected PORT=HOST:PORT"],
    [["up", "--udp", "relay.example:1"], "--udp relay.example:1: expected IP:PORT"],
    [["up", "--http", "off", "--http", "127.0.0.1:1"], "--http off cannot stand beside"],
    [["up", "extra"], "extra"],
    [["status", "--wait", "never"], "ready"],
    [["status", "--timeout", "soon"], "--timeout soon: expected a number"],
    [["status", "--dir", "a", "--dir", "b"], "--dir stands more than once"],
    [["ping"], "non-option"],
    [["ping", "example.com"], "neither a NAC nor a name under .mariana"],
    [["ping", "0f8fad5b-d9cb-869f-a165-70867728950e", "-c", "0"], "-c 0: expected a number from 1"],
  ])("mariana %j is exit 2 with a hint on stderr and nothing on stdout", async (args, hint) => {
    const { code, out, err } = await marianaWith({ MARIANA_DIR: folder }, ...args);

    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(hint);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("--version is that of package.json", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };

    expect((await mariana("--version")).out).toBe(`${version}\n`);
  });

  test("there is no colour where there is no terminal", async () => {
    const { err } = await marianaWith({ FORCE_COLOR: "1" }, "status", "--dir", folder);

    expect(err).not.toContain("\u001b");
  });
});

describe("without a daemon", () => {
  test.each([["status"], ["peers"], ["routes"], ["ping 0f8fad5b-d9cb-869f-a165-70867728950e"]])(
    "%s is exit 4",
    async (command) => {
      const { code, out, err } = await mariana(...command.split(" "), "--dir", folder);

      expect({ code, out }).toEqual({ code: 4, out: "" });
      expect(err).toContain(`no daemon is running in ${folder}`);
      expect(err).toContain("fix:");
    },
  );

  test("waiting for one that never comes is exit 4 after the timeout", async () => {
    expect((await mariana("status", "--dir", folder, "--wait", "ready", "--timeout", "0.3")).code).toBe(4);
  });

  test("id in an empty directory is exit 3, and makes nothing", async () => {
    expect((await mariana("id", "--dir", folder)).code).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    [
      "a broken config",
      "config.json",
      '{\n "version": 1,\n "peeers": []\n}',
      3,
      /config\.json:3:2: unknown key "peeers" \(nearest valid key: peers\)/,
    ],
    [
      "a newer config",
      "config.json",
      '{"version": 2}',
      3,
      /config\.json:1:13: version 2 was written by a newer mariana/,
    ],
    ["a damaged key", "privatekey.pem", "nonsense", 3, /privatekey\.pem is damaged/],
  ])("up with %s is refused in clear words", async (_, file, text, code, message) => {
    writeFileSync(join(folder, file), text, { mode: 0o600 });

    const outcome = await mariana("up", "--dir", folder, ...LOOPBACK);

    expect(outcome.code).toBe(code);
    expect(outcome.err).toMatch(message);
    expect(readFileSync(join(folder, file), "utf8")).toBe(text);
    expect(existsSync(join(folder, "control.sock"))).toBe(false);
  });

  test("a directory too deep for a socket is refused with the way out, and a symbolic link is one", async () => {
    const deep = join(folder, "d".repeat(120));
    const refused = await mariana("up", "--dir", deep, ...LOOPBACK);
    expect(refused.code).toBe(3);
    expect(refused.err).toMatch(/the control socket's path has \d+ bytes.*\n.*symbolic link/);

    symlinkSync(deep, join(folder, "short"));
    const { status } = await up("short");
    expect(status.verdict).toBe("ready");
  });
});

describe("one daemon", () => {
  test("shows its identity and status, ends with 0, and leaves an identity that can be read", async () => {
    const { child, text, directory, status } = await up("ada");

    expect(status).toMatchObject({
      verdict: "ready",
      fix: null,
      udp: [expect.stringMatching(/^127\.0\.0\.1:\d+$/)],
      http: [],
      neighbours: 0,
      routes: 0,
      suite: "native",
      epoch: expect.any(Number),
      drops: expect.any(Object),
      liveness: expect.objectContaining({ expired: 0, suspected: 0, forged: 0 }),
      anonymity: "none",
      formerNac: null,
      pid: child.pid,
    });
    const id = await json<IdReport>("id", "--dir", directory);
    expect(status.nac).toBe(id.nac);
    expect(parseName(id.name)?.nac).toEqual(parseNac(id.nac));
    expect(parseName(id.longName)?.nac).toEqual(parseNac(id.nac));
    const linkKey = nobleSuite.kemKeys(readLinkKey(join(directory, "linkkey.pem"))!.kemSeed).publicKey;
    const hash = linkKeyHashOf(nobleSuite, networkIdOf(nobleSuite, "mariana"), SUITE_FLOOR, linkKey);
    expect(id.linkKeyHash).toBe(Buffer.from(hash).toString("hex"));
    const { out } = await mariana("status", "--dir", directory);
    expect(out).toMatch(/anonymity +none: relays can see/);
    expect(out).not.toContain("liveness"); // nothing died yet
    expect(formatStatus({ ...status, liveness: { expired: 0, dropped: 2, forged: 1 } })).toMatch(
      /^ *liveness +dropped 2, forged 1$/m,
    );

    expect(await end(child, "SIGINT")).toBe(0);
    expect(await json<IdReport>("id", "--dir", directory)).toEqual(id);
    expect(readdirSync(directory).sort()).toEqual(["config.json", "linkkey.pem", "privatekey.pem", "state.json"]);
    expect(text.out).toContain(id.longName);
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s takes leave and ends with 0, and no socket is left",
    async (signal) => {
      const { child, directory } = await up("signal");

      expect(await end(child, signal)).toBe(0);

      expect(existsSync(join(directory, "control.sock"))).toBe(false);
    },
  );

  test("logs JSON lines in which neither its NAC nor its address stands", async () => {
    const { child, text, directory, status } = await up("ada");
    await end(child);

    const lines = text.err
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string });
    expect(lines.map((line) => line.event)).toEqual(
      expect.arrayContaining(["node.start", "key.created", "port.bound", "node.ready", "node.stop"]),
    );
    expect(text.err).not.toContain((await json<IdReport>("id", "--dir", directory)).nac);
    expect(text.err).not.toContain(status.udp[0]);
  });

  test("a second start in the same directory is exit 8 and names the pid of the first", async () => {
    const { child, directory } = await up("ada");

    const second = await mariana("up", "--dir", directory, ...LOOPBACK);

    expect(second.code).toBe(8);
    expect(second.err).toContain(`in use by the daemon with pid ${child.pid}`);
    expect((await mariana("status", "--dir", directory)).code).toBe(0);
  });

  test("after kill -9 the next start takes over the socket, keeps NAC and port, and uses a newer epoch", async () => {
    const { child, directory, status } = await up("ada");
    await up("bob", "--peer", status.udp[0]!); // an epoch that nobody heard of may be taken again
    await end(child, "SIGKILL");
    expect((await mariana("status", "--dir", directory)).code).toBe(4);

    const again = await up("ada");

    expect(again.status).toMatchObject({ nac: status.nac, udp: status.udp });
    expect(again.status.epoch).toBeGreaterThan(status.epoch!);
  });

  test("only privatekey.pem deleted: new NAC, same port; only config.json deleted: same NAC, new port", async () => {
    const first = await up("ada");
    await end(first.child);
    unlinkSync(join(first.directory, "privatekey.pem"));

    const second = await up("ada");
    expect(second.status.nac).not.toBe(first.status.nac);
    expect(second.status.udp).toEqual(first.status.udp);
    await end(second.child);
    unlinkSync(join(second.directory, "config.json"));

    const third = await up("ada");
    expect(third.status.nac).toBe(second.status.nac);
    expect(third.status.udp).not.toEqual(second.status.udp);
  });

  test("up --rotate gives a new NAC on the same port, and keeps the old one for the grace time", async () => {
    const first = await up("ada");
    await end(first.child);

    const second = await up("ada", "--rotate");

    expect(second.status.nac).not.toBe(first.status.nac);
    expect(second.status.formerNac).toBe(first.status.nac);
    expect(second.status.udp).toEqual(first.status.udp);
    expect((await mariana("status", "--dir", second.directory)).out).toMatch(
      new RegExp(`former NAC +${first.status.nac}`),
    );
    expect(second.text.err).toContain('"graceSeconds":86400');
  });

  test("when the grace time is over the daemon that runs erases the old keys and goes on", async () => {
    const first = await up("ada");
    await end(first.child);
    await end((await up("ada", "--rotate")).child);
    const stateFile = join(first.directory, "state.json");
    const state = JSON.parse(readFileSync(stateFile, "utf8")) as { former: object };
    const untilSeconds = Math.floor(Date.now() / 1000) + 4;
    writeFileSync(stateFile, JSON.stringify({ ...state, former: { ...state.former, untilSeconds } }));
    const keyFile = join(first.directory, "privatekey.former.pem");

    const { text, directory, status } = await up("ada");
    expect(status.formerNac).toBe(first.status.nac);
    expect(existsSync(keyFile)).toBe(true);
    await untilTrue(() => text.err.includes("key.erased"));

    expect(existsSync(keyFile)).toBe(false);
    expect(Object.keys(JSON.parse(readFileSync(stateFile, "utf8")) as object)).toEqual(["epoch"]);
    const now = await json<StatusReport>("status", "--dir", directory);
    expect(now).toMatchObject({ nac: status.nac, formerNac: null, verdict: "ready" });
  });

  test("a key that others can read is exit 7, with the command that closes it", async () => {
    const { child, directory } = await up("ada");
    await end(child);
    chmodSync(join(directory, "privatekey.pem"), 0o644);

    const { code, err } = await mariana("up", "--dir", directory, ...LOOPBACK);

    expect(code).toBe(7);
    expect(err).toContain(`chmod 600 ${join(directory, "privatekey.pem")}`);
  });

  test("a damaged state.json is logged and does no harm", async () => {
    const first = await up("ada");
    await end(first.child);
    writeFileSync(join(first.directory, "state.json"), "{");

    const second = await up("ada");

    expect(second.status.epoch).toBeGreaterThan(first.status.epoch!);
    expect(second.text.err).toContain("state.damaged");
  });

  test("a busy HTTP or UDP port is exit 8, naming the port and how to find who has it", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const directory = join(folder, "ada");

    const http = await mariana(
      "up",
      "--dir",
      directory,
      "--udp",
      "127.0.0.1:0",
      "--socks",
      "off",
      "--http",
      `127.0.0.1:${port}`,
    );
    server.close();
    const other = await up("bob");
    const udp = await mariana(
      "up",
      "--dir",
      directory,
      "--udp",
      other.status.udp[0]!,
      "--http",
      "off",
      "--socks",
      "off",
    );

    expect(http).toMatchObject({ code: 8, err: expect.stringContaining(`HTTP 127.0.0.1:${port} is in use`) });
    expect(http.err).toContain(`ss -ltnp 'sport = :${port}'`);
    expect(udp).toMatchObject({ code: 8, err: expect.stringContaining(`UDP ${other.status.udp[0]} is in use`) });
  });
});

describe("the HTTP proxy", () => {
  test("listens on IPv4 and IPv6, and a busy port on either is exit 8", async () => {
    const directory = join(folder, "ada");
    const server = createServer().listen(0, "::1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const listen = ["--socks", "off", "--http", `127.0.0.1:${port}`, "--http", `[::1]:${port}`];

    const busy = await mariana("up", "--dir", directory, "--udp", "127.0.0.1:0", ...listen);
    expect(busy).toMatchObject({ code: 8, err: expect.stringContaining(`HTTP [::1]:${port} is in use`) });

    server.close();
    await once(server, "close");
    spawnUp(directory, ["--udp", "127.0.0.1:0", ...listen]);
    const status = await json<StatusReport>("status", "--dir", directory, "--wait", "ready", "--timeout", "20");
    expect(status.http).toEqual([`127.0.0.1:${port}`, `[::1]:${port}`]);
  });
});

describe("two daemons", () => {
  test("find each other, and peers, routes and ping show it", async () => {
    const ada = await up("ada");
    const { linkKeyHash } = await json<IdReport>("id", "--dir", ada.directory);
    const bob = await up("bob", "--peer", `${ada.status.udp[0]}#${linkKeyHash}`);

    expect(bob.status).toMatchObject({ verdict: "ready", neighbours: 1 });
    const [peer] = await json<PeerReport[]>("peers", "--dir", bob.directory);
    expect(peer).toEqual({
      link: expect.any(Number),
      endpoint: ada.status.udp[0],
      pinned: true,
      incoming: false,
      found: "config",
      rttMs: expect.any(Number),
      lossShare: expect.any(Number),
      cost: expect.any(Number),
      queueDelayMs: expect.any(Number),
      busyShare: expect.any(Number),
      upSeconds: expect.any(Number),
      controlPeakBytesPerSecond: expect.any(Number),
    });
    const [other] = await json<PeerReport[]>("peers", "--dir", ada.directory);
    expect(other).toMatchObject({ endpoint: bob.status.udp[0], incoming: true, found: "incoming" });

    const ping = await json<object>("ping", ada.status.nac!, "-c", "3", "--dir", bob.directory);
    expect(ping).toEqual({
      sent: 3,
      received: 3,
      rttMs: { min: expect.any(Number), p50: expect.any(Number), max: expect.any(Number) },
    });
    expect((await mariana("ping", `${ada.status.nac}.mariana`, "-c", "1", "--dir", bob.directory)).out).toMatch(
      /^1: [\d.]+ ms\n1 sent, 1 received; min /,
    );
    const { longName } = await json<IdReport>("id", "--dir", ada.directory);
    expect((await mariana("ping", longName, "-c", "1", "--dir", bob.directory)).code).toBe(0);
    const hash = parseName(longName)!.hash!.slice();
    hash[31] = hash[31]! ^ 1; // the same NAC, other keys
    const forged = await mariana("ping", printLongName(hash), "-c", "1", "--dir", bob.directory);
    expect(forged.code).toBe(5);
    expect(forged.err).toContain("not the key that the long name stands for");
    const routes = await json<RouteReport[]>("routes", "--dir", bob.directory);
    expect(routes).toContainEqual({
      nac: ada.status.nac,
      metric: expect.any(Number),
      nextHop: peer!.link,
      backups: [],
    });
  });

  test("after a rotation both NACs answer, and after the next one only the two newest", async () => {
    const first = await up("ada");
    const bob = await up("bob");
    const peer = ["--peer", bob.status.udp[0]!];
    const reaches = async (nac: string) => (await mariana("ping", nac, "-c", "2", "--dir", bob.directory)).code;
    await end(first.child);

    const second = await up("ada", "--rotate", ...peer);
    expect(await Promise.all([first, second].map(({ status }) => reaches(status.nac!)))).toEqual([0, 0]);
    await end(second.child);

    const third = await up("ada", "--rotate", ...peer);
    expect(await Promise.all([first, second, third].map(({ status }) => reaches(status.nac!)))).toEqual([5, 0, 0]);
  });

  test("a peer with another link key is not taken, and a NAC that nobody has is not reached; both say why", async () => {
    const ada = await up("ada");
    const directory = join(folder, "bob");
    spawnUp(directory, [...LOOPBACK, "--peer", `${ada.status.udp[0]}#${"00".repeat(32)}`]);

    const [wait, ping] = await Promise.all([
      mariana("status", "--dir", directory, "--wait", "ready", "--timeout", "12"),
      mariana("ping", "0f8fad5b-d9cb-869f-a165-70867728950e", "-c", "1", "--json", "--dir", ada.directory),
    ]);

    expect(wait.code).toBe(9);
    expect(wait.err).toContain("it is degraded, no link to the configured peer is up");
    expect(wait.err).toContain("link key hash");
    expect((await json<StatusReport>("status", "--dir", directory)).verdict).toBe("degraded");
    expect(ping.code).toBe(5);
    expect(JSON.parse(ping.out)).toMatchObject({ sent: 1, received: 0, rttMs: null, reason: "no route to it" });
    expect(ping.err).toContain("no route to it");
  });
});
