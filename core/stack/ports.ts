import type { NacDictionary } from "../address/dictionary.js";
import type { TableAllocator } from "../collections/table-allocator.js";
import type { Identity } from "../crypto/identity.js";
import type { CryptoSuite, Entropy, KemKeys } from "../crypto/suite.js";
import type { Elements, ElementsReport } from "../routing/elements.js";
import type { Transit } from "../routing/transit.js";
import type { SessionLimits } from "../session/limits.js";
import type { TraceSink } from "../trace/trace.js";
import type { DropReason } from "./drops.js";
import type { HandshakeResult } from "./handshake-counters.js";

/**
 * The contract between the stack and its shells (a UDP daemon, a simulator): DESIGN.md section 3.
 *
 * One input, all its outputs pushed into the Sink during the call, then the next input. The return value of an input is
 * the next deadline. A Sink must not call back into the stack, nor into another one of the same process, which shares its
 * scratch buffers: it keeps what it learns until the call has returned.
 */
export interface Sink {
  /** Send `bytes[at, at + length)` on `path`. Valid until return. */
  transmit(path: number, bytes: Uint8Array, at: number, length: number): void;
  event(event: StackEvent): void;
  /** In-order bytes of a stream. Valid until return; tell the stack with `consume` when the application took them. */
  deliver(stream: number, bytes: Uint8Array, at: number, length: number): void;
  /** One whole datagram of a flow. Valid until return. */
  deliverDatagram(flow: number, bytes: Uint8Array, at: number, length: number): void;
  /**
   * To be on disk before this call returns: an epoch must never be used twice. `nac` is the service's or a former one. Comes when somebody
   * is about to be told: one that nobody heard of may be begun again, or others would miss it.
   */
  persist(record: { readonly kind: "epoch"; readonly nac: Uint8Array; readonly epoch: number }): void;
}

/** Everything that would otherwise be ambient. */
export interface StackPorts {
  readonly suite: CryptoSuite;
  readonly entropy: Entropy;
  /** A stream of u32 for jitter and tie-breaking; not for secrets. */
  readonly random32: () => number;
  readonly sink: Sink;
  readonly trace: TraceSink;
  readonly allocate: TableAllocator;
  readonly dictionary: NacDictionary;
  /** Hash chains that prove adverts, instead of those that `chainSeed` asks for. */
  readonly elements?: Elements | undefined;
}

/** The identity before a rotation. It is served like the service for a while, under its own NAC. */
export interface FormerIdentity {
  readonly identity: Identity;
  /** The last epoch of its NAC that was persisted; 0 when none was. */
  readonly storedEpoch: number;
  /** Withdrawn then, by the clock of the inputs. */
  readonly untilUs: number;
}

export interface StackConfig {
  readonly networkName: string;
  /** The identity that others reach: its NAC is announced from the start. */
  readonly service: Identity;
  readonly linkKeys: KemKeys;
  /** The last epoch that was persisted; 0 when none was. This start takes the one after it, or the wall clock where there is none. */
  readonly storedEpoch: number;
  /** `storedEpoch` is a guess: others may know another one. */
  readonly isStateDamaged?: boolean | undefined;
  /** 32 random bytes, other ones at each start: adverts are proven and checked by hash chains. Without it all are believed. */
  readonly chainSeed?: Uint8Array | undefined;
  /** The shell's wall clock at start, whole seconds since 1970. */
  readonly wallClockSeconds: number;
  /** Two at most. */
  readonly former?: readonly FormerIdentity[] | undefined;
  /** When sessions wear out; those of the protocol unless given. */
  readonly sessionLimits?: Partial<SessionLimits> | undefined;
  /** Whether it carries what others send to others; "always" unless given. */
  readonly transit?: Transit | undefined;
  /** Every node proves every 15 s that it lives, and the dead are gone within 55 s even where all neighbours lie; see routing/liveness.ts. */
  readonly isStrict?: boolean | undefined;
}

/** How busy the shell is, as it measured. Neighbours are told with each hello. */
export interface Load {
  /** How long a datagram waited before the stack got it, the longest of late, microseconds. */
  readonly queueDelayUs: number;
  /** Share of its time that the shell was at work, 0 idle to 255 always. */
  readonly busy: number;
}

/** Why a stream came to nothing: an EndCode of the wire, or one of these, which say how far this node itself got. */
export const LocalCode = {
  /** No route to the NAC within ten seconds. */
  unreachable: 8,
  /** Nobody gave the key of the NAC, or it is not the key that the long name demands. */
  noKey: 9,
  /** The handshake came to nothing. */
  handshakeFailed: 10,
} as const;

/** The order is stable: recordings hold the numbers. */
export const LINK_DOWN_REASONS = ["dead", "stalled", "bye", "replaced", "shutdown", "crowded", "banned"] as const;

/**
 *   dead      nothing of ours was echoed for 4 s
 *   stalled   the neighbour says hello, yet processed no routes for ten seconds
 *   bye       the neighbour took leave
 *   replaced  another link to the same address took its place
 *   shutdown  we took leave
 *   crowded   others may open no more links, and its crowd had more than another
 *   banned    the neighbour broke the rules of routing again and again; for a minute nobody is dialled or heard there
 */
export type LinkDownReason = (typeof LINK_DOWN_REASONS)[number];

/** "busy": this node has too much under way. */
export type PingFailure = "noRoute" | "noKey" | "handshake" | "timeout" | "busy";

export type StackEvent =
  | {
      readonly kind: "linkUp";
      readonly link: number;
      readonly path: number;
      readonly pinned: boolean;
      readonly incoming: boolean;
    }
  | { readonly kind: "linkDown"; readonly link: number; readonly path: number; readonly reason: LinkDownReason }
  /** The neighbour has another address now; the link and all that runs over it goes on. */
  | { readonly kind: "linkMoved"; readonly link: number; readonly path: number }
  /** A peer wants `port`: answer with acceptStream or reset. Those of one `session` are of one visitor. */
  | { readonly kind: "streamOpened"; readonly stream: number; readonly port: number; readonly session: number }
  | { readonly kind: "streamAccepted"; readonly stream: number }
  /** `bytes` more may be written now. */
  | { readonly kind: "streamWritable"; readonly stream: number; readonly bytes: number }
  /** The peer will send no more. */
  | { readonly kind: "streamFinished"; readonly stream: number }
  | { readonly kind: "streamReset"; readonly stream: number; readonly code: number }
  /** The peer wants no more of what we send. */
  | { readonly kind: "streamStopped"; readonly stream: number; readonly code: number }
  /** The first datagram of a peer's new flow to `port` follows: answer it with sendDatagram, or close it. */
  | { readonly kind: "flowOpened"; readonly flow: number; readonly port: number; readonly session: number }
  /** The flow was idle for a minute, made room for another, or went with its session; its number is never used again. */
  | { readonly kind: "flowClosed"; readonly flow: number }
  /** The time of a former identity is over: its NAC is withdrawn, its sessions are closed, its keys may be erased. */
  | { readonly kind: "formerWithdrawn"; readonly nac: Uint8Array }
  | { readonly kind: "pong"; readonly id: number; readonly rttUs: number }
  | { readonly kind: "pingFailed"; readonly id: number; readonly reason: PingFailure };

export interface PeerStatus {
  readonly link: number;
  readonly path: number;
  readonly pinned: boolean;
  readonly incoming: boolean;
  readonly found: "config" | "incoming";
  readonly rttUs: number;
  readonly lossPerMille: number;
  readonly cost: number;
  /** As the neighbour says of itself: how long a record waits there, and how busy it is, 0 to 255. */
  readonly queueDelayMs: number;
  readonly load: number;
  /** Bytes that we sent it of ourselves and of routes, snapshots apart, in a second of the fullest ten. */
  readonly controlPeakPerSecond: number;
  readonly upUs: number;
}

export interface RouteStatus {
  /** 16 bytes. */
  readonly nac: Uint8Array;
  readonly metric: number;
  readonly nextHop: number;
  readonly backups: readonly number[];
}

export interface StackStatus {
  readonly epoch: number;
  readonly suite: string;
  readonly neighbours: number;
  readonly routes: number;
  readonly sessions: number;
  readonly streams: number;
  readonly drops: Record<DropReason, number>;
  /** Doubts, suspicions, and adverts that were refused. */
  readonly liveness: Readonly<Record<string, number>>;
  /** The hash chains that prove adverts, of the service NAC; undefined where there are none. */
  readonly chains: ElementsReport | undefined;
  readonly handshakes: Readonly<Record<HandshakeResult, number>>;
  readonly replays: number;
  /** What flapped, flooded or was one too many, and what was done about it. */
  readonly storms: Readonly<Record<string, number>>;
  /** What waits just now. */
  readonly queues: Readonly<Record<string, number>>;
  /** What strangers can fill: its bound, and the most that it ever held. */
  readonly caps: Readonly<Record<string, { readonly limit: number; readonly peak: number }>>;
}
