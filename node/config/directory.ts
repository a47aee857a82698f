/** Where a node keeps its files. One function computes each path, for the daemon and the command line alike. */
import { chmodSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ExitCode, Failure, messageOf, systemCode } from "../failure.js";

export interface Directory {
  readonly path: string;
  readonly configFile: string;
  readonly keyFile: string;
  /** Of the identity before a rotation, while it still answers. */
  readonly formerKeyFile: string;
  readonly linkKeyFile: string;
  readonly stateFile: string;
  readonly socket: string;
}

/** `--dir`, else $MARIANA_DIR, else the XDG state directory. */
export function directoryOf(flag: string | undefined, environment: NodeJS.ProcessEnv): Directory {
  const state = environment.XDG_STATE_HOME;
  // The XDG specification says that a relative path there is to be ignored.
  const base = state?.startsWith("/") ? state : join(environment.HOME || homedir(), ".local", "state");
  const path = resolve(flag || environment.MARIANA_DIR || join(base, "mariana"));
  return {
    path,
    configFile: join(path, "config.json"),
    keyFile: join(path, "privatekey.pem"),
    formerKeyFile: join(path, "privatekey.former.pem"),
    linkKeyFile: join(path, "linkkey.pem"),
    stateFile: join(path, "state.json"),
    socket: join(path, "control.sock"),
  };
}

/**
 * Makes the directory, 0700. One that others may enter is closed when it is empty or already a node's; any other is
 * refused: who says `--dir /tmp` does not want /tmp closed. Throws a Failure, exit 7 or 1.
 */
export function openDirectory(directory: Directory): void {
  const { path } = directory;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode } = statSync(path);
    const names = readdirSync(path);
    if ((mode & 0o077) === 0) return;
    if (names.length > 0 && !names.includes("config.json") && !names.includes("privatekey.pem")) {
      throw new Failure(
        "directory.permissions",
        ExitCode.permission,
        `${path} holds other files and may be entered by others (mode ${(mode & 0o777).toString(8)})`,
        `choose another with --dir DIR, or close it:  chmod 700 ${quote(path)}`,
      );
    }
    chmodSync(path, 0o700);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = systemCode(error);
    if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
      const fix = "choose another with --dir DIR or $MARIANA_DIR";
      throw new Failure("directory.permissions", ExitCode.permission, `${path} cannot be used: ${code}`, fix);
    }
    const fix = "choose another with --dir DIR";
    throw new Failure("directory.unusable", ExitCode.unexpected, `${path} cannot be used: ${messageOf(error)}`, fix);
  }
}

/** For a shell command that a person may paste. */
export function quote(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
