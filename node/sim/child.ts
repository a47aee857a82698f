/** Runs of `mariana` in processes of their own: their memory ends with them, and so does what a crash could spoil. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What was built, also when this file is read as TypeScript. */
const BUILT = import.meta.url.endsWith(".ts") ? "../../dist/node/cli/main.js" : "../cli/main.js";
const COMMAND = fileURLToPath(new URL(BUILT, import.meta.url));
/** Of what a child says on stderr, the end is kept. */
const SAID_CHARACTERS_MAX = 8_000;
/** Options of Node.js that say what to run, and are followed by it: a child given them runs that instead of the command. */
const SAYS_WHAT = /^(-e|-p|-pe|--eval|--print|--input-type)(=|$)/;

export interface ChildOutcome {
  /** -1 when a signal ended it. */
  readonly code: number;
  readonly said: string;
}

/** Processes that end when this one is interrupted. */
export class Children {
  private readonly running = new Set<ChildProcess>();

  run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<ChildOutcome> {
    const env = { ...process.env, ...environment };
    const child = spawn(process.execPath, [...optionsToHandOn(process.execArgv), COMMAND, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env,
    });
    this.running.add(child);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      said = (said + chunk).slice(-SAID_CHARACTERS_MAX);
    });
    return new Promise((resolve) => {
      child.once("error", (error) => {
        this.running.delete(child);
        resolve({ code: -1, said: error.message });
      });
      child.once("close", (code) => {
        this.running.delete(child);
        resolve({ code: code ?? -1, said });
      });
    });
  }

  /** Ends those that run. What they write they write as a whole, so nothing is left half. */
  end(): void {
    for (const child of this.running) child.kill("SIGTERM");
  }
}

/** Options of Node.js that this process was started with, but for code that stood among them (`node -e CODE`). */
export function optionsToHandOn(options: readonly string[]): string[] {
  const isCode = (option: string, i: number) => {
    const before = options[i - 1] ?? "";
    // Node.js takes no value that looks like an option.
    return SAYS_WHAT.test(before) && !before.includes("=") && !option.startsWith("-");
  };
  return options.filter((option, i) => !SAYS_WHAT.test(option) && !isCode(option, i));
}
