/**
 * `mariana host`: which overlay ports are hosted. A daemon that runs keeps the change in config.json itself and lives by it
 * at once; where none runs, this command keeps it, under the same lock.
 */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { resolve } from "node:path";
import { readConfig } from "../config/config-file.js";
import { type Directory, openDirectory } from "../config/directory.js";
import { parsePort, parseTarget, printTarget, type Target } from "../config/endpoint.js";
import { addHost, hostsIn, removeHost } from "../config/hosts.js";
import { askDaemon } from "../control/client.js";
import type { ControlRequest, HostReport } from "../control/protocol.js";
import { ControlServer } from "../control/server.js";
import { Failure, messageOf, systemCode } from "../failure.js";
import { whereOf } from "../hosting.js";
import { usage } from "./usage.js";

/** A target is near. */
const PROBE_TIMEOUT_MS = 2_000;

export interface HostChange extends HostReport {
  /** Whether a daemon runs. */
  readonly running: boolean;
  /** Why the target cannot be reached just now; null when it can. */
  readonly targetDown?: string | null;
}

export async function hostAdd(directory: Directory, port: string, target: string): Promise<HostChange> {
  const hosted = { port: portIn(port), target: targetIn(target) };
  const text = printTarget(hosted.target);
  const change = await keep(directory, { command: "hostAdd", port: hosted.port, target: text }, () => {
    addHost(directory.configFile, hosted);
    return { port: hosted.port, target: text, from: "config", live: false };
  });
  return { ...change, targetDown: (await probe(hosted.target)) ?? null };
}

export function hostRemove(directory: Directory, port: string): Promise<HostChange> {
  const number = portIn(port);
  return keep(directory, { command: "hostRemove", port: number }, () => {
    const target = removeHost(directory.configFile, number);
    return { port: number, target, from: "config", live: false };
  });
}

/** Of the daemon that runs; else what config.json says. */
export async function hostList(directory: Directory): Promise<HostReport[]> {
  const live = await askIfRunning<HostReport[]>(directory, { command: "hosts" });
  if (live !== undefined) return live;
  const config = readConfig(directory.configFile);
  return (config === undefined ? [] : hostsIn(config)).map(({ port, target }) => {
    return { port, target: printTarget(target), from: "config", live: false };
  });
}

/** Why nobody answers at `target`: undefined when somebody does, or when nobody can know, as with UDP. */
export function probe(target: Target, timeoutMs = PROBE_TIMEOUT_MS): Promise<string | undefined> {
  if (target.kind === "udp") return Promise.resolve(undefined);
  return new Promise((answer) => {
    const socket = connect({ ...whereOf(target), timeout: timeoutMs });
    const end = (why: string | undefined): void => {
      socket.destroy();
      answer(why);
    };
    socket.once("connect", () => end(undefined));
    socket.once("timeout", () => end(`no answer within ${timeoutMs / 1000} s`));
    socket.once("error", (error) => end(systemCode(error) ?? messageOf(error)));
  });
}

export function portIn(text: string): number {
  const fix = "the port by which others reach it, such as 80; see  mariana host add --help";
  return parsePort(text) ?? usage(`"${text}" is no overlay port: expected a number from 1 to 65535`, fix);
}

function targetIn(text: string): Target {
  const [, path] = /^unix:(.+)$/.exec(text) ?? [];
  const fix = "such as 8080, 127.0.0.1:8080, [::1]:8080, unix:/run/site.sock or udp:127.0.0.1:53";
  const absolute = path === undefined ? text : `unix:${resolve(path)}`;
  return (
    parseTarget(absolute) ??
    usage(`"${text}" is no target: expected HOST:PORT, a port, unix:PATH or udp:HOST:PORT`, fix)
  );
}

async function keep(
  directory: Directory,
  request: Omit<ControlRequest, "version">,
  action: () => HostReport,
): Promise<HostChange> {
  for (;;) {
    const live = await askIfRunning<HostReport>(directory, request);
    if (live !== undefined) return { ...live, running: true };
    if (request.command === "hostAdd") openDirectory(directory);
    else if (!existsSync(directory.path)) return { ...action(), running: false }; // says that nothing is hosted
    let kept: HostReport | undefined;
    const isAlone = await ControlServer.whileNobodyListens(directory.socket, () => {
      kept = action();
    });
    if (isAlone) return { ...kept!, running: false };
    // One has started in between: it is asked.
  }
}

async function askIfRunning<Result>(
  { socket }: Directory,
  request: Omit<ControlRequest, "version">,
): Promise<Result | undefined> {
  try {
    return await askDaemon<Result>(socket, request);
  } catch (error) {
    if (error instanceof Failure && error.code === "daemon.notRunning") return undefined;
    throw error;
  }
}
