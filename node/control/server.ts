/**
 * The control socket of a daemon, and by the same token the lock on its directory: whoever listens there owns it.
 */
import { lstatSync, mkdirSync, rmdirSync, unlinkSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileFailure, notAFile } from "../config/file-failure.js";
import { ExitCode, Failure, messageOf, systemCode } from "../failure.js";
import { askDaemon } from "./client.js";
import {
  CONTROL_COMMANDS,
  CONTROL_VERSION,
  type ControlCommand,
  type ControlRequest,
  type ControlResponse,
  REQUEST_BYTES_MAX,
  type StatusReport,
} from "./protocol.js";

/** sockaddr_un holds 108 bytes with the closing zero; 104 on the BSDs and macOS. */
export const SOCKET_PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;
/** More at once is a runaway script: the rest waits in the system's queue. */
const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 5_000;
/** Looking and binding takes a millisecond or two: a guard this old has no holder. */
const GUARD_MS = 1_000;
const GUARD_POLL_MS = 20;
/** With many starts at once each has its turn long before. */
const GUARD_WAIT_MS = 10_000;
/** To name the pid of who has the directory; nothing hangs on it. */
const IN_USE_PATIENCE_MS = 3_000;

/** Answers a request, or throws: a Failure's message goes to the caller. */
export type ControlHandler = (request: ControlRequest) => unknown;

export class ControlServer {
  private readonly server: Server;
  private readonly connections = new Set<Socket>();
  private handler: ControlHandler;

  private constructor(server: Server, handler: ControlHandler) {
    this.server = server;
    this.handler = handler;
    server.maxConnections = CONNECTIONS_MAX;
    server.on("connection", (socket) => this.handleConnection(socket));
  }

  /**
   * Takes the directory. Throws a Failure: exit 8 when another daemon has it (named by its pid), 3 when the path is too
   * long for a socket, 7 when it may not be made.
   *
   * Only the holder of the guard looks, removes a stale socket and binds: otherwise two starts could both find the same
   * socket stale, and the slower one remove what the faster one has just bound.
   */
  static async open(path: string, handler: ControlHandler): Promise<ControlServer> {
    refuseLongPath(path);
    const guard = join(dirname(path), "starting");
    await takeGuard(guard);
    const server = createServer();
    let isTaken: boolean;
    try {
      isTaken = await isListening(path);
      if (!isTaken) {
        removeLeftover(path);
        await listenPrivately(server, path);
      }
    } catch (error) {
      throw unusable(path, error);
    } finally {
      releaseGuard(guard);
    }
    if (isTaken) throw await inUse(path); // asking may take seconds: not under the guard
    return new ControlServer(server, handler);
  }

  /**
   * Does `action` while no daemon has the directory and none can take it; false when one has it already. Throws what
   * `action` throws, or a Failure as `open` does.
   */
  static async whileNobodyListens(path: string, action: () => void): Promise<boolean> {
    const guard = join(dirname(path), "starting");
    await takeGuard(guard);
    try {
      if (await isListening(path)) return false;
      action();
      return true;
    } finally {
      releaseGuard(guard);
    }
  }

  /** Stops listening, removes the socket and ends what is open. */
  close(): Promise<void> {
    for (const socket of this.connections) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private handleConnection(socket: Socket): void {
    this.connections.add(socket);
    socket.on("close", () => this.connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
    let pending = Buffer.alloc(0);
    const handleData = (bytes: Buffer): void => {
      pending = Buffer.concat([pending, bytes]);
      const end = pending.indexOf(10);
      if (end < 0 && pending.length <= REQUEST_BYTES_MAX) return;
      socket.off("data", handleData);
      socket.resume();
      socket.setTimeout(0); // a ping takes its own time
      if (end < 0 || end > REQUEST_BYTES_MAX)
        answer(socket, refusal(`the request is longer than ${REQUEST_BYTES_MAX} bytes`));
      else void this.handleLine(pending.toString("utf8", 0, end)).then((response) => answer(socket, response));
    };
    socket.on("data", handleData);
  }

  private async handleLine(line: string): Promise<ControlResponse> {
    const request = parseRequest(line);
    if (typeof request === "string") return refusal(request);
    try {
      return { version: CONTROL_VERSION, ok: true, result: await this.handler(request) };
    } catch (error) {
      if (!(error instanceof Failure)) return refusal(messageOf(error));
      const { code, exit, fix } = error;
      return { ...refusal(error.message), code, exit, fix };
    }
  }
}

function answer(socket: Socket, response: ControlResponse): void {
  if (!socket.destroyed) socket.end(`${JSON.stringify(response)}\n`);
}

function refusal(message: string): ControlResponse & { readonly ok: false } {
  return { version: CONTROL_VERSION, ok: false, message };
}

function parseRequest(line: string): ControlRequest | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "the request is not JSON";
  }
  if (typeof value !== "object" || value === null) return "the request is not an object";
  const { version, command, nac, nacHash, timeoutMs, port, target } = value as Record<string, unknown>;
  if (version !== CONTROL_VERSION) {
    return `this daemon speaks version ${CONTROL_VERSION} of the control protocol, not ${String(version)}: use the mariana that started it`;
  }
  const known = CONTROL_COMMANDS.find((name) => name === command);
  if (known === undefined) return `there is no command ${JSON.stringify(command)}`;
  return {
    version: CONTROL_VERSION,
    command: known satisfies ControlCommand,
    ...(typeof nac === "string" ? { nac } : {}),
    ...(typeof nacHash === "string" ? { nacHash } : {}),
    ...(typeof timeoutMs === "number" ? { timeoutMs } : {}),
    ...(typeof port === "number" ? { port } : {}),
    ...(typeof target === "string" ? { target } : {}),
  };
}

function refuseLongPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= SOCKET_PATH_BYTES_MAX) return;
  throw new Failure(
    "socket.tooLong",
    ExitCode.config,
    `the control socket's path has ${length} bytes, and the system allows ${SOCKET_PATH_BYTES_MAX}: ${path}`,
    "choose a shorter directory with --dir DIR or $MARIANA_DIR (a symbolic link to the long one will do)",
  );
}

/** The socket exists with its final mode from its first moment: the umask is set around the bind, which is synchronous. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** A folder that one start at a time can make. Held for milliseconds; one that stays was left by a start that was killed. */
async function takeGuard(guard: string): Promise<void> {
  const endMs = performance.now() + GUARD_WAIT_MS;
  let seen: number | undefined;
  let sinceMs = 0;
  for (;;) {
    try {
      mkdirSync(guard, { mode: 0o700 });
      return;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw unusable(guard, error);
    }
    const nowMs = performance.now();
    const made = lstatSync(guard, { throwIfNoEntry: false })?.ctimeMs;
    if (made !== seen) {
      seen = made;
      sinceMs = nowMs;
    } else if (made !== undefined && nowMs - sinceMs > GUARD_MS && !releaseGuard(guard)) {
      throw notAFile(guard, "in the way: it is not the empty folder that a start of ours leaves");
    }
    if (nowMs > endMs) throw notAFile(guard, "held by other starts for too long");
    await new Promise((resolve) => setTimeout(resolve, GUARD_POLL_MS));
  }
}

/** Only the empty folder that we made: whatever else has this name belongs to somebody. False when it stays. */
function releaseGuard(guard: string): boolean {
  try {
    rmdirSync(guard);
    return true;
  } catch (error) {
    return systemCode(error) === "ENOENT"; // another start has removed it
  }
}

/** A socket that nobody listens on, or an empty file where a copy of the folder put one. Anything else is not ours. */
function removeLeftover(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket() && !(found.isFile() && found.size === 0)) throw notAFile(path, "not a socket");
  unlinkSync(path);
}

/** Whether a process has the socket open, by what the system says at once; it need not answer. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      const code = systemCode(error);
      resolve(code !== "ECONNREFUSED" && code !== "ENOENT" && code !== "ENOTSOCK");
    });
  });
}

async function inUse(path: string): Promise<Failure> {
  const who = await askDaemon<StatusReport>(path, { command: "status" }, IN_USE_PATIENCE_MS).then(
    (status) => `the daemon with pid ${status.pid}`,
    () => "a process that does not answer",
  );
  const fix = "stop that one first, or start this one with another --dir";
  return new Failure("directory.inUse", ExitCode.inUse, `${dirname(path)} is in use by ${who}`, fix);
}

function unusable(path: string, error: unknown): unknown {
  return fileFailure("made", path, error, "choose another directory with --dir DIR or $MARIANA_DIR");
}
