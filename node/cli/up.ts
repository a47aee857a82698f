import type { Directory } from "../config/directory.js";
import { type Endpoint, parseHosted, parseListen, parsePeer } from "../config/endpoint.js";
import { Daemon, type DaemonOptions } from "../daemon.js";
import { ExitCode, messageOf } from "../failure.js";
import { print } from "./output.js";
import { formatStarted } from "./reports.js";
import { usage } from "./usage.js";

export interface UpArguments {
  readonly udp: readonly string[];
  readonly http: readonly string[];
  readonly socks: readonly string[];
  readonly peer: readonly string[];
  readonly host: readonly string[];
  readonly rotate: boolean;
}

/** 128 + SIGINT, what a shell expects of a program that was interrupted a second time. */
const INTERRUPTED = 130;

/** Runs a daemon in the foreground until a signal or the control socket ends it. */
export async function runUp(directory: Directory, args: UpArguments): Promise<ExitCode> {
  const options = optionsOf(directory, args); // a slip in the flags is found before anything is opened
  const interrupted = untilSignal();
  const daemon = await Daemon.start(options);
  process.on("uncaughtException", (error) => {
    daemon.log.error("crash", { error: messageOf(error), stack: error.stack ?? "" });
    process.exit(ExitCode.unexpected);
  });
  print(formatStarted(daemon.id, daemon.status()));
  await Promise.race([interrupted, daemon.shutdownAsked]);
  await daemon.stop();
  return ExitCode.ok;
}

/** Fulfilled by the first SIGINT, SIGTERM or SIGHUP (the terminal was closed); the second ends the process at once. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let seen = false;
    const handleSignal = (): void => {
      if (seen) process.exit(INTERRUPTED);
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
    hosts: args.host.map(
      (text) => parseHosted(text) ?? usage(`--host ${text}: expected PORT=HOST:PORT, such as 80=127.0.0.1:8080`),
    ),
    rotate: args.rotate,
  };
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
