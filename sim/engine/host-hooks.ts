import type { CryptoSuite } from "../../core/crypto/suite.js";
import type { StackEvent } from "../../core/stack/ports.js";
import type { Byzantine, Traffic } from "../plan/plan.js";
import type { Host } from "./host.js";

/**
 * What is done to hosts beyond the life of a plain node: traffic, liars, a core broken on purpose. One per shard; it may
 * act on the hosts of its shard only, and only on the one that a call is about. `nowUs` is the clock of that host, which its stack
 * wants to be told, and so is the time for `host.wakeAt`.
 */
export interface HostHooks {
  /** The suite for a node that is about to start: `suite` itself, or one around it that sees or changes what is sealed. */
  suiteOf(node: number, suite: CryptoSuite): CryptoSuite;
  /** The stack exists and has not started: the place for mutations. */
  handleCreated(nowUs: number, host: Host): void;
  handleEnd(nowUs: number, node: number): void;
  /** An action of the plan, at a host that lives. When `flow.from` does not live, nothing is called. */
  handleTraffic(nowUs: number, host: Host, flow: Traffic): void;
  handleByzantine(nowUs: number, host: Host, as: Byzantine): void;
  /** Any event but links, after the call to the stack that brought it: the host may be commanded now. */
  handleEvent(nowUs: number, host: Host, event: StackEvent): void;
  /** Bytes of a stream, valid until return, inside the call to the stack: command nothing, call `host.soon` if need be. */
  handleDeliver(nowUs: number, host: Host, stream: number, bytes: Uint8Array, at: number, length: number): void;
  handleDeliverDatagram(nowUs: number, host: Host, flow: number, bytes: Uint8Array, at: number, length: number): void;
  /** The time that `host.wakeAt` asked for, or, after `host.soon`, right after the call to the stack. */
  handleWake(nowUs: number, host: Host): void;
}
