import { resolve } from "node:path";
import type { Directory } from "../config/directory.js";
import { type Endpoint, type HostedPort, parseHosted, parseListen, parsePeer } from "../config/endpoint.js";
import { Daemon, type DaemonOptions } from "../daemon.js";
import { EXIT_INTERRUPTED, ExitCode, Failure, messageOf } from "../failure.js";
import { complain, paint, print } from "./output.js";
import { formatStarted } from "./reports.js";
import { usage } from "./usage.js";

export interface UpArguments {
  readonly udp: readonly string[];
  readonly http: readonly string[];
  readonly socks: readonly string[];
  readonly peer: readonly string[];
  readonly host: readonly string[];
  readonly rotate: boolean;
  readonly journal: string | undefined;
  /** `--wait ready`: end with 9 when it is not ready after so long. */
  readonly waitSeconds: number | undefined;
}

const WAIT_POLL_MS = 100;

/** Runs a daemon in the foreground until a signal or the control socket ends it. */
export async function runUp(directory: Directory, args: UpArguments): Promise<number> {
  const options = optionsOf(directory, args); // a slip in the flags is found before anything is opened
  const interrupted = untilSignal();
  const daemon = await Daemon.start(options);
  process.on("uncaughtException", (error) => {
    // What a person can put right, a full disk, needs no stack. Going on with an epoch that is not kept would be worse.
    const isFailure = error instanceof Failure;
    daemon.log.error("crash", { error: messageOf(error), stack: isFailure ? error.fix : (error.stack ?? "") });
    process.exit(isFailure ? error.exit : ExitCode.unexpected);
  });
  if (args.journal !== undefined) complain(journalWarning(args.journal));
  const ended = Promise.race([interrupted, daemon.shutdownAsked]).then(() => "ended" as const);
  const { waitSeconds } = args;
  const outcome = waitSeconds === undefined ? "ready" : await Promise.race([ended, untilReady(daemon, waitSeconds)]);
  if (outcome === "ready") {
    print(formatStarted(daemon.id, daemon.status()));
    await ended;
  }
  const { verdict, reason, fix } = daemon.status();
  await daemon.stop();
  if (outcome !== "late") return ExitCode.ok;
  const message = `not ready after ${waitSeconds} s: it is ${verdict}, ${reason}`;
  throw new Failure("check.failed", ExitCode.checkFailed, message, fix ?? "wait for longer with --timeout");
}

async function untilReady(daemon: Daemon, seconds: number): Promise<"ready" | "late"> {
  const endMs = performance.now() + seconds * 1000;
  for (;;) {
    if (daemon.status().verdict === "ready") return "ready";
    if (performance.now() >= endMs) return "late";
    await new Promise((resolve) => setTimeout(resolve, WAIT_POLL_MS));
  }
}

function journalWarning(file: string): string {
  const label = paint("yellow", "mariana:", process.stderr);
  return `${label} ${file} will hold the keys of this node and everything that is said; keep it to yourself`;
}

/** Fulfilled by the first SIGINT, SIGTERM or SIGHUP (the terminal was closed); the second ends the process at once. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let seen = false;
    const handleSignal = (): void => {
      if (seen) process.exit(EXIT_INTERRUPTED);
      seen = true;
      resolve();
    };
    process.on("SIGINT", handleSignal);
    process.on("SIGTERM", handleSignal);
    process.on("SIGHUP", handleSignal);
  });
}

function optionsOf(directory: Directory, args: UpArguments): DaemonOptions {
  const http = listenOrOff("--http", args.http);
  const socks = listenOrOff("--socks", args.socks);
  return {
    directory,
    ...(args.udp.length > 0 ? { udp: args.udp.map((text) => listenOf("--udp", text)) } : {}),
    ...(http === undefined ? {} : { http }),
    ...(socks === undefined ? {} : { socks }),
    peers: args.peer.map(
      (text) => parsePeer(text) ?? usage(`--peer ${text}: expected HOST:PORT or HOST:PORT#LINKKEYHASH`),
    ),
    hosts: hostsOf(args.host),
    rotate: args.rotate,
    ...(args.journal === undefined ? {} : { journal: resolve(args.journal) }),
  };
}

function hostsOf(texts: readonly string[]): HostedPort[] {
  const all = new Map<number, HostedPort>();
  for (const text of texts) {
    const hosted = parseHosted(text) ?? usage(`--host ${text}: expected PORT=HOST:PORT, such as 80=127.0.0.1:8080`);
    if (all.has(hosted.port)) usage(`--host ${text}: overlay port ${hosted.port} stands there twice`);
    all.set(hosted.port, hosted);
  }
  return [...all.values()];
}

function listenOrOff(flag: "--http" | "--socks", texts: readonly string[]): "off" | Endpoint[] | undefined {
  if (texts.length === 0) return undefined;
  if (!texts.includes("off")) return texts.map((text) => listenOf(flag, text));
  return texts.length === 1 ? "off" : usage(`${flag} off cannot stand beside another ${flag}`);
}

function listenOf(flag: string, text: string): Endpoint {
  const or = flag === "--udp" ? "" : " or off";
  return parseListen(text) ?? usage(`${flag} ${text}: expected IP:PORT${or}, such as 127.0.0.1:4000 or [::1]:4000`);
}
