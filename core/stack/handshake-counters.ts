import type { HandshakeFault } from "../session/context.js";

/**
 * What handshakes came to, links and ends together; one counter each.
 *
 *   started  attempts of our own that sent their INIT
 *   done     sessions that stand, whoever began
 *   failed   attempts of our own that nobody answered in time
 *   cookie   INITs that were answered by a COOKIE
 *
 * and what was refused, by its fault.
 */
export type HandshakeResult = "started" | "done" | "failed" | "cookie" | HandshakeFault;

export function noHandshakes(): Record<HandshakeResult, number> {
  return {
    started: 0,
    done: 0,
    failed: 0,
    cookie: 0,
    malformed: 0,
    version: 0,
    suite: 0,
    network: 0,
    mac: 0,
    seal: 0,
    biscuit: 0,
    stale: 0,
    indexTaken: 0,
    full: 0,
    path: 0,
    address: 0,
    rate: 0,
    crowded: 0,
    repeat: 0,
    stray: 0,
  };
}
