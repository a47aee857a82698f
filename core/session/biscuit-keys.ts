import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { AEAD_KEY_BYTES, KEM_SEED_BYTES, type KemKeys } from "../crypto/suite.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import type { SessionContext } from "./context.js";

/** How long new RESPs are made with one pair of keys, and how long CONFs to them are taken after that. */
export const SERVE_US = 10 * SECOND_US;
export const KEEP_US = 10 * SECOND_US;
/** Biscuits remembered per key. More handshakes than this in 20 s are refused, never forgotten. */
export const USED_BISCUITS_MAX = 4096;
/**
 * CONFs with one biscuit that may be forged before the biscuit is refused: each costs a decapsulation. Not one only, or else
 * whoever sees a CONF could spoil it by being quicker.
 */
export const FORGED_CONFS_MAX = 5;
/** Biscuits with forged CONFs that are remembered per key: more than are given away in 10 s at 400 a second. */
export const FORGED_BISCUITS_MAX = 8192;

/** An ephemeral ML-KEM key and the key of the biscuits issued with it. They live and die together. */
export interface BiscuitGeneration {
  readonly kem: KemKeys;
  readonly biscuitKey: Uint8Array;
  readonly bornUs: number;
  /** First 6 bytes of the nonce of each biscuit that became a session, to the session's number. */
  readonly used: Map<number, number>;
  /** The same of each biscuit that came in a forged CONF, to the number of these. */
  readonly forged: Map<number, number>;
}

/**
 * The responder's ephemeral keys. Each pair serves 10 s, is kept 10 s more, then both are overwritten with zeros: what
 * was recorded before cannot be opened afterwards, even with the static key. Made when first needed, so that a node
 * nobody calls makes none; two pairs exist at most.
 */
export class BiscuitKeys {
  /** Used biscuits of one pair. */
  readonly cap: Cap;
  private readonly context: SessionContext;
  private current: BiscuitGeneration | undefined;
  private previous: BiscuitGeneration | undefined;

  constructor(context: SessionContext, cap = new Cap("usedBiscuits", USED_BISCUITS_MAX)) {
    this.context = context;
    this.cap = cap;
  }

  /** When the oldest pair must be gone. */
  get nextTimeoutUs(): number {
    const oldest = this.previous ?? this.current;
    return oldest === undefined ? NEVER : oldest.bornUs + SERVE_US + KEEP_US;
  }

  handleTimeout(nowUs: number): void {
    if (this.previous !== undefined && isOver(this.previous, nowUs)) {
      eraseGeneration(this.previous);
      this.previous = undefined;
    }
    if (this.current !== undefined && isOver(this.current, nowUs)) {
      eraseGeneration(this.current);
      this.current = undefined;
    }
  }

  /** The pair to make a RESP with. */
  serving(nowUs: number): BiscuitGeneration {
    this.handleTimeout(nowUs);
    if (this.current !== undefined && nowUs < this.current.bornUs + SERVE_US) return this.current;
    // A pair that served its time was born 10 s ago or earlier, the one before it at least 10 s before that: it is gone.
    this.previous = this.current;
    this.current = bearGeneration(this.context, nowUs);
    return this.current;
  }

  /** The pairs whose CONFs are still taken, newest first. */
  kept(nowUs: number): readonly BiscuitGeneration[] {
    this.handleTimeout(nowUs);
    return [this.current, this.previous].filter((generation) => generation !== undefined);
  }

  digest(into: Digest): void {
    for (const generation of [this.current, this.previous]) {
      into.number(generation === undefined ? -1 : generation.bornUs);
      into.number(generation === undefined ? 0 : generation.used.size);
      into.number(generation === undefined ? 0 : generation.forged.size);
    }
  }
}

function isOver(generation: BiscuitGeneration, nowUs: number): boolean {
  return nowUs >= generation.bornUs + SERVE_US + KEEP_US;
}

function bearGeneration(context: SessionContext, nowUs: number): BiscuitGeneration {
  const seed = context.entropy(KEM_SEED_BYTES);
  const kem = context.suite.kemKeys(seed);
  seed.fill(0);
  return {
    kem,
    biscuitKey: context.entropy(AEAD_KEY_BYTES).slice(),
    bornUs: nowUs,
    used: new Map(),
    forged: new Map(),
  };
}

function eraseGeneration(generation: BiscuitGeneration): void {
  generation.kem.secretKey.fill(0);
  generation.biscuitKey.fill(0);
  generation.used.clear();
  generation.forged.clear();
}
