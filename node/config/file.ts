/**
 * Files that a crash cannot break: a reader finds the old content or the new, whole, never a part of either.
 */
import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { systemCode } from "../failure.js";
import { fileFailure, garbledFile, notAFile } from "./file-failure.js";

/** Ours alone; what is left of one belongs to a start that was killed. */
const TEMPORARY = /^\.mariana-[0-9a-z]+\.tmp$/;

/** No file of ours comes near; what is longer is something else, and is not read into memory. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const BOM = "\ufeff";

/**
 * Replaces `path` as a whole, mode 0600, and waits until the disk has it. A symbolic link is written through: the file that
 * it names is replaced. Throws a Failure, and leaves the old file, when it cannot.
 */
export function writeFileAtomically(path: string, text: string): void {
  try {
    const target = targetOf(path);
    const temporary = writeTemporary(target, text);
    try {
      renameSync(temporary, target);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
    syncDirectory(dirname(target));
  } catch (error) {
    throw fileFailure("written", path, error);
  }
}

/** As above, but never over anything that is there: false when something is, a symbolic link to nowhere too. */
export function createFileAtomically(path: string, text: string): boolean {
  try {
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
  } catch (error) {
    throw fileFailure("written", path, error);
  }
}

/** Removes a file, if it is there, and what a symbolic link in its place leads to; waits until the disk knows. */
export function removeFile(path: string): void {
  try {
    const target = targetOf(path);
    if (target !== path) {
      unlinkSync(target);
      syncDirectory(dirname(target));
    }
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw fileFailure("removed", path, error);
  }
  syncDirectory(dirname(path));
}

/**
 * The text of a file without a byte order mark, or undefined when there is none. Throws a Failure for everything else
 * that may stand there: a directory, a link to nowhere, a pipe, a file that may not be read or is not text.
 */
export function readFileIfAny(path: string): string | undefined {
  const text = readExactly(path);
  return text?.startsWith(BOM) ? text.slice(BOM.length) : text;
}

/** As above, the byte order mark included: for who changes a part of a file and leaves the rest. */
export function readExactly(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe without a writer does not hold us up
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw fileFailure("read", path, error);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    throw notAFile(path, `a symbolic link to nowhere: there is no ${readlinkSync(path)}`);
  }
  try {
    const found = fstatSync(file);
    if (found.isDirectory()) throw notAFile(path, "a directory, not a file");
    if (!found.isFile()) throw notAFile(path, "a device or a pipe, not a file");
    if (found.size > FILE_BYTES_MAX) throw garbledFile(path, `has ${found.size} bytes: it is no file of ours`);
    const bytes = readFileSync(file);
    if (!isUtf8(bytes)) throw garbledFile(path, "is not text in UTF-8");
    return bytes.toString("utf8");
  } catch (error) {
    throw fileFailure("read", path, error);
  } finally {
    closeSync(file);
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
  const temporary = join(dirname(path), `.mariana-${randomBytes(8).toString("hex")}.tmp`);
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    fchmodSync(file, 0o600); // whatever the umask says
    const bytes = Buffer.from(text, "utf8");
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } catch (error) {
    unlinkSync(temporary); // half of a file is of no use to anybody
    throw error;
  } finally {
    closeSync(file);
  }
  return temporary;
}

/** Where a file stands, or would: the end of a symbolic link. A link to nowhere is refused, as it is when reading. */
function targetOf(path: string): string {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() !== true) return path;
  try {
    return realpathSync(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw notAFile(path, `a symbolic link to nowhere: there is no ${readlinkSync(path)}`);
  }
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
