import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askDaemon } from "../../node/control/client.js";
import { CONTROL_VERSION, REQUEST_BYTES_MAX } from "../../node/control/protocol.js";
import { type ControlHandler, ControlServer, SOCKET_PATH_BYTES_MAX } from "../../node/control/server.js";

const ANSWER_PID: ControlHandler = (request) => (request.command === "status" ? { pid: 4711 } : request);

let folder: string;
let path: string;
const servers: ControlServer[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-control-"));
  path = join(folder, "control.sock");
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function open(handler = ANSWER_PID, at = path): Promise<ControlServer> {
  const server = await ControlServer.open(at, handler);
  servers.push(server);
  return server;
}

/** Leaves a socket file behind as a killed process does. */
async function leaveStaleSocket(): Promise<void> {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
  expect(existsSync(path)).toBe(true);
}

/** Sends raw text and returns all that comes back until the other side ends. */
function sendRaw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let back = "";
    const socket = createConnection(path, () => socket.write(text));
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      back += chunk;
    });
    socket.on("end", () => resolve(back)).on("error", reject);
  });
}

test("a request gets its answer, and a large answer comes whole", async () => {
  const large = Array.from({ length: 50_000 }, (_, i) => ({ nac: `${i}`, metric: i }));
  await open((request) => (request.command === "routes" ? large : request));

  const ping = { command: "ping", nac: "abc", nacHash: "def", timeoutMs: 5 } as const;
  expect(await askDaemon(path, ping)).toMatchObject(ping);
  expect(await askDaemon(path, { command: "routes" })).toEqual(large);
});

test("the socket is its owner's alone, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    await open();
  } finally {
    process.umask(before);
  }

  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("what the handler throws reaches the caller as a message", async () => {
  await open(() => {
    throw new Error("it is still starting");
  });

  await expect(askDaemon(path, { command: "peers" })).rejects.toMatchObject({
    exit: 1,
    message: expect.stringContaining("it is still starting"),
  });
});

test("nobody there is exit 4, for a missing and for a stale socket", async () => {
  await expect(askDaemon(path, { command: "id" })).rejects.toMatchObject({ code: "daemon.notRunning", exit: 4 });
  await leaveStaleSocket();
  await expect(askDaemon(path, { command: "id" })).rejects.toMatchObject({ code: "daemon.notRunning", exit: 4 });
});

test("a stale socket is taken over, and nothing else is left behind", async () => {
  await leaveStaleSocket();

  await open();

  expect(await askDaemon(path, { command: "status" })).toEqual({ pid: 4711 });
  expect(readdirSync(folder)).toEqual(["control.sock"]);
});

test("a second daemon is told which pid has the directory, and the first is not disturbed", async () => {
  await open();

  await expect(ControlServer.open(path, ANSWER_PID)).rejects.toMatchObject({
    code: "directory.inUse",
    exit: 8,
    message: expect.stringContaining("pid 4711"),
  });
  expect(await askDaemon(path, { command: "status" })).toEqual({ pid: 4711 });
});

test("of many starts over one stale socket, exactly one gets the directory", async () => {
  await leaveStaleSocket();

  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => open()));

  expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
  for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ exit: 8 });
  expect(await askDaemon(path, { command: "status" })).toEqual({ pid: 4711 });
  expect(readdirSync(folder)).toEqual(["control.sock"]);
});

test("a plain file in the socket's place is not taken for a daemon", async () => {
  writeFileSync(path, "");

  await open();

  expect(await askDaemon(path, { command: "status" })).toEqual({ pid: 4711 });
});

test("a path longer than the system allows is refused with the way out", async () => {
  const deep = join(folder, "d".repeat(SOCKET_PATH_BYTES_MAX));
  mkdirSync(deep);
  const long = join(deep, "control.sock");

  await expect(open(ANSWER_PID, long)).rejects.toMatchObject({
    code: "socket.tooLong",
    exit: 3,
    message: expect.stringContaining(`${Buffer.byteLength(long)} bytes`),
    fix: expect.stringContaining("--dir"),
  });
  await expect(askDaemon(long, { command: "id" })).rejects.toMatchObject({ exit: 4 });
});

test("a path of exactly the allowed length works", async () => {
  const fill = SOCKET_PATH_BYTES_MAX - Buffer.byteLength(join(folder, "/control.sock")) - 1;
  const exact = join(folder, "d".repeat(fill), "control.sock");
  mkdirSync(join(folder, "d".repeat(fill)));
  expect(Buffer.byteLength(exact)).toBe(SOCKET_PATH_BYTES_MAX);

  await open(ANSWER_PID, exact);

  expect(await askDaemon(exact, { command: "status" })).toEqual({ pid: 4711 });
});

test.each([
  ["not json\n", "the request is not JSON"],
  ["7\n", "the request is not an object"],
  [`{"version":${CONTROL_VERSION},"command":"format"}\n`, 'there is no command "format"'],
  [`{"version":${CONTROL_VERSION + 1},"command":"id"}\n`, "use the mariana that started it"],
  [`${"x".repeat(REQUEST_BYTES_MAX + 1)}`, `the request is longer than ${REQUEST_BYTES_MAX} bytes`],
  [`${" ".repeat(REQUEST_BYTES_MAX + 1)}{}\n`, `the request is longer than ${REQUEST_BYTES_MAX} bytes`],
])("request %j is refused with a reason", async (request, reason) => {
  await open();

  const response = JSON.parse(await sendRaw(request)) as { ok: boolean; message: string };

  expect(response.ok).toBe(false);
  expect(response.message).toContain(reason);
});

test("closing ends open connections, removes the socket and frees the directory", async () => {
  const server = await open(() => new Promise(() => undefined));
  const waiting = askDaemon(path, { command: "peers" });
  waiting.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));

  await server.close();

  await expect(waiting).rejects.toMatchObject({ exit: 1 });
  expect(existsSync(path)).toBe(false);
  await open();
});
