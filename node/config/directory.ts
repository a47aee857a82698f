/** Where a node keeps its files. One function computes each path, for the daemon and the command line alike. */
import { chmodSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ExitCode, Failure, quote, systemCode } from "../failure.js";
import { fileFailure } from "./file-failure.js";

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

/** `--dir`, else $MARIANA_DIR, else the XDG state directory. `--dir ""` is a script's unset variable, and refused. */
export function directoryOf(flag: string | undefined, environment: NodeJS.ProcessEnv): Directory {
  const state = environment.XDG_STATE_HOME;
  // The XDG specification says that a relative path there is to be ignored.
  const base = state?.startsWith("/") ? state : join(environment.HOME || homedir(), ".local", "state");
  if (flag === "") {
    const fix = "name a directory, or leave --dir out for $MARIANA_DIR or the default";
    throw new Failure("usage", ExitCode.usage, "--dir is empty", fix);
  }
  const path = resolve(flag ?? (environment.MARIANA_DIR || join(base, "mariana")));
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
 * refused: who says `--dir /tmp` does not want /tmp closed. Throws a Failure, exit 7, 3 or 1.
 */
export function openDirectory(directory: Directory): void {
  const { path } = directory;
  try {
    makeDirectory(path);
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
    throw fileFailure("used", path, error, "choose another directory with --dir DIR or $MARIANA_DIR");
  }
}

/** Not mkdir's own `recursive`: that one turns for ever where a folder can neither be made nor found, as in /proc. */
function makeDirectory(path: string): void {
  const parent = dirname(path);
  if (parent !== path && statSync(parent, { throwIfNoEntry: false }) === undefined) makeDirectory(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error; // a file there is found by who looks into it
  }
}
