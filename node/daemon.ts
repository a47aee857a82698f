/**
 * One daemon: opens its directory, keys, sockets and proxies in an order that a crash cannot break, answers the control
 * socket, and takes it all down again.
 *
 *   directory and lock -> config.json -> keys -> UDP port -> config.json keeps NAC and port -> driver -> proxy -> peers
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { nacFromHash, parseNac, printNac } from "../core/address/nac.js";
import { parseHex } from "../core/address/text.js";
import { sameBytes } from "../core/collections/bytes.js";
import { nobleSuite } from "../core/crypto/noble-suite.js";
import { type CryptoSuite, HASH_BYTES } from "../core/crypto/suite.js";
import { LIMITS } from "../core/session/limits.js";
import type { StackConfig } from "../core/stack/ports.js";
import { SECOND_US } from "../core/time/instant.js";
import { systemClock } from "./clock.js";
import { type Config, defaultConfig, keepInConfig, readConfig } from "./config/config-file.js";
import { type Directory, openDirectory } from "./config/directory.js";
import {
  type Endpoint,
  type HostedPort,
  hostedPort,
  type PeerAddress,
  parseListen,
  parsePeer,
  printEndpoint,
  printTarget,
} from "./config/endpoint.js";
import { removeTemporaries } from "./config/file.js";
import { eraseFormerKeys } from "./config/former-identity.js";
import { addHost, hostsIn, removeHost } from "./config/hosts.js";
import {
  isLinkKeyPersistent,
  type OpenedIdentity,
  type OpenedLinkKey,
  openIdentity,
  openLinkKey,
} from "./config/identity-files.js";
import { type State, writeState } from "./config/state-file.js";
import type {
  ControlRequest,
  HostReport,
  IdReport,
  PeerReport,
  PingReport,
  RouteReport,
  StatusReport,
  StreamReport,
  Verdict,
} from "./control/protocol.js";
import { idReport } from "./control/reports.js";
import { ControlServer } from "./control/server.js";
import { createNativeSuite } from "./crypto/native-suite.js";
import { Driver } from "./driver.js";
import { systemEntropy } from "./entropy.js";
import { messageOf, systemCode } from "./failure.js";
import { Hosting } from "./hosting.js";
import { Journal } from "./journal/journal.js";
import { createStderrLog, type Log } from "./log.js";
import { HttpProxy } from "./proxy/http-server.js";
import type { ProxyListen } from "./proxy/listening.js";
import { SocksProxy } from "./proxy/socks-server.js";
import type { Connect } from "./proxy/stream-agent.js";
import { type UdpListen, UdpPort } from "./udp.js";

/** How long a node may take to get its first link before "starting" becomes "degraded". */
const STARTING_MS = 10_000;
/** Open requests get this long to end when the daemon stops. */
const DRAIN_MS = 10_000;
const VERDICT_CHECK_MS = 250;
const RESOLVE_RETRY_MS = 5_000;
const RESOLVE_RETRY_MS_MAX = 300_000;
const PING_TIMEOUT_MS_MAX = 60_000;
/** How often the event loop is looked at. */
const LOOP_RESOLUTION_MS = 20;

/** What the command line asks for; it wins over config.json for this run and is not written there. */
export interface DaemonOptions {
  readonly directory: Directory;
  readonly udp?: readonly Endpoint[];
  readonly http?: "off" | readonly Endpoint[];
  readonly socks?: "off" | readonly Endpoint[];
  /** Beside those of config.json. */
  readonly peers: readonly PeerAddress[];
  /** Beside those of config.json; the same overlay port wins. */
  readonly hosts: readonly HostedPort[];
  /** New keys and NAC, same port. */
  readonly rotate: boolean;
  /** Records the core into this file, which must not exist yet. */
  readonly journal?: string;
}

export class Daemon {
  readonly id: IdReport;
  readonly log: Log;
  /** Fulfilled when the control socket asked for an end. */
  readonly shutdownAsked: Promise<void>;

  private readonly directory: Directory;
  private readonly config: Config;
  private readonly suite: CryptoSuite;
  private readonly udp: UdpPort;
  private readonly driver: Driver;
  private readonly journal: Journal | undefined;
  private readonly hosting: Hosting;
  private readonly proxy: HttpProxy;
  private readonly socks: SocksProxy;
  private readonly control: ControlServer;
  private readonly peersWanted: number;
  private readonly startedMs = performance.now();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  /** Peers that cannot be dialled: as given, and why. */
  private readonly peersUnusable = new Map<string, string>();
  private askShutdown: () => void = () => undefined;
  private proxyListens = false;
  private lastVerdict: Verdict = "starting";
  private stopping: Promise<void> | undefined;
  /** As it is in state.json. */
  private state: State;
  private formerNac: string | null;
  private hostsKept: HostedPort[];
  private readonly hostsOfFlags: readonly HostedPort[];

  private constructor(parts: {
    options: DaemonOptions;
    config: Config;
    log: Log;
    suite: CryptoSuite;
    opened: OpenedIdentity;
    linkKey: OpenedLinkKey;
    udp: UdpPort;
    control: ControlServer;
    journal: Journal | undefined;
  }) {
    const { options, config, log, suite, opened, linkKey, udp, control, journal } = parts;
    const { identity } = opened;
    this.directory = options.directory;
    this.config = config;
    this.log = log;
    this.suite = suite;
    this.udp = udp;
    this.control = control;
    this.journal = journal;
    this.state = opened.state;
    this.formerNac = opened.former === undefined ? null : printNac(opened.former.identity.nac);
    this.id = idReport(options.directory, identity, linkKey.hash);
    this.shutdownAsked = new Promise((resolve) => {
      this.askShutdown = resolve;
    });
    this.hostsKept = hostsIn(config);
    this.hostsOfFlags = options.hosts;
    this.driver = new Driver({
      stackConfig: this.stackConfig(opened, linkKey),
      suite,
      udp,
      entropy: systemEntropy,
      clock: systemClock,
      log,
      persistEpoch: (nac, epoch) => this.keepEpoch(sameBytes(nac, identity.nac), epoch),
      journal,
    });
    this.driver.onFormerWithdrawn = () => this.eraseFormer(opened);
    this.hosting = new Hosting({ hosts: [], log });
    this.applyHosts();
    udp.isPathInUse = (path) => this.driver.stack.pathsInUse.includes(path);
    const connect: Connect = (...target) => this.driver.connect(...target);
    this.proxy = new HttpProxy({ connect, log });
    this.socks = new SocksProxy({ connect, openFlow: (...target) => this.driver.openFlow(...target), log });
    this.driver.onStream = (stream, port) => this.hosting.handle(stream, port);
    this.driver.onDatagramFlow = (flow, port) => this.hosting.handleFlow(flow, port);
    this.peersWanted = config.peers.length + options.peers.length;
  }

  /** Throws a Failure for everything that a person can put right; nothing is left open then. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { directory } = options;
    openDirectory(directory);
    let daemon: Daemon | undefined;
    const control = await ControlServer.open(directory.socket, (request) =>
      daemon === undefined ? startingAnswer(request, directory) : daemon.handleRequest(request),
    );
    let udp: UdpPort | undefined;
    let journal: Journal | undefined;
    try {
      const leftovers = removeTemporaries(directory.path);
      const found = readConfig(directory.configFile);
      const config = found ?? defaultConfig();
      const log = createStderrLog(config.log.level, config.log.unsafe);
      log.info("node.start", { pid: process.pid, directory: directory.path, node: process.version });
      if (leftovers > 0) log.info("file.cleaned", { count: leftovers });

      const suite = config.crypto.suite === "noble" ? nobleSuite : createNativeSuite();
      const context = { suite, entropy: systemEntropy, networkName: config.network.name };
      const choice = { rotate: options.rotate, nowSeconds: systemClock.wallSeconds() };
      const opened = openIdentity(directory, found, context, choice);
      const { identity, how, former, damage, erased } = opened;
      if (how === "created") log.info("key.created", { file: directory.keyFile });
      const graceSeconds = former?.remainingSeconds ?? 0;
      if (how === "rotated") log.info("key.rotated", { file: directory.keyFile, graceSeconds });
      if (erased !== undefined) log.info("key.erased", { file: directory.formerKeyFile, reason: erased });
      if (damage !== undefined) log.warn("state.damaged", { file: directory.stateFile, reason: damage });
      const linkKey = openLinkKey(directory, context, isLinkKeyPersistent(config, options.udp !== undefined));

      const listen = udpListen(config, options.udp);
      udp = await UdpPort.open(listen, log);
      const udpPort = portToKeep(found, listen, udp.endpoints);
      keepInConfig(directory.configFile, { nac: identity.nac, udpPort });
      log.info("port.bound", { udp: udp.endpoints.map(printEndpoint) });

      journal = options.journal === undefined ? undefined : Journal.create(options.journal, log);
      daemon = new Daemon({ options, config, log, suite, opened, linkKey, udp, control, journal });
      await daemon.open(options);
      return daemon;
    } catch (error) {
      if (daemon !== undefined) await daemon.stop();
      else {
        await udp?.close();
        await control.close();
      }
      await journal?.discard();
      throw error;
    }
  }

  /** Drains (10 s at most), takes leave of the neighbours, closes everything. Always fulfilled; asking again waits too. */
  stop(): Promise<void> {
    this.stopping ??= this.close();
    return this.stopping;
  }

  status(): StatusReport {
    const stack = this.driver.stack.status();
    const { verdict, reason, fix } = this.judge(stack.neighbours);
    return {
      verdict,
      reason,
      fix,
      nac: this.id.nac,
      formerNac: this.formerNac,
      udp: this.udp.endpoints.map(printEndpoint),
      http: this.proxy.endpoints.map(printEndpoint),
      socks: this.socks.endpoints.map(printEndpoint),
      peersUnusable: [...this.peersUnusable].map(([peer, reason]) => ({ peer, reason })),
      neighbours: stack.neighbours,
      routes: stack.routes,
      suite: this.suite.name,
      epoch: stack.epoch,
      drops: { ...stack.drops, ...this.udpDrops() },
      replays: stack.replays,
      handshakes: stack.handshakes,
      queues: stack.queues,
      loopLagMs: { p99: this.loopLagMs() },
      caps: stack.caps,
      refusals: sumOf(this.proxy.refusals, this.socks.counts.refused),
      anonymity: "none",
      pid: process.pid,
      directory: this.directory.path,
      upSeconds: Math.floor((performance.now() - this.startedMs) / 1000),
    };
  }

  peers(): PeerReport[] {
    return this.driver.stack.peers(systemClock.nowUs()).map((peer) => ({
      link: peer.link,
      endpoint: this.udp.endpointOf(peer.path),
      pinned: peer.pinned,
      incoming: peer.incoming,
      found: peer.found,
      rttMs: peer.rttUs > 0 ? peer.rttUs / 1000 : null,
      lossShare: peer.lossPerMille / 1000,
      cost: peer.cost,
      queueDelayMs: peer.queueDelayMs,
      busyShare: peer.load / 255,
      upSeconds: Math.floor(peer.upUs / 1_000_000),
    }));
  }

  routes(): RouteReport[] {
    return this.driver.stack.routes().map((route) => ({
      nac: printNac(route.nac),
      metric: route.metric,
      nextHop: route.nextHop < 0 ? null : route.nextHop,
      backups: [...route.backups],
    }));
  }

  streams(): StreamReport[] {
    const nowUs = systemClock.nowUs();
    return this.driver.openStreams().map(({ id, nac, port, bytesIn, bytesOut, openedUs }) => ({
      id,
      nac: nac === undefined ? null : printNac(nac),
      port,
      direction: nac === undefined ? "in" : "out",
      bytesIn,
      bytesOut,
      ageSeconds: Math.floor((nowUs - openedUs) / SECOND_US),
    }));
  }

  hosts(): HostReport[] {
    const live = this.hosting.hosts;
    const report = (from: HostReport["from"]) => (hosted: HostedPort) => {
      return { port: hosted.port, target: printTarget(hosted.target), from, live: live.includes(hosted) };
    };
    const all = [...this.hostsKept.map(report("config")), ...this.hostsOfFlags.map(report("flag"))];
    return all.sort((a, b) => a.port - b.port);
  }

  private addHost({ port, target }: ControlRequest): HostReport {
    const hosted = hostedPort(String(port), target ?? "");
    if (hosted === undefined) throw new Error(`"${port}" and "${target}" are no port and target`);
    addHost(this.directory.configFile, hosted);
    this.hostsKept.push(hosted);
    this.applyHosts();
    return this.hosts().find((host) => host.port === port && host.from === "config")!;
  }

  private removeHost({ port }: ControlRequest): HostReport {
    const target = removeHost(this.directory.configFile, port ?? 0);
    this.hostsKept = this.hostsKept.filter((hosted) => hosted.port !== port);
    this.applyHosts();
    return { port: port!, target, from: "config", live: false };
  }

  /** For the same port the flag wins. */
  private applyHosts(): void {
    const all = [...this.hostsKept, ...this.hostsOfFlags].map((hosted) => [hosted.port, hosted] as const);
    this.hosting.setHosts([...new Map(all).values()]);
    this.driver.setPorts(this.hosting.ports);
  }

  /** Zero while nothing was measured. */
  private loopLagMs(): number {
    const lateMs = this.loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    return Math.max(0, Math.round(lateMs * 10) / 10);
  }

  private async open(options: DaemonOptions): Promise<void> {
    this.loopDelay.enable();
    this.driver.start();
    await this.openProxies(options);
    this.proxyListens = true;
    for (const text of this.config.peers) this.addPeer(parsePeer(text)!);
    for (const peer of options.peers) this.addPeer(peer);
    const timer = setInterval(() => this.watchVerdict(), VERDICT_CHECK_MS);
    timer.unref();
    this.timers.add(timer);
    this.watchVerdict();
  }

  private async openProxies({ http, socks }: DaemonOptions): Promise<void> {
    const httpListen = listenOf(http ?? this.config.http);
    await this.proxy.listen(httpListen);
    if (httpListen.length > 0) this.log.info("port.bound", { http: this.proxy.endpoints.map(printEndpoint) });
    const socksListen = listenOf(socks ?? this.config.socks);
    await this.socks.listen(socksListen);
    if (socksListen.length > 0) this.log.info("port.bound", { socks: this.socks.endpoints.map(printEndpoint) });
  }

  /** A name is resolved first, and again with growing pauses while that fails: the network may come later than we do. */
  private addPeer(peer: PeerAddress, retryMs = RESOLVE_RETRY_MS): void {
    if (isIP(peer.host) !== 0) {
      this.dial(peer.host, peer);
      return;
    }
    lookup(peer.host).then(
      ({ address }) => {
        if (this.stopping === undefined) this.dial(address, peer);
      },
      (error: unknown) => {
        // The resolver's message holds the name that was asked for; its code does not.
        const code = systemCode(error) ?? "unknown";
        this.log.warn("peer.unresolved", { error: code });
        this.peersUnusable.set(printEndpoint(peer), `its name cannot be resolved (${code}); tried again and again`);
        if (this.stopping !== undefined) return;
        const timer = setTimeout(() => {
          this.timers.delete(timer);
          this.addPeer(peer, Math.min(retryMs * 2, RESOLVE_RETRY_MS_MAX));
        }, retryMs);
        timer.unref();
        this.timers.add(timer);
      },
    );
  }

  private dial(address: string, peer: PeerAddress): void {
    this.driver.addPeer(address, peer.port, peer.pin);
    const path = this.udp.pathOf(address, peer.port);
    if (path >= 0) {
      this.peersUnusable.delete(printEndpoint(peer));
      return;
    }
    const family = isIP(address) === 6 ? "IPv6" : "IPv4";
    this.peersUnusable.set(printEndpoint(peer), `this node has no UDP socket for ${family}`);
  }

  private handleRequest(request: ControlRequest): unknown {
    switch (request.command) {
      case "id":
        return this.id;
      case "status":
        return this.status();
      case "peers":
        return this.peers();
      case "routes":
        return this.routes();
      case "streams":
        return this.streams();
      case "ping":
        return this.ping(request);
      case "hosts":
        return this.hosts();
      case "hostAdd":
        return this.addHost(request);
      case "hostRemove":
        return this.removeHost(request);
      case "shutdown":
        this.askShutdown();
        return { pid: process.pid };
    }
  }

  private async ping(request: ControlRequest): Promise<PingReport> {
    const nac = parseNac(request.nac ?? "");
    if (nac === undefined) throw new Error(`"${request.nac ?? ""}" is not a NAC`);
    const timeoutMs = Math.min(Math.max(request.timeoutMs ?? 0, 1), PING_TIMEOUT_MS_MAX);
    const nacHash = request.nacHash === undefined ? undefined : parseHex(request.nacHash, HASH_BYTES);
    if (request.nacHash !== undefined && (nacHash === undefined || !sameBytes(nacFromHash(nacHash), nac))) {
      throw new Error(`"${request.nacHash}" is not a hash that gives ${printNac(nac)}`);
    }
    const outcome = await this.driver.ping(nac, timeoutMs, nacHash);
    return "rttUs" in outcome ? { rttMs: outcome.rttUs / 1000 } : { reason: outcome.reason };
  }

  private judge(neighbours: number): { verdict: Verdict; reason: string; fix: string | null } {
    if (!this.proxyListens) return { verdict: "starting", reason: "the proxy does not listen yet", fix: null };
    if (neighbours > 0) {
      const links = neighbours === 1 ? "one link is up" : `${neighbours} links are up`;
      return { verdict: "ready", reason: links, fix: null };
    }
    if (this.peersWanted === 0) {
      return { verdict: "ready", reason: "no peer is configured; waiting for others to connect", fix: null };
    }
    const [trouble] = this.peersUnusable;
    if (trouble !== undefined && this.peersUnusable.size === this.peersWanted) {
      const fix = "correct the peer's name or address, or give an address of its kind to listen on with --udp";
      return { verdict: "degraded", reason: `the peer ${trouble[0]} cannot be used: ${trouble[1]}`, fix };
    }
    const peers = this.peersWanted === 1 ? "the configured peer" : `any of the ${this.peersWanted} configured peers`;
    const reason = `no link to ${peers} is up`;
    if (performance.now() - this.startedMs < STARTING_MS) return { verdict: "starting", reason, fix: null };
    const fix = "check that the peer runs, that its address and link key hash are right, and that UDP reaches it";
    return { verdict: "degraded", reason, fix };
  }

  private watchVerdict(): void {
    const { verdict, reason } = this.judge(this.driver.stack.status().neighbours);
    if (verdict === this.lastVerdict) return;
    this.lastVerdict = verdict;
    if (verdict === "ready") this.log.info("node.ready", { reason });
    else this.log.warn("node.degraded", { reason });
  }

  private udpDrops(): Record<string, number> {
    const { sendRing, sendErrors, pathsFull } = this.udp.drops;
    const { overloads } = this.driver;
    const counted: Record<string, number> = { overload: overloads, udpSendRing: sendRing, udpPathsFull: pathsFull };
    for (const [code, count] of Object.entries(sendErrors)) counted[`udp${code}`] = count;
    return counted;
  }

  private stackConfig({ identity, former, state, damage }: OpenedIdentity, linkKey: OpenedLinkKey): StackConfig {
    const storedEpoch = state.former?.epoch ?? 0;
    const wallClockSeconds = systemClock.wallSeconds();
    // The epoch that a damaged file held may be that of a start within this very second.
    const knownEpoch = damage === undefined ? state.epoch : Math.max(state.epoch, wallClockSeconds);
    return {
      networkName: this.config.network.name,
      service: identity,
      former: former && [
        {
          identity: former.identity,
          storedEpoch,
          untilUs: systemClock.nowUs() + former.remainingSeconds * SECOND_US,
        },
      ],
      linkKeys: linkKey.keys,
      storedEpoch: knownEpoch,
      wallClockSeconds,
      sessionLimits: { ...LIMITS, ...this.config.session },
    };
  }

  private keepEpoch(isService: boolean, epoch: number): void {
    const { state } = this;
    if (isService) this.state = { ...state, epoch };
    else if (state.former !== undefined) this.state = { ...state, former: { ...state.former, epoch } };
    writeState(this.directory.stateFile, this.state);
  }

  /** The stack answers by the former NAC no longer. */
  private eraseFormer({ former }: OpenedIdentity): void {
    this.formerNac = null;
    former?.identity.kem.secretKey.fill(0);
    former?.identity.signature.secretKey.fill(0);
    const file = this.directory.formerKeyFile;
    try {
      this.state = eraseFormerKeys(this.directory, this.state);
      this.log.info("key.erased", { file, reason: "expired" });
    } catch (error) {
      this.log.warn("key.notErased", { file, error: systemCode(error) ?? messageOf(error) }); // the next start does it
    }
  }

  private async close(): Promise<void> {
    this.log.info("node.stop", { reason: "asked to" });
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.loopDelay.disable();
    this.driver.setPorts([]); // what is open may end; nobody new is let in
    await Promise.all([this.proxy.close(DRAIN_MS), this.socks.close(DRAIN_MS), this.hosting.close(DRAIN_MS)]);
    await this.driver.close();
    await this.journal?.close();
    await this.udp.close();
    await this.control.close();
    this.log.info("node.stopped");
  }
}

/** Before there is a stack: enough for `status --wait`, and for a second start that asks who we are. */
function startingAnswer(request: ControlRequest, directory: Directory): StatusReport {
  if (request.command !== "status") throw new Error("it is still starting");
  return {
    verdict: "starting",
    reason: "keys and sockets are being opened",
    fix: null,
    nac: null,
    formerNac: null,
    udp: [],
    http: [],
    socks: [],
    peersUnusable: [],
    neighbours: 0,
    routes: 0,
    suite: "",
    epoch: null,
    drops: {},
    replays: 0,
    handshakes: {},
    queues: {},
    loopLagMs: { p99: 0 },
    caps: {},
    refusals: {},
    anonymity: "none",
    pid: process.pid,
    directory: directory.path,
    upSeconds: 0,
  };
}

/** A machine without IPv6 still has a proxy on IPv4. */
function listenOf(chosen: "off" | readonly (string | Endpoint)[]): ProxyListen[] {
  if (chosen === "off") return [];
  const listen = chosen.map((entry) => (typeof entry === "string" ? parseListen(entry)! : entry));
  return listen.map((entry) => ({ ...entry, optional: listen.length > 1 && isIP(entry.host) === 6 }));
}

function sumOf(...all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const counts of all) {
    for (const [reason, count] of Object.entries(counts)) sums[reason] = (sums[reason] ?? 0) + count;
  }
  return sums;
}

/** Port 0 stands for the kept port; while none is kept, for a free one. */
function udpListen(config: Config, flag: readonly Endpoint[] | undefined): UdpListen[] {
  const chosen: readonly UdpListen[] =
    flag ??
    (config.udp === "auto"
      ? [
          { host: "0.0.0.0", port: 0 },
          { host: "::", port: 0, optional: true },
        ]
      : config.udp.map((text) => parseListen(text)!));
  return chosen.map((entry) => ({ ...entry, port: entry.port || config.udpPort }));
}

/** A new config.json keeps the first port; a later start only fills in what was still open. */
function portToKeep(found: Config | undefined, listen: readonly UdpListen[], bound: readonly Endpoint[]): number {
  const kept = found?.udpPort ?? 0;
  if (kept !== 0) return kept;
  const wasOpen = found === undefined || listen.some((entry) => entry.port === 0);
  return wasOpen ? (bound[0]?.port ?? 0) : 0;
}
