/**
 * One daemon as a child process: `mariana up` in a folder of its own, and asked through its control socket. The demo,
 * the bench and the end-to-end tests all stand on this.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitReady } from "../cli/status.js";
import { type Directory, directoryOf } from "../config/directory.js";
import { askDaemon } from "../control/client.js";
import type { ControlCommand, IdReport, PeerReport, RouteReport, StatusReport } from "../control/protocol.js";

/** The compiled command, the one that `npx mariana` runs. This file itself runs compiled (demo, bench) and as source (tests). */
const COMMAND = join(topOf(fileURLToPath(import.meta.url)), "dist", "node", "cli", "main.js");

/** How long a daemon may take to drain after SIGTERM before it is killed. */
const DRAIN_MS = 12_000;

export interface DaemonPlan {
  /** Folder and log file are named after it. */
  readonly name: string;
  /** The folder under which this daemon gets its own. */
  readonly base: string;
  /** Keeps this network apart from all others; written to config.json before the first start. */
  readonly network: string;
  /** `HOST:PORT` or `off`. */
  readonly http: string;
  /** As `http`; `off` when left out. */
  readonly socks?: string;
  /** `HOST:PORT[#LINKKEYHASH]` */
  readonly peers: readonly string[];
  /** `PORT=HOST:PORT` */
  readonly hosts: readonly string[];
  /** `HOST:PORT`; a free port on 127.0.0.1 when left out. */
  readonly udp?: string;
  /** A command that runs it, such as `ip netns exec NAME`: it must become the daemon, as exec does. */
  readonly within?: readonly string[];
  /** `up --journal` into this file. */
  readonly journal?: string;
}

export class DaemonProcess {
  readonly plan: DaemonPlan;
  readonly directory: string;
  readonly logFile: string;
  /** Resolves when the process has ended, with its exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  readonly #files: Directory;
  readonly #child: ChildProcess;
  #hasExited = false;

  /** Starts `mariana up`; what it says goes to a log file beside its folder. */
  constructor(plan: DaemonPlan) {
    this.plan = plan;
    this.directory = folderOf(plan);
    this.#files = directoryOf(this.directory, {});
    this.logFile = `${this.directory}.log`;
    prepareDirectory(plan);
    const log = openSync(this.logFile, "a");
    // A process group of its own: Ctrl-C in the terminal is then one signal, ours, and not two.
    const [program, ...args] = [...(plan.within ?? []), process.execPath, COMMAND, ...upArguments(plan)] as [string];
    this.#child = spawn(program, args, { stdio: ["ignore", log, log], detached: true });
    closeSync(log);
    this.exited = new Promise((resolve) => {
      this.#child.once("error", () => resolve(null));
      this.#child.once("exit", (code) => resolve(code));
    }).then((code) => {
      this.#hasExited = true;
      return code as number | null;
    });
  }

  get name(): string {
    return this.plan.name;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Waits until it says ready. Throws with the end of its log when it ends before that or the time runs out. */
  async ready(timeoutSeconds = 30): Promise<StatusReport> {
    const ended = this.exited.then((code) => Promise.reject(new Error(`it ended with ${code} while it started`)));
    ended.catch(() => {}); // it also ends one day when all went well
    const given = new AbortController();
    try {
      return await Promise.race([waitReady(this.#files, timeoutSeconds, given.signal), ended]);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`daemon ${this.name}: ${why}\n${this.logTail()}`);
    } finally {
      given.abort(); // nobody asks on while the process ends
    }
  }

  status(): Promise<StatusReport> {
    return this.#ask("status");
  }

  id(): Promise<IdReport> {
    return this.#ask("id");
  }

  peers(): Promise<PeerReport[]> {
    return this.#ask("peers");
  }

  routes(): Promise<RouteReport[]> {
    return this.#ask("routes");
  }

  /** Asks it to drain and end; kills it when it does not. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (this.#hasExited) return this.exited;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), DRAIN_MS);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }

  /** SIGKILL: no drain, no farewell to the neighbours. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  #ask<Result>(command: ControlCommand): Promise<Result> {
    return askDaemon<Result>(this.#files.socket, { command });
  }

  /** The last lines of its log, for a message about what went wrong. */
  logTail(): string {
    return readFileSync(this.logFile, "utf8").split("\n").slice(-12).join("\n");
  }
}

/**
 * Starts it and waits until it is ready; a daemon that does not get there, or is not wanted any more by then, is ended
 * before the error is thrown.
 */
export async function startDaemon(
  plan: DaemonPlan,
  signal?: AbortSignal,
): Promise<{ daemon: DaemonProcess; status: StatusReport }> {
  signal?.throwIfAborted();
  const daemon = new DaemonProcess(plan);
  const giveUp = (): void => void daemon.kill(); // it serves nobody yet
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    return { daemon, status: await daemon.ready() };
  } catch (error) {
    await daemon.stop();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}

/** What another daemon gives as `--peer` to reach this one, link key pinned. */
export async function pinnedEndpoint(daemon: DaemonProcess): Promise<string> {
  const [status, id] = await Promise.all([daemon.status(), daemon.id()]);
  return `${status.udp[0]}#${id.linkKeyHash}`;
}

/** The address the client's proxy listens on first. */
export function proxyOf(status: StatusReport): { host: string; port: number } {
  const url = new URL(`http://${status.http[0]}`);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 80) };
}

/** The folder above `path` that holds package.json. */
function topOf(path: string): string {
  const folder = dirname(path);
  if (existsSync(join(folder, "package.json"))) return folder;
  if (folder === path) throw new Error("no package.json above this file: the clone is not whole");
  return topOf(folder);
}

function folderOf(plan: DaemonPlan): string {
  return join(plan.base, plan.name);
}

function prepareDirectory(plan: DaemonPlan): void {
  const directory = folderOf(plan);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    const config = { version: 1, network: { name: plan.network } };
    writeFileSync(join(directory, "config.json"), `${JSON.stringify(config, null, 2)}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // a restart keeps what the first start chose
  }
}

function upArguments(plan: DaemonPlan): string[] {
  const args = ["up", "--dir", folderOf(plan), "--udp", plan.udp ?? "127.0.0.1:0", "--http", plan.http];
  args.push("--socks", plan.socks ?? "off");
  if (plan.journal !== undefined) args.push("--journal", plan.journal);
  for (const peer of plan.peers) args.push("--peer", peer);
  for (const host of plan.hosts) args.push("--host", host);
  return args;
}
