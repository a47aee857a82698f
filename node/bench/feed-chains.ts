/**
 * The hash chains of all origins of a feed, in one hand: so that what feeders tell a daemon is proven by real elements. The daemon hashes
 * for what it checks as in any network; whoever feeds it knows every secret.
 */
import { NacDictionary } from "../../core/address/dictionary.js";
import { HashChains } from "../../core/chain/hash-chains.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { type Elements, noElements } from "../../core/routing/elements.js";

/** A multiple of 128: a generation in the slowest gear is up to 90 slots old, and ten minutes have 120. */
const SLOTS = 256;
const BEFORE_SLOTS = 112;
const WORK_HASHES = 1_000_000;

export class FeedChains {
  private readonly dictionary = new NacDictionary();
  private readonly chains: HashChains;
  private readonly suite: CryptoSuite;
  private readonly startSlot: number;

  /** @param slot  of network time, now */
  constructor(suite: CryptoSuite, slot: number) {
    const { dictionary } = this;
    this.suite = suite;
    this.startSlot = slot - BEFORE_SLOTS;
    this.chains = new HashChains({
      suite,
      dictionary,
      networkId: new Uint8Array(32),
      secretOf: (number) => this.suite.hash(dictionary.bytesOf(number)),
      epochSlots: SLOTS,
      firstSlots: SLOTS,
    });
  }

  /** Makes the chains of one NAC, if they are not: 31,000 hashes, some 15 ms. */
  make(nac: Uint8Array, epoch: number): void {
    const { chains } = this;
    const number = this.dictionary.intern(nac);
    if (chains.isReady(number, epoch)) return;
    if (epoch <= (chains.report(number)?.epoch ?? -1)) return; // it is over
    chains.originate(number, epoch, this.startSlot, true);
    while (!chains.isReady(number, epoch)) chains.work(WORK_HASHES);
  }

  /** For a stack with a dictionary of its own. It believes all that it is told, and proves all that it tells. */
  elementsFor(dictionary: NacDictionary): Elements {
    const { chains } = this;
    const numberOf = (destination: number, epoch: number): number => {
      const nac = dictionary.bytesOf(destination);
      this.make(nac, epoch);
      return this.dictionary.find(nac);
    };
    return {
      ...noElements,
      writeMetric: (destination, epoch, ...rest) => chains.writeMetric(numberOf(destination, epoch), epoch, ...rest),
      writeTag: (destination, epoch, ...rest) => chains.writeTag(numberOf(destination, epoch), epoch, ...rest),
      writeLife: (destination, epoch, ...rest) => chains.writeLife(numberOf(destination, epoch), epoch, ...rest),
      proveEpoch: (destination, epoch, ...rest) => chains.proveEpoch(numberOf(destination, epoch), epoch, ...rest),
    };
  }
}
