import { createConnection } from "node:net";
import { dirname } from "node:path";
import { ExitCode, Failure, messageOf, systemCode } from "../failure.js";
import { CONTROL_VERSION, type ControlRequest, type ControlResponse, RESPONSE_BYTES_MAX } from "./protocol.js";

const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Asks the daemon that listens at `path` and returns the result.
 *
 * Throws a Failure: `daemon.notRunning` (exit 4) when nobody listens, 7 when it belongs to somebody else,
 * `daemon.protocol` (exit 1) when it refuses, answers nonsense or not within 10 s beyond the request's own time.
 */
export async function askDaemon<Result>(path: string, request: Omit<ControlRequest, "version">): Promise<Result> {
  const line = `${JSON.stringify({ version: CONTROL_VERSION, ...request })}\n`;
  const text = await exchange(path, line, ANSWER_TIMEOUT_MS + (request.timeoutMs ?? 0));
  let response: ControlResponse;
  try {
    response = JSON.parse(text) as ControlResponse;
  } catch {
    throw protocolFailure("its answer was cut short");
  }
  if (!response.ok) throw protocolFailure(response.message);
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
    const timer = setTimeout(() => stop(protocolFailure(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
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
      return new Failure("directory.permissions", ExitCode.permission, message, `ls -ld ${dirname(path)}`);
    }
    default:
      return protocolFailure(messageOf(error));
  }
}

function protocolFailure(message: string): Failure {
  return new Failure("daemon.protocol", ExitCode.unexpected, `the daemon did not do it: ${message}`);
}
