/** Real daemons for end-to-end tests: a line of five in a folder of its own, ended and removed with the test file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DaemonProcess } from "../../node/demo/daemon-process.js";
import { type Line, startLine, stopDaemons, waitForRoute } from "../../node/demo/line.js";

export const NETWORK = "e2e";

/** Short, because the path of the control socket inside it may have 107 bytes. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "mq-"));
}

/** A client, three relays, a host whose port 80 is `target`; returned once the client can route to the host. */
export async function startLineTo(target: string, base: string): Promise<Line> {
  const line = await startLine({ base, network: NETWORK, http: "127.0.0.1:0", hosts: [`80=${target}`] });
  try {
    await waitForRoute(line.client, line.nac, line.daemons);
    return line;
  } catch (error) {
    await stopAll(line.daemons);
    throw error;
  }
}

/** Ends them all. Throws when one did not end with 0, unless a test has killed it. */
export async function stopAll(daemons: readonly DaemonProcess[]): Promise<void> {
  const alive = daemons.filter((daemon) => !daemon.hasExited);
  const codes = await stopDaemons(alive);
  const bad = alive.filter((_, index) => codes[index] !== 0);
  if (bad.length > 0) throw new Error(`${bad.map((daemon) => `${daemon.name}:\n${daemon.logTail()}`).join("\n")}`);
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Asks again until `isSo` says yes. Throws with `what` when it never does. */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(50);
  }
}
