/**
 * One daemon: opens its directory, keys, sockets and proxies in an order that a crash cannot break, answers the control
 * socket, and takes it all down again.
 *
 *   directory and lock -> config.json -> keys -> UDP port -> config.json keeps NAC and port -> driver -> proxy -> peers
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { nacFromHash, parseNac, printNac } from "../core/address/nac.js";
import { parseHex } from "../core/address/text.js";
import { sameBytes } from "../core/collections/bytes.js";
import { nobleSuite } from "../core/crypto/noble-suite.js";
import { type CryptoSuite, HASH_BYTES } from "../core/crypto/suite.js";
import type { Transit } from "../core/routing/transit.js";
import { LIMITS } from "../core/session/limits.js";
import type { StackConfig } from "../core/stack/ports.js";
import { SECOND_US } from "../core/time/instant.js";
import { systemClock } from "./clock.js";
import { type Config, defaultConfig, keepInConfig, readConfig } from "./config/config-file.js";
import { type Directory, openDirectory } from "./config/directory.js";
import { type Endpoint, type HostedPort, type PeerAddress, parsePeer, printEndpoint } from "./config/endpoint.js";
import { removeTemporaries } from "./config/file.js";
import { hostsIn } from "./config/hosts.js";
import { type OpenedIdentity, type OpenedLinkKey, openIdentity, openLinkKey } from "./config/identity-files.js";
import { portToKeep, proxyListen, udpListen } from "./config/listen.js";
import { isLinkKeyPersistent, transitOf } from "./config/reachable.js";
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
import { chainsReport, idReport, peerReport, routeReport, startingReport, streamReport } from "./control/reports.js";
import { ControlServer } from "./control/server.js";
import { createNativeSuite } from "./crypto/native-suite.js";
import { Driver } from "./driver.js";
import { systemEntropy } from "./entropy.js";
import { HostList } from "./host-list.js";
import { Hosting } from "./hosting.js";
import { IdentityUpkeep } from "./identity-upkeep.js";
import { Journal } from "./journal/journal.js";
import { createStderrLog, type Log } from "./log.js";
import { PeerList } from "./peer-list.js";
import { HttpProxy } from "./proxy/http-server.js";
import { SocksProxy } from "./proxy/socks-server.js";
import type { Connect } from "./proxy/stream-agent.js";
import { UdpPort } from "./udp.js";
import { judge } from "./verdict.js";

/** Open requests get this long to end when the daemon stops. */
const DRAIN_MS = 10_000;
/** Without a link for so long, what is open can reach nobody any more. */
const CUT_OFF_MS = 1_000;
const CUT_OFF_CHECK_MS = 100;
const VERDICT_CHECK_MS = 250;
const PING_TIMEOUT_MS_MAX = 60_000;
const CHAIN_SEED_BYTES = 32;
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
  private readonly upkeep: IdentityUpkeep;
  private readonly hosting: Hosting;
  private readonly hostList: HostList;
  private readonly proxy: HttpProxy;
  private readonly socks: SocksProxy;
  private readonly control: ControlServer;
  private readonly peerList: PeerList;
  private readonly peersWanted: number;
  private readonly startedMs = performance.now();
  private verdictTimer: NodeJS.Timeout | undefined;
  private readonly loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  private askShutdown: () => void = () => undefined;
  private proxyListens = false;
  private lastVerdict: Verdict = "starting";
  private stopping: Promise<void> | undefined;

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
    this.upkeep = new IdentityUpkeep(options.directory, opened, log);
    this.id = idReport(options.directory, identity, linkKey.hash);
    this.shutdownAsked = new Promise((resolve) => {
      this.askShutdown = resolve;
    });
    this.driver = new Driver({
      stackConfig: this.stackConfig(opened, linkKey, transitOf(config, options.udp !== undefined)),
      suite,
      udp,
      entropy: systemEntropy,
      clock: systemClock,
      log,
      persistEpoch: (nac, epoch) => this.upkeep.keepEpoch(nac, epoch),
      journal,
    });
    this.driver.onFormerWithdrawn = () => this.upkeep.eraseFormer();
    this.hosting = new Hosting({ hosts: [], log });
    this.hostList = new HostList({
      configFile: options.directory.configFile,
      kept: hostsIn(config),
      ofFlags: options.hosts,
      hosting: this.hosting,
      onChange: () => this.driver.setPorts(this.hosting.ports),
    });
    this.peerList = new PeerList({ driver: this.driver, udp, log });
    udp.isPathInUse = (path) => this.driver.stack.pathsInUse.includes(path);
    const connect: Connect = (...target) => this.driver.connect(...target);
    this.proxy = new HttpProxy({ connect, log });
    this.socks = new SocksProxy({ connect, openFlow: (...target) => this.driver.openFlow(...target), log });
    this.driver.onStream = (stream, port, session) => this.hosting.handle(stream, port, session);
    this.driver.onDatagramFlow = (flow, port, session) => this.hosting.handleFlow(flow, port, session);
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
      if (journal !== undefined) log.info("journal.start", { clockZeroMs: performance.timeOrigin });
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
      formerNac: this.upkeep.formerNac,
      udp: this.udp.endpoints.map(printEndpoint),
      http: this.proxy.endpoints.map(printEndpoint),
      socks: this.socks.endpoints.map(printEndpoint),
      peersUnusable: [...this.peerList.unusable].map(([peer, reason]) => ({ peer, reason })),
      neighbours: stack.neighbours,
      routes: stack.routes,
      suite: this.suite.name,
      epoch: stack.epoch,
      drops: { ...stack.drops, ...this.udpDrops() },
      replays: stack.replays,
      handshakes: stack.handshakes,
      liveness: stack.liveness,
      chains: stack.chains === undefined ? null : chainsReport(stack.chains),
      storms: stack.storms,
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
    const peers = this.driver.stack.peers(systemClock.nowUs());
    return peers.map((peer) => peerReport(peer, this.udp.endpointOf(peer.path)));
  }

  routes(): RouteReport[] {
    return this.driver.stack.routes().map(routeReport);
  }

  streams(): StreamReport[] {
    const nowUs = systemClock.nowUs();
    return this.driver.openStreams().map((stream) => streamReport(stream, nowUs));
  }

  hosts(): HostReport[] {
    return this.hostList.report();
  }

  /** Zero while nothing was measured. */
  private loopLagMs(): number {
    const lateMs = this.loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    return Math.max(0, Math.round(lateMs * 10) / 10);
  }

  private async open(options: DaemonOptions): Promise<void> {
    this.loopDelay.enable();
    this.upkeep.probe();
    this.driver.start();
    await this.openProxies(options);
    this.proxyListens = true;
    for (const text of this.config.peers) this.peerList.add(parsePeer(text)!);
    for (const peer of options.peers) this.peerList.add(peer);
    this.verdictTimer = setInterval(() => this.watchVerdict(), VERDICT_CHECK_MS);
    this.verdictTimer.unref();
    this.watchVerdict();
  }

  private async openProxies({ http, socks }: DaemonOptions): Promise<void> {
    const httpListen = proxyListen(http ?? this.config.http);
    await this.proxy.listen(httpListen);
    if (httpListen.length > 0) this.log.info("port.bound", { http: this.proxy.endpoints.map(printEndpoint) });
    const socksListen = proxyListen(socks ?? this.config.socks);
    await this.socks.listen(socksListen);
    if (socksListen.length > 0) this.log.info("port.bound", { socks: this.socks.endpoints.map(printEndpoint) });
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
        return this.hostList.add(request);
      case "hostRemove":
        return this.hostList.remove(request);
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

  private judge(neighbours: number): ReturnType<typeof judge> {
    const { proxyListens, peersWanted } = this;
    const upMs = performance.now() - this.startedMs;
    return judge({ proxyListens, neighbours, peersWanted, peersUnusable: this.peerList.unusable, upMs });
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

  private stackConfig(opened: OpenedIdentity, linkKey: OpenedLinkKey, transit: Transit): StackConfig {
    const { identity, former, state, damage } = opened;
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
      isStateDamaged: damage !== undefined,
      chainSeed: systemEntropy(CHAIN_SEED_BYTES),
      wallClockSeconds,
      sessionLimits: { ...LIMITS, ...this.config.session },
      transit,
      isStrict: this.config.routing.profile === "strict",
    };
  }

  private async close(): Promise<void> {
    this.log.info("node.stop", { reason: "asked to" });
    clearInterval(this.verdictTimer);
    this.peerList.close();
    this.loopDelay.disable();
    this.driver.setPorts([]); // what is open may end; nobody new is let in
    const closing = [this.proxy.close(DRAIN_MS), this.socks.close(DRAIN_MS), this.hosting.close(DRAIN_MS)];
    const drained = Promise.all(closing);
    const cutOff = this.watchLinks();
    await Promise.race([drained, cutOff.happened]);
    cutOff.forget();
    await this.driver.close(); // breaks what is left
    await drained;
    await this.journal?.close();
    await this.udp.close();
    await this.control.close();
    this.log.info("node.stopped");
  }

  /** Tells when no link was up for a while. Streams to ourselves need none. */
  private watchLinks(): { readonly happened: Promise<void>; readonly forget: () => void } {
    let upMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const happened = new Promise<void>((resolve) => {
      timer = setInterval(() => {
        const isToUs = this.driver.openStreams().some(({ nac }) => nac !== undefined && printNac(nac) === this.id.nac);
        if (isToUs || this.driver.stack.status().neighbours > 0) upMs = performance.now();
        else if (performance.now() - upMs >= CUT_OFF_MS) resolve();
      }, CUT_OFF_CHECK_MS);
    });
    return { happened, forget: () => clearInterval(timer) };
  }
}

/** Before there is a stack: enough for `status --wait`, and for a second start that asks who we are. */
function startingAnswer(request: ControlRequest, directory: Directory): StatusReport {
  if (request.command !== "status") throw new Error("it is still starting");
  return startingReport(directory);
}

function sumOf(...all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const counts of all) {
    for (const [reason, count] of Object.entries(counts)) sums[reason] = (sums[reason] ?? 0) + count;
  }
  return sums;
}
