/** Flags that several commands have, and how their values are read. */
import type { Argv } from "yargs";
import { type Directory, directoryOf } from "../config/directory.js";
import { usage } from "./usage.js";

/** Of a flag that may stand several times. */
export const TEXTS = { type: "string", array: true, requiresArg: true } as const;

export function withDirectory<T>(command: Argv<T>) {
  return command.option("dir", {
    type: "string",
    requiresArg: true,
    describe: "where the node keeps its files [$MARIANA_DIR, else the XDG state directory]",
  });
}

export function withJson<T>(command: Argv<T>) {
  return withDirectory(command).option("json", { type: "boolean", default: false, describe: "for scripts" });
}

export function waitsIn(wait: string | readonly string[] | undefined): boolean {
  if (Array.isArray(wait)) usage("--wait stands more than once");
  return wait !== undefined;
}

export function directoryIn(argv: { readonly dir?: string | readonly string[] | undefined }): Directory {
  if (argv.dir !== undefined && typeof argv.dir !== "string") usage("--dir stands more than once");
  return directoryOf(argv.dir, process.env);
}

export function numberIn(flag: string, text: string | readonly string[], least: number, most: number): number {
  const value = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) usage(`${flag} ${String(text)}: expected a number from ${least} to ${most}`);
  return value;
}
