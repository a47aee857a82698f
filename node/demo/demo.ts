/**
 * `npm start`: the network at work on one machine. Five daemons as separate processes on loopback, a small web site
 * behind the last, one request through all of them, and then a proxy to play with until Ctrl-C.
 *
 * Everything lives in one temporary folder and ends with the demo: its daemons, its site, its files.
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import { fileFailure } from "../config/file-failure.js";
import { EXIT_INTERRUPTED, ExitCode, Failure } from "../failure.js";
import type { DaemonProcess } from "./daemon-process.js";
import { type Line, startLine, stopDaemons, waitForRoute } from "./line.js";
import { fetchThrough, type ProxyAnswer } from "./proxy-request.js";
import { SITE_TITLE, startSite } from "./site.js";

const PROXY_HOST = "127.0.0.1";
const PROXY_PORT = 8000;

const USAGE = `npm start             five daemons on this machine, a web site behind the last; until Ctrl-C
npm start -- --once   the same, but ends after its self-check with 0 or 9
`;

/** Runs the demo to its end and returns the exit code. */
export async function runDemo(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === undefined) {
    process.stderr.write(USAGE);
    return ExitCode.usage;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return ExitCode.ok;
  }

  const interrupted = nextInterrupt(); // before there is anything that would be left behind
  const base = temporaryFolder();
  if (base instanceof Failure) {
    process.stderr.write(`${base.message}\n  fix: ${base.fix}\n`);
    return base.exit;
  }
  const { aborted } = interrupted;
  // A reader that goes away (`npm start | head`) wants no more of it; a self-check is carried to its end all the same.
  process.stdout.on("error", () => options.once || interrupted.interrupt());
  let site: { server: Server; port: number } | undefined;
  let line: Line | undefined;
  try {
    const startedAt = performance.now();
    site = await startSite();
    const port = await freePort(PROXY_PORT);
    const http = `${PROXY_HOST}:${port}`;
    line = await startLine({ base, network: "demo", http, hosts: [`80=127.0.0.1:${site.port}`], signal: aborted });
    const path = await waitForRoute(line.client, line.nac, line.daemons, 30, aborted);
    const url = `http://${line.name}/`;
    const cold = await interrupted.unless(fetchThrough(line.proxy, url));
    const warm = await interrupted.unless(fetchThrough(line.proxy, url));
    const isGood = isOurPage(cold) && isOurPage(warm);

    await showDaemons(line, performance.now() - startedAt);
    showRoute(path, cold, warm);
    if (!isGood) {
      say(paint(`The self-check failed: the site answered ${cold.status}, then ${warm.status}.`, "red"));
      say(line.client.logTail());
      return ExitCode.checkFailed;
    }
    if (port !== PROXY_PORT) sayPortChanged(port);
    showCommands(line, url);
    if (options.once) return ExitCode.ok;
    say(`\n${paint("Ctrl-C ends the five daemons and removes their files.", "dim")}`);
    await Promise.race([interrupted.signal, anyExit(line.daemons)]);
    const ended = interrupted.happened ? undefined : line.daemons.find((daemon) => daemon.hasExited);
    if (ended === undefined) return ExitCode.ok;
    say(paint(`\nThe daemon ${ended.name} ended by itself:\n${ended.logTail()}`, "red"));
    return ExitCode.unexpected;
  } catch (error) {
    if (interrupted.happened) return options.once ? EXIT_INTERRUPTED : ExitCode.ok; // --once promised a self-check
    say(paint(`The demo broke off: ${error instanceof Error ? error.message : String(error)}`, "red"));
    return ExitCode.checkFailed;
  } finally {
    interrupted.again = () => line?.daemons.forEach((daemon) => void daemon.kill()); // who asks twice is in a hurry
    await stopDaemons(line?.daemons ?? []);
    site?.server.closeAllConnections();
    site?.server.close();
    rmSync(base, { recursive: true, force: true });
    interrupted.forget();
  }
}

function parseOptions(args: readonly string[]): { once: boolean; help: boolean } | undefined {
  try {
    const options = { once: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
    const { values } = parseArgs({ args: [...args], options });
    return { once: values.once ?? false, help: values.help ?? false };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    return undefined;
  }
}

/** A folder of our own, or what is wrong with the place for it. */
function temporaryFolder(): string | Failure {
  try {
    return mkdtempSync(join(tmpdir(), "mariana-demo-"));
  } catch (error) {
    const fix = "name another folder for temporary files:  TMPDIR=/some/where npm start";
    const failure = fileFailure("used", tmpdir(), error, fix);
    if (failure instanceof Failure) return failure;
    throw failure;
  }
}

interface Interrupt {
  readonly signal: Promise<void>;
  readonly happened: boolean;
  readonly aborted: AbortSignal;
  /** As a signal does. */
  interrupt(): void;
  /** What `work` comes to, unless we are interrupted first: then it throws. */
  unless<T>(work: Promise<T>): Promise<T>;
  /** Called by each signal after the first. */
  again: () => void;
  forget(): void;
}

/** Takes over the signals that would end us, so that the children and the files can go first. */
function nextInterrupt(): Interrupt {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const controller = new AbortController();
  const { signal: aborted } = controller;
  const signal = new Promise<void>((resolve) => aborted.addEventListener("abort", () => resolve(), { once: true }));
  const handle = () => {
    if (aborted.aborted) interrupt.again();
    controller.abort();
  };
  for (const name of signals) process.on(name, handle);
  const interrupt: Interrupt = {
    signal,
    aborted,
    get happened() {
      return aborted.aborted;
    },
    interrupt: () => controller.abort(),
    unless: async (work) => {
      const outcome = await Promise.race([work.then((value) => ({ value })), signal]);
      if (outcome === undefined) throw aborted.reason;
      return outcome.value;
    },
    again: () => {},
    forget: () => {
      for (const name of signals) process.off(name, handle);
    },
  };
  return interrupt;
}

function anyExit(daemons: readonly DaemonProcess[]): Promise<unknown> {
  return Promise.race(daemons.map((daemon) => daemon.exited));
}

/** `wanted`, or the next port that nobody holds. */
async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 100; port++) if (await isFree(port)) return port;
  return 0; // let the system choose
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, PROXY_HOST, () => probe.close(() => resolve(true)));
  });
}

function isOurPage(answer: ProxyAnswer): boolean {
  return answer.status === 200 && answer.body.includes(`<title>${SITE_TITLE}</title>`);
}

async function showDaemons(line: Line, tookMs: number): Promise<void> {
  const udp = await Promise.all(line.daemons.map(async (daemon) => (await daemon.status()).udp.join(" ")));
  say(`\n${paint(`Five daemons, up in ${(tookMs / 1000).toFixed(1)} s`, "bold")}\n`);
  for (const [index, daemon] of line.daemons.entries()) {
    const pid = String(daemon.pid).padEnd(8);
    say(`  ${daemon.name.padEnd(8)} pid ${pid} udp ${udp[index]!.padEnd(16)} ${paint(daemon.directory, "dim")}`);
  }
}

function showRoute(path: readonly DaemonProcess[], cold: ProxyAnswer, warm: ProxyAnswer): void {
  const arrow = paint(" > ", "dim");
  say(`\n  route    ${path.map((daemon) => daemon.name).join(arrow)}${arrow}web site`);
  const bytes = warm.body.length.toLocaleString("en-US");
  say(`  fetched  ${bytes} bytes in ${milliseconds(cold)}, keys and all; again in ${milliseconds(warm)}`);
}

function milliseconds(answer: ProxyAnswer): string {
  return `${answer.totalMs.toFixed(answer.totalMs < 10 ? 1 : 0)} ms`;
}

function sayPortChanged(port: number): void {
  const text = ` Port ${PROXY_PORT} is taken by another program: the proxy listens on ${port} instead. `;
  say(`\n  ${paint(text, "black", "bgYellow", "bold")}`);
}

function showCommands(line: Line, url: string): void {
  const proxy = `http://${line.proxy.host}:${line.proxy.port}`;
  say(`\n  url      ${paint(url, "cyan", "underline")}`);
  say(`  curl     curl -x ${proxy} ${url}`);
  say(`  browser  chromium --user-data-dir=$(mktemp -d) --proxy-server=${proxy} ${url}`);
  say(`  routes   npx mariana routes --dir ${line.client.directory}`);
}

/** One style at a time: Node 20 paints a list of them also where there is no terminal. */
function paint(text: string, ...styles: Parameters<typeof styleText>[0][]): string {
  return styles.reduce((painted, style) => styleText(style, painted), text);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
