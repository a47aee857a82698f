import { ExitCode, Failure } from "../failure.js";

/** The caller said something we cannot read: exit 2. */
export function usage(message: string, fix = "see  mariana --help"): never {
  throw new Failure("usage", ExitCode.usage, message, fix);
}
