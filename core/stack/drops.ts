import type { Digest } from "../collections/digest.js";

/** Why bytes from outside were not used. Each is counted, none throws. The order is stable: recordings hold the numbers. */
export const DROP_REASONS = [
  "malformed", // not a message of this version
  "unknownSession", // a record of a session that we do not hold
  "badTag", // authentication failed
  "replayed", // opened before
  "noRoute", // no next hop for the destination
  "hopLimit", // went round too often
  "linkDown", // the link or session to the next hop is gone
  "notOurs", // addressed to us, for a role that we do not play
  "handshake", // a flight that proves nothing
  "badKey", // a key that does not hash to the name it was sent for
  "keyLimit", // too many key requests under way
  "waitLimit", // too many packets waiting for a route or a session
  "linkLimit", // too many links
  "sessionLimit", // too many end-to-end sessions
  "protocol", // a peer broke the rules of an established session
  "routeLimit", // a neighbour taught more destinations than we keep
  "heldLimit", // peers made us hold too much: the session that held the most lost it
  "banned", // its path is barred for a minute
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

const NUMBER_OF: ReadonlyMap<DropReason, number> = new Map(DROP_REASONS.map((reason, number) => [reason, number]));

export class DropCounters {
  private readonly counts = new Float64Array(DROP_REASONS.length);

  count(reason: DropReason): number {
    const number = NUMBER_OF.get(reason)!;
    this.counts[number]! += 1;
    return number;
  }

  /** Every reason with its count, zeros included. */
  all(): Record<DropReason, number> {
    return Object.fromEntries(DROP_REASONS.map((reason, number) => [reason, this.counts[number]!])) as Record<
      DropReason,
      number
    >;
  }

  digest(into: Digest): void {
    for (const count of this.counts) into.number(count);
  }
}
