import type { CryptoSuite } from "../../core/crypto/suite.js";
import type { Plan } from "../plan/plan.js";
import type { HostHooks } from "./host-hooks.js";
import type { NetworkPort } from "./network-port.js";
import type { Observer, ShardView, Tally, Violation } from "./observer.js";
import type { Recorded, Span } from "./recording.js";

export interface Progress {
  readonly nowUs: number;
  readonly liveNodes: number;
  readonly events: number;
}

export interface RunOptions {
  readonly workers: number;
  /** Stops there, before the plan's end. */
  readonly untilUs?: number;
  /** Interns the NACs in an order drawn from this: nothing may depend on it. */
  readonly shuffle?: string;
  /** All that is fingerprinted then is written down as well. */
  readonly record?: Span;
  /** About every quarter of a second of wall time. */
  readonly onProgress?: (progress: Progress) => void;
  /** Throws OverBudget after so many seconds. */
  readonly budgetWallSeconds?: number;
  /** In shared memory. 1: the run ends with the second of virtual time that it is in, and is judged by what it was until then. */
  readonly aborted?: Int32Array;
}

/** What a run is made of besides the engine: the network, and those who look on and act. */
export interface Parts {
  network(plan: Plan): NetworkPort;
  instruments(view: ShardView): Instruments;
  /** For plans with real crypto. */
  readonly realSuite: CryptoSuite;
}

export interface Instruments {
  readonly observer: Observer;
  readonly hooks: HostHooks;
}

/** 32 hexadecimal digits each. */
export interface Fingerprint {
  readonly wire: string;
  readonly state: string;
}

export interface RunResult {
  readonly fingerprint: Fingerprint;
  /** The fingerprints after each second of virtual time. */
  readonly chain: { readonly wire: readonly string[]; readonly state: readonly string[] };
  /** Datagrams, timers and actions. */
  readonly events: number;
  readonly windows: number;
  readonly simSeconds: number;
  readonly violation: Violation | undefined;
  /** One per shard. */
  readonly tallies: readonly Tally[];
  /** Datagrams that did not arrive, by reason, of all shards. */
  readonly drops: Readonly<Record<string, number>>;
  /** With `RunOptions.record`. */
  readonly recorded?: Recorded;
  /** Share of the wall time that workers waited for each other, 0 to 1; filled in by those who have clocks. */
  readonly waitShare?: number;
}
