/**
 * Overlay streams as connections for node:http: kept alive per (NAC, port), few of them, and not for long. An idle stream
 * holds credit and state on every node of its session.
 */
import { Agent, type AgentOptions, type ClientRequest, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import { StreamCode, StreamError } from "../stream-error.js";

/**
 * Opens a stream; never throws for what the network does. The stream emits "accepted", or a StreamError. `hash` is the
 * whole NAC hash (32 bytes) when a long name gave it: the owner's keys must match all of it. Streams of different
 * `isolation` share no session.
 */
export type Connect = (nac: Uint8Array, port: number, hash?: Uint8Array, isolation?: string) => Duplex;

export interface StreamTarget {
  readonly nac: Uint8Array;
  readonly port: number;
  readonly hash?: Uint8Array;
  readonly isolation: string;
}

/** What a browser opens to one host. */
const IDLE_PER_TARGET_MAX = 6;
const IDLE_MAX = 64;
/** A new stream costs no round trip, and a host that ends need not wait long for idle ones. */
const IDLE_MS = 1_000;
/**
 * The stack gives up by itself after 10 s without a route, and its handshakes in seconds; a host, after 10 s without its
 * target. This one is for a peer that says nothing at all.
 */
export const ACCEPT_TIMEOUT_MS = 30_000;

interface OverlayRequestArgs extends ClientRequestArgs {
  readonly overlay: StreamTarget;
}

export class StreamAgent extends Agent {
  private readonly open: Connect;
  /** Idle streams, and what undoes their being idle. */
  private readonly idle = new Map<Duplex, () => void>();

  /** Without `keepAlive` each request gets a stream of its own. */
  constructor(open: Connect, options: Pick<AgentOptions, "keepAlive">) {
    super({ ...options, maxFreeSockets: IDLE_PER_TARGET_MAX });
    this.open = open;
  }

  /** What to spread into the options of a request that goes to `target`. */
  argsFor(target: StreamTarget): Pick<OverlayRequestArgs, "agent" | "overlay"> {
    return { agent: this, overlay: target };
  }

  override getName(options?: ClientRequestArgs): string {
    const { overlay } = options as OverlayRequestArgs;
    // A stream that was opened by the short name was checked against fewer bits: it does not serve the long one.
    return `${Buffer.from(overlay.hash ?? overlay.nac).toString("hex")}:${overlay.port}:${overlay.isolation}`;
  }

  override createConnection(options: ClientRequestArgs): Duplex {
    const { overlay } = options as OverlayRequestArgs;
    const stream = this.open(overlay.nac, overlay.port, overlay.hash, overlay.isolation);
    stream.allowHalfOpen = false; // HTTP has no use for half a connection
    limitOpening(stream);
    return stream;
  }

  /** False: too many are idle already, this one is destroyed. */
  override keepSocketAlive(stream: Duplex): boolean {
    if (this.idle.size >= IDLE_MAX) return false;
    // Bytes that nobody asked for would be taken for the answer to the next request.
    const drop = (): void => void stream.destroy();
    const timer = setTimeout(drop, IDLE_MS).unref();
    const wake = (): void => {
      clearTimeout(timer);
      stream.off("data", drop).off("close", wake);
      this.idle.delete(stream);
    };
    stream.on("data", drop).on("close", wake);
    this.idle.set(stream, wake);
    return true;
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    super.reuseSocket(stream, request);
    this.idle.get(stream)?.();
  }
}

/** Destroys the stream with a timeout when nobody accepts it. */
export function limitOpening(stream: Duplex): void {
  const timer = setTimeout(() => stream.destroy(new StreamError(StreamCode.timeout)), ACCEPT_TIMEOUT_MS);
  const stop = (): void => clearTimeout(timer);
  stream.once("accepted", stop);
  stream.once("close", stop);
}
