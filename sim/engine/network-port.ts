import type { Action } from "../plan/plan.js";

/**
 * One datagram, or one copy of it, is under way: it is at `island` at `dueUs`, and then handed to `receive` there. A
 * `corruptBit` of 0 or more is the bit of the payload that is flipped.
 */
export type Outgoing = (
  dueUs: number,
  island: number,
  fromEndpoint: number,
  toEndpoint: number,
  at: number,
  length: number,
  corruptBit: number,
) => void;

/** What lies between the nodes, as the engine needs it (sim/network/network.ts). Endpoint: address * 65,536 + port. */
export interface NetworkPort {
  /** The least delay between two islands. */
  readonly lookaheadUs: number;
  readonly islands: number;
  islandOf(node: number): number;
  /**
   * Sends one UDP payload from interface `i` of `node`. Runs in the shard of the sender. `peer` is the node that the sender
   * knows to be behind `to`, -1 if it never heard from there: models of pairs hold across NATs only with it.
   */
  send(nowUs: number, node: number, i: number, to: number, length: number, out: Outgoing, peer?: number): void;
  /** It is at its island. Answers the node that gets it, `delivery` says how; or -1. Runs in the shard of the receiver. */
  receive(nowUs: number, fromEndpoint: number, toEndpoint: number, length: number, fromNode: number): number;
  /**
   * Of the last `receive`: `dueUs` is later than now when a queue holds the datagram. The last stretch may flip a bit and
   * make a copy as well (-1: it did not).
   */
  readonly delivery: {
    readonly interface: number;
    readonly from: number;
    readonly dueUs: number;
    readonly corruptBit: number;
    readonly copyUs: number;
  };
  /** partition, heal, cut, mend, degrade, rebind, reboot, move: every shard applies every one, between events. */
  handleAction(nowUs: number, action: Action): void;
  /** Dropped datagrams by reason. */
  readonly counts: Readonly<Record<string, number>>;
}
