/** One meaning per exit code, and every command's way to it: what, where, how to mend it. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askDaemon } from "../../node/control/client.js";
import type { StatusReport } from "../../node/control/protocol.js";
import { EXIT_MEANINGS } from "../../node/failure.js";
import { COMMAND, end, endAll, json, LOOPBACK, mariana, run, start, up } from "../support/command.js";

const DEMO = fileURLToPath(new URL("../../dist/node/demo/demo.js", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-exit-"));
});
afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

test("--help lists every exit code with its meaning", async () => {
  const { out } = await mariana("--help");
  const listed = out.slice(out.indexOf("Exit codes:"));

  const rows = [...listed.matchAll(/^ +(\d+) {2}(.+)$/gm)].map(([, code, meaning]) => [code, meaning]);
  expect(Object.fromEntries(rows)).toEqual(EXIT_MEANINGS);
});

describe("waiting", () => {
  test("for a daemon that was stopped (SIGSTOP) takes no longer than was given, and is exit 9", async () => {
    const directory = join(folder, "node");
    const { child } = await up(directory);
    child.kill("SIGSTOP");

    const sinceMs = performance.now();
    const { code, out, err } = await mariana("status", "--dir", directory, "--wait", "ready", "--timeout", "1");
    const silent = askDaemon(join(directory, "control.sock"), { command: "peers" }, 200);

    expect({ code, out }).toEqual({ code: 9, out: "" });
    expect(performance.now() - sinceMs).toBeLessThan(8_000); // the rest is the start of the command
    expect(err).toMatch(/not ready after 1 s: the daemon in .* gave no answer within .* s\n {2}fix: .*kill -CONT PID/);
    await expect(silent).rejects.toMatchObject({ code: "daemon.silent", exit: 1 });
    child.kill("SIGCONT");
    expect((await mariana("status", "--dir", directory, "--wait", "ready", "--timeout", "9")).code).toBe(0);
    expect(await end(child)).toBe(0);
  });

  test("by up says nothing before it is ready, and ends with 9 when it is not in time", async () => {
    const args = ["--dir", join(folder, "a"), ...LOOPBACK, "--wait", "ready", "--timeout", "0.5"];
    const late = await mariana("up", ...args, "--peer", "127.0.0.1:9");

    expect(late).toMatchObject({ code: 9, out: "" });
    expect(late.err).toContain("not ready after 0.5 s: it is starting, no link to the configured peer is up");
    expect(late.err).toContain("  fix: ");
    expect(readdirSync(join(folder, "a"))).not.toContain("control.sock");

    const { child, text } = await up(join(folder, "b"), "--wait", "ready");
    while (!text.out.includes("Ctrl-C ends it.")) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text.out).toMatch(/^ready: /);
    expect(await end(child)).toBe(0);
  });
});

test("a peer that cannot be dialled is named by status and peers, with the way out", async () => {
  const directory = join(folder, "node");
  start(process.execPath, [COMMAND, "up", "--dir", directory, ...LOOPBACK, "--peer", "[::1]:9"]);
  const { code, err } = await mariana("status", "--dir", directory, "--wait", "ready", "--timeout", "2");
  const reason = "this node has no UDP socket for IPv6";

  expect(code).toBe(9);
  expect(err).toContain(`it is degraded, the peer [::1]:9 cannot be used: ${reason}`);
  expect(err).toContain("give an address of its kind to listen on with --udp");
  const status = await json<StatusReport>("status", "--dir", directory);
  expect(status.peersUnusable).toEqual([{ peer: "[::1]:9", reason }]);
  expect((await mariana("status", "--dir", directory)).out).toMatch(/no peer +\[::1\]:9: this node has no UDP/);
  expect(await mariana("peers", "--dir", directory)).toEqual({
    code: 0,
    out: "no link is up\n",
    err: `[::1]:9 cannot be used: ${reason}\n`,
  });
});

describe("the demo", () => {
  const SCRIPT = `const { runDemo } = await import(${JSON.stringify(DEMO)}); process.exitCode = await runDemo(process.argv.slice(1));`;
  const demo = (...args: string[]) => ["--input-type=module", "-e", SCRIPT, "--", ...args];

  test("ends with 130 when it is interrupted before the self-check that --once promises, and leaves nothing", async () => {
    const { child, text } = start(process.execPath, demo("--once"), { TMPDIR: folder });
    while (readdirSync(folder).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));

    expect(await end(child, "SIGTERM"), text.err).toBe(130);

    expect(text.out).toBe("");
    expect(readdirSync(folder)).toEqual([]);
    expect(await daemonsUnder(folder)).toBe("");
  });

  test("ends its daemons when nobody reads it any more", async () => {
    const command = `"${process.execPath}" ${demo()
      .map((arg) => `'${arg}'`)
      .join(" ")} | head -3; exit \${PIPESTATUS[0]}`;
    const { code, out } = await run("bash", ["-c", command], { TMPDIR: folder });

    expect({ code, lines: out.split("\n").length }).toEqual({ code: 0, lines: 4 });
    expect(readdirSync(folder)).toEqual([]);
    expect(await daemonsUnder(folder)).toBe("");
  });

  test("says in two lines that it has no place for its files", async () => {
    const { code, out, err } = await run(process.execPath, demo("--once"), { TMPDIR: "/proc" });

    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(err).toBe(
      "/proc cannot be used: a part of that path does not exist (ENOENT)\n" +
        "  fix: name another folder for temporary files:  TMPDIR=/some/where npm start\n",
    );
  });

  /** The command lines of processes that name the folder. */
  async function daemonsUnder(path: string): Promise<string> {
    return (await run("sh", ["-c", `ps -eo args | grep -F '${path}' | grep -v grep; true`])).out;
  }
});
