import type { Directory } from "../config/directory.js";
import { askDaemon } from "../control/client.js";
import type { StatusReport } from "../control/protocol.js";
import { ExitCode, Failure } from "../failure.js";

const POLL_MS = 100;
/** A daemon that works answers within this, however little time was given. */
const LAST_LOOK_MS = 500;

export function askStatus(directory: Directory): Promise<StatusReport> {
  return askDaemon<StatusReport>(directory.socket, { command: "status" });
}

/**
 * Waits until the daemon is ready, also for one that does not run yet or does not answer just now. Throws a Failure after
 * `timeoutSeconds`: exit 4 when no daemon runs, 9 when one runs and is not ready, or gives no answer. Throws the signal's reason when nobody
 * waits any more.
 */
export async function waitReady(
  directory: Directory,
  timeoutSeconds: number,
  signal?: AbortSignal,
): Promise<StatusReport> {
  const endMs = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    signal?.throwIfAborted();
    const leftMs = Math.max(endMs - performance.now(), LAST_LOOK_MS);
    const outcome = await askDaemon<StatusReport>(directory.socket, { command: "status" }, leftMs).catch(failureIn);
    if (!(outcome instanceof Failure) && outcome.verdict === "ready") return outcome;
    if (performance.now() >= endMs) throw notReady(outcome, timeoutSeconds);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What waiting may change; anything else is thrown on. */
function failureIn(error: unknown): Failure {
  if (error instanceof Failure && (error.code === "daemon.notRunning" || error.code === "daemon.silent")) return error;
  throw error;
}

function notReady(outcome: StatusReport | Failure, seconds: number): Failure {
  if (!(outcome instanceof Failure)) {
    const fix = outcome.fix ?? "wait for longer with --timeout; mariana status  says what it is at";
    const message = `not ready after ${seconds} s: it is ${outcome.verdict}, ${outcome.reason}`;
    return new Failure("check.failed", ExitCode.checkFailed, message, fix);
  }
  if (outcome.code === "daemon.notRunning") return outcome;
  return new Failure(
    "check.failed",
    ExitCode.checkFailed,
    `not ready after ${seconds} s: ${outcome.message}`,
    outcome.fix,
  );
}
