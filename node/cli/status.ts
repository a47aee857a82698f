import type { Directory } from "../config/directory.js";
import { askDaemon } from "../control/client.js";
import type { StatusReport } from "../control/protocol.js";
import { ExitCode, Failure } from "../failure.js";

const POLL_MS = 100;

export function askStatus(directory: Directory): Promise<StatusReport> {
  return askDaemon<StatusReport>(directory.socket, { command: "status" });
}

/**
 * Waits until the daemon is ready, also for one that does not run yet. Throws a Failure after `timeoutSeconds`: exit 4
 * when no daemon runs, 9 when it runs and is not ready.
 */
export async function waitReady(directory: Directory, timeoutSeconds: number): Promise<StatusReport> {
  const endMs = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    const status = await askStatus(directory).catch((error: unknown) => {
      if (error instanceof Failure && error.code === "daemon.notRunning" && performance.now() < endMs) return undefined;
      throw error;
    });
    if (status?.verdict === "ready") return status;
    if (status !== undefined && performance.now() >= endMs) {
      const message = `not ready after ${timeoutSeconds} s: it is ${status.verdict}, ${status.reason}`;
      throw new Failure("check.failed", ExitCode.checkFailed, message, status.fix ?? "");
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
