import type { Digest } from "../collections/digest.js";
import type { KeyMaterial } from "../session/key-fetch.js";
import { NEVER, SECOND_US } from "../time/instant.js";

/**
 * End-to-end key requests, as every hop sees them. A request carries no return address: each hop remembers for five
 * seconds which link asked for which NAC (one entry per NAC), and any hop that holds the key answers. Keys hash to
 * their NAC, so a cache can be wrong about nothing but being full.
 *
 * Bounds: 1,024 requests under way, 1,024 keys cached (beyond: the oldest makes room), 8 askers per NAC. Of the requests
 * each counts for the link that asked first. Beyond the bound a link that has fewer than another takes the place of that
 * one's oldest; the link that has most is refused. So all links get equal shares, and one alone may use all. What this
 * node asks for itself is never refused: others must not keep it from asking.
 */
const PENDING_MAX = 1024;
const PENDING_US = 5 * SECOND_US;
const CACHED_MAX = 1024;
const ASKERS_MAX = 8;
/** A hop asks again on behalf of others at most this often. */
const REPEAT_US = SECOND_US / 5;

/** Asked by this node itself. */
export const ASKED_BY_US = -1;

interface PendingKey {
  /** The request counts for the first. */
  readonly askers: { readonly link: number; nonce: Uint8Array }[];
  expiresUs: number;
  forwardedUs: number;
  attempts: number;
}

/** Where NACs have their numbers: one that we keep stays the same NAC's until it is released. */
export interface NumberKeeper {
  hold(number: number): void;
  release(number: number): void;
}

const KEPT_ANYWAY: NumberKeeper = { hold: () => undefined, release: () => undefined };

export class KeyRelay {
  private readonly pending = new Map<number, PendingKey>();
  /** Requests under way that count for a link. */
  private readonly shares = new Map<number, number>();
  private readonly cache = new Map<number, KeyMaterial>();
  private nextExpiryUs = NEVER;
  private readonly numbers: NumberKeeper;

  constructor(numbers = KEPT_ANYWAY) {
    this.numbers = numbers;
  }

  /** The key of NAC number `destination`, if it passed by. */
  cached(destination: number): KeyMaterial | undefined {
    return this.cache.get(destination);
  }

  /** Keeps a key that was verified against its NAC. */
  store(destination: number, key: KeyMaterial): void {
    if (this.cache.delete(destination)) this.numbers.release(destination);
    if (this.cache.size >= CACHED_MAX) {
      const oldest = this.cache.keys().next().value;
      if (oldest !== undefined && this.cache.delete(oldest)) this.numbers.release(oldest);
    }
    this.numbers.hold(destination);
    this.cache.set(destination, key);
  }

  /**
   * `link` (or ASKED_BY_US) asks for the key of `destination`.
   *
   * @returns which attempt to pass on (0 the best route, 1 the next backup, ...), or "wait" when one is under way, or
   *          "full" when no more requests are remembered
   */
  ask(nowUs: number, destination: number, link: number, nonce: Uint8Array): number | "wait" | "full" {
    this.expire(nowUs);
    let entry = this.pending.get(destination);
    if (entry === undefined) {
      if (this.pending.size >= PENDING_MAX && link !== ASKED_BY_US && !this.makeRoom(link)) return "full";
      entry = { askers: [], expiresUs: 0, forwardedUs: 0, attempts: 0 };
      this.pending.set(destination, entry);
      this.numbers.hold(destination);
    }
    const known = entry.askers.find((asker) => asker.link === link);
    if (known !== undefined) known.nonce = nonce.slice();
    else if (entry.askers.length >= ASKERS_MAX && link !== ASKED_BY_US) return "full";
    else {
      if (entry.askers.length === 0) this.charge(link, 1);
      entry.askers.push({ link, nonce: nonce.slice() });
    }
    entry.expiresUs = nowUs + PENDING_US;
    this.nextExpiryUs = Math.min(this.nextExpiryUs, entry.expiresUs);
    if (entry.attempts > 0 && nowUs - entry.forwardedUs < REPEAT_US) return "wait";
    entry.forwardedUs = nowUs;
    entry.attempts += 1;
    return entry.attempts - 1;
  }

  isAsked(destination: number): boolean {
    return this.pending.has(destination);
  }

  /** Everybody who waits for the key, and forgets the request. */
  answer(destination: number): readonly { readonly link: number; readonly nonce: Uint8Array }[] {
    const entry = this.pending.get(destination);
    if (entry === undefined) return [];
    this.forget(destination, entry);
    return entry.askers;
  }

  digest(into: Digest): void {
    into.number(this.pending.size).number(this.cache.size);
    for (const { askers, expiresUs, forwardedUs, attempts } of this.pending.values()) {
      into.number(expiresUs).number(forwardedUs).number(attempts);
      for (const { link, nonce } of askers) into.number(link).bytes(nonce);
    }
    for (const { signatureHash } of this.cache.values()) into.bytes(signatureHash);
  }

  /** False when no other link has more requests under way than `link`. */
  private makeRoom(link: number): boolean {
    let largest = ASKED_BY_US;
    let most = (this.shares.get(link) ?? 0) + 1; // one more is no wrong: they would push each other out in turn
    for (const [other, count] of this.shares) {
      if (other === ASKED_BY_US || other === link || count <= most) continue;
      largest = other;
      most = count;
    }
    if (largest === ASKED_BY_US) return false;
    for (const [destination, entry] of this.pending) {
      if (entry.askers[0]!.link !== largest) continue;
      if (entry.askers.length === 1) {
        this.forget(destination, entry);
        return true;
      }
      this.charge(largest, -1); // others wait for it too: from now on it counts for the next of them
      entry.askers.shift();
      this.charge(entry.askers[0]!.link, 1);
    }
    return false;
  }

  private forget(destination: number, { askers }: PendingKey): void {
    this.charge(askers[0]!.link, -1);
    this.pending.delete(destination);
    this.numbers.release(destination);
  }

  private charge(link: number, count: number): void {
    const share = (this.shares.get(link) ?? 0) + count;
    if (share === 0) this.shares.delete(link);
    else this.shares.set(link, share);
  }

  private expire(nowUs: number): void {
    if (nowUs < this.nextExpiryUs) return;
    this.nextExpiryUs = NEVER;
    for (const [destination, entry] of this.pending) {
      if (entry.expiresUs <= nowUs) this.forget(destination, entry);
      else this.nextExpiryUs = Math.min(this.nextExpiryUs, entry.expiresUs);
    }
  }
}
