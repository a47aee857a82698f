import type { NacDictionary } from "../address/dictionary.js";
import type { CryptoSuite } from "../crypto/suite.js";
import {
  type Elements,
  type ElementsReport,
  EPOCH_PROOF_BYTES,
  LIFE_PROOF_BYTES,
  TAG_BYTES,
  type Verdict,
} from "../routing/elements.js";
import { SECOND_US } from "../time/instant.js";
import { ELEMENT_BYTES } from "../wire/routes.js";
import { checkDescriptor, type Descriptor, type EpochStatement } from "./descriptor.js";
import { ExpectedEpochs } from "./expected-epochs.js";
import { HashBudget } from "./hash-budget.js";
import { HeldElements } from "./held-elements.js";
import { BOUND, epochOf, generationOf, METRIC_ELEMENT, metricOf, NEXT_KEY, STATE, TAG } from "./held-rows.js";
import { MeteredWalks } from "./metered-walks.js";
import { OneTimeKeys } from "./one-time-key.js";
import { type ChainSecretOf, OwnChains } from "./own-chains.js";
import {
  Chain,
  EPOCH_SLOTS_MAX,
  METRICS,
  metricPosition,
  readWords,
  slotsBetween,
  Walker,
  writeWords,
} from "./step.js";

/** A verification of ML-DSA-44 in hashes, about 2 ms. */
const SIGNATURE_HASHES = 5_000;
/** What descriptors cost has an allowance of its own, beside those of the links. */
const OWN_WALKS = -1;
/** More hashes than a chain grows while a descriptor is walked down to. */
const GROWN_HASHES_MAX = 4_096;
/** A descriptor that nobody showed again for so long is given up for another one. */
const BINDING_IDLE_US = SECOND_US;

/** A descriptor whose signature is sound, while what is held is walked down to it: a day of slots is a million hashes. */
interface Binding {
  readonly destination: number;
  readonly descriptor: Descriptor;
  /** What was held when it began: newer elements of the chain come meanwhile. */
  readonly generation: number;
  readonly metric: number;
  readonly element: Int32Array;
  shownUs: number;
}

export interface HashChainArguments {
  readonly suite: CryptoSuite;
  readonly dictionary: NacDictionary;
  /** 32 bytes: descriptors are of one network. */
  readonly networkId: Uint8Array;
  readonly secretOf: ChainSecretOf;
  /** Slots of an epoch of ours, a multiple of 128; a day unless said. Others see only where it ends. The same after a restart. */
  readonly epochSlots?: number;
  /** Of one that begins at once, likewise; no longer than the others. */
  readonly firstSlots?: number;
}

/** An epoch that begins at once lasts 64 minutes: 49,152 hashes, some 25 ms, where those of a day are half a second. */
const FIRST_SLOTS = 768;

/**
 * Adverts made authentic: the chains of this node, and what it holds of those of others.
 *
 * Two nodes with the same keys have the same chains if they began in one grid's slots. While both are in one epoch, others take elements
 * of both; the newer generation is followed, so packets go to either. Each hears of its own NAC: the one in the older epoch goes on
 * in the next (routing/origins.ts), and then the newer epoch decides.
 */
export class HashChains implements Elements {
  readonly provesEpochs = true;
  readonly own: OwnChains;
  readonly held: HeldElements;
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  private readonly networkId: Uint8Array;
  private readonly walker: Walker;
  private readonly walks: MeteredWalks;
  private readonly expected: ExpectedEpochs;
  private readonly end = new Int32Array(4);
  private readonly counts = { forged: 0, disputed: 0, unproven: 0, busy: 0, sound: 0 };

  private ownHashes = 0;
  private binding: Binding | undefined;

  constructor(args: HashChainArguments) {
    const { suite, dictionary, networkId, secretOf, epochSlots: slots = EPOCH_SLOTS_MAX } = args;
    const firstSlots = Math.min(slots, args.firstSlots ?? FIRST_SLOTS);
    this.suite = suite;
    this.dictionary = dictionary;
    this.networkId = networkId;
    this.walker = new Walker(suite);
    this.walks = new MeteredWalks(this.walker, new HashBudget());
    const keys = new OneTimeKeys(suite, dictionary, this.walker);
    this.own = new OwnChains({ suite, dictionary, walker: this.walker, keys, secretOf, slots, firstSlots });
    this.held = new HeldElements(dictionary, this.walker, this.walks);
    this.expected = new ExpectedEpochs(suite, dictionary, this.held.rows, this.walker, this.walks, keys);
  }

  get counters(): Readonly<Record<Verdict, number>> {
    return this.counts;
  }

  report(destination: number): ElementsReport | undefined {
    const own = this.own.of(destination);
    if (own === undefined) return undefined;
    const { epoch, lastSlot } = own;
    const checkHashes = this.walker.hashes - this.ownHashes;
    const verdicts = { ...this.counts };
    const isReady = this.own.isReady(destination, epoch);
    const { count: held, bound } = this.held.rows;
    return { epoch, isReady, lastSlot, held, bound, ownHashes: this.ownHashes, checkHashes, verdicts };
  }

  writeMetric(
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    into: Uint8Array,
    at: number,
  ): boolean {
    const own = this.own.of(destination);
    const isFound =
      own === undefined
        ? this.held.findMetric(destination, epoch, generation, metric)
        : own.epoch === epoch && own.findMetric(this.walker, generation, metric);
    return this.write(isFound, into, at);
  }

  writeTag(destination: number, epoch: number, into: Uint8Array, at: number): boolean {
    const own = this.own.of(destination);
    const row = this.held.rows.find(destination);
    into.fill(0, at, at + TAG_BYTES);
    if (own !== undefined) {
      if (own.epoch !== epoch || !own.isReady) return false;
      into.set(own.tag, at);
      return true;
    }
    if (row < 0 || epochOf(this.held.rows.words, row) !== epoch) return false;
    writeWords(this.held.rows.words, row + TAG, into, at, 2);
    return true;
  }

  writeLife(destination: number, epoch: number, slot: number, into: Uint8Array, at: number): boolean {
    const own = this.own.of(destination);
    const isFound =
      own === undefined
        ? this.held.findLife(destination, epoch, slot)
        : own.epoch === epoch && own.findLife(this.walker, slot);
    into.fill(0, at + ELEMENT_BYTES, at + LIFE_PROOF_BYTES);
    if (!this.write(isFound, into, at)) return false;
    if (own !== undefined) into.set(own.nextKey, at + ELEMENT_BYTES);
    else writeWords(this.held.rows.words, this.held.rows.find(destination) + NEXT_KEY, into, at + ELEMENT_BYTES, 3);
    return true;
  }

  checkMetric(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    bytes: Uint8Array,
    at: number,
    isTagged = false,
  ): Verdict {
    const own = this.own.of(destination);
    if (own !== undefined) {
      const isOurs = own.epoch === epoch && own.findMetric(this.walker, generation, metric);
      return this.count(this.judgeOwn(isOurs, own.epoch === epoch, bytes, at));
    }
    const expected = this.expected.of(destination);
    const verdict = this.held.checkMetric(
      nowUs,
      link,
      destination,
      epoch,
      generation,
      metric,
      bytes,
      at,
      isTagged,
      expected,
    );
    if (verdict === "sound" && expected?.epoch === epoch) this.expected.meet(destination);
    return this.count(verdict);
  }

  checkLife(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    slot: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict {
    const own = this.own.of(destination);
    if (own === undefined) return this.count(this.held.checkLife(nowUs, link, destination, epoch, slot, bytes, at));
    const isOurs = own.epoch === epoch && own.findLife(this.walker, slot);
    return this.count(this.judgeOwn(isOurs, own.epoch === epoch, bytes, at));
  }

  proveEpoch(destination: number, epoch: number, into: Uint8Array, at: number, previous = epoch - 1): boolean {
    const proof = this.own.proof(destination, epoch, previous);
    if (proof !== undefined) into.set(proof, at);
    if (proof !== undefined || this.expected.prove(destination, epoch, previous, into, at)) return true;
    into.fill(0, at, at + EPOCH_PROOF_BYTES);
    return false;
  }

  checkEpoch(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    bytes: Uint8Array,
    at: number,
    previous = epoch - 1,
  ): Verdict {
    if (this.own.of(destination) !== undefined) return this.count("disputed");
    return this.count(this.expected.check(nowUs, link, destination, epoch, previous, bytes, at));
  }

  isOwnEpoch(
    destination: number,
    epoch: number,
    generation: number,
    bytes: Uint8Array,
    at: number,
    isTagged: boolean,
  ): boolean {
    if (!isTagged) return false;
    const tag = bytes.subarray(at + ELEMENT_BYTES, at + ELEMENT_BYTES + TAG_BYTES);
    return this.own.isOurs(destination, epoch, generation, tag);
  }

  originate(destination: number, epoch: number, startSlot: number, isFresh = false): boolean {
    return this.own.originate(destination, epoch, startSlot, isFresh);
  }

  isReady(destination: number, epoch: number): boolean {
    return this.own.isReady(destination, epoch);
  }

  lastSlot(destination: number): number {
    return this.own.of(destination)?.lastSlot ?? -1;
  }

  work(hashesMax: number): boolean {
    const before = this.walker.hashes;
    const hasMore = this.own.work(hashesMax);
    this.ownHashes += this.walker.hashes - before;
    return hasMore;
  }

  /** Whether a chain of the destination is held that no descriptor vouches for. */
  isUnbound(destination: number): boolean {
    const { rows } = this.held;
    const row = rows.find(destination);
    if (row < 0 || this.own.of(destination) !== undefined) return false;
    return (rows.words[row + STATE]! & BOUND) === 0 && this.expected.of(destination)?.isBound !== true;
  }

  /** What a descriptor of an own destination has to say; undefined while its chain is not ready. */
  statement(destination: number, issuedSlot: number): EpochStatement | undefined {
    const own = this.own.of(destination);
    if (own === undefined || !own.isReady) return undefined;
    return { epoch: own.epoch, startSlot: own.startSlot, issuedSlot, tag: own.tag, metricEnd: own.metricEnd };
  }

  /**
   * A descriptor came in a session: from now on only that epoch and its successors are the destination's. One of
   * an epoch before the held one changes nothing, for anybody may show yesterday's; an origin that is spoken of in an epoch that it
   * never began takes a newer one. `busy`: to be shown again soon, the same object; one at a time is looked at.
   */
  bind(nowUs: number, destination: number, descriptor: Descriptor): Verdict {
    const { epoch, startSlot, tag, metricEnd } = descriptor;
    const row = this.held.rows.find(destination);
    const { words } = this.held.rows;
    if (row >= 0 && epoch < epochOf(words, row)) return this.count("disputed");
    if (row >= 0 && epoch === epochOf(words, row) && (words[row + STATE]! & BOUND) !== 0) return "sound";
    const isBegun = this.binding?.destination === destination && this.binding.descriptor === descriptor;
    if (!isBegun) {
      const isTaken = this.binding !== undefined && nowUs - this.binding.shownUs < BINDING_IDLE_US;
      if (isTaken || !this.walks.pay(nowUs, OWN_WALKS, SIGNATURE_HASHES)) return "busy";
      const nac = this.dictionary.bytesOf(destination);
      if (checkDescriptor(this.suite, this.networkId, nac, descriptor) !== "sound") return this.count("forged");
    }
    const known = this.expected.of(destination);
    if (known?.isBound === true && known.epoch > epoch) return this.count("disputed");
    if (row >= 0 && epoch === epochOf(words, row)) {
      const binding = this.bindingOf(nowUs, destination, row, descriptor);
      const fit = this.leadsTo(nowUs, binding, row);
      if (fit === undefined) return "busy";
      this.binding = undefined;
      if (fit && !this.hasGrownFrom(row, binding)) return "busy"; // another chain is held since
      if (fit) {
        words[row + STATE]! |= BOUND;
        return "sound";
      }
      this.held.forget(destination);
    }
    this.expected.expect(destination, epoch, startSlot, tag, metricEnd, -1, []);
    return "sound";
  }

  private bindingOf(nowUs: number, destination: number, row: number, descriptor: Descriptor): Binding {
    const { words } = this.held.rows;
    let { binding } = this;
    if (binding?.destination !== destination || binding.descriptor !== descriptor) {
      const element = words.slice(row + METRIC_ELEMENT, row + METRIC_ELEMENT + 4);
      const [generation, metric] = [generationOf(words, row), metricOf(words, row)];
      binding = { destination, descriptor, generation, metric, element, shownUs: nowUs };
      this.binding = binding;
    }
    binding.shownUs = nowUs;
    return binding;
  }

  forget(destination: number): void {
    this.own.forget(destination);
    this.held.forget(destination);
    this.expected.forget(destination);
    this.walks.forget(destination);
    if (this.binding?.destination === destination) this.binding = undefined;
  }

  forgetLink(link: number): void {
    this.held.rows.silence(link);
    this.walks.forgetLink(link);
  }

  /** Whether what is held leads down to this end; undefined while that is being walked. */
  private leadsTo(
    nowUs: number,
    { destination, descriptor, generation, metric, element }: Binding,
    row: number,
  ): boolean | undefined {
    const { words } = this.held.rows;
    const { startSlot, tag, metricEnd } = descriptor;
    readWords(tag, 0, this.end, 0, 2);
    if (words[row + TAG] !== this.end[0] || words[row + TAG + 1] !== this.end[1]) return false;
    const steps = slotsBetween(generation, startSlot) * METRICS + METRICS - metric;
    if (steps < 1 || steps > EPOCH_SLOTS_MAX * METRICS) return false;
    const epoch = epochOf(words, row);
    this.walker.enter(Chain.metric, this.dictionary, destination, epoch, this.end[0]!, this.end[1]!);
    this.walker.loadWords(element, 0);
    const position = metricPosition(generation, metric);
    if (!this.walks.walk(nowUs, OWN_WALKS, Chain.metric, destination, epoch, position, steps)) return undefined;
    readWords(metricEnd, 0, this.end, 0);
    return this.walker.holds(this.end, 0);
  }

  /** Whether what is held now leads down to what was held then; the walker is in the chain still. */
  private hasGrownFrom(row: number, { generation, metric, element }: Binding): boolean {
    const { words } = this.held.rows;
    const [newest, best] = [generationOf(words, row), metricOf(words, row)];
    const steps = slotsBetween(newest, generation) * METRICS + metric - best;
    if (steps < 0 || steps > GROWN_HASHES_MAX) return false;
    this.walker.loadWords(words, row + METRIC_ELEMENT);
    if (steps > 0) this.walker.walk(metricPosition(newest, best), steps);
    return this.walker.holds(element, 0);
  }

  private write(isFound: boolean, into: Uint8Array, at: number): boolean {
    if (isFound) this.walker.store(into, at);
    else into.fill(0, at, at + ELEMENT_BYTES);
    return isFound;
  }

  /** What others say of ourselves: in our epoch it is what we made, or nobody did; of another epoch we cannot know (Origins decides). */
  private judgeOwn(isFound: boolean, isEpoch: boolean, bytes: Uint8Array, at: number): Verdict {
    if (!isFound) return isEpoch ? "forged" : "disputed";
    readWords(bytes, at, this.end, 0);
    return this.walker.holds(this.end, 0) ? "sound" : "forged";
  }

  private count(verdict: Verdict): Verdict {
    this.counts[verdict] += 1;
    return verdict;
  }
}
