/**
 * The daemon's log: one JSON object a line, with a stable event name and typed fields.
 *
 * People paste logs into public threads, so NACs, names and addresses never reach one unless `log.unsafe` is set. Each
 * is replaced by a short tag that is the same throughout one run, so that lines can still be matched, and means nothing
 * outside it (an HMAC under a key that lives in memory only: enumerating all IPv4 addresses does not undo it).
 *
 * Strangers can cause lines, so each event has an allowance: a burst, then one line a second. What is too much is only
 * counted, and the newest of it is written, with the count, as soon as a second has passed.
 */
import { createHmac, randomBytes } from "node:crypto";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Values are plain data. Strings are searched for NACs and addresses, so an error's message may be passed as it is. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

/** Event names are `noun.verb`, stable once released: `node.start`, `link.up`, `proxy.refused`. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** Lines of one event after a rest: a start with many links says them all. */
const BURST_LINES = 16;
/** Then one line of that event in so long. */
const LINE_MS = 1_000;

export interface LogOptions {
  readonly level: LogLevel;
  /** Writes NACs and addresses as they are. */
  readonly unsafe: boolean;
  /** Takes one finished line, newline included. */
  readonly write: (line: string) => void;
  /** The wall clock, milliseconds; the time of each line. */
  readonly nowMs?: () => number;
}

export function createLog(options: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(options.level);
  const nowMs = options.nowMs ?? Date.now;
  const clean = options.unsafe ? (text: string) => text : createRedactor(randomBytes(32));

  /** One for each event that this program knows. */
  const allowances = new Map<string, Allowance>();

  const write = (level: LogLevel, event: string, fields: LogFields | undefined): void => {
    if (LOG_LEVELS.indexOf(level) < least) return;
    let allowance = allowances.get(event);
    if (allowance === undefined) {
      allowance = new Allowance();
      allowances.set(event, allowance);
    }
    allowance.spend((leftOut) => writeLine(level, event, leftOut === 0 ? fields : { ...fields, leftOut }));
  };
  const writeLine = (level: LogLevel, event: string, fields: LogFields | undefined): void => {
    const line: Record<string, unknown> = {
      time: new Date(nowMs()).toISOString(),
      level,
      event,
    };
    for (const [key, value] of Object.entries(fields ?? {})) {
      if (typeof value === "string") line[key] = clean(value);
      else if (Array.isArray(value)) line[key] = value.map((item: string) => clean(item));
      else if (value !== undefined) line[key] = value;
    }
    options.write(`${JSON.stringify(line)}\n`);
  };
  return {
    debug: (event, fields) => write("debug", event, fields),
    info: (event, fields) => write("info", event, fields),
    warn: (event, fields) => write("warn", event, fields),
    error: (event, fields) => write("error", event, fields),
  };
}

/** How many lines of one event may be written. */
class Allowance {
  /** When it is whole again, by the clock that never jumps; the same algorithm as core/session/rate-limit.ts. */
  private wholeMs = 0;
  /** The newest that was too much; it is written next. */
  private waiting: ((leftOut: number) => void) | undefined;
  /** Lines that came before it, and are never written. */
  private leftOut = 0;

  /** Calls `write` now, later with the number of those that never were, or never. */
  spend(write: (leftOut: number) => void): void {
    if (this.waiting !== undefined) {
      this.waiting = write;
      this.leftOut += 1;
      return;
    }
    const waitMs = this.wholeMs - (BURST_LINES - 1) * LINE_MS - performance.now();
    if (waitMs <= 0) {
      this.take();
      write(0);
      return;
    }
    this.waiting = write;
    setTimeout(() => this.writeWaiting(), waitMs).unref();
  }

  private writeWaiting(): void {
    const { waiting, leftOut } = this;
    this.waiting = undefined;
    this.leftOut = 0;
    this.take();
    waiting?.(leftOut);
  }

  private take(): void {
    this.wholeMs = Math.max(this.wholeMs, performance.now()) + LINE_MS;
  }
}

/** A log that writes to the standard error stream, and survives its being closed (`mariana up 2>&1 | head`). */
export function createStderrLog(level: LogLevel, unsafe: boolean): Log {
  return createLog({
    level,
    unsafe,
    write: (line) => void process.stderr.write(line),
  });
}

/** What is replaced, in this order: a name holds a NAC, and an IPv6 address may hold an IPv4 one. */
const SENSITIVE: readonly { readonly kind: string; readonly pattern: RegExp }[] = [
  { kind: "name", pattern: /[a-z0-9-]+\.mariana\b/gi },
  { kind: "nac", pattern: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi },
  { kind: "hash", pattern: /\b(?:[0-9a-f]{64}|[a-z2-7]{52})\b/gi },
  // IPv6 has "::" somewhere, or eight groups; `file.js:12:7` has neither.
  {
    kind: "address",
    pattern:
      /\[?(?=[0-9a-f:]*::|(?:[0-9a-f]{1,4}:){6})(?:[0-9a-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})(?:%[\w.-]+)?\]?(?::\d+)?/gi,
  },
  { kind: "address", pattern: /\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?/g },
];

/** A function that replaces every NAC, name, key hash and IP address in a text by a tag under `key`. */
export function createRedactor(key: Uint8Array): (text: string) => string {
  const tag = (kind: string, found: string): string =>
    `<${kind} ${createHmac("sha256", key).update(found.toLowerCase()).digest("hex").slice(0, 8)}>`;
  return (text) => {
    let out = text;
    for (const { kind, pattern } of SENSITIVE) out = out.replace(pattern, (found) => tag(kind, found));
    return out;
  };
}
