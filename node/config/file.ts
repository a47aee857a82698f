/**
 * Files that a crash cannot break: a reader finds the old content or the new, whole, never a part of either.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { systemCode } from "../failure.js";

/** Ours alone; what is left of one belongs to a start that was killed. */
const TEMPORARY = /^\.mariana-[0-9a-z]+\.tmp$/;

/** Replaces `path` as a whole, mode 0600, and waits until the disk has it. Throws what the system says. */
export function writeFileAtomically(path: string, text: string): void {
  const temporary = writeTemporary(path, text);
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** As above, but never over an existing file: false when there is one already. */
export function createFileAtomically(path: string, text: string): boolean {
  const temporary = writeTemporary(path, text);
  try {
    linkSync(temporary, path); // fails when `path` exists, where a rename would replace it
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    unlinkSync(temporary);
  }
  syncDirectory(dirname(path));
  return true;
}

/** Removes a file, if it is there, and waits until the disk knows. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return;
  }
  syncDirectory(dirname(path));
}

/** The text of a file, or undefined when there is none. */
export function readFileIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes what killed starts left behind. Only the daemon that holds the directory may call it. */
export function removeTemporaries(directory: string): number {
  let removed = 0;
  for (const name of readdirSync(directory)) {
    if (!TEMPORARY.test(name)) continue;
    unlinkSync(join(directory, name));
    removed += 1;
  }
  return removed;
}

function writeTemporary(path: string, text: string): string {
  const temporary = join(dirname(path), `.mariana-${process.pid.toString(36)}${nextNumber().toString(36)}.tmp`);
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    fchmodSync(file, 0o600); // whatever the umask says
    const bytes = Buffer.from(text, "utf8");
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return temporary;
}

/** Makes the new name itself durable. Some systems cannot open a directory; they have nothing to wait for. */
function syncDirectory(directory: string): void {
  let file: number;
  try {
    file = openSync(directory, constants.O_RDONLY);
  } catch {
    return;
  }
  try {
    fsyncSync(file);
  } catch (error) {
    if (systemCode(error) !== "EINVAL") throw error;
  } finally {
    closeSync(file);
  }
}

let written = 0;

function nextNumber(): number {
  written += 1;
  return written;
}
