/** Ctrl-C and its kin: what runs is ended, what is done is said, and the exit code is the shell's for a signal. */
import { complain } from "../cli/output.js";
import { EXIT_INTERRUPTED } from "../failure.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs `work`; a signal meanwhile calls `end`, prints the lines that it answers, and ends the process. With `ask`, the first
 * Ctrl-C calls that instead: `work` is to end soon by itself.
 */
export async function untilInterrupted<T>(
  end: () => readonly string[],
  work: () => Promise<T>,
  ask?: () => void,
): Promise<T> {
  let isAsked = ask === undefined;
  const handle = (signal: NodeJS.Signals): void => {
    if (signal === "SIGINT" && !isAsked) {
      isAsked = true;
      ask?.();
      return;
    }
    for (const line of end()) complain(line);
    process.exit(EXIT_INTERRUPTED); // ends worker threads, too; files are written by renaming whole ones
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  try {
    return await work();
  } finally {
    for (const signal of SIGNALS) process.off(signal, handle);
  }
}
