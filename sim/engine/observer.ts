import type { Plan } from "../plan/plan.js";
import type { Census } from "./census.js";
import type { Host } from "./host.js";

/** What one shard knows, as those who look on see it. */
export interface ShardView {
  readonly plan: Plan;
  readonly shard: number;
  readonly shards: number;
  readonly census: Census;
  /** The 16 bytes of the service NAC of `node`. */
  nacOf(node: number): Uint8Array;
  /** The node whose service NAC it is; -1 for another NAC. */
  nodeOf(nac: Uint8Array): number;
  /** Does this shard run the node? */
  owns(node: number): boolean;
  /** A live node of this shard. */
  host(node: number): Host | undefined;
}

/** A promise that the core broke. It stops the run at the end of that second. */
export interface Violation {
  readonly oracle: string;
  readonly atUs: number;
  readonly nodes: readonly number[];
  readonly text: string;
}

/** What an observer counted: plain data that can be copied between workers. */
export type Tally = Readonly<Record<string, unknown>>;

/** Looks on, one per shard; must change nothing. Called inside the shard that runs the node, in the order of the events there. */
export interface Observer {
  handleStart(nowUs: number, node: number): void;
  handleEnd(nowUs: number, node: number, how: "crash" | "leave"): void;
  /** `hopNode` is -1 when the route was lost. Only routes to service NACs; the census already knows it. */
  handleRoute(nowUs: number, node: number, destination: number, hopNode: number, metric: number): void;
  /**
   * The node wrote one entry of a ROUTES message (Trace.entryWritten), `bytes` long, about the service NAC of `destination`;
   * `urgency` is routing's. The datagram that carries it follows at once.
   */
  handleEntry(nowUs: number, node: number, destination: number, bytes: number, urgency: number): void;
  /** The node begins to ask for a route to `destination` with at least this index (slot * 256 + repair). */
  handleRequest?(nowUs: number, node: number, destination: number, index: number): void;
  /** The node begins to doubt, before others, that `destination` lives. */
  handleSuspicion?(nowUs: number, node: number, destination: number): void;
  /** A link to `peer` came up or went down at this end. */
  handleLink(nowUs: number, node: number, peer: number, isUp: boolean): void;
  /** The node sends a datagram; user data: a FORWARD record. The bytes are the stack's: read them now. */
  handleTransmit(nowUs: number, node: number, bytes: Uint8Array, at: number, length: number, isUserData: boolean): void;
  /**
   * All shards have done all that is before `nowUs`: the census is consistent, everything may be read, only one's own
   * written. After every window in which this shard or another did something, and at each whole second.
   */
  handleWindow(nowUs: number): void;
  /** At each whole second, after handleWindow; all shards wait for each other before and after. */
  handleSecond(nowUs: number): Violation | undefined;
  finish(nowUs: number): Tally;
}
