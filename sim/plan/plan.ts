/**
 * A plan is a scenario after expansion: all that happens in a run as plain data, fixed by the scenario and its seed before
 * the run begins. It can be copied to workers, hashed, printed (`mariana sim expand`), and made smaller (`shrink`).
 *
 * Everything is an index: nodes, realms, models. Times are microseconds of virtual time from the start of the run, shares
 * are parts per million, rates are bits per second. All that ever lives is here from the start, arrivals by churn included.
 */
export interface Plan {
  readonly name: string;
  readonly seed: string;
  /** Canonical hash of the scenario (not of the seed), 64 hex digits. */
  readonly hash: string;
  readonly durationUs: number;
  /** Control traffic is counted from here on. */
  readonly warmupUs: number;
  readonly crypto: "modelled" | "real";
  readonly nodes: readonly PlannedNode[];
  /** Realm 0 is the public internet. */
  readonly realms: readonly Realm[];
  readonly models: readonly LinkModel[];
  /** Round trips between regions: `rttUs[a * regions + b]`, a symmetric matrix. One region without any. */
  readonly regions: { readonly names: readonly string[]; readonly rttUs: readonly number[] };
  /** Models of single pairs of nodes; others meet the default of their regions. */
  readonly pairs: readonly PairModel[];
  /** Index of the model between nodes that no pair names; its delay is added to half the round trip of their regions. */
  readonly defaultModel: number;
  /** In order of time; equal times in the order that they stand here. */
  readonly actions: readonly Action[];
  readonly expect: readonly string[];
  /** The strict profile of routing: every node proves every 15 s that it lives. */
  readonly isStrict: boolean;
  /** A core broken on purpose. */
  readonly mutate: Mutation | undefined;
}

export type Mutation = "feasibility" | "retraction" | "death" | "delta";

export type Role = "public" | "private" | "gateway";

export interface PlannedNode {
  readonly name: string;
  readonly role: Role;
  readonly region: number;
  /** At least one. A gateway has one in the internet and one in its subnet. */
  readonly interfaces: readonly Interface[];
  /** Whom it dials at each start. */
  readonly dials: readonly Dial[];
  /** Its clock runs so much too fast, parts per million. */
  readonly driftPpm: number;
  /** Cost of each datagram on its processor; undefined: none. */
  readonly cpu: { readonly packetUs: number; readonly queuePackets: number } | undefined;
}

export interface Interface {
  readonly realm: number;
  /** Unique in the plan. An endpoint is address * 65,536 + port. */
  readonly address: number;
  /** Index of a model that each datagram of this interface meets on its way out and in: the access link. -1: none. */
  readonly access: number;
}

/** Every node listens on this port of all its interfaces. */
export const PORT = 4500;

export interface Dial {
  readonly node: number;
  /** Which of our interfaces, and which address of theirs. */
  readonly from: number;
  readonly address: number;
}

/** Addresses that reach each other directly. Realms form a tree: each but the internet hangs behind a NAT, or is closed. */
export interface Realm {
  readonly name: string;
  /** -1 for the internet. A realm without `nat` has no way out but the gateways that stand in it. */
  readonly parent: number;
  readonly region: number;
  readonly nat: Nat | undefined;
  /** Index of the model between two interfaces of this realm; in the internet it is not used. */
  readonly lan: number;
}

/** RFC 4787. The NAT stands between its realm and the parent, where it has `address`. */
export interface Nat {
  readonly address: number;
  readonly mapping: "endpoint" | "address" | "port"; // endpoint-independent, address-dependent, address and port-dependent
  readonly filtering: "endpoint" | "address" | "port";
  readonly portChoice: "preserve" | "sequential" | "random";
  readonly hairpin: boolean;
  /** A mapping without outbound traffic for so long is forgotten. */
  readonly timeoutUs: number;
  /** Inbound traffic keeps a mapping alive as well. */
  readonly inboundRefresh: boolean;
  /** Drops all UDP. */
  readonly udpBlocked: boolean;
  /** Mappings, 60,000 at most; at the bound the one idle for longest goes. */
  readonly mappingsMax: number;
  /** Index of a model that everything through this NAT meets: the line of the house or of the carrier. -1: none. */
  readonly access: number;
}

/** What a datagram meets between two nodes, one direction; each direction has its own state. */
export interface LinkModel {
  readonly delayUs: number;
  /** Uniform in [0, jitterUs], correlated by `jitterCorrelationPpm` with the one before. */
  readonly jitterUs: number;
  readonly jitterCorrelationPpm: number;
  readonly lossPpm: number;
  /** Gilbert-Elliott instead of uniform loss: transition shares per packet, and loss in either state. */
  readonly burst:
    | {
        readonly toBadPpm: number;
        readonly toGoodPpm: number;
        readonly goodLossPpm: number;
        readonly badLossPpm: number;
      }
    | undefined;
  readonly duplicatePpm: number;
  /** Such a packet is held back by `reorderUs`. */
  readonly reorderPpm: number;
  readonly reorderUs: number;
  /** One bit of such a packet is flipped. */
  readonly corruptPpm: number;
  /** Bits per second of UDP payload; 0: unlimited. */
  readonly rate: number;
  /** Bytes that wait for the rate; beyond: dropped. */
  readonly queueBytes: number;
  /** Larger UDP payloads are dropped. */
  readonly mtuBytes: number;
}

/** 1,500 bytes of Ethernet without the headers of IPv4 and UDP. */
const MTU_BYTES = 1472;

/** Nothing but the wire itself: what a model says nothing about is as here. */
export const NEUTRAL: LinkModel = {
  delayUs: 0,
  jitterUs: 0,
  jitterCorrelationPpm: 0,
  lossPpm: 0,
  burst: undefined,
  duplicatePpm: 0,
  reorderPpm: 0,
  reorderUs: 0,
  corruptPpm: 0,
  rate: 0,
  queueBytes: 65_536,
  mtuBytes: MTU_BYTES,
};

/** From `a` to `b`, and back unless `oneWay`. */
export interface PairModel {
  readonly a: number;
  readonly b: number;
  readonly model: number;
  readonly oneWay: boolean;
}

export type Action = { readonly atUs: number } & (
  | { readonly do: "start"; readonly node: number }
  /** Gone without a word. `byChurn` or by the timeline makes no difference. */
  | { readonly do: "crash"; readonly node: number }
  /** Says goodbye first. */
  | { readonly do: "leave"; readonly node: number }
  /** After a crash or leave, or in one go if it still lives. Without state it loses its epoch, not its keys. */
  | { readonly do: "restart"; readonly node: number; readonly keepsState: boolean }
  | { readonly do: "pause"; readonly node: number }
  | { readonly do: "resume"; readonly node: number }
  /** Nothing passes from a node of `from` to a node of `to` until heal; both ways unless oneWay. `id` names it. */
  | {
      readonly do: "partition";
      readonly id: number;
      readonly from: readonly number[];
      readonly to: readonly number[];
      readonly oneWay: boolean;
    }
  | { readonly do: "heal"; readonly id: number }
  | { readonly do: "cut"; readonly a: number; readonly b: number; readonly oneWay: boolean }
  | { readonly do: "mend"; readonly a: number; readonly b: number }
  /**
   * From now on the pair meets another model. -1: what it met before. Unless `pairs` names the pair, half the round trip of
   * its regions stays on top.
   */
  | { readonly do: "degrade"; readonly a: number; readonly b: number; readonly model: number; readonly oneWay: boolean }
  /** All mappings get new external ports. */
  | { readonly do: "rebind"; readonly realm: number }
  /** All mappings are forgotten, and the NAT has another address. */
  | { readonly do: "reboot"; readonly realm: number; readonly address: number }
  /** The interface has another address from now on. */
  | { readonly do: "move"; readonly node: number; readonly interface: number; readonly address: number }
  /** The node's monotonic clock leaps forward, as after a sleep. */
  | { readonly do: "clock"; readonly node: number; readonly leapUs: number; readonly driftPpm: number }
  | { readonly do: "slow"; readonly node: number; readonly packetUs: number; readonly queuePackets: number }
  | { readonly do: "byzantine"; readonly node: number; readonly as: Byzantine }
  | { readonly do: "dial"; readonly node: number; readonly dial: Dial }
  | { readonly do: "traffic"; readonly flow: Traffic }
);

/** What liars do; sim/SCENARIOS.md has them in a table, sim/fault/byzantine/ a file for each. */
export const BYZANTINE = [
  "ghost",
  "swallow",
  "metric",
  "same-distance",
  "index",
  "epoch",
  "replay",
  "accuse",
  "flap",
  "flap-fast",
  "stall",
  "black-hole",
  "overflow",
  "malformed",
  "oversized",
] as const;
export type Byzantine = (typeof BYZANTINE)[number];

/** One transfer from `from` to `to`, beginning at the action's time. */
export interface Traffic {
  readonly from: number;
  readonly to: number;
  readonly kind: "stream" | "datagrams" | "request";
  /** A stream or the answer to a request: so many bytes. Datagrams: `count` of `bytes` each. */
  readonly bytes: number;
  readonly count: number;
  readonly gapUs: number;
}
