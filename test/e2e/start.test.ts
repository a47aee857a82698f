import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, watch } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DaemonPlan, DaemonProcess } from "../../node/demo/daemon-process.js";
import { removeFolder, temporaryFolder } from "../support/daemons.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const KILLS_BY_TIME = 16;
/** A first start makes this many changes in its folder, about: temporary files, their renames, the socket. */
const KILLS_BY_CHANGE = 16;

describe("a start", () => {
  let base: string;
  const planOf = (name: string) => ({ name, base, network: "e2e", http: "off", peers: [], hosts: [] });
  beforeAll(() => {
    base = temporaryFolder();
  });
  afterAll(() => removeFolder(base));

  test("killed at any time leaves keys and configuration whole", async () => {
    const wholeMs = await startToReady(planOf("whole"));
    let kept: Identity = {};

    for (let number = 0; number < KILLS_BY_TIME; number++) {
      const delayMs = Math.round((1.2 * wholeMs * number) / KILLS_BY_TIME);
      const daemon = new DaemonProcess(planOf("killed"));
      await sleep(delayMs);
      await daemon.kill();
      kept = expectWhole(daemon.directory, kept, `killed after ${delayMs} ms`);
    }

    // However slow the machine is by now, one kill comes when everything was written.
    const late = new DaemonProcess(planOf("killed"));
    await late.ready();
    await late.kill();
    kept = expectWhole(late.directory, kept, "killed when ready");
    expect(kept.nac).toBeDefined();
    await expectStarts("killed", kept);
  });

  test("killed at any change it makes to its folder leaves keys and configuration whole", async () => {
    let sawKey = 0;
    for (let number = 1; number <= KILLS_BY_CHANGE; number++) {
      const name = `change-${number}`;
      const daemon = new DaemonProcess(planOf(name));
      let changes = 0;
      const watcher = watch(daemon.directory, () => {
        if (++changes === number) process.kill(daemon.pid, "SIGKILL");
      });
      await Promise.race([daemon.exited, daemon.ready().catch(() => {})]);
      await daemon.kill();
      watcher.close();

      const kept = expectWhole(daemon.directory, {}, `killed at change ${number}`);
      if (kept.pem !== undefined) sawKey++;
      await expectStarts(name, kept);
    }
    expect(sawKey).toBeGreaterThan(0);
    expect(sawKey).toBeLessThan(KILLS_BY_CHANGE); // some kills came before there was a key
  });

  async function expectStarts(name: string, kept: Identity): Promise<void> {
    const daemon = new DaemonProcess(planOf(name));
    await daemon.ready();
    const { nac } = await daemon.id();
    expect(expectWhole(daemon.directory, kept, "started again").nac).toBe(nac);
    expect(await daemon.stop()).toBe(0);
  }
});

interface Identity {
  readonly pem?: string;
  readonly nac?: string;
}

/** What the folder holds is whole, and what it held before is still there. Returns what it holds now. */
function expectWhole(directory: string, before: Identity, when: string): Identity {
  const config = JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));
  expect(config.network, when).toEqual({ name: "e2e" });
  expect(config.nac, when).toBe(before.nac ?? config.nac);

  const keyFile = join(directory, "privatekey.pem");
  if (!existsSync(keyFile)) {
    expect(before.pem, when).toBeUndefined();
    expect(config.nac, when).toBeUndefined();
    return {};
  }
  const pem = readFileSync(keyFile, "utf8");
  expect(pem.match(/-----END PRIVATE KEY-----\n/g), when).toHaveLength(2);
  expect(statSync(keyFile).mode & 0o777, when).toBe(0o600);
  expect(pem, when).toBe(before.pem ?? pem); // a key once written is never replaced
  return config.nac === undefined ? { pem } : { pem, nac: config.nac };
}

async function startToReady(plan: DaemonPlan): Promise<number> {
  const startedAt = performance.now();
  const daemon = new DaemonProcess(plan);
  await daemon.ready();
  const tookMs = performance.now() - startedAt;
  await daemon.stop();
  return tookMs;
}

describe("npm start", () => {
  test("shows five daemons, their route and the commands, checks itself and ends with 0", async () => {
    const { stdout } = await npmStart();

    for (const name of ["client", "relay-1", "relay-2", "relay-3", "host"]) {
      expect(stdout).toMatch(new RegExp(`${name} +pid \\d+`));
    }
    expect(stdout).toMatch(/route +client > relay-1 > relay-2 > relay-3 > host > web site/);
    expect(stdout).toMatch(/curl -x http:\/\/127\.0\.0\.1:\d+ http:\/\/[0-9a-f-]{36}\.mariana\//);
    expect(stdout).toMatch(/chromium .*--proxy-server=/);
    await expectAllGone(stdout);
  });

  test("takes another port when 8000 is busy, and says so", async () => {
    const busy = createServer();
    busy.on("error", () => {}); // somebody else already holds it: as good
    busy.listen(8000, "127.0.0.1");
    await Promise.race([once(busy, "listening"), once(busy, "error")]);

    const { stdout } = await npmStart();
    busy.close();

    expect(stdout).toContain("Port 8000 is taken");
    expect(stdout).not.toMatch(/-x http:\/\/127\.0\.0\.1:8000 /);
  });

  test("ends its daemons and removes their files when it is interrupted", async () => {
    const script = join(ROOT, "node", "setup", "start.mjs");
    const child = spawn(process.execPath, [script], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    let stdout = "";
    child.stdout.on("data", (part: Buffer) => {
      stdout += part.toString();
    });
    const ended = once(child, "exit");
    while (!stdout.includes("Ctrl-C") && child.exitCode === null) await sleep(50);
    const directory = /(\S+\/mariana-demo-\S+)\/client/.exec(stdout)![1]!;
    expect(existsSync(directory)).toBe(true);

    const routes = await mariana("routes", "--dir", join(directory, "relay-2"), "--json");
    const id = await mariana("id", "--dir", join(directory, "host"), "--json");
    child.kill("SIGINT");
    const [code] = await ended;

    expect((routes as { nac: string }[]).map((route) => route.nac)).toContain((id as { nac: string }).nac);
    expect(code).toBe(0);
    expect(existsSync(directory)).toBe(false);
    await expectAllGone(stdout);
  });
});

function npmStart(): Promise<{ stdout: string }> {
  return promisify(execFile)("npm", ["start", "--silent", "--", "--once"], { cwd: ROOT });
}

/** As a person runs it, through npx and the clone's own link. */
async function mariana(...args: string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)("npx", ["--no-install", "mariana", ...args], { cwd: ROOT });
  return JSON.parse(stdout);
}

async function expectAllGone(shown: string): Promise<void> {
  const pids = [...shown.matchAll(/ pid (\d+)/g)].map((match) => Number(match[1]));
  expect(pids).toHaveLength(5);
  for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
}
