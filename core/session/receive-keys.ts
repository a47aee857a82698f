import type { Digest } from "../collections/digest.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { eraseIv, type KeyChain, type PacketKeys, roundOf, updateOf } from "./key-chain.js";

/** Records that were overtaken by the first one under newer keys still open for so long. */
export const KEEP_OLD_US = 3 * SECOND_US;
/** Old keys kept at once: with more changes than this in three seconds, the oldest go early. */
export const OLD_KEYS_MAX = 4;

interface OldKeys {
  readonly keys: PacketKeys;
  readonly untilUs: number;
}

/**
 * The keys that may open the next record: those in use, those before them for a while, and newer ones as soon as a record
 * opens under them. Nothing moves for a record that does not.
 */
export class ReceiveKeys {
  current: PacketKeys;
  private chain: KeyChain;
  /** Of the round that was agreed on and of which nothing came yet. */
  private next: KeyChain | undefined;
  /** Oldest first. */
  private readonly old: OldKeys[] = [];

  constructor(chain: KeyChain) {
    this.chain = chain;
    this.current = chain.keysOf(0);
    chain.pass(0);
  }

  get round(): number {
    return this.chain.round;
  }

  /** When the old keys must be gone. */
  get nextTimeoutUs(): number {
    return this.old[0]?.untilUs ?? NEVER;
  }

  handleTimeout(nowUs: number): void {
    while (nowUs >= this.nextTimeoutUs) this.eraseOldest();
  }

  /** From now on records of `chain`, of the next round, may come. */
  expect(chain: KeyChain): void {
    this.next = chain;
  }

  /** The keys of a record that names them by `id`; undefined when they are erased or cannot be known yet. */
  find(nowUs: number, id: number): PacketKeys | undefined {
    const { current } = this;
    if (id === current.id) return current;
    for (const { keys, untilUs } of this.old) if (id === keys.id) return nowUs < untilUs ? keys : undefined;
    const round = roundOf(id);
    const update = updateOf(id);
    if (round === this.chain.round) return id > current.id ? this.chain.keysOf(update) : undefined;
    return this.next?.round === round ? this.next.keysOf(update) : undefined;
  }

  /** A record opened under `keys`, as `find` gave them. True when it is the first of the next round. */
  adopt(nowUs: number, keys: PacketKeys): boolean {
    if (keys.id <= this.current.id) return false; // an old one, late
    if (this.old.length === OLD_KEYS_MAX) this.eraseOldest();
    this.old.push({ keys: this.current, untilUs: nowUs + KEEP_OLD_US });
    this.current = keys;
    const isNextRound = roundOf(keys.id) !== this.chain.round;
    if (isNextRound) {
      this.chain.erase();
      this.chain = this.next!;
      this.next = undefined;
    }
    this.chain.pass(updateOf(keys.id));
    return isNextRound;
  }

  erase(): void {
    while (this.old.length > 0) this.eraseOldest();
    eraseIv(this.current);
    this.chain.erase();
    this.next?.erase();
    this.next = undefined;
  }

  digest(into: Digest): void {
    into.number(this.current.id).number(this.old.length).number(this.nextTimeoutUs);
    this.chain.digest(into);
    this.next?.digest(into);
  }

  private eraseOldest(): void {
    const oldest = this.old.shift();
    if (oldest !== undefined) eraseIv(oldest.keys);
  }
}
