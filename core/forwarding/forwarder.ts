import { HOPS_OFFSET } from "../wire/network-header.js";

/**
 * Where does this packet go? By destination alone: the header names no source.
 *
 * Pure; the caller owns tables and bytes. `link` is the next hop, a small integer.
 */
export type ForwardDecision =
  | { readonly kind: "local" }
  | { readonly kind: "relay"; readonly link: number }
  | { readonly kind: "drop"; readonly reason: "noRoute" | "hopLimit" };

const LOCAL: ForwardDecision = { kind: "local" };
const NO_ROUTE: ForwardDecision = { kind: "drop", reason: "noRoute" };
const TOO_FAR: ForwardDecision = { kind: "drop", reason: "hopLimit" };

/** Decides with one object per link, so that forwarding allocates nothing. */
export class Forwarder {
  private readonly relays: ForwardDecision[] = [];

  /**
   * @param isLocal   the destination is one of our own NACs
   * @param nextHop   link to the next hop, or -1 when there is none
   * @param hopsLeft  hops that the packet may still make, as it arrived
   */
  decide(isLocal: boolean, nextHop: number, hopsLeft: number): ForwardDecision {
    if (isLocal) return LOCAL;
    if (hopsLeft <= 1) return TOO_FAR;
    if (nextHop < 0) return NO_ROUTE;
    this.relays[nextHop] ??= { kind: "relay", link: nextHop };
    return this.relays[nextHop]!;
  }
}

/** Takes one hop from the network header at `header`, in place. */
export function takeHop(bytes: Uint8Array, header: number): void {
  bytes[header + HOPS_OFFSET]! -= 1;
}
