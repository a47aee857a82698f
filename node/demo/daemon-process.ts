/**
 * One daemon as a child process, driven from outside through the same commands that a person would type. The demo, the
 * bench and the end-to-end tests all stand on this.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The compiled command, the one that `npx mariana` runs. This file itself runs compiled (demo, bench) and as source (tests). */
const COMMAND = join(topOf(fileURLToPath(import.meta.url)), "dist", "node", "cli", "main.js");

/** How long a daemon may take to drain after SIGTERM before it is killed. */
const DRAIN_MS = 5_000;

export interface DaemonPlan {
  /** Folder and log file are named after it. */
  readonly name: string;
  /** The folder under which this daemon gets its own. */
  readonly base: string;
  /** Keeps this network apart from all others; written to config.json before the first start. */
  readonly network: string;
  /** `HOST:PORT` or `off`. */
  readonly http: string;
  /** `HOST:PORT[#LINKKEYHASH]` */
  readonly peers: readonly string[];
  /** `PORT=HOST:PORT` */
  readonly hosts: readonly string[];
  /** `HOST:PORT`; a free port on 127.0.0.1 when left out. */
  readonly udp?: string;
}

export interface StatusReport {
  readonly verdict: "starting" | "ready" | "degraded";
  readonly reason: string;
  readonly udp: string | readonly string[];
  readonly http: string | readonly string[];
  readonly neighbours: number;
  readonly routes: number;
  readonly drops: Readonly<Record<string, number>>;
}

export interface IdReport {
  readonly nac: string;
  readonly name: string;
  readonly longName: string;
  readonly linkKeyHash: string;
  readonly configFile: string;
  readonly keyFile: string;
}

export interface PeerReport {
  readonly link: number;
  readonly endpoint: string;
}

export interface RouteReport {
  readonly nac: string;
  readonly metric: number;
  readonly nextHop: number;
}

/** A command of ours that did not end with 0. */
export class CommandFailed extends Error {
  readonly exit: number;

  constructor(command: string, exit: number, output: string) {
    super(`mariana ${command} ended with ${exit}: ${output.trim()}`);
    this.exit = exit;
  }
}

const EXIT_NOT_RUNNING = 4;

export class DaemonProcess {
  readonly plan: DaemonPlan;
  readonly directory: string;
  readonly logFile: string;
  /** Resolves when the process has ended, with its exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  #hasExited = false;

  /** Starts `mariana up`; what it says goes to a log file beside its folder. */
  constructor(plan: DaemonPlan) {
    this.plan = plan;
    this.directory = directoryOf(plan);
    this.logFile = `${this.directory}.log`;
    prepareDirectory(plan);
    const log = openSync(this.logFile, "a");
    this.#child = spawn(process.execPath, [COMMAND, ...upArguments(plan)], { stdio: ["ignore", log, log] });
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

  /** Waits until `status` says ready. Throws with the end of the log when the daemon ends or the time runs out. */
  async ready(timeoutSeconds = 30): Promise<StatusReport> {
    const deadline = performance.now() + timeoutSeconds * 1000;
    for (;;) {
      const left = Math.ceil((deadline - performance.now()) / 1000);
      if (this.#hasExited) throw new Error(`daemon ${this.name} ended while it started:\n${this.logTail()}`);
      if (left <= 0) throw new Error(`daemon ${this.name} was not ready in ${timeoutSeconds} s:\n${this.logTail()}`);
      try {
        return (await this.query("status", "--wait", "ready", "--timeout", String(left))) as StatusReport;
      } catch (error) {
        // The control socket opens a moment after the process starts.
        if (!(error instanceof CommandFailed) || error.exit !== EXIT_NOT_RUNNING) throw error;
        await sleep(50);
      }
    }
  }

  async status(): Promise<StatusReport> {
    return (await this.query("status")) as StatusReport;
  }

  async id(): Promise<IdReport> {
    return (await this.query("id")) as IdReport;
  }

  async peers(): Promise<PeerReport[]> {
    return (await this.query("peers")) as PeerReport[];
  }

  async routes(): Promise<RouteReport[]> {
    return (await this.query("routes")) as RouteReport[];
  }

  /** Runs `mariana COMMAND --dir THIS --json` and parses what it prints. Throws CommandFailed. */
  query(command: string, ...args: string[]): Promise<unknown> {
    return runCommand([command, ...args, "--dir", this.directory, "--json"]);
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

  /** The last lines of its log, for a message about what went wrong. */
  logTail(): string {
    return readFileSync(this.logFile, "utf8").split("\n").slice(-12).join("\n");
  }
}

/** Starts it and waits until it is ready; a daemon that does not get there is ended before the error is thrown. */
export async function startDaemon(plan: DaemonPlan): Promise<{ daemon: DaemonProcess; status: StatusReport }> {
  const daemon = new DaemonProcess(plan);
  try {
    return { daemon, status: await daemon.ready() };
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}

/** What another daemon gives as `--peer` to reach this one, link key pinned. */
export async function pinnedEndpoint(daemon: DaemonProcess): Promise<string> {
  const [status, id] = await Promise.all([daemon.status(), daemon.id()]);
  return `${firstAddress(status.udp)}#${id.linkKeyHash}`;
}

/** The address the client's proxy listens on first. */
export function proxyOf(status: StatusReport): { host: string; port: number } {
  const url = new URL(`http://${firstAddress(status.http)}`);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 80) };
}

export function firstAddress(addresses: string | readonly string[]): string {
  return typeof addresses === "string" ? addresses : (addresses[0] ?? "");
}

/** Runs the command with these arguments and parses its JSON. Throws CommandFailed. */
export function runCommand(args: readonly string[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [COMMAND, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null) {
        const exit = typeof error.code === "number" ? error.code : -1;
        return reject(new CommandFailed(args.join(" "), exit, stderr || error.message));
      }
      resolve(JSON.parse(stdout));
    });
  });
}

/** The folder above `path` that holds package.json. */
function topOf(path: string): string {
  const folder = dirname(path);
  if (existsSync(join(folder, "package.json"))) return folder;
  if (folder === path) throw new Error("no package.json above this file: the clone is not whole");
  return topOf(folder);
}

function directoryOf(plan: DaemonPlan): string {
  return join(plan.base, plan.name);
}

function prepareDirectory(plan: DaemonPlan): void {
  const directory = directoryOf(plan);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    const config = { version: 1, network: { name: plan.network } };
    writeFileSync(join(directory, "config.json"), `${JSON.stringify(config, null, 2)}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // a restart keeps what the first start chose
  }
}

function upArguments(plan: DaemonPlan): string[] {
  const args = ["up", "--dir", directoryOf(plan), "--udp", plan.udp ?? "127.0.0.1:0", "--http", plan.http];
  for (const peer of plan.peers) args.push("--peer", peer);
  for (const host of plan.hosts) args.push("--host", host);
  return args;
}
