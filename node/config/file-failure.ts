/** What the system says of a file, in words for a person: what, where, and how to mend it. */
import { dirname } from "node:path";
import { ExitCode, Failure, quote, systemCode } from "../failure.js";

interface Cause {
  readonly exit: ExitCode;
  readonly why: string;
  readonly fix: (path: string) => string;
}

const look = (path: string): string => `see whose it is:  ls -ld ${quote(dirname(path))} ${quote(path)}`;
const mend = (path: string): string =>
  `put the right one there, or move it away:  mv ${quote(path)} ${quote(`${path}.old`)}`;

const DENIED: Cause = { exit: ExitCode.permission, why: "permission denied", fix: look };
const CAUSES: Readonly<Record<string, Cause>> = {
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: {
    exit: ExitCode.permission,
    why: "the file system is read-only",
    fix: () => "choose a directory that can be written to, with --dir DIR or $MARIANA_DIR",
  },
  ENOSPC: {
    exit: ExitCode.unexpected,
    why: "the disk is full",
    fix: (path) => `make room, then say it again; nothing was lost:  df -h ${quote(dirname(path))}`,
  },
  EDQUOT: {
    exit: ExitCode.unexpected,
    why: "the disk quota is used up",
    fix: () => "make room, then say it again; nothing was lost:  quota -s",
  },
  EIO: {
    exit: ExitCode.unexpected,
    why: "the disk does not work",
    fix: () => "see what the system says of it:  dmesg | tail",
  },
  EMFILE: { exit: ExitCode.unexpected, why: "too many open files", fix: () => "raise the limit:  ulimit -n 4096" },
  EISDIR: { exit: ExitCode.config, why: "it is a directory, not a file", fix: mend },
  ENOTDIR: { exit: ExitCode.config, why: "a part of that path is a file, not a directory", fix: look },
  ENOENT: { exit: ExitCode.config, why: "a part of that path does not exist", fix: look },
  ELOOP: { exit: ExitCode.config, why: "its symbolic links go round in a circle", fix: mend },
  ENAMETOOLONG: {
    exit: ExitCode.config,
    why: "the path is too long",
    fix: () => "choose a shorter one with --dir DIR",
  },
};

/**
 * The Failure for what the system threw. An error that is none of the system's is our own fault and comes back as it is.
 *
 * @param done  "read", "written", "removed", "used"
 * @param fix   instead of the usual one
 */
export function fileFailure(done: string, path: string, error: unknown, fix?: string): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof Failure) return error;
  const cause = CAUSES[code];
  const why = cause === undefined ? code : `${cause.why} (${code})`;
  const mending = fix ?? cause?.fix(path) ?? look(path);
  return new Failure("file.unusable", cause?.exit ?? ExitCode.unexpected, `${path} cannot be ${done}: ${why}`, mending);
}

/** What stands at `path` is no file that we could read. */
export function notAFile(path: string, what: string): Failure {
  return new Failure("file.unusable", ExitCode.config, `${path} is ${what}`, mend(path));
}

/** Nobody can say what was meant; it is left as it is. */
export function garbledFile(path: string, what: string): Failure {
  return new Failure("file.garbled", ExitCode.config, `${path} ${what}`, mend(path));
}
