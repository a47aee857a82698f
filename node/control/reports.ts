import { printNac } from "../../core/address/nac.js";
import { printLongName, printName } from "../../core/address/name.js";
import { printHex } from "../../core/address/text.js";
import type { Identity } from "../../core/crypto/identity.js";
import { SLOT_MS } from "../../core/link/network-time.js";
import type { ElementsReport } from "../../core/routing/elements.js";
import type { PeerStatus, RouteStatus } from "../../core/stack/ports.js";
import { SECOND_US } from "../../core/time/instant.js";
import type { Directory } from "../config/directory.js";
import type { StreamNote } from "../driver.js";
import type { ChainsReport, IdReport, PeerReport, RouteReport, StatusReport, StreamReport } from "./protocol.js";

/** `linkKeyHash` is undefined while nobody can know it. */
export function idReport(directory: Directory, identity: Identity, linkKeyHash: Uint8Array | undefined): IdReport {
  return {
    nac: printNac(identity.nac),
    name: printName(identity.nac),
    longName: printLongName(identity.nacHash),
    linkKeyHash: linkKeyHash === undefined ? null : printHex(linkKeyHash),
    configFile: directory.configFile,
    keyFile: directory.keyFile,
  };
}

export function peerReport(peer: PeerStatus, endpoint: PeerReport["endpoint"]): PeerReport {
  return {
    link: peer.link,
    endpoint,
    pinned: peer.pinned,
    incoming: peer.incoming,
    found: peer.found,
    rttMs: peer.rttUs > 0 ? peer.rttUs / 1000 : null,
    lossShare: peer.lossPerMille / 1000,
    cost: peer.cost,
    queueDelayMs: peer.queueDelayMs,
    busyShare: peer.load / 255,
    controlPeakBytesPerSecond: peer.controlPeakPerSecond,
    upSeconds: Math.floor(peer.upUs / SECOND_US),
  };
}

export function routeReport(route: RouteStatus): RouteReport {
  return {
    nac: printNac(route.nac),
    metric: route.metric,
    nextHop: route.nextHop < 0 ? null : route.nextHop,
    backups: [...route.backups],
  };
}

export function streamReport({ id, nac, port, bytesIn, bytesOut, openedUs }: StreamNote, nowUs: number): StreamReport {
  return {
    id,
    nac: nac === undefined ? null : printNac(nac),
    port,
    direction: nac === undefined ? "in" : "out",
    bytesIn,
    bytesOut,
    ageSeconds: Math.floor((nowUs - openedUs) / SECOND_US),
  };
}

export function chainsReport(chains: ElementsReport): ChainsReport {
  const { isReady, epoch, lastSlot, held, bound, ownHashes, checkHashes, verdicts } = chains;
  const readyUntil = new Date((lastSlot + 1) * SLOT_MS).toISOString();
  return { ready: isReady, epoch, readyUntil, held, bound, ownHashes, checkHashes, verdicts };
}

/** Before there is a stack. */
export function startingReport(directory: Directory): StatusReport {
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
    liveness: {},
    chains: null,
    storms: {},
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
