/**
 * Exit codes are a promise to scripts: they are listed in OPERATING.md and never change their meaning.
 */
export const ExitCode = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  config: 3,
  notRunning: 4,
  unreachable: 5,
  permission: 7,
  inUse: 8,
  checkFailed: 9,
  regression: 10,
  differs: 11,
  overBudget: 12,
} as const;

/** 128 + SIGINT, what a shell expects of a program that a signal ended before its work was done. */
export const EXIT_INTERRUPTED = 130;

/** What each code means, everywhere. The manual has the same table. */
export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
  0: "ok",
  1: "unexpected: the system refused (a full disk), a daemon gave no answer, or a fault of ours",
  2: "usage: the command line cannot be read",
  3: "configuration, keys, a scenario, a file or a path is invalid",
  4: "no daemon is running in that directory",
  5: "the target is unreachable",
  7: "permission",
  8: "a port or the directory is in use",
  9: "a check failed: not ready in time, a hosted port that wants mending, or a simulation that broke a promise",
  10: "a regression: a simulation is worse than the one it is compared with",
  11: "not the same twice: a replay differs from its journal, or a simulation from itself",
  12: "over budget: a simulation was stopped by --budget",
  69: "set-up only (`npm start`, `npm test`): this Node is too old",
  130: "ended by a signal before its work was done",
};

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode] | typeof EXIT_INTERRUPTED;

export type FailureCode =
  | "usage"
  | "config.invalid"
  | "config.mismatch"
  | "key.invalid"
  | "key.permissions"
  | "directory.permissions"
  | "directory.unusable"
  | "directory.inUse"
  | "file.unusable"
  | "file.garbled"
  | "socket.tooLong"
  | "daemon.notRunning"
  | "daemon.protocol"
  | "daemon.silent"
  | "host.taken"
  | "host.unknown"
  | "port.inUse"
  | "port.permission"
  | "port.unusable"
  | "journal.exists"
  | "journal.invalid"
  | "journal.differs"
  | "target.unreachable"
  | "check.failed"
  | "scenario.invalid"
  | "scenario.unknown"
  | "simulation.failed"
  | "simulation.regressed"
  | "simulation.differs"
  | "simulation.overBudget"
  | "simulation.interrupted";

/** Something a person can put right: what is wrong, what to do about it, and the exit code that says so to a script. */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly exit: ExitCode;
  /** One sentence or command that puts it right. */
  readonly fix: string;

  constructor(code: FailureCode, exit: ExitCode, message: string, fix: string) {
    super(message);
    this.name = "Failure";
    this.code = code;
    this.exit = exit;
    this.fix = fix;
  }
}

/** The `code` of a system error ("ENOENT"), or undefined for any other value. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For a shell command that a person may paste. */
export function quote(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
