import type { Digest } from "../collections/digest.js";
import { nextChainSecret, packetKey } from "../crypto/key-schedule.js";
import type { Aead, CryptoSuite } from "../crypto/suite.js";

/** Updates of one round, from 0 to this: one byte of the counter tells which. */
export const UPDATE_MAX = 255;

/** What seals or opens the packets of one direction in one round between two updates. */
export interface PacketKeys {
  /** `round << 8 | update`, as it stands in the counter. */
  readonly id: number;
  readonly aead: Aead;
  /** The three big-endian words of the iv, signed. */
  iv0: number;
  iv1: number;
  iv2: number;
}

/** Nothing is sealed or opened with them any more. */
export function eraseIv(keys: PacketKeys): void {
  keys.iv0 = 0;
  keys.iv1 = 0;
  keys.iv2 = 0;
}

export function keysId(round: number, update: number): number {
  return (round << 8) | update;
}

export function roundOf(id: number): number {
  return id >>> 8;
}

export function updateOf(id: number): number {
  return id & UPDATE_MAX;
}

/**
 * The secrets from which the keys of one direction in one round come, U_r,0 to U_r,255, each from the one before it. What
 * was passed is erased, and nothing that is left leads back to it.
 */
export class KeyChain {
  readonly round: number;
  private readonly suite: CryptoSuite;
  /** Of the updates `first`, `first + 1` .. as far as they were asked for. */
  private readonly secrets: Uint8Array[];
  private first = 0;
  /** The keys made last, if nobody took them: a record that is forged again costs nothing more. */
  private made: PacketKeys | undefined;

  /** Takes over `secret`, U_r,0. */
  constructor(suite: CryptoSuite, round: number, secret: Uint8Array) {
    this.suite = suite;
    this.round = round;
    this.secrets = [secret];
  }

  /** The keys of an update that was not passed. */
  keysOf(update: number): PacketKeys {
    const id = keysId(this.round, update);
    if (this.made?.id === id) return this.made;
    if (this.made !== undefined) eraseIv(this.made);
    const { key, iv } = packetKey(this.suite, this.secretOf(update));
    this.made = { id, aead: this.suite.aead(key), iv0: wordAt(iv, 0), iv1: wordAt(iv, 4), iv2: wordAt(iv, 8) };
    key.fill(0);
    iv.fill(0);
    return this.made;
  }

  /** Whoever asked for the keys of `update` uses them from now on: what they came from is erased. */
  pass(update: number): void {
    if (update < UPDATE_MAX) this.secretOf(update + 1);
    while (this.first <= update) {
      this.secrets.shift()?.fill(0);
      this.first += 1;
    }
    this.made = undefined;
  }

  erase(): void {
    for (const secret of this.secrets.splice(0)) secret.fill(0);
    if (this.made !== undefined) eraseIv(this.made);
    this.made = undefined;
  }

  digest(into: Digest): void {
    into.number(this.round).number(this.first); // how far secrets were made ahead is no state: forgeries do it too
  }

  private secretOf(update: number): Uint8Array {
    for (;;) {
      const secret = this.secrets[update - this.first];
      if (secret !== undefined) return secret;
      this.secrets.push(nextChainSecret(this.suite, this.secrets.at(-1)!));
    }
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
