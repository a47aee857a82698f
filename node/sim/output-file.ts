/** Files that people asked for: whole or not there at all, readable by whoever the umask lets. */
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileFailure, notAFile } from "../config/file-failure.js";

/**
 * Replaces `path` as a whole. A symbolic link is written through; a device or a pipe (/dev/null, >(jq .)) gets the text and
 * stays what it is. Throws a Failure, and leaves what was there, when it cannot.
 */
export function writeOutput(path: string, text: string): void {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFile()) {
      if (found.isDirectory()) throw notAFile(path, "a directory, not a file");
      writeFileSync(path, text);
      return;
    }
    const target = found === undefined ? path : realpathSync(path);
    const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`);
    try {
      const file = openSync(temporary, "w");
      try {
        writeFileSync(file, text);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, target);
    } catch (error) {
      if (lstatSync(temporary, { throwIfNoEntry: false }) !== undefined) unlinkSync(temporary);
      throw error;
    }
  } catch (error) {
    throw fileFailure("written", path, error);
  }
}

/** Before a run that lasts: would `path` be refused at its end? Throws a Failure then. */
export function assertWritable(path: string): void {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw notAFile(path, "a directory, not a file");
    accessSync(found === undefined || found.isFile() ? dirname(path) : path, constants.W_OK);
  } catch (error) {
    throw fileFailure("written", path, error);
  }
}

/** Makes the folder, and those above it. Throws a Failure when that cannot be, or nothing can be written there. */
export function prepareFolder(path: string): void {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) throw notAFile(path, "a file, not a folder");
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw fileFailure("written", path, error);
  }
}
