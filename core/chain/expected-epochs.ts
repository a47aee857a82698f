import type { NacDictionary } from "../address/dictionary.js";
import { sameBytes } from "../collections/bytes.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { EPOCH_PROOF_BYTES, type Verdict, type VouchedEpoch } from "../routing/elements.js";
import { anchorOf, decodeEpochProof, type EpochProof, walkToTag } from "./epoch-proof.js";
import { epochOf, generationOf, type HeldRows, TAG } from "./held-rows.js";
import type { MeteredWalks } from "./metered-walks.js";
import { ONE_TIME_HASHES_MAX, type OneTimeKeys } from "./one-time-key.js";
import { gridSlot } from "./own-chain.js";
import { EPOCH_SLOTS_MAX, readWords, START_GRID, type Walker } from "./step.js";

/** Proofs kept of one destination: whoever missed as many of its epochs is led over them. */
const STEPS_KEPT = 4;
/** Epochs that were proven and not met yet, and proofs kept for those who ask; beyond, the one that was put first goes. */
const EXPECTED_MAX = 1_024;
const KEPT_MAX = 8_192;
/** Two for each slot of the grid in which the held epoch may have begun. */
const TAG_HASHES = (2 * EPOCH_SLOTS_MAX) / START_GRID;

/** An epoch whose elements may come. */
export interface ExpectedEpoch {
  readonly epoch: number;
  /** Who brought the proof; -1 for a descriptor. */
  readonly link: number;
  /** A descriptor vouches for it. */
  readonly isBound: boolean;
  readonly startSlot: number;
  /** Two words and four. */
  readonly tag: Int32Array;
  readonly metricEnd: Int32Array;
  /** From the held epoch to this one; none with a descriptor. */
  readonly steps: readonly VouchedEpoch[];
}

/** The epochs that the held ones, or descriptors, vouch for. */
export class ExpectedEpochs {
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  private readonly rows: HeldRows;
  private readonly walker: Walker;
  private readonly walks: MeteredWalks;
  private readonly keys: OneTimeKeys;
  private readonly tag = new Int32Array(2);
  private readonly expected = new Map<number, ExpectedEpoch>();
  private readonly kept = new Map<number, readonly VouchedEpoch[]>();

  constructor(
    suite: CryptoSuite,
    dictionary: NacDictionary,
    rows: HeldRows,
    walker: Walker,
    walks: MeteredWalks,
    keys: OneTimeKeys,
  ) {
    this.suite = suite;
    this.dictionary = dictionary;
    this.rows = rows;
    this.walker = walker;
    this.walks = walks;
    this.keys = keys;
  }

  of(destination: number): ExpectedEpoch | undefined {
    return this.expected.get(destination);
  }

  check(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    previous: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict {
    const proof = decodeEpochProof(bytes, at);
    if (proof === undefined) return "forged";
    const row = this.rows.find(destination);
    if (row < 0) return "unproven";
    const { words } = this.rows;
    const held = epochOf(words, row);
    if (epoch === held) return this.checkHeld(nowUs, link, destination, row, previous, proof);
    if (epoch < held) return this.checkSigned(nowUs, link, destination, epoch, previous, proof); // a step that others want
    const known = this.expected.get(destination);
    const isNext = known !== undefined && known.epoch === previous && !known.isBound && epoch > previous;
    if (!isNext && previous !== held) return "disputed"; // of an epoch that was missed nothing is held
    const copy = bytes.slice(at, at + EPOCH_PROOF_BYTES);
    if (known?.link === link && known.epoch === epoch && sameBytes(known.steps.at(-1)?.proof, copy)) return "sound";
    if (known?.isBound === true) return "disputed"; // a descriptor says more
    if (!this.walks.pay(nowUs, link, TAG_HASHES)) return "busy";
    // What is held may be the lie; and who passed the proof on may not know of the epoch before.
    const isOpen = isNext
      ? this.opensExpected(destination, known, proof.previousLife, proof.previousKey)
      : this.opensTag(destination, row, proof.previousLife, proof.previousKey);
    if (!isOpen) return "disputed";
    if (!this.walks.pay(nowUs, link, ONE_TIME_HASHES_MAX)) return "busy";
    if (!this.isSigned(destination, epoch, previous, proof)) return "forged";
    const steps = [...(isNext ? known.steps : []), { epoch, previous, proof: copy }];
    this.expect(destination, epoch, proof.startSlot, proof.tag, proof.metricEnd, link, steps);
    return "sound";
  }

  /**
   * Of the epoch that is held already: to be passed on to who knows the one before. That this one opens that one's tag cannot be seen
   * from here, but whatever else is wrong with it.
   */
  private checkHeld(
    nowUs: number,
    link: number,
    destination: number,
    row: number,
    previous: number,
    proof: EpochProof,
  ): Verdict {
    const { words } = this.rows;
    readWords(proof.tag, 0, this.tag, 0, 2);
    if (words[row + TAG] !== this.tag[0] || words[row + TAG + 1] !== this.tag[1]) return "disputed";
    return this.checkSigned(nowUs, link, destination, epochOf(words, row), previous, proof);
  }

  private checkSigned(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    previous: number,
    proof: EpochProof,
  ): Verdict {
    if (!this.walks.pay(nowUs, link, ONE_TIME_HASHES_MAX)) return "busy";
    return this.isSigned(destination, epoch, previous, proof) ? "sound" : "forged";
  }

  private isSigned(destination: number, epoch: number, previous: number, proof: EpochProof): boolean {
    const anchor = anchorOf(this.suite, this.dictionary, destination, epoch, proof.tag, proof.metricEnd);
    const signer = this.keys.signerOf(destination, previous, anchor, proof.signature, 0);
    return sameBytes(signer, proof.previousKey);
  }

  /** The epoch before was proven a moment ago, and will never be met: of it too, all that is needed is its tag. */
  private opensExpected(destination: number, known: ExpectedEpoch, life: Uint8Array, key: Uint8Array): boolean {
    this.walker.load(life, 0);
    walkToTag(this.walker, this.dictionary, destination, known.epoch, key, 0, known.startSlot);
    return this.walker.word(0) === known.tag[0] && this.walker.word(1) === known.tag[1];
  }

  /** The held epoch began in a slot of the grid, at most a day before its newest generation: which one, nobody says. */
  private opensTag(destination: number, row: number, life: Uint8Array, key: Uint8Array): boolean {
    const { walker } = this;
    const { words } = this.rows;
    const newest = gridSlot(generationOf(words, row));
    for (let age = 0; age < EPOCH_SLOTS_MAX; age += START_GRID) {
      walker.load(life, 0);
      walkToTag(walker, this.dictionary, destination, epochOf(words, row), key, 0, newest - age);
      if (walker.word(0) === words[row + TAG] && walker.word(1) === words[row + TAG + 1]) return true;
    }
    return false;
  }

  /** From a proof that holds, or with link -1 from a descriptor. */
  expect(
    destination: number,
    epoch: number,
    startSlot: number,
    tag: Uint8Array,
    metricEnd: Uint8Array,
    link: number,
    steps: readonly VouchedEpoch[],
  ): void {
    const tagWords = new Int32Array(2);
    const endWords = new Int32Array(4);
    readWords(tag, 0, tagWords, 0, 2);
    readWords(metricEnd, 0, endWords, 0);
    this.expected.delete(destination);
    dropFirst(this.expected, EXPECTED_MAX);
    const isBound = link < 0;
    this.expected.set(destination, {
      epoch,
      link,
      isBound,
      startSlot,
      tag: tagWords,
      metricEnd: endWords,
      steps,
    });
  }

  /** Its first element came and was sound: the proof is kept for others. */
  meet(destination: number): void {
    const met = this.expected.get(destination);
    this.expected.delete(destination);
    if (met === undefined || met.steps.length === 0) return;
    const steps = [...(this.kept.get(destination) ?? []), ...met.steps].slice(-STEPS_KEPT);
    this.kept.delete(destination);
    dropFirst(this.kept, KEPT_MAX);
    this.kept.set(destination, steps);
  }

  prove(destination: number, epoch: number, previous: number, into: Uint8Array, at: number): boolean {
    const kept = this.kept.get(destination)?.find((step) => step.epoch === epoch && step.previous === previous);
    if (kept === undefined) return false;
    into.set(kept.proof, at);
    return true;
  }

  forget(destination: number): void {
    this.expected.delete(destination);
    this.kept.delete(destination);
  }
}

function dropFirst(map: Map<number, unknown>, limit: number): void {
  if (map.size < limit) return;
  for (const first of map.keys()) {
    map.delete(first);
    return;
  }
}
