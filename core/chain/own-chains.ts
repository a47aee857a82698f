import type { NacDictionary } from "../address/dictionary.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { anchorOf, encodeEpochProof } from "./epoch-proof.js";
import type { OneTimeKeys } from "./one-time-key.js";
import { gridSlot, lowestLife, OwnChain } from "./own-chain.js";
import type { Walker } from "./step.js";

/** The 32-byte secret that the chains of an own NAC follow from; the same after a restart, or its epochs are strangers' to each other. */
export type ChainSecretOf = (destination: number) => Uint8Array;

interface Own {
  readonly secret: Uint8Array;
  current: OwnChain;
  /** Of the epoch after it, made while there is time. */
  next: OwnChain | undefined;
  /** That the epoch before says so. */
  proof: Uint8Array | undefined;
}

/** The chains of the destinations that this node is: two epochs of each at most, 39 KB with a day each. */
export class OwnChains {
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  private readonly walker: Walker;
  private readonly keys: OneTimeKeys;
  private readonly secretOf: ChainSecretOf;
  private readonly slots: number;
  private readonly own = new Map<number, Own>();

  constructor(
    suite: CryptoSuite,
    dictionary: NacDictionary,
    walker: Walker,
    keys: OneTimeKeys,
    secretOf: ChainSecretOf,
    slots: number,
  ) {
    this.suite = suite;
    this.dictionary = dictionary;
    this.walker = walker;
    this.keys = keys;
    this.secretOf = secretOf;
    this.slots = slots;
  }

  originate(destination: number, epoch: number, startSlot: number): void {
    const before = this.own.get(destination);
    if (before?.current.epoch === epoch) return; // announced again after it was withdrawn
    const secret = before?.secret ?? this.secretOf(destination);
    if (before?.next?.epoch === epoch && before.next.startSlot === gridSlot(startSlot)) {
      this.own.set(destination, { secret, current: before.next, next: undefined, proof: undefined });
      return;
    }
    const current = this.chain(destination, epoch, startSlot, secret);
    this.own.set(destination, { secret, current, next: undefined, proof: undefined });
  }

  /** The chain of an own destination, of whatever epoch it is in. */
  of(destination: number): OwnChain | undefined {
    return this.own.get(destination)?.current;
  }

  /** What is announced now comes first, then what proves it, then what will be announced tomorrow. True while there is more. */
  work(hashesMax: number): boolean {
    let left = hashesMax;
    for (const own of this.own.values()) {
      left -= own.current.work(this.walker, left);
      if (left <= 0 || !own.current.isReady) return true;
    }
    for (const [destination, own] of this.own) {
      if (own.proof !== undefined) continue;
      own.proof = this.proofOf(destination, own); // 26,000 hashes, 11 ms
      return true;
    }
    for (const [destination, own] of this.own) {
      own.next ??= this.chain(destination, own.current.epoch + 1, own.current.lastSlot + 1, own.secret);
      left -= own.next.work(this.walker, left);
      if (left <= 0 || !own.next.isReady) return true;
    }
    return false;
  }

  /** The 344 bytes; undefined while the chain or the proof are not made. */
  proof(destination: number, epoch: number): Uint8Array | undefined {
    const own = this.own.get(destination);
    return own?.current.epoch === epoch ? own.proof : undefined;
  }

  forget(destination: number): void {
    this.own.delete(destination);
  }

  private chain(destination: number, epoch: number, startSlot: number, secret: Uint8Array): OwnChain {
    const nextKey = this.keys.publicKey(destination, epoch, secret);
    return new OwnChain(this.suite, this.dictionary, destination, epoch, startSlot, this.slots, secret, nextKey);
  }

  private proofOf(destination: number, { secret, current }: Own): Uint8Array {
    const { suite, dictionary, walker, slots, keys } = this;
    const { epoch, startSlot, tag, metricEnd } = current;
    const anchor = anchorOf(suite, dictionary, destination, epoch, tag, metricEnd);
    return encodeEpochProof({
      startSlot,
      tag,
      metricEnd,
      previousLife: lowestLife(walker, suite, dictionary, destination, epoch - 1, slots, secret),
      previousKey: keys.publicKey(destination, epoch - 1, secret),
      signature: keys.sign(destination, epoch - 1, secret, anchor),
    });
  }
}
