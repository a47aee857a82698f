/**
 * What the command line and the daemon say to each other: one JSON object a line, one request and one response per
 * connection. Only the owner of the directory can connect, so there is no token.
 */

import type { ExitCode, FailureCode } from "../failure.js";

/** Grows when a field changes its meaning or goes; new fields alone do not count. */
export const CONTROL_VERSION = 1;
/** A request is a command and at most a name and a number. */
export const REQUEST_BYTES_MAX = 4096;
/** 100,000 routes of 128 bytes, with room. */
export const RESPONSE_BYTES_MAX = 32 * 1024 * 1024;

export const CONTROL_COMMANDS = [
  "id",
  "status",
  "peers",
  "routes",
  "streams",
  "ping",
  "hosts",
  "hostAdd",
  "hostRemove",
  "shutdown",
] as const;
export type ControlCommand = (typeof CONTROL_COMMANDS)[number];

export interface ControlRequest {
  readonly version: number;
  readonly command: ControlCommand;
  /** ping: the 16 bytes as a UUID. */
  readonly nac?: string;
  /** ping by a long name: the hash of the NAC's keys, 64 hexadecimal digits. */
  readonly nacHash?: string;
  /** ping: how long to wait for the answer. */
  readonly timeoutMs?: number;
  /** hostAdd, hostRemove: a port of the overlay. */
  readonly port?: number;
  /** hostAdd: what answers there, as in config.json. */
  readonly target?: string;
}

export type ControlResponse =
  | { readonly version: number; readonly ok: true; readonly result: unknown }
  | {
      readonly version: number;
      readonly ok: false;
      readonly message: string;
      /** All three, or none: of a refusal that a person can put right. */
      readonly code?: FailureCode;
      readonly exit?: ExitCode;
      readonly fix?: string;
    };

export interface IdReport {
  readonly nac: string;
  readonly name: string;
  readonly longName: string;
  /** 64 hexadecimal digits; null when the link key is fresh at each start and no daemon runs. */
  readonly linkKeyHash: string | null;
  readonly configFile: string;
  readonly keyFile: string;
}

export type Verdict = "starting" | "ready" | "degraded";

export interface StatusReport {
  readonly verdict: Verdict;
  readonly reason: string;
  /** What a person can do about it; null when there is nothing to do. */
  readonly fix: string | null;
  readonly nac: string | null;
  /** The NAC before a rotation, while it answers. */
  readonly formerNac: string | null;
  /** Local UDP addresses. */
  readonly udp: readonly string[];
  /** Addresses on which the HTTP proxy listens. */
  readonly http: readonly string[];
  /** Addresses on which the SOCKS5 proxy listens. */
  readonly socks: readonly string[];
  /** Peers that are wanted and cannot be dialled. */
  readonly peersUnusable: readonly PeerTrouble[];
  /** Links that are up. */
  readonly neighbours: number;
  /** Destinations with a route. */
  readonly routes: number;
  readonly suite: string;
  /** Of this start; null until the stack has chosen it. */
  readonly epoch: number | null;
  readonly drops: Readonly<Record<string, number>>;
  /** Records that came a second time. */
  readonly replays: number;
  /** Result to count. */
  readonly handshakes: Readonly<Record<string, number>>;
  /** Doubts whether nodes still live, and adverts that were refused: name to count. */
  readonly liveness: Readonly<Record<string, number>>;
  /** The hash chains by which adverts are proven; null until the stack has begun. */
  readonly chains: ChainsReport | null;
  /** What flapped, flooded or was one too many, and what was done about it: name to count. */
  readonly storms: Readonly<Record<string, number>>;
  /** What waits just now. */
  readonly queues: Readonly<Record<string, number>>;
  /** By how much the event loop was late, since the start. */
  readonly loopLagMs: { readonly p99: number };
  /** What strangers can fill: its bound, and the most that it ever held. */
  readonly caps: Readonly<Record<string, { readonly limit: number; readonly peak: number }>>;
  /** What the proxies refused: reason to count. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Against relays, none until circuits exist. */
  readonly anonymity: "none";
  readonly pid: number;
  readonly directory: string;
  readonly upSeconds: number;
}

export interface ChainsReport {
  /** The node's own chains are made: it is announced. */
  readonly ready: boolean;
  readonly epoch: number;
  /** ISO 8601: up to then the epoch of the service NAC proves itself; the next one is ready before. */
  readonly readyUntil: string;
  /** Destinations of others whose adverts are checked against what was heard before. */
  readonly held: number;
  /** Of how many of them the identity itself signed the chain: descriptors, fetched in sessions with them. */
  readonly bound: number;
  /** Since the start: for own chains, and for what neighbours claimed. */
  readonly ownHashes: number;
  readonly checkHashes: number;
  /** Claims of neighbours: verdict to count. */
  readonly verdicts: Readonly<Record<string, number>>;
}

export interface PeerTrouble {
  /** As it was given. */
  readonly peer: string;
  readonly reason: string;
}

export interface PeerReport {
  readonly link: number;
  readonly endpoint: string;
  readonly pinned: boolean;
  readonly incoming: boolean;
  readonly found: "config" | "incoming";
  /** Null until measured. */
  readonly rttMs: number | null;
  /** 0 to 1. */
  readonly lossShare: number;
  /** 1 (best) to 4. */
  readonly cost: number;
  /** As the neighbour says of itself: how long a record waits there, and the share of time that it is at work. */
  readonly queueDelayMs: number;
  readonly busyShare: number;
  /** Said to it of this node and of routes, snapshots apart: bytes in a second of the fullest ten seconds. */
  readonly controlPeakBytesPerSecond: number;
  readonly upSeconds: number;
}

export interface RouteReport {
  readonly nac: string;
  readonly metric: number;
  /** A `link` of the peers; null for the node's own NACs. */
  readonly nextHop: number | null;
  readonly backups: readonly number[];
}

/** A stream that is open. */
export interface StreamReport {
  readonly id: number;
  /** Whom this node called. Null for a stream that came in: who calls shows a pseudonym to the stack and no NAC of his own. */
  readonly nac: string | null;
  /** Of the overlay. */
  readonly port: number;
  /** "in": somebody called this node. */
  readonly direction: "in" | "out";
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly ageSeconds: number;
}

/** A hosted port. */
export interface HostReport {
  /** Of the overlay. */
  readonly port: number;
  /** As in config.json. */
  readonly target: string;
  /** `config.json`, or a `--host` that counts for this run. */
  readonly from: "config" | "flag";
  /** A daemon runs and answers there with this target. */
  readonly live: boolean;
}

export type PingReport = { readonly rttMs: number } | { readonly reason: string };
