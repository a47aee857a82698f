import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { DaemonProcess } from "../../node/demo/daemon-process.js";
import { removeFolder, temporaryFolder } from "../support/daemons.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const KILLS = 30;
/** A start takes about half a second here: some kills come before anything is written, some after all is. */
const KILL_MS_MAX = 900;

describe("a start", () => {
  const base = temporaryFolder();
  afterAll(() => removeFolder(base));

  test("killed at any point leaves keys and configuration whole", async () => {
    const plan = { name: "killed", base, network: "e2e", http: "off", peers: [], hosts: [] };
    const kept = new Map<string, string>();
    const delays = Array.from({ length: KILLS }, (_, number) => Math.floor((KILL_MS_MAX * number) / KILLS));

    for (const delayMs of delays) {
      const daemon = new DaemonProcess(plan);
      await sleep(delayMs);
      await daemon.kill();

      const where = `killed after ${delayMs} ms`;
      const config = JSON.parse(readFileSync(join(daemon.directory, "config.json"), "utf8"));
      expect(config.network, where).toEqual({ name: "e2e" });
      const keyFile = join(daemon.directory, "privatekey.pem");
      if (!existsSync(keyFile)) continue;
      const pem = readFileSync(keyFile, "utf8");
      expect(pem.match(/-----END PRIVATE KEY-----\n/g), where).toHaveLength(2);
      expect(statSync(keyFile).mode & 0o777, where).toBe(0o600);
      expect(pem, where).toBe(kept.get("pem") ?? pem); // a key once written is never replaced
      kept.set("pem", pem);
      if (config.nac === undefined) continue;
      expect(config.nac, where).toBe(kept.get("nac") ?? config.nac);
      kept.set("nac", config.nac);
    }
    expect(kept.size).toBe(2); // some kills did come late enough

    const daemon = new DaemonProcess(plan);
    await daemon.ready();
    expect((await daemon.id()).nac).toBe(kept.get("nac"));
    expect(await daemon.stop()).toBe(0);
  });
});

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
