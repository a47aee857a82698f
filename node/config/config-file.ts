/**
 * config.json: what a person may choose, and the two things a node keeps for itself, its NAC and its UDP port.
 *
 * Strict JSON, every key known, every error as file:line:column. Flags of the command line win for one run and are
 * never written here.
 */
import { z } from "zod";
import { parseNac, printNac } from "../../core/address/nac.js";
import { DEFAULT_NETWORK } from "../../core/crypto/identity.js";
import { nearest } from "../../sim/scenario/nearest.js";
import { ExitCode, Failure } from "../failure.js";
import { LOG_LEVELS } from "../log.js";
import { hostedPort, parseListen, parsePeer } from "./endpoint.js";
import { readExactly, readFileIfAny, writeFileAtomically } from "./file.js";
import { editJson } from "./json-edit.js";
import { type JsonPath, JsonPositions, type Position } from "./json-position.js";

export const CONFIG_VERSION = 1;
/** A file this long is no configuration of ours. */
const CONFIG_CHARACTERS_MAX = 1_000_000;
/** Ours has three. The reader that keeps positions calls itself for each. */
const CONFIG_DEPTH_MAX = 64;
/** A week: whoever still uses the former NAC then will not learn the new one by waiting. */
const GRACE_HOURS_MAX = 168;
export const DEFAULT_HTTP: readonly string[] = ["127.0.0.1:8000", "[::1]:8000"];
export const DEFAULT_SOCKS: readonly string[] = ["127.0.0.1:1080"];
const GIBIBYTE = 2 ** 30;

const LISTEN_HINT = 'expected "IP:PORT", such as "127.0.0.1:4000" or "[::]:4000"';
const PEER_HINT = 'expected "HOST:PORT" or "HOST:PORT#LINKKEYHASH" (64 hexadecimal digits)';
const HOST_HINT = 'expected "PORT": "HOST:PORT", "unix:/PATH" or "udp:HOST:PORT", such as "80": "127.0.0.1:8080"';

const listen = z.string().refine((text) => parseListen(text) !== undefined, LISTEN_HINT);
const peer = z.string().refine((text) => parsePeer(text) !== undefined, PEER_HINT);

const SCHEMA = z.strictObject({
  version: z.literal(CONFIG_VERSION).default(CONFIG_VERSION),
  /** This node's NAC; kept so that an exchanged key file is noticed. */
  nac: z
    .string()
    .refine((text) => parseNac(text) !== undefined, "expected a NAC: a UUID of version 8")
    .optional(),
  /** "auto" is every address of this machine. */
  udp: z.union([z.literal("auto"), z.array(listen).min(1)], 'expected "auto" or a list of "IP:PORT"').default("auto"),
  /** The UDP port of "auto", and of every address in `udp` that says port 0. 0 takes a free one and keeps it here. */
  udpPort: z.int().min(0).max(65_535).default(0),
  http: z
    .union([z.literal("off"), z.array(listen).min(1)], 'expected "off" or a list of "IP:PORT"')
    .default([...DEFAULT_HTTP]),
  socks: z
    .union([z.literal("off"), z.array(listen).min(1)], 'expected "off" or a list of "IP:PORT"')
    .default([...DEFAULT_SOCKS]),
  peers: z.array(peer).default([]),
  /** Port of the overlay to the server that answers there. */
  hosts: z
    .record(z.string(), z.string())
    .superRefine((hosts, context) => {
      for (const [port, target] of Object.entries(hosts)) {
        if (hostedPort(port, target) === undefined) {
          context.addIssue({ code: "custom", path: [port], message: HOST_HINT });
        }
      }
    })
    .default({}),
  /** After a rotation the former identity answers for so long. */
  identity: z.strictObject({ graceHours: z.int().min(0).max(GRACE_HOURS_MAX).default(24) }).prefault({}),
  link: z.strictObject({ key: z.enum(["auto", "persistent", "fresh"]).default("auto") }).prefault({}),
  routing: z
    .strictObject({
      /** Whether the node carries for others whatever comes, or only what nobody else can. */
      transit: z.enum(["auto", "always", "lastResort"]).default("auto"),
      /** How often it proves that it lives and wants others to: by the size of the network, or always every 15 s. */
      profile: z.enum(["auto", "strict"]).default("auto"),
    })
    .prefault({}),
  network: z.strictObject({ name: z.string().min(1).max(64).default(DEFAULT_NETWORK) }).prefault({}),
  /** When a session takes fresh keys. Below the protocol's own numbers it only costs time; far above them is refused. */
  session: z
    .strictObject({
      keyUpdatePackets: z
        .int()
        .min(256)
        .max(2 ** 23)
        .default(2 ** 22),
      rekeySeconds: z.int().min(1).max(3600).default(120),
      rekeyBytes: z
        .int()
        .min(65_536)
        .max(64 * GIBIBYTE)
        .default(GIBIBYTE),
    })
    .prefault({}),
  /** Reserved: nothing is accelerated yet. */
  accelerator: z.enum(["auto", "off"]).default("auto"),
  crypto: z.strictObject({ suite: z.enum(["native", "noble"]).default("native") }).prefault({}),
  log: z.strictObject({ level: z.enum(LOG_LEVELS).default("info"), unsafe: z.boolean().default(false) }).prefault({}),
});

export type Config = z.infer<typeof SCHEMA>;

/** The configuration of a new node. */
export function defaultConfig(): Config {
  return SCHEMA.parse({});
}

/** Undefined when there is no file. Throws a Failure, exit 3, that names file, line and column. */
export function readConfig(path: string): Config | undefined {
  const text = readFileIfAny(path);
  return text === undefined ? undefined : parseConfig(path, text);
}

/** `path` is only named in errors. */
export function parseConfig(path: string, marked: string): Config {
  const text = withoutMark(marked);
  if (text.length > CONFIG_CHARACTERS_MAX) {
    throw invalid(path, { line: 1, column: 1 }, `the file has ${text.length} characters: this is no configuration`);
  }
  if (depthOf(text) > CONFIG_DEPTH_MAX) {
    throw invalid(path, { line: 1, column: 1 }, "brackets stand too deep in each other: this is no configuration");
  }
  const positions = new JsonPositions(text);
  const value = parseJson(path, text, positions);
  refuseOtherVersion(path, value, positions);
  const result = SCHEMA.safeParse(value, { reportInput: true }); // else a wrong type looks like a missing key
  if (result.success) return result.data;
  const [first, ...others] = describe(result.error.issues, positions);
  const more = others.map(({ position, message }) => `\n${at(path, position)}: ${message}`).join("");
  throw invalid(path, first!.position, first!.message + more);
}

/** Writes `kept` into the file, or makes the file when there is none. `nac: undefined` removes the key. */
export function keepInConfig(
  path: string,
  kept: { readonly nac: Uint8Array | undefined; readonly udpPort: number },
): void {
  const nac = kept.nac === undefined ? undefined : printNac(kept.nac);
  editConfig(path, [
    { path: ["nac"], value: nac },
    { path: ["udpPort"], value: kept.udpPort },
  ]);
}

/** Keeps what answers at an overlay port; `target: undefined` removes the port. */
export function keepHost(path: string, port: number, target: string | undefined): void {
  editConfig(path, [{ path: ["hosts", String(port)], value: target }]);
}

interface ConfigEdit {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Changes single values and leaves everything else as the person wrote it, order and layout included. The file must be
 * one that readConfig has accepted; where there is none it is made, with the defaults.
 */
function editConfig(path: string, edits: readonly ConfigEdit[]): void {
  const text = readExactly(path);
  let next = text ?? newConfigText();
  for (const { path: where, value } of edits) {
    if (valueAt(next, where) !== value) next = editJson(next, where, value);
  }
  if (next !== text) writeFileAtomically(path, next);
}

function newConfigText(): string {
  const { version, ...rest } = defaultConfig();
  return `${JSON.stringify({ version, ...rest }, null, 2)}\n`;
}

function valueAt(text: string, path: readonly string[]): unknown {
  let value: unknown = JSON.parse(withoutMark(text));
  for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key];
  return value;
}

function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

function parseJson(path: string, text: string, positions: JsonPositions): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const what = text.trim() === "" ? "the file is empty" : "this is not JSON";
    throw invalid(path, positions.ofSyntaxError(error), what);
  }
  const duplicate = positions.duplicateKey();
  if (duplicate !== undefined)
    throw invalid(path, duplicate.position, `the key "${duplicate.key}" stands here a second time`);
  return value;
}

/** At most so deep; brackets inside strings count too, which harms nobody. */
function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (const letter of text) {
    if (letter === "{" || letter === "[") most = Math.max(most, ++depth);
    else if (letter === "}" || letter === "]") depth -= 1;
  }
  return most;
}

/** Before everything else: the keys of a version we do not know would only produce misleading errors. */
function refuseOtherVersion(path: string, value: unknown, positions: JsonPositions): void {
  if (typeof value !== "object" || value === null || !("version" in value)) return;
  const { version } = value;
  if (typeof version !== "number" || version <= CONFIG_VERSION) return;
  throw new Failure(
    "config.invalid",
    ExitCode.config,
    `${at(path, positions.ofValue(["version"]))}: version ${version} was written by a newer mariana; this one reads version ${CONFIG_VERSION}`,
    "use the newer mariana, or another --dir",
  );
}

interface Complaint {
  readonly position: Position;
  readonly message: string;
}

/** In the order of the file. zod's own texts are for programmers. */
function describe(issues: readonly z.core.$ZodIssue[], positions: JsonPositions): Complaint[] {
  const complaints = issues.flatMap((issue): Complaint[] => {
    const name = issue.path.map(String).join(".") || "the file";
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        position: positions.ofKey([...issue.path, key]),
        message: unknownKey(key, issue.path),
      }));
    }
    const position = positions.ofValue(issue.path);
    if (issue.code === "invalid_union") {
      // The list was meant: then say which entry is wrong.
      const inner = issue.errors.flat().filter((error) => error.path.length > 0);
      if (inner.length > 0) {
        return inner.map((error) => ({
          position: positions.ofValue([...issue.path, ...error.path]),
          message: `${name}: ${plain(error)}`,
        }));
      }
    }
    return [{ position, message: `${name}: ${plain(issue)}` }];
  });
  return complaints.sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
}

function plain(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? `is missing; expected ${issue.expected}` : `expected ${issue.expected}`;
    case "invalid_value":
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "too_small":
      return `expected at least ${issue.minimum}${issue.origin === "string" ? " characters" : issue.origin === "array" ? " entries" : ""}`;
    case "too_big":
      return `expected at most ${issue.maximum}${issue.origin === "string" ? " characters" : ""}`;
    default:
      return issue.message;
  }
}

/** The keys that are allowed where an unknown one stood. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(SCHEMA.shape),
  identity: ["graceHours"],
  link: ["key"],
  routing: ["transit", "profile"],
  network: ["name"],
  session: ["keyUpdatePackets", "rekeySeconds", "rekeyBytes"],
  crypto: ["suite"],
  log: ["level", "unsafe"],
};

function unknownKey(key: string, path: JsonPath): string {
  const where = path.map(String).join(".");
  const prefix = where === "" ? "" : `${where}.`;
  const allowed = KEYS[where] ?? [];
  // "log.level" as one key at the top is a likely slip; so is a key in the wrong object.
  const near = nearest(key, allowed) ?? elsewhere(key);
  const hint =
    near === undefined
      ? `known here: ${allowed.join(", ")}`
      : `nearest valid key: ${near.includes(".") ? near : prefix + near}`;
  return `unknown key "${prefix}${key}" (${hint})`;
}

function elsewhere(key: string): string | undefined {
  const everywhere = Object.entries(KEYS).flatMap(([where, keys]) =>
    keys.map((name) => (where === "" ? name : `${where}.${name}`)),
  );
  return everywhere.find((name) => name.endsWith(`.${key}`)) ?? nearest(key, everywhere);
}

function at(path: string, position: Position): string {
  return `${path}:${position.line}:${position.column}`;
}

function invalid(path: string, position: Position, message: string): Failure {
  const fix = `correct it there; the keys and their values:  mariana up --help, and OPERATING.md`;
  return new Failure("config.invalid", ExitCode.config, `${at(path, position)}: ${message}`, fix);
}
