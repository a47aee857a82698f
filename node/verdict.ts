import type { Verdict } from "./control/protocol.js";

/** How long a node may take to get its first link before "starting" becomes "degraded". */
const STARTING_MS = 10_000;

/** What a node's state is judged by. */
export interface Condition {
  readonly proxyListens: boolean;
  /** Links that are up. */
  readonly neighbours: number;
  /** Peers that were configured. */
  readonly peersWanted: number;
  /** Of these, those that cannot be dialled: as given, and why. */
  readonly peersUnusable: ReadonlyMap<string, string>;
  readonly upMs: number;
}

/** Does the node work, and what helps if not? */
export function judge(condition: Condition): { verdict: Verdict; reason: string; fix: string | null } {
  const { proxyListens, neighbours, peersWanted, peersUnusable, upMs } = condition;
  if (!proxyListens) return { verdict: "starting", reason: "the proxy does not listen yet", fix: null };
  if (neighbours > 0) {
    const links = neighbours === 1 ? "one link is up" : `${neighbours} links are up`;
    return { verdict: "ready", reason: links, fix: null };
  }
  if (peersWanted === 0) {
    return { verdict: "ready", reason: "no peer is configured; waiting for others to connect", fix: null };
  }
  const [trouble] = peersUnusable;
  if (trouble !== undefined && peersUnusable.size === peersWanted) {
    const fix = "correct the peer's name or address, or give an address of its kind to listen on with --udp";
    return { verdict: "degraded", reason: `the peer ${trouble[0]} cannot be used: ${trouble[1]}`, fix };
  }
  const peers = peersWanted === 1 ? "the configured peer" : `any of the ${peersWanted} configured peers`;
  const reason = `no link to ${peers} is up`;
  if (upMs < STARTING_MS) return { verdict: "starting", reason, fix: null };
  const fix = "check that the peer runs, that its address and link key hash are right, and that UDP reaches it";
  return { verdict: "degraded", reason, fix };
}
