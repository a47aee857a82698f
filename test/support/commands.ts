/** Programs of other people, run to their end. */
import { spawn } from "node:child_process";
import { pathOf } from "./machine.js";

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs a program of node/setup/programs.mjs. Its environment is PATH, HOME and `env`, so that no proxy setting leaks in. */
export function run(name: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { env = {}, cwd, input = "", timeoutMs = 120_000 } = options;
  const { PATH = "", HOME = "/" } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(pathOf(name), args, { env: { PATH, HOME, LC_ALL: "C", ...env }, ...(cwd && { cwd }) });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let out = "";
    let err = "";
    child.stdout.on("data", (part: Buffer) => {
      out += part.toString("latin1");
    });
    child.stderr.on("data", (part: Buffer) => {
      err += part.toString("latin1");
    });
    child.stdin.on("error", () => {}); // it may not want to hear it
    child.stdin.end(input);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

/** The same, for a program that must succeed. Throws with what it said. */
export async function runWell(name: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const ended = await run(name, args, options);
  if (ended.code === 0) return ended;
  throw new Error(`${name} ${args.join(" ")} ended with ${ended.code}:\n${ended.err}${ended.out}`);
}
