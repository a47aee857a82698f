import type { CryptoSuite, Entropy } from "../crypto/suite.js";
import type { SessionLimits } from "./limits.js";

/** What every handshake of a node needs from outside. */
export interface SessionContext {
  readonly suite: CryptoSuite;
  readonly entropy: Entropy;
  /** 32 bytes (networkIdOf). */
  readonly networkId: Uint8Array;
  /** When keys and sessions wear out; those of limits.ts unless given. */
  readonly limits?: Partial<SessionLimits> | undefined;
}

/**
 * Why bytes from outside were refused; one counter each.
 *
 *   malformed   not a flight, or not of a size that a flight has
 *   version     another protocol version
 *   suite       a crypto suite that we do not speak
 *   network     another network's label
 *   mac         mac1 is wrong: meant for another key, or junk
 *   seal        a flight's tag is wrong: forged, damaged, or bound to another transcript
 *   biscuit     not a biscuit of ours, its key is erased, or it came in forged CONFs before
 *   stale       a biscuit older than 10 s
 *   indexTaken  the session number in the biscuit was given away meanwhile
 *   full        the memory of used or misused biscuits is full
 *   path        CONF came on another path than INIT
 *   address     a key that does not hash to the address that was asked for
 *   rate        more INITs than one path may send, or all together
 *   crowded     too many INITs wait on that link, or it waited too long
 *   repeat      the same INIT waits already
 *   stray       an answer to nothing that we asked, or to what was answered
 */
export type HandshakeFault =
  | "malformed"
  | "version"
  | "suite"
  | "network"
  | "mac"
  | "seal"
  | "biscuit"
  | "stale"
  | "indexTaken"
  | "full"
  | "path"
  | "address"
  | "rate"
  | "crowded"
  | "repeat"
  | "stray";

/** A random session number. 0 names no session, so it is never drawn. */
export function drawIndex(entropy: Entropy): number {
  for (;;) {
    const b = entropy(4);
    const index = ((b[0]! << 24) | (b[1]! << 16) | (b[2]! << 8) | b[3]!) >>> 0;
    if (index !== 0) return index;
  }
}
