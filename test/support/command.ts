/** The compiled command as a user runs it, and daemons that end with the test. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Built by `tsc -b`: what a user runs, and not what a test runner makes of the source. */
export const COMMAND = fileURLToPath(new URL("../../dist/node/cli/main.js", import.meta.url));
/** A daemon that takes no port which another might hold. */
export const LOOPBACK = ["--udp", "127.0.0.1:0", "--http", "off", "--socks", "off"] as const;

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs it to its end. -1 when it had to be killed. */
export function mariana(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [COMMAND, ...args]);
}

export function run(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    const options = { env, timeout: 30_000, killSignal: "SIGKILL", ...user } as const;
    execFile(program, args, options, (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, out, err });
    });
  });
}

export async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await mariana(...args, "--json");
  if (code !== 0) throw new Error(`mariana ${args.join(" ")}: exit ${code}: ${err}`);
  return JSON.parse(out) as T;
}

const children: ChildProcess[] = [];

/** For afterEach. */
export async function endAll(): Promise<void> {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

export interface Running {
  readonly child: ChildProcess;
  /** What it has said so far. */
  readonly text: { out: string; err: string };
}

export function start(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  const env = { ...process.env, ...environment };
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  const text = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text.out += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text.err += chunk;
  });
  children.push(child);
  return { child, text };
}

/** A daemon that is ready. */
export async function up(directory: string, ...args: string[]): Promise<Running> {
  const running = start(process.execPath, [COMMAND, "up", "--dir", directory, ...LOOPBACK, ...args]);
  await json("status", "--dir", directory, "--wait", "ready", "--timeout", "20");
  return running;
}

export async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  child.kill(signal);
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}
