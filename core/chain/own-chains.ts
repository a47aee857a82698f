import type { NacDictionary } from "../address/dictionary.js";
import { sameBytes } from "../collections/bytes.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { TAG_BYTES } from "../routing/elements.js";
import { anchorOf, encodeEpochProof, walkToTag } from "./epoch-proof.js";
import type { OneTimeKeys } from "./one-time-key.js";
import { gridSlot, lowestLife, OwnChain } from "./own-chain.js";
import { EPOCH_SLOTS_MAX, START_GRID, type Walker, writeWords } from "./step.js";

/** The 32-byte secret that the chains of an own NAC follow from; the same after a restart, or its epochs are strangers' to each other. */
export type ChainSecretOf = (destination: number) => Uint8Array;

/** Epochs over which this node leads those who missed them. */
const PAST_MAX = 4;
/** An epoch begins so much before the last slot of the one before it: whoever goes on in it may do so in a generation that is over. */
const OVERLAP_SLOTS = 128;

/** An epoch, and the proof that the one before says so. */
interface OwnEpoch {
  readonly chain: OwnChain;
  /** The epoch before is not known: the key of any other signs it, too. */
  readonly isFresh: boolean;
  proof: Uint8Array | undefined;
}

interface Own {
  readonly secret: Uint8Array;
  /** Epochs of before, for whoever missed them: each with the proof by the one before it. */
  readonly past: readonly { readonly epoch: number; readonly proof: Uint8Array }[];
  current: OwnEpoch;
  /** The epoch after it, made while there is time. */
  next: OwnEpoch | undefined;
}

/**
 * The chains of the destinations that this node is: two epochs of each at most, 39 KB with a day each. An epoch that begins at once, at a
 * start or because another node has our keys, is short, so that nobody waits for it: its successor is made meanwhile.
 */
export class OwnChains {
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  private readonly walker: Walker;
  private readonly keys: OneTimeKeys;
  private readonly secretOf: ChainSecretOf;
  private readonly slots: number;
  private readonly firstSlots: number;
  private readonly own = new Map<number, Own>();

  constructor(args: {
    suite: CryptoSuite;
    dictionary: NacDictionary;
    walker: Walker;
    keys: OneTimeKeys;
    secretOf: ChainSecretOf;
    slots: number;
    firstSlots: number;
  }) {
    this.suite = args.suite;
    this.dictionary = args.dictionary;
    this.walker = args.walker;
    this.keys = args.keys;
    this.secretOf = args.secretOf;
    this.slots = args.slots;
    this.firstSlots = args.firstSlots;
  }

  /** True when there is work to do. */
  originate(destination: number, epoch: number, startSlot: number, isFresh = false): boolean {
    const before = this.own.get(destination);
    // Announced again after it was withdrawn. One that was never ready may begin anew: nobody heard of it.
    const isSame = before?.current.chain.epoch === epoch;
    if (isSame && (before.current.proof !== undefined || before.current.chain.covers(startSlot))) return true;
    const secret = before?.secret ?? this.secretOf(destination);
    const next = before?.next;
    const isMade = next?.chain.epoch === epoch && next.chain.covers(startSlot);
    const current = isMade ? next : this.begin(destination, epoch, startSlot, this.firstSlots, secret, isFresh);
    const past = [...(before?.past ?? [])];
    if (before?.current.proof !== undefined) {
      past.push({ epoch: before.current.chain.epoch, proof: before.current.proof });
    }
    this.own.set(destination, { secret, past: past.slice(-PAST_MAX), current, next: undefined });
    return true;
  }

  /** The chain of an own destination, of whatever epoch it is in. */
  of(destination: number): OwnChain | undefined {
    return this.own.get(destination)?.current.chain;
  }

  isReady(destination: number, epoch: number): boolean {
    const current = this.own.get(destination)?.current;
    return current !== undefined && current.chain.epoch === epoch && current.proof !== undefined;
  }

  /** What is announced now comes first, then what will be announced tomorrow. True while there is more. */
  work(hashesMax: number): boolean {
    for (const [destination, own] of this.own) {
      if (own.current.proof === undefined) return this.make(destination, own, own.current, hashesMax) || this.hasMore;
    }
    for (const [destination, own] of this.own) {
      const { chain } = own.current;
      const overlap = Math.min(OVERLAP_SLOTS, chain.slots / 2);
      own.next ??= this.begin(destination, chain.epoch + 1, chain.lastSlot + 1 - overlap, this.slots, own.secret);
      if (own.next.proof === undefined) return this.make(destination, own, own.next, hashesMax) || this.hasMore;
    }
    return false;
  }

  /**
   * The 344 bytes by which `previous` vouches for the epoch; undefined while it is not made. From another epoch than the one before only
   * where our own count was lost: then the key of `previous` signed nothing, as far as this node can know, and signs this epoch alone. Made
   * at once, 27,000 hashes.
   */
  proof(destination: number, epoch: number, previous: number): Uint8Array | undefined {
    const own = this.own.get(destination);
    const past = own?.past.find((one) => one.epoch === epoch);
    if (past !== undefined) return previous === epoch - 1 ? past.proof : undefined;
    if (own?.current.chain.epoch !== epoch || own.current.proof === undefined) return undefined;
    if (previous === epoch - 1) return own.current.proof;
    return own.current.isFresh ? this.proofOf(destination, own, own.current.chain, previous) : undefined;
  }

  /**
   * Whether `tag` is of an epoch that our secret makes, and that began in the day before `generation`: 24,000 hashes. One that we are
   * in, or were, needs no such search.
   */
  isOurs(destination: number, epoch: number, generation: number, tag: Uint8Array): boolean {
    const { suite, dictionary, walker, slots } = this;
    const own = this.own.get(destination);
    if (own === undefined) return false;
    const life = lowestLife(walker, suite, dictionary, destination, epoch, slots, own.secret);
    const key = this.keys.publicKey(destination, epoch, own.secret);
    const found = new Uint8Array(TAG_BYTES);
    const words = new Int32Array(2);
    for (let age = 0; age < EPOCH_SLOTS_MAX; age += START_GRID) {
      walker.load(life, 0);
      walkToTag(walker, dictionary, destination, epoch, key, 0, gridSlot(generation) - age);
      for (let i = 0; i < words.length; i += 1) words[i] = walker.word(i);
      writeWords(words, 0, found, 0, words.length);
      if (sameBytes(found, tag)) return true;
    }
    return false;
  }

  forget(destination: number): void {
    this.own.delete(destination);
  }

  private get hasMore(): boolean {
    for (const { current, next } of this.own.values()) {
      if (current.proof === undefined || next?.proof === undefined) return true;
    }
    return false;
  }

  /** A piece of an epoch: its chains first, then its proof in one go, 45,000 hashes. True when it is not made yet. */
  private make(destination: number, own: Own, epoch: OwnEpoch, hashesMax: number): boolean {
    if (epoch.chain.isReady) epoch.proof = this.proofOf(destination, own, epoch.chain, epoch.chain.epoch - 1);
    else epoch.chain.work(this.walker, hashesMax);
    return epoch.proof === undefined;
  }

  private begin(
    destination: number,
    epoch: number,
    startSlot: number,
    slots: number,
    secret: Uint8Array,
    isFresh = false,
  ): OwnEpoch {
    const nextKey = this.keys.publicKey(destination, epoch, secret);
    const { suite, dictionary, slots: lifeSlots } = this;
    const chain = new OwnChain(suite, dictionary, destination, epoch, startSlot, slots, lifeSlots, secret, nextKey);
    return { chain, isFresh, proof: undefined };
  }

  private proofOf(destination: number, { secret }: Own, chain: OwnChain, previous: number): Uint8Array {
    const { suite, dictionary, walker, slots, keys } = this;
    const { epoch, startSlot, tag, metricEnd } = chain;
    const anchor = anchorOf(suite, dictionary, destination, epoch, tag, metricEnd);
    return encodeEpochProof({
      startSlot,
      tag,
      metricEnd,
      previousLife: lowestLife(walker, suite, dictionary, destination, previous, slots, secret),
      previousKey: keys.publicKey(destination, previous, secret),
      signature: keys.sign(destination, previous, secret, anchor),
    });
  }
}
