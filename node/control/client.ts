import { createConnection } from "node:net";
import { dirname } from "node:path";
import { ExitCode, Failure, messageOf, quote, systemCode } from "../failure.js";
import { CONTROL_VERSION, type ControlRequest, type ControlResponse, RESPONSE_BYTES_MAX } from "./protocol.js";

/** A daemon answers within milliseconds; one that is busy, within a second or two. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Asks the daemon that listens at `path` and returns the result.
 *
 * Throws a Failure: `daemon.notRunning` (exit 4) when nobody listens, 7 when it belongs to somebody else,
 * `daemon.silent` (exit 1) when no answer comes within `patienceMs` beyond the request's own time, `daemon.protocol`
 * (exit 1) when it refuses or answers nonsense. A refusal that has an exit code and a fix of its own keeps them.
 */
export async function askDaemon<Result>(
  path: string,
  request: Omit<ControlRequest, "version">,
  patienceMs = ANSWER_TIMEOUT_MS,
): Promise<Result> {
  const line = `${JSON.stringify({ version: CONTROL_VERSION, ...request })}\n`;
  const text = await exchange(path, line, patienceMs + (request.timeoutMs ?? 0));
  let response: ControlResponse;
  try {
    response = JSON.parse(text) as ControlResponse;
  } catch {
    throw protocolFailure("its answer was cut short");
  }
  if (!response.ok) throw refusalOf(response);
  return response.result as Result;
}

function exchange(path: string, line: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let socket: ReturnType<typeof createConnection>;
    try {
      socket = createConnection(path);
    } catch (error) {
      reject(connectFailure(path, error)); // a path too long to be anybody's socket
      return;
    }
    const stop = (failure: Failure): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(failure);
    };
    const timer = setTimeout(() => stop(silence(path, timeoutMs)), timeoutMs);
    socket.on("connect", () => socket.write(line));
    socket.on("error", (error) => stop(connectFailure(path, error)));
    socket.on("data", (bytes) => {
      length += bytes.length;
      if (length > RESPONSE_BYTES_MAX) stop(protocolFailure("its answer is too long"));
      else chunks.push(bytes);
    });
    socket.on("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
  });
}

function connectFailure(path: string, error: unknown): Failure {
  const code = systemCode(error);
  switch (code) {
    case "ENOENT":
    case "ECONNREFUSED":
    case "ENOTDIR":
    case "EINVAL":
    case "ENAMETOOLONG": {
      const message = `no daemon is running in ${dirname(path)}`;
      return new Failure(
        "daemon.notRunning",
        ExitCode.notRunning,
        message,
        "start one with  mariana up  (or name another --dir)",
      );
    }
    case "EACCES":
    case "EPERM": {
      const message = `the daemon in ${dirname(path)} belongs to another user`;
      return new Failure("directory.permissions", ExitCode.permission, message, `ls -ld ${quote(dirname(path))}`);
    }
    default:
      return protocolFailure(messageOf(error));
  }
}

function refusalOf(response: ControlResponse & { readonly ok: false }): Failure {
  const { message, code, exit, fix } = response;
  if (code === undefined || exit === undefined || fix === undefined) return protocolFailure(message);
  return new Failure(code, exit, message, fix);
}

/** It runs, as its socket is open, and yet says nothing: it was stopped (SIGSTOP, Ctrl-Z), or it hangs. */
function silence(path: string, timeoutMs: number): Failure {
  const message = `the daemon in ${dirname(path)} gave no answer within ${Math.round(timeoutMs / 100) / 10} s`;
  const fix =
    "see whether it was stopped (T in  ps -C node -o pid,stat,args): kill -CONT PID goes on, kill -9 PID ends it";
  return new Failure("daemon.silent", ExitCode.unexpected, message, fix);
}

function protocolFailure(message: string): Failure {
  const fix = "say it again; if that does not help, start the daemon anew with the mariana of this command";
  return new Failure("daemon.protocol", ExitCode.unexpected, `the daemon did not do it: ${message}`, fix);
}
